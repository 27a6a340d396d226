"""Choose blocks, workers and concurrency: the least time that keeps the memory ceiling.

A variable is read once for all its derivatives, or in several passes. Every candidate for a
pass is a grid of whole write units, in runs along one of the axes or not. Its cost is counted,
not sampled: chunks decoded, bytes encoded, tasks. All is arithmetic on metadata.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from typing import Any

import numpy as np
from dask.utils import format_bytes

from bigrad.errors import MemoryCeilingError
from bigrad.jobs.blocks import BlockGrid, count_along
from bigrad.jobs.memory import MiB, TaskMemory
from bigrad.jobs.source import Layout, Packing
from bigrad.numerics.stencils import Reach
from bigrad.numerics.threads import cores

__all__ = ["MARGIN", "Choice", "Demand", "Needed", "Pass", "choose", "task_memory"]

# Kept free under the ceiling for what the formula does not count: threads, the event loop's
# queues, modules that load on first use, and holes between the arrays in the heap.
MARGIN = 64 * MiB

# Rates of one core, in bytes of uncompressed data per second, and times, in seconds. They
# weigh reading twice against waiting and against tasks; nothing else depends on them.
_DECODE_RATE = 650e6
_ENCODE_RATE = 200e6
_MOVE_RATE = 3000e6  # computing, and copies between arrays and the file system
_CHUNK_SECONDS = 60e-6
_REMOTE_SECONDS = 30e-3  # until another machine answers
_TASK_SECONDS = 1e-3

_MOST_CANDIDATES = 1_000

# Runs: enough of them that the last ones leave no core idle for long, none so long that much
# is done again where a job is cut short.
_TASKS_PER_CORE = 4
_LONGEST_RUN = 64


@dataclass(frozen=True)
class Needed:
    """What the planner knows of a variable that is read.

    Attributes
    ----------
    layout : Layout
        How it lies in its store.
    decoded : numpy.dtype
        Of its values once decoded.
    packing : Packing or None
        What makes new values of the stored ones, where these are packed.
    reading : mapping of int to int
        Bytes that reading takes besides the values, by the number of chunks that are asked for
        at a time: more than one only of a store on another machine.
    circles : tuple of (int, int)
        Rows that need a whole circle besides, and in which row that is.
    """

    layout: Layout
    decoded: np.dtype[Any]
    packing: Packing | None
    reading: Mapping[int, int]
    circles: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Demand:
    """What the planner knows of what is to be computed together.

    Attributes
    ----------
    inputs : tuple of Needed
        The variables that are read.
    target : Layout
        How each result lies in its store.
    writing : mapping of int to int
        Bytes that writing takes besides the values, by the number of chunks on their way.
    temporaries : int
        Arrays of the result's size that computing needs besides the result.
    reach : mapping of int to Reach
        How far what is computed looks, by axis.
    outputs : mapping of int to int
        The number of results by axis, where each is about one axis and can be computed by
        itself; else of all results, by one of the axes.
    together : bool
        Whether all results are computed at once.
    circle : tuple of int or None
        The axes of rows and along circles, where blocks may need circles.
    """

    inputs: tuple[Needed, ...]
    target: Layout
    writing: Mapping[int, int]
    temporaries: int
    reach: Mapping[int, Reach]
    outputs: Mapping[int, int]
    together: bool = False
    circle: tuple[int, int] | None = None

    @property
    def concurrencies(self) -> tuple[int, ...]:
        """Numbers of chunks that may be asked for at a time."""
        return tuple(self.writing)

    def units(self, grid: BlockGrid) -> tuple[int, ...]:
        """How many times a chunk of each input is decoded in all, exactly."""
        return tuple(
            grid.read_units(one.layout.chunk) + self._circle_units(grid, one)
            for one in self.inputs
        )

    def bytes_decoded(self, grid: BlockGrid) -> int:
        """Bytes of source chunks decoded; a chunk counts each time."""
        units = self.units(grid)
        return sum(n * one.layout.chunk_bytes for n, one in zip(units, self.inputs, strict=True))

    def _circle_units(self, grid: BlockGrid, one: Needed) -> int:
        if self.circle is None or not one.circles:
            return 0
        y, x = self.circle
        # A block that holds the circle takes it from there.
        whole, rows = grid.block[x] >= grid.shape[x], grid.block[y]
        apart = sum(not whole or at // rows != row // rows for at, row in one.circles)
        chunk = one.layout.chunk
        others = (
            count_along(grid.shape[axis], grid.block[axis], chunk[axis], None).core
            for axis in range(len(grid.shape))
            if axis not in self.circle
        )
        around = grid.counts[x] * -(-grid.shape[x] // chunk[x])
        return apart * around * math.prod(others)

    @property
    def result_bytes(self) -> int:
        """Bytes of all results, uncompressed."""
        results = sum(self.outputs.values())
        return results * math.prod(self.target.shape) * self.target.dtype.itemsize

    @property
    def written_chunks(self) -> int:
        """Chunks of all results."""
        return sum(self.outputs.values()) * math.prod(
            -(-n // c) for n, c in zip(self.target.shape, self.target.chunk, strict=True)
        )

    def grid(self, block: tuple[int, ...]) -> BlockGrid:
        """Return the grid of these blocks, none of which carries anything to another."""
        return BlockGrid(self.target.shape, block, self.reach)

    def along(self, axes: Sequence[int]) -> "Demand":
        """Return the same for the results along some of the axes."""
        if self.together:
            return self
        outputs = {axis: self.outputs[axis] for axis in axes}
        return replace(self, reach={axis: self.reach[axis] for axis in axes}, outputs=outputs)


@dataclass(frozen=True)
class Pass:
    """One reading of a variable, for some of its results or for all.

    Attributes
    ----------
    demand : Demand
        The variable, with the axes of these results alone.
    grid : BlockGrid
        Its blocks.
    """

    demand: Demand
    grid: BlockGrid


@dataclass(frozen=True)
class Choice:
    """What the planner decided.

    Attributes
    ----------
    passes : tuple of tuple of Pass
        For each demand.
    workers : int
        Tasks that run at the same time.
    concurrency : int
        Chunks that each of them reads or writes at the same time.
    """

    passes: tuple[tuple[Pass, ...], ...]
    workers: int
    concurrency: int


def task_memory(demand: Demand, grid: BlockGrid, concurrency: int) -> TaskMemory:
    """Most bytes that a task of `grid` adds, by the terms of `TaskMemory`."""
    cells = grid.largest()
    ahead = cells.piece if grid.run > 1 else 0
    itemsizes = [one.decoded.itemsize for one in demand.inputs]
    packed = [one for one in demand.inputs if one.packing is not None]
    results = sum(demand.outputs.values()) if demand.together else 1
    return TaskMemory(
        carried=(cells.carried + ahead) * sum(itemsizes),
        stored=cells.piece * sum(one.layout.dtype.itemsize for one in demand.inputs),
        reading=max(one.reading[concurrency] for one in demand.inputs),
        decoded=max((cells.piece * (2 * one.decoded.itemsize + 2) for one in packed), default=0),
        data=cells.piece * sum(itemsizes),
        result=cells.core * demand.target.dtype.itemsize * (results + demand.temporaries),
        writing=demand.writing[concurrency],
    )


def choose(
    demands: Sequence[Demand],
    *,
    ceiling: int,
    reserved: int,
    workers: int | None,
    copied: Mapping[str, int],
    given: Sequence[Sequence[Pass]] | None = None,
) -> Choice:
    """Choose the fastest grids, workers and concurrency under the ceiling.

    Parameters
    ----------
    demands : sequence of Demand
        The variables, which are worked on one after the other.
    ceiling, reserved : int
        Bytes that the process may hold, and that it holds without any task; `MARGIN` is left
        free besides.
    workers : int or None
        Tasks at the same time; None chooses, up to the number of cores.
    copied : mapping of str to int
        Bytes of the largest object of each variable that is copied.
    given : sequence of sequence of Pass, optional
        For each demand, the passes of a job that was begun; only workers and concurrency are
        left to choose then.

    Returns
    -------
    Choice

    Raises
    ------
    MemoryCeilingError
        Where no choice keeps the ceiling; the message names the least that could be kept.
    """
    processors = cores()
    ways = (
        [_ways(demand, processors) for demand in demands]
        if given is None
        else [[tuple(_Table.of(one.demand, [one.grid]) for one in some)] for some in given]
    )
    best: tuple[float, Choice] | None = None
    for count in range(1, processors + 1) if workers is None else (workers,):
        for concurrency in demands[0].concurrencies:
            share = (ceiling - reserved - MARGIN) // count
            if share < max(copied.values(), default=0):
                break
            picks = [_fastest(way, share, count, concurrency, processors) for way in ways]
            found = [pick for pick in picks if pick is not None]
            if len(found) < len(ways):
                break  # more concurrency takes more memory
            seconds = math.fsum(pick[0] for pick in found)
            if best is None or seconds < best[0]:
                best = seconds, Choice(tuple(pick[1] for pick in found), count, concurrency)
    if best is None:
        smallest = [table for way in ways for tables in way[-1:] for table in tables]
        raise MemoryCeilingError(
            _refusal(smallest, ceiling, reserved, workers or 1, copied, begun=given is not None)
        )
    return best[1]


def _ways(demand: Demand, processors: int) -> "list[tuple[_Table, ...]]":
    """Split the axes of a variable into passes in every way; one for each axis comes last."""
    if demand.together:
        return [(_Table.of(demand, _candidates(demand, processors)),)]
    tables = {
        axes: _Table.of(part, _candidates(part, processors))
        for axes in _subsets(tuple(demand.reach))
        for part in [demand.along(axes)]
    }
    return [tuple(tables[axes] for axes in split) for split in _splits(tuple(demand.reach))]


def _subsets(axes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    for count in range(1, len(axes) + 1):
        yield from combinations(axes, count)


def _splits(axes: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    """Split a set into parts in every way, from one part to as many as there are members.

    Examples
    --------
    >>> list(_splits((0, 1)))
    [[(0, 1)], [(0,), (1,)]]
    """
    if not axes:
        yield []
        return
    rest = axes[1:]
    for others in sorted(chain([()], _subsets(rest)), key=len, reverse=True):
        left = tuple(axis for axis in rest if axis not in others)
        yield from ([(axes[0], *others), *split] for split in _splits(left))


def _fastest(
    ways: "list[tuple[_Table, ...]]", share: int, workers: int, concurrency: int, processors: int
) -> tuple[float, tuple[Pass, ...]] | None:
    """Return the fastest way that fits, and its seconds."""
    best: tuple[float, tuple[Pass, ...]] | None = None
    for tables in ways:
        picks = [table.fastest(share, workers, concurrency, processors) for table in tables]
        found = [pick for pick in picks if pick is not None]
        if len(found) < len(tables):
            continue
        seconds = math.fsum(pick[0] for pick in found)
        if best is None or seconds < best[0]:
            passes = (Pass(t.demand, grid) for t, (_, grid) in zip(tables, found, strict=True))
            best = seconds, tuple(passes)
    return best


def _refusal(
    tables: Sequence["_Table"],
    ceiling: int,
    reserved: int,
    count: int,
    copied: Mapping[str, int],
    *,
    begun: bool,
) -> str:
    widest = max(
        tables, key=lambda table: float(table.bytes_at(min(table.demand.concurrencies)).min())
    )
    largest = int(widest.bytes_at(min(widest.demand.concurrencies)).min())
    target = widest.demand.target
    unit = " x ".join(map(str, target.unit))
    adds = f"a task on the smallest block of whole chunks ({unit} cells)"
    remedy = "" if target.shard is None else ", or give smaller `shards`"
    if begun:
        adds = "a task on a block of the unfinished job, which goes on with the same blocks,"
        remedy = ", or start over with `overwrite` (`--overwrite`)"
    companion = max(copied, key=lambda name: copied[name], default=None)
    if companion is not None and copied[companion] > largest:
        largest = copied[companion]
        adds = f"copying {companion!r}, an object of it at a time,"
        remedy = ", or name the `variables` that are needed, without it"
    # Rounded up with room for what the process itself may still grow by.
    least = -(-(reserved + MARGIN + count * largest + 8 * MiB) // (8 * MiB)) * 8
    return (
        f"`memory` of {format_bytes(ceiling)} cannot be kept: the process holds "
        f"{format_bytes(reserved)} without any task, {format_bytes(MARGIN)} are kept free, and "
        f"{adds} adds {format_bytes(largest)}"
        + (f", times {count} workers" if count > 1 else "")
        + f"; the least that would do is {least}MiB{remedy}"
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """Candidate grids of one pass, and what each costs; one row per candidate."""

    demand: Demand
    grids: tuple[BlockGrid, ...]
    tasks: np.ndarray
    blocks: np.ndarray
    decoded_units: np.ndarray
    decoded_bytes: np.ndarray
    memory: dict[int, np.ndarray]

    @classmethod
    def of(cls, demand: Demand, candidates: Iterable[BlockGrid]) -> "_Table":
        grids = tuple(candidates)
        return cls(
            demand,
            grids,
            np.array([grid.tasks for grid in grids], float),
            np.array([len(grid) for grid in grids], float),
            np.array([sum(demand.units(grid)) for grid in grids], float),
            np.array([demand.bytes_decoded(grid) for grid in grids], float),
            {
                c: np.array([task_memory(demand, grid, c).total for grid in grids], float)
                for c in demand.concurrencies
            },
        )

    def bytes_at(self, concurrency: int) -> np.ndarray:
        return self.memory[concurrency]

    def fastest(
        self, share: int, workers: int, concurrency: int, processors: int
    ) -> tuple[float, BlockGrid] | None:
        fits = self.bytes_at(concurrency) <= share
        if not fits.any():
            return None
        seconds = np.where(fits, self._seconds(workers, concurrency, processors), np.inf)
        i = int(seconds.argmin())
        return float(seconds[i]), self.grids[i]

    def _seconds(self, workers: int, concurrency: int, processors: int) -> np.ndarray:
        demand = self.demand
        read, written = self.decoded_bytes, demand.result_bytes
        work = (
            read / _DECODE_RATE
            + written / _ENCODE_RATE
            + (read + written) / _MOVE_RATE
            + (self.decoded_units + demand.written_chunks) * _CHUNK_SECONDS
            + (self.tasks + self.blocks) * _TASK_SECONDS
        )
        if len(demand.concurrencies) > 1:
            asked = np.minimum(concurrency, self.decoded_units / np.maximum(self.blocks, 1))
            work += (self.decoded_units + demand.written_chunks) * _REMOTE_SECONDS / asked
        # The last round may leave workers idle.
        rounds = np.ceil(self.tasks / workers)
        idle = rounds * workers / np.maximum(self.tasks, 1)
        seconds: np.ndarray = work * idle / min(workers, processors)
        # Nothing overlaps with the first read, nor with the last write.
        return seconds + self.memory[concurrency] / _DECODE_RATE


def _candidates(demand: Demand, processors: int) -> Iterator[BlockGrid]:
    shape, unit = demand.target.shape, demand.target.unit
    most = max(3, int(_MOST_CANDIDATES ** (1 / len(shape))))
    common = [
        math.lcm(*(one.layout.chunk[axis] for one in demand.inputs)) for axis in range(len(shape))
    ]
    along = [
        _lengths(n, u, math.lcm(u, c), most) for n, u, c in zip(shape, unit, common, strict=True)
    ]
    for block in product(*along):
        grid = demand.grid(block)
        yield grid
        for axis, reach in demand.reach.items():
            blocks = grid.counts[axis]
            # A block has to hold all that its neighbours in a run may look at.
            if blocks < 2 or block[axis] < max(reach.depth, reach.ends - 1):
                continue
            lines = len(grid) // blocks
            for tasks in (processors, processors * _TASKS_PER_CORE):
                run = min(-(-blocks * lines // tasks), blocks, _LONGEST_RUN)
                even = -(-blocks // -(-blocks // run))
                if even > 1:
                    yield replace(grid, sweep=axis, run=even)


def _lengths(size: int, unit: int, common: int, most: int) -> list[int]:
    """Lengths of blocks along one axis: multiples of the unit, and the whole axis.

    Multiples of a chunk of both source and target come first; even splits of the axis and
    powers of two follow, thinned out to `most` lengths.
    """
    units = max(1, -(-size // unit))
    multiples = {1, units}
    for split in (2, 3, 4, 5, 6, 8):
        multiples.add(-(-units // split))
    step = common // unit
    ladder = {m << i for m in (1, 3) for i in range(units.bit_length())}
    multiples.update(m for m in ladder if m < units)
    multiples.update(m * step for m in ladder if m * step < units)
    ordered = sorted(multiples)
    if len(ordered) > most:
        keep = np.unique(np.linspace(0, len(ordered) - 1, most).round().astype(int))
        ordered = [ordered[i] for i in keep]
    return [max(1, min(m * unit, size)) for m in ordered]
