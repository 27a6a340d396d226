"""Tell the progress of a job: a bar for a person, lines for a log, JSON for a program."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Literal

from dask.utils import format_bytes, format_time

from bigrad.jobs.report import Progress

__all__ = ["Kind", "telling"]

Kind = Literal["auto", "bar", "lines", "json", "none"]

_SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def telling(kind: Kind, total: int) -> Iterator[Callable[[Progress], None] | None]:
    """Yield what tells of progress, None where nothing is to be told.

    Parameters
    ----------
    kind : {"auto", "bar", "lines", "json", "none"}
        A bar or, every ten seconds, a line on standard error; a line of JSON on standard output
        for each task. ``"auto"`` is a bar on a terminal and lines elsewhere.
    total : int
        Bytes of results to write in all.
    """
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "lines"
    if kind == "bar":
        with _bar(total) as advance:
            yield advance
    else:
        yield {"lines": _lines(), "json": _json, "none": None}[kind]


@contextmanager
def _bar(total: int) -> Iterator[Callable[[Progress], None]]:
    from tqdm import tqdm

    with tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024, desc="bigrad") as bar:

        def advance(progress: Progress) -> None:
            bar.set_postfix_str(_blocks(progress) + _held(progress), refresh=False)
            resumed = progress.bytes_done - progress.bytes_written
            if not bar.n and resumed > 0:
                # What earlier runs wrote says nothing of this one's rate.
                bar.initial = bar.n = resumed
                bar.refresh()
            bar.update(progress.bytes_done - bar.n)

        yield advance


def _lines() -> Callable[[Progress], None]:
    last, ended = time.monotonic(), False

    def advance(progress: Progress) -> None:
        nonlocal last, ended
        now = time.monotonic()
        at_end = progress.blocks_done == progress.blocks and not ended
        if now - last < _SECONDS_BETWEEN_LINES and not at_end:
            return
        last, ended = now, ended or at_end
        left = progress.seconds_left
        sys.stderr.write(
            f"{_blocks(progress)}, {100 * progress.bytes_done / max(progress.bytes, 1):.0f} %, "
            f"{format_bytes(progress.bytes_read)} in, {format_bytes(progress.bytes_written)} out, "
            f"{format_bytes(round(progress.rate))}/s"
            + (f", {format_time(left)} left" if left else "")
            + f"{_held(progress)}\n"
        )

    return advance


def _json(progress: Progress) -> None:
    sys.stdout.write(json.dumps(asdict(progress)) + "\n")
    sys.stdout.flush()


def _blocks(progress: Progress) -> str:
    resumed = f" ({progress.blocks_resumed} resumed)" if progress.blocks_resumed else ""
    return f"{progress.blocks_done}/{progress.blocks} blocks{resumed}"


def _held(progress: Progress) -> str:
    if progress.peak_memory is None:
        return ""
    return f", peak {format_bytes(progress.peak_memory)} of {format_bytes(progress.ceiling)}"
