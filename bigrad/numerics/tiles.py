"""The order in which several derivatives of one array take it from memory once.

A tile is one run of memory that a cache holds, along with its neighbours of the slowest axis:
tiles that follow each other along that axis are neighbours in time too. All is index arithmetic
on the shape of a C-contiguous array.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

__all__ = ["Tile", "columns"]


@dataclass(frozen=True)
class Tile:
    """A run of memory.

    Attributes
    ----------
    shape : tuple of int
        Of the whole array.
    index : tuple of int
        Of the run along the axes before `split`, the first ones.
    split : int
        The axis that the run is part of.
    start, stop : int
        The part; the axes after `split` are whole.
    """

    shape: tuple[int, ...]
    index: tuple[int, ...]
    split: int
    start: int
    stop: int

    def along(self, axis: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """First, and behind the last, cell with `axis` in the middle: ``(outer, n, inner)``.

        Examples
        --------
        >>> tile = Tile(shape=(5, 4, 3), index=(2,), split=1, start=0, stop=2)
        >>> tile.along(0), tile.along(1), tile.along(2)
        (((0, 2, 0), (1, 3, 6)), ((2, 0, 0), (3, 2, 3)), ((8, 0, 0), (10, 3, 1)))
        """
        shape, index, split = self.shape, self.index, self.split
        if axis < split:
            outer, i = _flat(index[:axis], shape), index[axis]
            rest = math.prod(shape[split + 1 :])
            before = _flat(index[axis + 1 :], shape[axis + 1 :]) * shape[split]
            low, high = (before + self.start) * rest, (before + self.stop) * rest
            return (outer, i, low), (outer + 1, i + 1, high)
        outer = _flat(index, shape)
        if axis == split:
            inner = math.prod(shape[split + 1 :])
            return (outer, self.start, 0), (outer + 1, self.stop, inner)
        between = math.prod(shape[split + 1 : axis])
        inner = math.prod(shape[axis + 1 :])
        low, high = ((outer * shape[split] + i) * between for i in (self.start, self.stop))
        return (low, 0, 0), (high, shape[axis], inner)


def _flat(index: Sequence[int], shape: Sequence[int]) -> int:
    number = 0
    for i, n in zip(index, shape, strict=False):
        number = number * n + i
    return number


def columns(shape: tuple[int, ...], slowest: int, cells: int) -> Iterator[list[Tile]]:
    """Tiles of an array in the order to work on them; columns may go to different threads.

    Parameters
    ----------
    shape : tuple of int
        Of a C-contiguous array without empty axes.
    slowest : int
        The slowest of the axes to differentiate along.
    cells : int
        How many cells a tile may have.

    Yields
    ------
    list of Tile
        A tile for each place along `slowest`, or a single one.

    Examples
    --------
    >>> [len(column) for column in columns((6, 4, 3), slowest=0, cells=6)]
    [6, 6]
    """
    split = next(k for k in range(len(shape)) if math.prod(shape[k + 1 :]) <= max(cells, 1))
    step = max(cells // math.prod(shape[split + 1 :]), 1)
    along = range(shape[slowest]) if slowest < split else range(1)
    others = [range(1) if k == slowest else range(n) for k, n in enumerate(shape[:split])]
    for place in product(*others):
        for start in range(0, shape[split], step):
            stop = min(start + step, shape[split])
            yield [
                Tile(
                    shape,
                    tuple(i if k == slowest else p for k, p in enumerate(place)),
                    split,
                    start,
                    stop,
                )
                for i in along
            ]
