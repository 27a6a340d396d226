"""Choose blocks, workers and concurrency: the least time that keeps the memory ceiling.

Every candidate is a grid of whole write units. Its cost is counted, not sampled: chunks
decoded, bytes encoded, tasks. All is arithmetic on metadata.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from dask.utils import format_bytes

from bigrad.errors import MemoryCeilingError
from bigrad.jobs.blocks import BlockGrid
from bigrad.jobs.memory import MiB, TaskMemory
from bigrad.jobs.source import Layout
from bigrad.numerics.stencils import Reach
from bigrad.numerics.threads import cores

__all__ = ["MARGIN", "Choice", "Demand", "choose", "task_memory"]

# Kept free under the ceiling for what the formula does not count: threads, the event loop's
# queues, modules that load on first use, and holes between the arrays in the heap.
MARGIN = 64 * MiB

# Rates of one core, in bytes of uncompressed data per second, and times, in seconds. They
# weigh reading twice against waiting and against tasks; nothing else depends on them.
_DECODE_RATE = 650e6
_ENCODE_RATE = 200e6
_MOVE_RATE = 1500e6  # assembling a block, computing, file system: not shared between cores
_CHUNK_SECONDS = 0.3e-3  # of the event loop, for each chunk read or written
_TASK_SECONDS = 4e-3

_CONCURRENCIES = (1, 2, 4, 8)
_MOST_CANDIDATES = 20_000


@dataclass(frozen=True)
class Demand:
    """What the planner knows of a variable to differentiate.

    Attributes
    ----------
    source, target : Layout
        How the variable and each result lie in their stores.
    decoded : numpy.dtype
        Of the variable's values once decoded.
    packed : bool
        Whether decoding makes new values of the stored ones.
    temporaries : int
        Arrays of the result's size that computing needs besides the result.
    reach : mapping of int to Reach
        How far the derivatives look, for each axis that they are along.
    outputs : int
        The number of results.
    """

    source: Layout
    target: Layout
    decoded: np.dtype[Any]
    packed: bool
    temporaries: int
    reach: Mapping[int, Reach]
    outputs: int

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a source chunk, decompressed."""
        return math.prod(self.source.chunk) * self.source.dtype.itemsize

    @property
    def result_bytes(self) -> int:
        """Bytes of all results, uncompressed."""
        return self.outputs * math.prod(self.target.shape) * self.target.dtype.itemsize

    def grid(self, block: tuple[int, ...]) -> BlockGrid:
        """Return the grid of these blocks."""
        return BlockGrid(self.target.shape, block, self.reach)


@dataclass(frozen=True)
class Choice:
    """What the planner decided.

    Attributes
    ----------
    grids : tuple of BlockGrid
        For each demand.
    workers : int
        Tasks that run at the same time.
    concurrency : int
        Chunks that each of them reads or writes at the same time.
    """

    grids: tuple[BlockGrid, ...]
    workers: int
    concurrency: int


