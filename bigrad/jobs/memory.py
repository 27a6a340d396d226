"""The memory of a job: its ceiling, what a process holds, and what a task adds."""

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import dask.utils

__all__ = [
    "MiB",
    "TaskMemory",
    "parse_bytes",
    "peak_memory",
    "resident_memory",
    "settle_allocator",
]

MiB = 1024**2


def parse_bytes(size: Any) -> int:
    """Return the bytes of a size such as ``"512MiB"``, ``"2 GB"`` or ``1e9``.

    Examples
    --------
    >>> parse_bytes("512MiB")
    536870912
    >>> parse_bytes("1.5 GB")
    1500000000
    """
    if isinstance(size, bool) or not isinstance(size, str | Real):
        msg = f"`memory` must be a number of bytes or a text such as '512MiB', found {size!r}"
        raise TypeError(msg)
    try:
        if isinstance(size, str) and not re.match(r"\s*\.?\d", size):
            msg = "no number comes first"
            raise ValueError(msg)
        value = dask.utils.parse_bytes(size) if isinstance(size, str) else int(float(size))
    except (ValueError, OverflowError) as exc:
        msg = f"`memory` is not a size: found {size!r} ({exc}); write one as in '512MiB' or '2 GB'"
        raise ValueError(msg) from exc
    if value <= 0:
        msg = f"`memory` must be above zero, found {size!r}"
        raise ValueError(msg)
    return value


def resident_memory() -> int:
    """Bytes that this process holds in memory now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_memory() -> int | None:
    """Bytes that this process held at most since it began, where the system tells."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        return int(found[1]) * 1024 if found else None
    if os.name != "posix":
        return None
    import resource

    # In bytes on macOS, in KiB on the other systems that have it.
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


# Parameters of glibc's mallopt, and the values that `settle_allocator` gives them.
_MALLOPT = {
    -8: 1,  # M_ARENA_MAX
    -3: 8 * MiB,  # M_MMAP_THRESHOLD
    -1: 32 * MiB,  # M_TRIM_THRESHOLD
}


def settle_allocator() -> None:
    """Make glibc return freed memory to the system; elsewhere, do nothing.

    By default every thread that decodes or encodes gets a heap of its own and keeps in it what
    it has freed: measured, 60 MiB above what two tasks hold. With one heap, trimmed at its
    top, and large arrays mapped one by one, the peak follows the plan, at no cost in time.
    It lasts as long as the process.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        for parameter, value in _MALLOPT.items():
            mallopt(parameter, value)


@dataclass(frozen=True)
class TaskMemory:
    """Most bytes that one running task adds to the process, by term.

    A task reads, unpacks what it read, then computes and writes one result after the other. It
    holds the most at one of these three moments.

    Attributes
    ----------
    carried : int
        The block before, and the slabs, that a run carries along.
    stored : int
        The block with its halo, as stored.
    reading : int
        Chunks on their way from the store.
    decoded : int
        Copies that unpacking makes of the block: two of the decoded values, and masks.
    data : int
        The decoded block with its halo, once reading is over.
    result : int
        One result, and the temporaries of computing it.
    writing : int
        Chunks or shards on their way to the store.
    """

    carried: int
    stored: int
    reading: int
    decoded: int
    data: int
    result: int
    writing: int

    @property
    def total(self) -> int:
        """The largest of the three moments."""
        return self.carried + max(
            self.stored + self.reading,
            self.stored + self.decoded,
            self.data + self.result + self.writing,
        )
