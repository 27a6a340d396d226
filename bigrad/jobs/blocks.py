"""Grids of blocks: which cells a block writes, which it reads, and how often a cell is read.

Integers only: nothing here knows of stores or values.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bigrad.numerics.stencils import Reach

__all__ = ["AxisCount", "BlockGrid", "Reads", "Region", "count_along"]

Region = tuple[slice, ...]

# Windows may differ from the rest only so many blocks from either end of an axis.
_ENDS = 3


@dataclass(frozen=True)
class Reads:
    """What one block reads.

    Attributes
    ----------
    core : tuple of slice
        The first read. It holds the cells to compute and, where `faces` is empty, their halo.
    faces : mapping of int to (tuple of slice, tuple of slice)
        For an axis: the slabs just before and after the cells to compute; either may be empty.
    """

    core: Region
    faces: Mapping[int, tuple[Region, Region]]


@dataclass(frozen=True)
class BlockGrid:
    """An array's cells in blocks, each written by one task.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    block : tuple of int
        Of a block: a multiple of the write unit along each axis, or the whole axis.
    reach : mapping of int to Reach
        How far the derivatives look, for each axis that they are along.

    Examples
    --------
    >>> grid = BlockGrid(shape=(5, 4), block=(2, 4), reach={0: Reach(5)})
    >>> len(grid)
    3
    >>> grid.region(2)
    (slice(4, 5, None), slice(0, 4, None))
    >>> grid.reads(2).core
    (slice(3, 5, None), slice(0, 4, None))
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    reach: Mapping[int, Reach]

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of blocks along each axis."""
        return tuple(-(-n // b) for n, b in zip(self.shape, self.block, strict=True))

    @property
    def joined(self) -> bool:
        """Whether a block is read together with its halo, in one piece.

        That is so unless the grid cuts two or more of the axes in `reach`: then one piece would
        hold corners, which no derivative needs.
        """
        return sum(self.block[axis] < self.shape[axis] for axis in self.reach) < 2

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Region]:
        return (self.region(number) for number in range(len(self)))

    def region(self, number: int) -> Region:
        """Return the cells that block `number` writes; the last axis runs fastest."""
        region = []
        for n, b, count in zip(
            reversed(self.shape), reversed(self.block), reversed(self.counts), strict=True
        ):
            number, i = divmod(number, count)
            region.append(slice(i * b, min((i + 1) * b, n)))
        return tuple(reversed(region))

    def reads(self, number: int) -> Reads:
        """Return what block `number` reads."""
        core = self.region(number)
        windows = {
            axis: reach.window(core[axis].start, core[axis].stop)
            for axis, reach in self.reach.items()
        }
        if self.joined:
            return Reads(
                tuple(
                    slice(*windows[axis]) if axis in windows else cells
                    for axis, cells in enumerate(core)
                ),
                {},
            )
        return Reads(
            core,
            {
                axis: (
                    _with(core, axis, slice(lo, core[axis].start)),
                    _with(core, axis, slice(core[axis].stop, hi)),
                )
                for axis, (lo, hi) in windows.items()
            },
        )

    def read_units(self, unit: tuple[int, ...]) -> int:
        """How many times a chunk of shape `unit` is decoded in all, exactly."""
        along = [
            count_along(n, b, u, self.reach.get(axis))
            for axis, (n, b, u) in enumerate(zip(self.shape, self.block, unit, strict=True))
        ]
        if self.joined:
            return math.prod(count.joined for count in along)
        cores = [count.core for count in along]
        total = math.prod(cores)
        for axis in self.reach:
            total += math.prod(cores[:axis] + cores[axis + 1 :]) * along[axis].faces
        return total

    def largest_reads(self) -> tuple[int, int]:
        """Cells of the largest core, and of the largest block with its halo."""
        core = [min(b, n) for n, b in zip(self.shape, self.block, strict=True)]
        along = {
            axis: count_along(self.shape[axis], self.block[axis], 1, reach)
            for axis, reach in self.reach.items()
        }
        if self.joined:
            return math.prod(core), math.prod(
                along[axis].widest if axis in along else cells for axis, cells in enumerate(core)
            )
        cells = math.prod(core)
        halo = sum(cells // core[axis] * along[axis].widest_faces for axis in self.reach)
        return cells, cells + halo


def _with(region: Region, axis: int, cells: slice) -> Region:
    return (*region[:axis], cells, *region[axis + 1 :])


@dataclass(frozen=True)
class AxisCount:
    """What the blocks along one axis read, counted in units (chunks) of that axis.

    Attributes
    ----------
    core : int
        Units that the cores touch, summed over the blocks.
    joined : int
        Units that the cores with their halos touch.
    faces : int
        Units that the faces alone touch, before and after.
    widest : int
        Cells of the widest core with its halo.
    widest_faces : int
        Cells of the widest faces, before and after together.
    """

    core: int
    joined: int
    faces: int
    widest: int
    widest_faces: int


@lru_cache(maxsize=4096)
def count_along(size: int, block: int, unit: int, reach: Reach | None) -> AxisCount:
    """Count what blocks along one axis read.

    Parameters
    ----------
    size : int
        Cells of the axis.
    block, unit : int
        Cells of a block, and of a chunk.
    reach : Reach or None
        How far the derivatives look; None where there are none along the axis.

    Returns
    -------
    AxisCount

    Examples
    --------
    >>> count_along(10, 5, 5, Reach(10))
    AxisCount(core=2, joined=4, faces=2, widest=6, widest_faces=1)
    """
    start = np.arange(0, size, block)
    stop = np.minimum(start + block, size)
    lo, hi = start, stop
    if reach is not None:
        lo, hi = _windows(start, stop, reach.window)
    return AxisCount(
        core=_touched(start, stop, unit),
        joined=_touched(lo, hi, unit),
        faces=_touched(lo, start, unit) + _touched(stop, hi, unit),
        widest=int((hi - lo).max(initial=0)),
        widest_faces=int((start - lo + hi - stop).max(initial=0)),
    )


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
