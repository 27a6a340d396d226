"""Grids of blocks: which cells a block writes, which it reads, and how often a cell is read.

Integers only: nothing here knows of stores or values.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from bigrad.numerics.stencils import Reach

__all__ = ["AxisCount", "BlockGrid", "Cells", "Reads", "Region", "count_along", "touched"]

Region = tuple[slice, ...]

# Windows may differ from the rest only so many blocks from either end of an axis.
_ENDS = 8


@dataclass(frozen=True)
class Reads:
    """What is read for one block of a run.

    Attributes
    ----------
    core : tuple of slice
        The cells to compute and, along an axis where both are read in one piece, their halo.
    inside : tuple of slice
        Where the cells to compute lie in `core`.
    faces : mapping of int to (tuple of regions, tuple of regions)
        For an axis: the slabs before and after the cells to compute that neither lie in `core`
        nor are carried from block to block. Those beyond an end of a periodic axis are the
        ones at its other end.
    """

    core: Region
    inside: Region
    faces: Mapping[int, tuple[tuple[Region, ...], tuple[Region, ...]]]

    @property
    def regions(self) -> Iterator[Region]:
        """All that is read, piece by piece."""
        yield self.core
        for before, after in self.faces.values():
            yield from before
            yield from after


@dataclass(frozen=True)
class Cells:
    """How many cells a task holds at most.

    Attributes
    ----------
    core : int
        Of a block.
    piece : int
        Of a block and the halo that is read with it.
    carried : int
        Of the slabs before and after a block along the axis that the task sweeps.
    """

    core: int
    piece: int
    carried: int


@dataclass(frozen=True)
class BlockGrid:
    """An array's cells in blocks, and these in runs, each of which is one task.

    The blocks of a run follow each other along the axis `sweep`: the task carries the cells
    that neighbouring blocks share, and reads them once.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    block : tuple of int
        Of a block: a multiple of the write unit along each axis, or the whole axis.
    reach : mapping of int to Reach
        How far the derivatives look, for each axis that they are along.
    sweep : int or None
        The axis that runs follow; None where each block is a run.
    run : int
        The number of blocks of a run; the last one along the axis may have fewer.

    Examples
    --------
    >>> grid = BlockGrid(shape=(5, 4), block=(2, 4), reach={0: Reach(5)})
    >>> len(grid)
    3
    >>> grid.region(2)
    (slice(4, 5, None), slice(0, 4, None))
    >>> next(grid.reads(2, 3)).core
    (slice(3, 5, None), slice(0, 4, None))
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    reach: Mapping[int, Reach]
    sweep: int | None = None
    run: int = 1
    _order: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Slowest axis first; the blocks of a run are to have consecutive numbers.
        others = [axis for axis in range(len(self.shape)) if axis != self.sweep]
        order = others if self.sweep is None else [*others, self.sweep]
        object.__setattr__(self, "_order", tuple(order))

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of blocks along each axis."""
        return tuple(-(-n // b) for n, b in zip(self.shape, self.block, strict=True))

    @property
    def joined(self) -> bool:
        """Whether a block is read together with its halo, in one piece.

        That is so unless the grid cuts two or more of the axes in `reach`, the one that runs
        follow aside: then one piece would hold corners, which no derivative needs.
        """
        return len(self._cut) < 2

    @property
    def _cut(self) -> tuple[int, ...]:
        return tuple(
            axis
            for axis in self.reach
            if axis != self.sweep and self.block[axis] < self.shape[axis]
        )

    def __len__(self) -> int:
        return math.prod(self.counts)

    @property
    def tasks(self) -> int:
        """The number of runs."""
        if self.sweep is None or not len(self):
            return len(self)
        along = self.counts[self.sweep]
        return len(self) // along * -(-along // self.run)

    def __iter__(self) -> Iterator[Region]:
        return (self.region(number) for number in range(len(self)))

    def runs(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Split the blocks ``[first, stop)`` where runs end."""
        along = 1 if self.sweep is None else self.counts[self.sweep]
        while first < stop:
            line, i = divmod(first, along)
            end = min(line * along + min((i // self.run + 1) * self.run, along), stop)
            yield first, end
            first = end

    def region(self, number: int) -> Region:
        """Return the cells that block `number` writes."""
        region = [slice(0)] * len(self.shape)
        counts = self.counts
        for axis in reversed(self._order):
            number, i = divmod(number, counts[axis])
            n, b = self.shape[axis], self.block[axis]
            region[axis] = slice(i * b, min((i + 1) * b, n))
        return tuple(region)

    def reads(self, first: int, stop: int) -> Iterator[Reads]:
        """Return what each of the blocks ``[first, stop)`` of one run reads, in order."""
        for number in range(first, stop):
            region = self.region(number)
            core, faces = self._reads(region)
            if self.sweep is not None:
                before, after = self._slabs(region, self.sweep)
                faces[self.sweep] = (
                    before if number == first else (),
                    after if number == stop - 1 else (),
                )
            inside = tuple(
                slice(cells.start - whole.start, cells.stop - whole.start)
                for cells, whole in zip(region, core, strict=True)
            )
            yield Reads(core, inside, faces)

    def _reads(
        self, region: Region
    ) -> tuple[Region, dict[int, tuple[tuple[Region, ...], tuple[Region, ...]]]]:
        if not self.joined:
            return region, {axis: self._slabs(region, axis) for axis in self._cut}
        core, faces = region, {}
        for axis in self._cut:
            n, cells = self.shape[axis], region[axis]
            lo, hi = self.reach[axis].window(cells.start, cells.stop)
            core = _with(core, axis, slice(max(lo, 0), min(hi, n)))
            faces[axis] = (
                _wrapped(region, axis, lo, min(cells.start, 0), n),
                _wrapped(region, axis, max(cells.stop, n), hi, n),
            )
        return core, faces

    def _slabs(self, region: Region, axis: int) -> tuple[tuple[Region, ...], tuple[Region, ...]]:
        n, cells = self.shape[axis], region[axis]
        if self.block[axis] >= n:
            return (), ()
        lo, hi = self.reach[axis].window(cells.start, cells.stop)
        return (
            _wrapped(region, axis, lo, cells.start, n),
            _wrapped(region, axis, cells.stop, hi, n),
        )

    def read_units(self, unit: tuple[int, ...]) -> int:
        """How many times a chunk of shape `unit` is decoded in all, exactly."""
        along = [
            count_along(n, b, u, self.reach.get(axis), self.run if axis == self.sweep else 1)
            for axis, (n, b, u) in enumerate(zip(self.shape, self.block, unit, strict=True))
        ]
        cores = [count.core for count in along]
        wholes = list(cores)
        slabs = {} if self.sweep is None else {self.sweep: along[self.sweep].faces}
        for axis in self._cut:
            if self.joined:
                wholes[axis] = along[axis].joined
                slabs[axis] = along[axis].wrapped
            else:
                slabs[axis] = along[axis].faces
        return math.prod(wholes) + sum(
            math.prod(cores[:axis] + cores[axis + 1 :]) * units for axis, units in slabs.items()
        )

    def largest(self) -> Cells:
        """Count the cells that a task holds."""
        core = [min(b, n) for n, b in zip(self.shape, self.block, strict=True)]
        along = {
            axis: count_along(self.shape[axis], self.block[axis], 1, reach)
            for axis, reach in self.reach.items()
        }
        cells = math.prod(core)
        piece = cells
        for axis in self._cut:
            if self.joined:
                piece = cells // core[axis] * along[axis].widest
            else:
                piece += cells // core[axis] * along[axis].widest_faces
        carried = 0
        if self.sweep is not None:
            carried = cells // core[self.sweep] * along[self.sweep].widest_faces
        return Cells(cells, piece, carried)


def touched(region: Region, unit: tuple[int, ...]) -> int:
    """Count the chunks of shape `unit` that a region touches.

    Examples
    --------
    >>> touched((slice(0, 5), slice(3, 4)), (2, 2))
    3
    """
    return math.prod(
        -(-cells.stop // size) - cells.start // size
        for cells, size in zip(region, unit, strict=True)
    )


def _with(region: Region, axis: int, cells: slice) -> Region:
    return (*region[:axis], cells, *region[axis + 1 :])


def _wrapped(region: Region, axis: int, lo: int, hi: int, size: int) -> tuple[Region, ...]:
    """Return the slabs ``[lo, hi)`` along `axis`, those beyond its ends from the other end."""
    parts = []
    while lo < hi:
        start = lo % size
        stop = min(start + hi - lo, size)
        parts.append(_with(region, axis, slice(start, stop)))
        lo += stop - start
    return tuple(parts)


@dataclass(frozen=True)
class AxisCount:
    """What the blocks along one axis read, counted in units (chunks) of that axis.

    Attributes
    ----------
    core : int
        Units that the cores touch, summed over the blocks.
    joined : int
        Units that the cores with their halos touch, within the axis.
    faces : int
        Units that the faces alone touch, before and after each run of blocks.
    wrapped : int
        Units that those faces touch which lie beyond the ends of the axis.
    widest : int
        Cells of the widest core with its halo.
    widest_faces : int
        Cells of the widest faces, before and after together.
    """

    core: int
    joined: int
    faces: int
    wrapped: int
    widest: int
    widest_faces: int


@lru_cache(maxsize=4096)
def count_along(size: int, block: int, unit: int, reach: Reach | None, run: int = 1) -> AxisCount:
    """Count what blocks along one axis read.

    Parameters
    ----------
    size : int
        Cells of the axis.
    block, unit : int
        Cells of a block, and of a chunk.
    reach : Reach or None
        How far the derivatives look; None where there are none along the axis.
    run : int
        Blocks that follow each other in one task, which carries the cells that they share.

    Returns
    -------
    AxisCount

    Examples
    --------
    >>> count_along(10, 5, 5, Reach(10)).joined
    4
    >>> count_along(10, 5, 5, Reach(10), run=2).faces
    0
    """
    # Far from the ends all repeats itself after so many cells: what more of them add is counted
    # once.
    period = math.lcm(block * run, unit)
    short = 4 * _ENDS * block * run + period
    if size <= short + 2 * period:
        return _count(size, block, unit, reach, run)
    times = (size - short) // period

    def shortened(repeats: int) -> AxisCount:
        n = size - (times - repeats) * period
        return _count(n, block, unit, None if reach is None else replace(reach, size=n), run)

    one, two = shortened(1), shortened(2)
    return replace(
        two,
        **{
            name: getattr(one, name) + (times - 1) * (getattr(two, name) - getattr(one, name))
            for name in ("core", "joined", "faces", "wrapped")
        },
    )


def _count(size: int, block: int, unit: int, reach: Reach | None, run: int) -> AxisCount:
    start = np.arange(0, size, block)
    stop = np.minimum(start + block, size)
    lo, hi = start, stop
    if reach is not None and len(start) > 1:
        lo, hi = _windows(start, stop, reach.window)
    before = lo[::run], start[::run]
    after = stop[_lasts(len(start), run)], hi[_lasts(len(start), run)]
    wrapped = _touched(before[0] + size, np.minimum(before[1], 0) + size, unit) + _touched(
        np.maximum(after[0], size) - size, after[1] - size, unit
    )
    return AxisCount(
        core=_touched(start, stop, unit),
        joined=_touched(np.maximum(lo, 0), np.minimum(hi, size), unit),
        faces=_touched(np.maximum(before[0], 0), before[1], unit)
        + _touched(after[0], np.minimum(after[1], size), unit)
        + wrapped,
        wrapped=wrapped,
        widest=int((hi - lo).max(initial=0)),
        widest_faces=int((start - lo + hi - stop).max(initial=0)),
    )


def _lasts(count: int, run: int) -> np.ndarray:
    """Return the numbers of the last blocks of runs."""
    return np.minimum(np.arange(0, count, run) + run, count) - 1


def _windows(
    start: np.ndarray, stop: np.ndarray, window_of: Callable[[int, int], tuple[int, int]]
) -> tuple[np.ndarray, np.ndarray]:
    count = len(start)
    near_ends = sorted({*range(min(_ENDS, count)), *range(max(0, count - _ENDS), count)})
    lo, hi = start.copy(), stop.copy()
    if count > 2 * _ENDS:
        middle = count // 2
        middle_lo, middle_hi = window_of(int(start[middle]), int(stop[middle]))
        lo += middle_lo - start[middle]
        hi += middle_hi - stop[middle]
    for i in near_ends:
        lo[i], hi[i] = window_of(int(start[i]), int(stop[i]))
    return lo, hi


def _touched(lo: np.ndarray, hi: np.ndarray, unit: int) -> int:
    return int(np.where(hi > lo, -(-hi // unit) - lo // unit, 0).sum())