def task_memory(demand: Demand, grid: BlockGrid, concurrency: int) -> TaskMemory:
    """Most bytes that a task of `grid` adds, by the terms of `TaskMemory`."""
    core, extended = grid.largest_reads()
    stored = extended * demand.source.dtype.itemsize
    decoded = extended * (2 * demand.decoded.itemsize + 2) if demand.packed else 0
    touched = math.prod(
        -(-length // unit) + 1 for length, unit in zip(grid.block, demand.source.unit, strict=True)
    )
    object_bytes = math.prod(demand.source.unit) * demand.source.dtype.itemsize
    if demand.source.shard is not None:
        object_bytes = min(object_bytes, stored)
    written = math.prod(
        -(-length // unit) for length, unit in zip(grid.block, demand.target.unit, strict=True)
    )
    unit_bytes = math.prod(demand.target.unit) * demand.target.dtype.itemsize
    return TaskMemory(
        stored=stored,
        decoded=decoded,
        reading=_copies(demand.source) * min(concurrency, touched) * object_bytes,
        data=extended * demand.decoded.itemsize,
        result=core * demand.target.dtype.itemsize * (1 + demand.temporaries),
        writing=_copies(demand.target) * min(concurrency, written) * unit_bytes,
    )


def _copies(layout: Layout) -> int:
    """Count the copies of a chunk or shard on its way: its values, a codec's input and output.

    Data that do not compress stay as large as they were. The first codec's input are the values.
    """
    return 2 if layout.codecs < 2 else 3


def choose(
    demands: Sequence[Demand],
    *,
    ceiling: int,
    reserved: int,
    workers: int | None,
    copied: Mapping[str, int],
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

    Returns
    -------
    Choice

    Raises
    ------
    MemoryCeilingError
        Where no choice keeps the ceiling; the message names the least that could be kept.
    """
    tables = [_Table.of(demand) for demand in demands]
    processors = cores()
    best: tuple[float, Choice] | None = None
    for count in range(1, processors + 1) if workers is None else (workers,):
        for concurrency in _CONCURRENCIES:
            share = (ceiling - reserved - MARGIN) // count
            if share < max(copied.values(), default=0):
                break
            picks = [table.fastest(share, count, concurrency, processors) for table in tables]
            found = [pick for pick in picks if pick is not None]
            if len(found) < len(tables):
                break  # more concurrency takes more memory
            seconds = math.fsum(pick[0] for pick in found)
            if best is None or seconds < best[0]:
                grids = tuple(
                    demand.grid(block) for demand, (_, block) in zip(demands, found, strict=True)
                )
                best = seconds, Choice(grids, count, concurrency)
    if best is None:
        raise MemoryCeilingError(_refusal(tables, ceiling, reserved, workers or 1, copied))
    return best[1]


def _refusal(
    tables: Sequence["_Table"],
    ceiling: int,
    reserved: int,
    count: int,
    copied: Mapping[str, int],
) -> str:
    widest = max(tables, key=lambda table: float(table.bytes_at(1).min()))
    largest = int(widest.bytes_at(1).min())
    target = widest.demand.target
    unit = " x ".join(map(str, target.unit))
    adds = f"a task on the smallest block of whole chunks ({unit} cells)"
    remedy = "" if target.shard is None else ", or give smaller `shards`"
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
    """Candidate blocks of one variable, and what each costs; one row per candidate."""

    demand: Demand
    blocks: tuple[tuple[int, ...], ...]
    count: np.ndarray
    decoded_units: np.ndarray
    written_units: np.ndarray
    memory: dict[int, np.ndarray]

    @classmethod
    def of(cls, demand: Demand) -> "_Table":
        blocks = tuple(_candidates(demand))
        grids = [demand.grid(block) for block in blocks]
        return cls(
            demand,
            blocks,
            np.array([len(grid) for grid in grids], float),
            np.array([grid.read_units(demand.source.chunk) for grid in grids], float),
            np.array(
                [
                    math.prod(-(-b // u) for b, u in zip(block, demand.target.chunk, strict=True))
                    for block in blocks
                ],
                float,
            ),
            {
                c: np.array([task_memory(demand, grid, c).total for grid in grids], float)
                for c in _CONCURRENCIES
            },
        )

    def bytes_at(self, concurrency: int) -> np.ndarray:
        return self.memory[concurrency]

    def fastest(
        self, share: int, workers: int, concurrency: int, processors: int
    ) -> tuple[float, tuple[int, ...]] | None:
        fits = self.bytes_at(concurrency) <= share
        if not fits.any():
            return None
        seconds = np.where(fits, self._seconds(workers, concurrency, processors), np.inf)
        i = int(seconds.argmin())
        return float(seconds[i]), self.blocks[i]

    def _seconds(self, workers: int, concurrency: int, processors: int) -> np.ndarray:
        read = self.decoded_units * self.demand.chunk_bytes
        written = self.demand.result_bytes
        parallel = np.minimum(processors, workers * np.minimum(concurrency, self.written_units))
        codecs = (read / _DECODE_RATE + written / _ENCODE_RATE) / parallel
        moving = (read + written) / _MOVE_RATE / workers
        tasks = self.count * _TASK_SECONDS / workers
        work = codecs + moving + tasks
        # The last round may leave workers idle, and nothing overlaps with the first read.
        rounds = np.ceil(self.count / workers)
        idle = rounds * workers / np.maximum(self.count, 1)
        seconds: np.ndarray = work * idle * (1 + 0.5 / np.maximum(rounds, 1))
        return seconds + self.decoded_units * _CHUNK_SECONDS


def _candidates(demand: Demand) -> Iterator[tuple[int, ...]]:
    shape, unit = demand.target.shape, demand.target.unit
    most = max(3, int(_MOST_CANDIDATES ** (1 / len(shape))))
    along = [
        _lengths(n, u, math.lcm(u, c), most)
        for n, u, c in zip(shape, unit, demand.source.chunk, strict=True)
    ]
    return product(*along)


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
