"""The journal of a job: what it is, what of it is done, and who is at it.

It lies beside the target, in a folder called like it with ``.bigrad`` behind, and goes when the
job is done::

    job.json     all that the bytes of the result depend on, and the grids of blocks
    done.jsonl   a line for each range of finished steps, by stage
    lease.json   the process that writes now

Steps are finished about in order, so that a few ranges tell of any number of them. Each document
is written whole: a job that is killed finds the last one or the one before it, and a step that
was done but not yet recorded is done once more, with the same result.
"""

import json
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from bigrad.errors import TargetError
from bigrad.jobs.lease import Lease
from bigrad.jobs.storage import beside, describe, describe_path, read_text, remove_folder

__all__ = ["Journal", "Ranges", "differences", "read_job"]

_JOB = "job.json"
_DONE = "done.jsonl"

# Seconds of work that a killed job may have to do again besides what it was at.
_FLUSHED_EVERY = 1.0


class Ranges:
    """A set of whole numbers, as disjoint ranges in order.

    Examples
    --------
    >>> done = Ranges([(0, 3)])
    >>> done.add(5, 7)
    >>> list(done), list(done.missing(9)), len(done)
    ([(0, 3), (5, 7)], [(3, 5), (7, 9)], 5)
    >>> done.add(3, 5)
    >>> list(done)
    [(0, 7)]
    """

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in ranges:
            self.add(start, stop)

    def add(self, start: int, stop: int) -> None:
        """Add the numbers ``[start, stop)``."""
        if start >= stop:
            return
        # The ranges that overlap or touch the new one become one with it.
        i = bisect_left(self._stops, start)
        j = bisect_right(self._starts, stop)
        if i < j:
            start = min(start, self._starts[i])
            stop = max(stop, self._stops[j - 1])
        self._starts[i:j] = [start]
        self._stops[i:j] = [stop]

    def missing(self, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges of ``[0, stop)`` that are not in the set."""
        start = 0
        for first, behind in self:
            if first > start:
                yield start, first
            start = behind
        if start < stop:
            yield start, stop

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._stops, strict=True)

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self)


class Journal:
    """The journal of one job, held by this process.

    Parameters
    ----------
    target : zarr.abc.store.Store
        Where the job writes.

    Raises
    ------
    TargetError
        Where another living process is at a job there, or no journal can be written.
    """

    def __init__(self, target: Store) -> None:
        self._folder = beside(target, read_only=False)
        self._name = describe(target)
        self._done: dict[str, Ranges] = {}
        self._flushed = time.monotonic()
        self._changed = False
        try:
            self._lease = Lease(self._folder, self._name)
        except OSError as exc:
            msg = (
                f"`target` {self._name!r} cannot be written to: its journal {self.place!r} "
                f"cannot be made ({exc})"
            )
            raise TargetError(msg) from exc

    @property
    def place(self) -> str:
        """Where the journal lies."""
        return describe_path(self._folder)

    @property
    def lease(self) -> Lease:
        """The right to write to the target."""
        return self._lease

    def begin(self, job: Mapping[str, Any]) -> None:
        """Forget any other job, and remember this one; no step of it may be done before."""
        self._remove(_DONE)
        self._done = {}
        self._write(_JOB, json.dumps(job, indent=1))

    def opened(self) -> None:
        """Remember that the target is ready for steps to be done."""
        self._changed = True
        self.flush()

    def resume(self, steps: Mapping[str, int]) -> bool:
        """Read what is done; False where the target was not yet ready when the job was cut.

        Parameters
        ----------
        steps : mapping of str to int
            How many there are, by stage.

        Raises
        ------
        TargetError
            Where the journal tells of other steps, or cannot be read.
        """
        lines = read_text(self._folder / _DONE)
        if lines is None:
            return False
        self._done = {}
        try:
            for line in lines.splitlines():
                entry = json.loads(line)
                first, stop = map(int, entry["steps"])
                if not 0 <= first < stop <= steps[entry["stage"]]:
                    raise ValueError(line)
                self.done(entry["stage"]).add(first, stop)
        except (ValueError, KeyError, TypeError) as exc:
            raise _damaged(self._name, exc) from exc
        return True

    def done(self, stage: str) -> Ranges:
        """Return the steps of a stage that are done."""
        return self._done.setdefault(stage, Ranges())

    def record(self, stage: str, first: int, stop: int) -> None:
        """Remember that steps of a stage are done: all that they wrote is in the store.

        Raises
        ------
        TargetError
            Where another process has taken the job over, or the journal cannot be written.
        """
        self.done(stage).add(first, stop)
        self._changed = True
        if time.monotonic() - self._flushed > _FLUSHED_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write down what was recorded."""
        self._lease.check()
        if not self._changed:
            return
        lines = [
            json.dumps({"stage": stage, "steps": [first, stop]})
            for stage, ranges in self._done.items()
            for first, stop in ranges
        ]
        self._write(_DONE, "".join(f"{line}\n" for line in lines))
        self._flushed = time.monotonic()
        self._changed = False

    def finish(self) -> None:
        """Remove the journal: the job is done."""
        self._changed = False
        # In this order: what is left of it, if anything, is no job to resume.
        for name in (_JOB, _DONE):
            self._remove(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write down what was recorded, and let others have the target."""
        try:
            # What stopped the job is told, not what it led to: on a full disk, this fails too.
            with suppress(*([TargetError] if kind else [])):
                self.flush()
        finally:
            self._lease.release()
            remove_folder(self._folder)

    def _write(self, name: str, text: str) -> None:
        value = default_buffer_prototype().buffer.from_bytes(text.encode())
        try:
            sync((self._folder / name).set(value))
        except OSError as exc:
            msg = f"the journal {self.place!r} cannot be written to: {exc}"
            raise TargetError(msg) from exc

    def _remove(self, name: str) -> None:
        sync((self._folder / name).delete())


def read_job(target: Store) -> dict[str, Any] | None:
    """Return what the journal beside a target says of its job; None where there is none.

    Raises
    ------
    TargetError
        Where there is one that cannot be read.
    """
    text = read_text(beside(target) / _JOB)
    if text is None:
        return None
    try:
        job = dict(json.loads(text))
        for entry in job["passes"]:
            list(entry["variables"]), list(map(int, entry["axes"])), int(entry["run"])
            list(map(int, entry["block"]))
        str(job["job"])
    except (ValueError, KeyError, TypeError) as exc:
        raise _damaged(describe(target), exc) from exc
    return job


def _damaged(target: str, exc: Exception) -> TargetError:
    return TargetError(
        f"the journal of the unfinished job at `target` {target!r} is damaged ({exc!r}), so that "
        "it cannot be continued; ask for `overwrite` (`--overwrite`) to start over"
    )


def differences(before: Any, now: Any, at: str = "") -> Iterator[str]:
    """Say where two documents differ, one sentence each.

    Examples
    --------
    >>> list(differences({"operator": {"edge_order": 1}}, {"operator": {"edge_order": 2}}))
    ['`operator.edge_order` was 1 and is 2']
    >>> list(differences({"passes": [{"run": 1}]}, {"passes": [{"run": 4}]}))
    ['`passes.0.run` was 1 and is 4']
    """
    if before == now:
        return
    if _is_table(before) and _is_table(now) and len(before) == len(now):
        before, now = (dict(enumerate(entries)) for entries in (before, now))
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            path = f"{at}.{key}" if at else str(key)
            yield from differences(before.get(key), now.get(key), path)
    else:
        yield f"`{at}` was {_short(before)} and is {_short(now)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _short(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
