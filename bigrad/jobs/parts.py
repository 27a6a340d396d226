"""What a region and the units of a grid have in common; integers only."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from bigrad.jobs.blocks import Region

__all__ = ["Part", "cut"]


@dataclass(frozen=True, slots=True)
class Part:
    """What a region and a unit of an array's grid have in common.

    Attributes
    ----------
    place : tuple of int
        Of the unit in the grid.
    inside : tuple
        The cells, counted from the unit's first: an index for its values.
    outside : tuple
        The same cells, counted from the region's first.
    whole : bool
        Whether these are all cells of the unit, none of them beyond the array's end.
    """

    place: tuple[int, ...]
    inside: tuple[Any, ...]
    outside: tuple[Any, ...]
    whole: bool


def cut(region: Region, unit: tuple[int, ...]) -> Iterator[Part]:
    """Cut a region at the borders of a grid.

    Parameters
    ----------
    region : tuple of slice
        A slice for each axis, none of them empty.
    unit : tuple of int
        The shape of the grid's units.

    Yields
    ------
    Part
        For each unit that the region touches; the last axis runs fastest.

    Examples
    --------
    >>> for part in cut((slice(3, 7),), (4,)):
    ...     print(part.place, part.inside[0], part.outside[0], part.whole)
    (0,) slice(3, 4, None) slice(0, 1, None) False
    (1,) slice(0, 3, None) slice(1, 4, None) False
    """
    along = [
        [
            _common(number, size, cells.start, cells.stop)
            for number in range(cells.start // size, -(-cells.stop // size))
        ]
        for cells, size in zip(region, unit, strict=True)
    ]
    for cuts in product(*along):
        place, inside, outside, whole = zip(*cuts, strict=True) if cuts else ((), (), (), ())
        # The ellipsis makes a view of an array without axes, too.
        yield Part(place, (*inside, ...), (*outside, ...), all(whole))


def _common(number: int, size: int, start: int, stop: int) -> tuple[int, slice, slice, bool]:
    first = number * size
    lo, hi = max(start, first), min(stop, first + size)
    return number, slice(lo - first, hi - first), slice(lo - start, hi - start), hi - lo == size
