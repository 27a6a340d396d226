"""Run a planned job on dask's threads: read a block, differentiate it, write it whole."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import dask.threaded
import numpy as np
import xarray as xr
import zarr
from dask.callbacks import Callback
from zarr.abc.store import Store

from bigrad.errors import SourceError, TargetError
from bigrad.jobs.blocks import BlockGrid, Region
from bigrad.jobs.report import Progress
from bigrad.jobs.source import Source, object_keys
from bigrad.jobs.storage import copy_objects
from bigrad.numerics.operators import Block, Gradient

__all__ = ["Copy", "Done", "Work", "copies", "copy_tasks", "execute"]

# Tasks handed to dask at a time, for each worker: enough that the wait for the last of them
# is short against the rest, few enough that the graph stays small.
_WINDOW = 32

# Objects that one task copies.
_OBJECTS = 100


@dataclass(frozen=True, eq=False)
class Work:
    """The blocks of one variable.

    Attributes
    ----------
    name : str
        Of the variable.
    variable : xarray.Variable
        The variable, lazy.
    grid : BlockGrid
        Its blocks.
    operators : tuple of Gradient
        For each result.
    results : tuple of zarr.Array
        Where each result is written.
    """

    name: str
    variable: xr.Variable
    grid: BlockGrid
    operators: tuple[Gradient, ...]
    results: tuple["zarr.Array[Any]", ...]


@dataclass(frozen=True, eq=False)
class Copy:
    """Objects of one variable to copy as they are."""

    name: str
    source: Store
    target: Store
    keys: Sequence[str]


@dataclass(frozen=True)
class Done:
    """What a task did, or several together."""

    tasks: int = 0
    blocks: int = 0
    written: int = 0
    copied: int = 0

    def __add__(self, other: "Done") -> "Done":
        return Done(
            self.tasks + other.tasks,
            self.blocks + other.blocks,
            self.written + other.written,
            self.copied + other.copied,
        )


def copies(source: Source, target: Store, names: Sequence[str]) -> Iterator[Copy]:
    """Tasks that copy the objects of some variables."""
    for name in names:
        keys = object_keys(name, source.array(name))
        for start in range(0, len(keys), _OBJECTS):
            stop = min(start + _OBJECTS, len(keys))
            yield Copy(name, source.store, target, [keys[i] for i in range(start, stop)])


def copy_tasks(source: Source, names: Sequence[str]) -> int:
    """Count the tasks that `copies` yields."""
    counts = (len(object_keys(name, source.array(name))) for name in names)
    return sum(-(-count // _OBJECTS) for count in counts)


def execute(
    works: Sequence[Work],
    copying: Iterator[Copy],
    *,
    tasks: int,
    total_bytes: int,
    workers: int,
    concurrency: int,
    progress: Callable[[Progress], None] | None,
) -> Done:
    """Run all tasks; the first error stops the job.

    Parameters
    ----------
    works : sequence of Work
        The variables to differentiate, one after the other.
    copying : iterator of Copy
        What is copied before them.
    tasks, total_bytes : int
        Of the whole job, for `progress`.
    workers : int
        Threads that run tasks.
    concurrency : int
        Chunks that each of them reads or writes at the same time.
    progress : callable or None
        Called in this thread with a `Progress` when a task is done.

    Returns
    -------
    Done
    """
    began = time.perf_counter()
    done = Done()

    def count(key: Any, value: Any, *_: Any) -> None:
        nonlocal done
        if not isinstance(value, Done):
            return
        done += value
        if progress is not None:
            seconds = time.perf_counter() - began
            progress(Progress(done.tasks, tasks, done.written, total_bytes, seconds))

    queue = _tasks(works, copying)
    with (
        zarr.config.set({"async.concurrency": concurrency}),
        ThreadPoolExecutor(workers, thread_name_prefix="bigrad") as pool,
        Callback(posttask=count),
    ):
        while window := list(islice(queue, _WINDOW * workers)):
            graph = {f"bigrad-{number}": (task,) for number, task in enumerate(window)}
            dask.threaded.get(graph, list(graph), pool=pool)
    return done


def _tasks(works: Sequence[Work], copying: Iterator[Copy]) -> Iterator[Callable[[], Done]]:
    for item in copying:
        yield partial(_copy, item)
    for work in works:
        for number in range(len(work.grid)):
            yield partial(compute_block, work, number)


def _copy(item: Copy) -> Done:
    try:
        copied = copy_objects(item.source, item.target, item.keys)
    except OSError as exc:
        msg = f"copying {item.name!r} failed: {exc}"
        raise TargetError(msg) from exc
    return Done(tasks=1, copied=copied)


def compute_block(work: Work, number: int) -> Done:
    """Read block `number` with its halo, differentiate it, and write its results."""
    region = work.grid.region(number)
    try:
        block = read_block(work, number)
    except Exception as exc:
        msg = f"reading {_place(work, number)} failed: {_said(exc)}"
        raise SourceError(msg) from exc
    written = 0
    for operator, result in zip(work.operators, work.results, strict=True):
        # One at a time: of all results, only one is held in memory.
        (values,) = operator.apply(block)
        try:
            result[region] = values
        except Exception as exc:
            msg = f"writing {result.name!r} for {_place(work, number)} failed: {_said(exc)}"
            raise TargetError(msg) from exc
        written += values.nbytes
        del values
    return Done(tasks=1, blocks=1, written=written)


def read_block(work: Work, number: int) -> Block:
    """Read the cells of a block, and the neighbours that its derivatives need."""
    region = work.grid.region(number)
    start = tuple(cells.start for cells in region)
    reads = work.grid.reads(number)
    data = _load(work, reads.core)
    if not work.grid.joined:
        faces = {
            axis: (_load(work, before), _load(work, after))
            for axis, (before, after) in reads.faces.items()
        }
        return Block(data, start, faces)
    inside = _relative(region, reads.core)
    return Block(
        data[inside],
        start,
        {
            axis: (
                data[_replaced(inside, axis, slice(0, inside[axis].start))],
                data[_replaced(inside, axis, slice(inside[axis].stop, None))],
            )
            for axis in work.grid.reach
        },
    )


def _load(work: Work, region: Region) -> "np.ndarray[Any, Any]":
    if any(cells.start == cells.stop for cells in region):
        return np.empty([cells.stop - cells.start for cells in region], work.variable.dtype)
    return work.variable[region].to_numpy()


def _relative(region: Region, origin: Region) -> Region:
    return tuple(
        slice(cells.start - first.start, cells.stop - first.start)
        for cells, first in zip(region, origin, strict=True)
    )


def _replaced(region: Region, axis: int, cells: slice) -> Region:
    return (*region[:axis], cells, *region[axis + 1 :])


def _place(work: Work, number: int) -> str:
    cells = ", ".join(
        f"{dim} {cells.start}:{cells.stop}"
        for dim, cells in zip(work.variable.dims, work.grid.region(number), strict=True)
    )
    return f"block {number} of {len(work.grid)} of {work.name!r} ({cells})"


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"
