"""What lies beyond the ends of an axis: cells of the other end, copies, mirror images, a number.

An axis with a boundary is taken as part of a longer one, with a few *ghost* cells beyond either
end, of which only the cells in between are asked for: all of them have neighbours, and the
formulas for the inside serve all. What is decided here of the spacing of the longer axis, and of
what its ghost cells hold, is all that a boundary is.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from bigrad.errors import CoordinateError
from bigrad.numerics.spacing import Spacing
from bigrad.numerics.stencils import Reach

__all__ = ["NO_PERIOD", "Boundary", "by_axis", "by_key", "extended", "surrounding"]

Key = TypeVar("Key", bound=Hashable)
Faces = tuple[Any, Any]

_NAMES = ("periodic", "extend", "reflect")
_CHOICES = '`None`, "periodic", "extend", "reflect" or ("fill", value)'

NO_PERIOD = (
    'a `boundary` that is "periodic" needs `period` where the spacing is a coordinate: how far it '
    "is from the first point to where all repeats itself"
)

# A period that is given with a step must be that many steps, to a rounding error.
_CLOSE = 1e-6


@dataclass(frozen=True)
class Boundary:
    """What lies beyond both ends of an axis.

    Attributes
    ----------
    kind : {"periodic", "extend", "reflect", "fill"}
        The cells of the other end; copies of the end cell; the cells inside, mirrored at the end
        cell, which is not repeated (as by `numpy.pad` with "reflect"); or one value.
    value : scalar
        That value, for "fill".
    period : float, optional
        For "periodic": the distance after which all repeats itself, needed where the spacing
        is a coordinate.

    Notes
    -----
    A ghost cell that is a copy of the end cell, or a value, is as far from the next cell as the
    cells at that end are from each other. The steps between mirrored cells are mirrored too,
    those between wrapped cells are wrapped, and what is left of `period` lies between the
    last cell and the first.

    Mirrors are at the end cell since points are where values are: a field that is even about its
    end point has a derivative of 0 there. Mirrored half a step further out (`numpy.pad`'s
    "symmetric"), the first ghost cell would be a copy of the end cell, as by "extend".
    """

    kind: Literal["periodic", "extend", "reflect", "fill"]
    value: Any = None
    period: float | None = None

    @property
    def spelt(self) -> str | tuple[str, Any]:
        """What `boundary` is in a call: without the period, which is an argument of its own."""
        return ("fill", self.value) if self.kind == "fill" else self.kind

    def check(self, dtype: np.dtype[Any]) -> None:
        """Refuse a value that data of `dtype` cannot hold, before any work.

        Raises
        ------
        TypeError
            Where the data are no numbers, or the value is no number of their kind.
        """
        if self.kind != "fill":
            return
        if dtype.kind not in "iufc":
            msg = f'`boundary` ("fill", value) needs data of numbers, found {dtype}'
            raise TypeError(msg)
        value = np.asarray(self.value)
        kinds = {"i": "iu", "u": "iu", "f": "iuf", "c": "iufc"}[dtype.kind]
        fits = value.ndim == 0 and (value.dtype.kind in kinds or _whole(value, dtype))
        if not (fits and (dtype.kind in "fc" or _within(value, dtype))):
            msg = (
                f"`boundary` has a fill value, {self.value!r}, that data of {dtype} cannot hold; "
                "give another, or convert the data first"
            )
            raise TypeError(msg)


def _whole(value: Any, dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iu" and value.dtype.kind == "f" and bool(value == np.floor(value))


def _within(value: Any, dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max)


def by_axis(boundary: Any, period: Any, axes: Iterable[int], ndim: int) -> dict[int, Boundary]:
    """Boundaries of those axes that have one.

    Parameters
    ----------
    boundary : None, str, tuple or mapping
        One for all `axes`, or a mapping by axis; negative axes count from the last.
    period : None, float or mapping
        Of the periodic axes: one, or a mapping by axis.
    axes : iterable of int
        The axes to differentiate along.
    ndim : int
        The number of axes of the data.

    Returns
    -------
    dict of int to Boundary

    Raises
    ------
    ValueError
        Where something is no boundary or no period, or there is no such axis.

    Examples
    --------
    >>> by_axis({-1: "periodic"}, 360, axes=(0, 1), ndim=2)
    {1: Boundary(kind='periodic', value=None, period=360.0)}
    """
    axes = tuple(axes)

    def place(key: Any) -> int:
        if not isinstance(key, int | np.integer) or isinstance(key, bool):
            msg = f"`boundary` and `period` may be mappings by axis, found the key {key!r}"
            raise ValueError(msg)
        axis = normalize_axis_index(int(key), ndim)
        if axis not in axes:
            msg = (
                f"`boundary` or `period` is given for axis {key}, along which nothing is "
                f"differentiated; the axes are {', '.join(map(str, axes))}"
            )
            raise ValueError(msg)
        return axis

    return by_key(boundary, period, axes, place)


def by_key(
    boundary: Any, period: Any, keys: Iterable[Key], place: Callable[[Any], Key]
) -> dict[Key, Boundary]:
    """Boundaries by what `place` makes of the keys of mappings; see `by_axis`."""
    keys = tuple(keys)
    given = _spread(boundary, keys, place, "boundary")
    kinds = {key: _parsed(one) for key, one in given.items() if one is not None}
    wraps = [key for key, (kind, _) in kinds.items() if kind == "periodic"]
    if period is not None and not isinstance(period, Mapping) and not wraps:
        msg = f'`period` is for a `boundary` that is "periodic", found {period!r} without one'
        raise ValueError(msg)
    periods = (
        _spread(period, keys, place, "period")
        if isinstance(period, Mapping)
        else dict.fromkeys(wraps, period)
    )
    for key, one in periods.items():
        if one is not None and key not in wraps:
            msg = f'`period` is given for {key!r}, whose `boundary` is not "periodic"'
            raise ValueError(msg)
    return {
        key: Boundary(cast("Any", kind), value, _length(periods.get(key)))
        for key, (kind, value) in kinds.items()
    }


def _spread(
    given: Any, keys: tuple[Key, ...], place: Callable[[Any], Key], name: str
) -> dict[Key, Any]:
    if not isinstance(given, Mapping):
        return dict.fromkeys(keys, given)
    placed: dict[Key, Any] = {}
    for key, one in given.items():
        where = place(key)
        if where in placed:
            msg = f"`{name}` is given twice for {where!r}"
            raise ValueError(msg)
        placed[where] = one
    return placed


def _parsed(given: Any) -> tuple[str, Any]:
    if isinstance(given, str) and given in _NAMES:
        return given, None
    if isinstance(given, tuple) and len(given) == 2 and given[0] == "fill":
        return "fill", given[1]
    msg = f"`boundary` must be {_CHOICES}, or a mapping to these; found {given!r}"
    raise ValueError(msg)


def _length(period: Any) -> float | None:
    if period is None:
        return None
    try:
        length = float(period)
    except (TypeError, ValueError):
        length = math.nan
    if not 0 < length < math.inf:
        msg = f"`period` must be a positive, finite number, found {period!r}"
        raise ValueError(msg)
    return length


def extended(spacing: Spacing, boundary: Boundary, depth: int) -> Spacing:
    """Spacing of an axis with `depth` ghost cells beyond either end.

    Parameters
    ----------
    spacing : Spacing
        Of the axis, of more than `depth` points.
    boundary : Boundary
        What lies beyond its ends.
    depth : int
        How many ghost cells there are.

    Returns
    -------
    Spacing
        Uniform where all steps, those between ghost cells too, are equal exactly.

    Raises
    ------
    CoordinateError
        Where a periodic coordinate has no period, one that it does not fit in, or is not
        strictly monotonic.

    Examples
    --------
    >>> spacing = Spacing(4, 90.0, (0.0, 270.0))
    >>> extended(spacing, Boundary("periodic", period=360.0), 1)
    Spacing(size=6, delta=90.0, ends=None)
    >>> extended(spacing, Boundary("periodic", period=400.0), 1).delta
    array([130.,  90.,  90.,  90., 130.])
    """
    size, delta = spacing.size + 2 * depth, spacing.delta
    if boundary.kind == "periodic":
        gap = _gap(spacing, boundary.period)
        if spacing.uniform and (gap is delta or gap == delta):
            return Spacing(size, delta)
        steps = np.full(spacing.size - 1, delta) if spacing.uniform else delta
        between = np.asarray(gap, steps.dtype)[np.newaxis]
        inner = depth - 1
        before, after = steps[len(steps) - inner :], steps[:inner]
        return Spacing(size, np.concatenate([before, between, steps, between, after]))
    if spacing.uniform:
        return Spacing(size, delta)
    if boundary.kind == "reflect":
        before, after = delta[:depth][::-1], delta[len(delta) - depth :][::-1]
    else:
        before, after = (np.concatenate([end] * depth) for end in (delta[:1], delta[-1:]))
    return Spacing(size, np.concatenate([before, delta, after]))


def _gap(spacing: Spacing, period: float | None) -> Any:
    """Signed distance from the last point to the first of the next period."""
    if spacing.ends is None:
        if period is None:
            return spacing.delta
        delta = spacing.numbers("`period`")
        around = spacing.size * abs(delta)
        if not abs(period - around) <= _CLOSE * around:
            msg = (
                f"`period` is {period}, but {spacing.size} steps of {delta} are {around}; leave "
                "`period` away, or give a coordinate"
            )
            raise CoordinateError(msg)
        return delta
    if period is None:
        raise CoordinateError(NO_PERIOD)
    delta = spacing.numbers('a `boundary` that is "periodic"')
    first, last = (float(end) for end in spacing.ends)
    if not (np.all(delta > 0) or np.all(delta < 0)):
        msg = 'a coordinate must be strictly monotonic where its `boundary` is "periodic"'
        raise CoordinateError(msg)
    gap = period - abs(last - first)
    if not gap > 0:
        msg = (
            f"`period` {period} leaves a gap of {gap} between the last point, {last}, and the "
            f"first, {first}, of the next period; it must be positive: drop points that repeat "
            "others, or give another `period`"
        )
        raise CoordinateError(msg)
    return math.copysign(gap, last - first)


def surrounding(
    boundary: Boundary, reach: Reach, axis: int, start: int, core: Any, faces: Faces | None
) -> Faces | None:
    """Faces of a block with the ghost cells that it looks at.

    Parameters
    ----------
    boundary : Boundary
        What lies beyond the ends of the axis.
    reach : Reach
        Of the axis.
    axis, start : int
        The axis, and the place of the block's first cell along it.
    core : array
        The cells of the block.
    faces : pair of array, or None
        The cells just before and after it. A periodic axis that `core` is part of has its
        wrapped cells here already.

    Returns
    -------
    pair of array, or None
    """
    size, depth, stop = reach.size, reach.depth, start + core.shape[axis]
    whole = core.shape[axis] == size
    if boundary.kind == "periodic" and not whole:
        return faces
    if start >= depth and stop <= size - depth:
        return faces
    everything = (slice(None),) * axis
    lower, upper = faces if faces is not None else (core[(*everything, slice(0, 0))],) * 2

    def cells(low: int, high: int) -> Any:
        """Cells ``[low, high)``, which lie all before, all in, or all after the core."""
        if high <= start:
            shift, part = start - lower.shape[axis], lower
        elif low >= stop:
            shift, part = stop, upper
        else:
            shift, part = start, core
        return part[(*everything, slice(low - shift, high - shift))]

    def ghost(place: int) -> Any:
        if boundary.kind == "fill":
            return _filled(core[(*everything, slice(0, 1))], boundary.value)
        inside = _source(boundary.kind, place, size)
        return cells(inside, inside + 1)

    near, far = min(start, depth), min(size - stop, depth)
    before = [ghost(place) for place in range(start - depth, min(start, 0))]
    after = [ghost(place) for place in range(max(stop, size), stop + depth)]
    if near:
        before.append(cells(start - near, start))
    if far:
        after.insert(0, cells(stop, stop + far))
    return _joined(before, axis), _joined(after, axis)


def _source(kind: str, place: int, size: int) -> int:
    if kind == "periodic":
        return place % size
    if kind == "extend":
        return 0 if place < 0 else size - 1
    return -place if place < 0 else 2 * (size - 1) - place


def _filled(plane: Any, value: Any) -> Any:
    if not isinstance(plane, np.ndarray):
        return np.full_like(plane, value)
    filled = plane.copy()
    filled[...] = value
    return filled


def _joined(planes: list[Any], axis: int) -> Any:
    if len(planes) == 1:
        return planes[0]
    masked = isinstance(planes[0], np.ma.MaskedArray)
    return (np.ma.concatenate if masked else np.concatenate)(planes, axis=axis)
