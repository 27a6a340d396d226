"""How the points of an axis are spaced: NumPy's arguments, decided once for the whole axis."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from bigrad.errors import CoordinateError

__all__ = ["Spacing", "along_axes", "from_coordinate", "from_distance"]

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Spacing:
    """The spacing of one axis.

    Attributes
    ----------
    size : int
        The number of points.
    delta : scalar or numpy.ndarray, shape (size - 1,)
        The step where the axis is uniform, else the difference of each pair of neighbours.
    ends : pair of scalar, optional
        Position of the first point and of the last, where a coordinate says where they are.
    """

    size: int
    delta: Any
    ends: tuple[Any, Any] | None = None

    @property
    def uniform(self) -> bool:
        """Whether one step serves the whole axis."""
        return np.ndim(self.delta) == 0

    def numbers(self, purpose: str) -> Any:
        """Return `delta` where it is real numbers without behaviour of their own.

        Raises
        ------
        CoordinateError
            Where it is not, such as a quantity with units; the message says what needs it.
        """
        delta = self.delta
        if isinstance(delta, np.ndarray | np.generic | int | float) and not isinstance(
            delta, np.ma.MaskedArray
        ):
            found: Any = np.asarray(delta).dtype
            if found.kind in "iuf":
                return delta
        else:
            found = type(delta).__name__
        msg = f"{purpose} needs a spacing of plain real numbers, found {found}; convert it first"
        raise CoordinateError(msg)


def from_coordinate(values: Any) -> Spacing:
    """Spacing of an axis whose points lie at `values`.

    The axis is uniform where all differences are equal exactly, as `numpy.gradient` has it.

    Parameters
    ----------
    values : array_like, shape (n,)
        Position of each point. Integers become float64 first, so that unsigned ones may decrease.

    Returns
    -------
    Spacing

    Examples
    --------
    >>> from_coordinate([0, 10, 20]).uniform
    True
    >>> from_coordinate([0.0, 1.0, 3.0]).delta
    array([1., 2.])
    """
    # Another library's array stays one, since it may carry units; a lazy one has to be known.
    if not hasattr(values, "__array_function__") or _lazy(values):
        values = np.asanyarray(values)
    if np.issubdtype(values.dtype, np.integer):
        values = values.astype(np.float64)
    delta = np.diff(values)
    if not delta.size:
        msg = (
            f"a coordinate of {len(values)} points has no spacing: at least 2 points are required"
        )
        raise IndexError(msg)
    even = (delta == delta[0]).all()
    return Spacing(len(values), delta[0] if even else delta, (values[0], values[-1]))


def from_distance(distance: Any, size: int) -> Spacing:
    """Spacing of an axis of `size` points from one argument of `numpy.gradient`.

    Parameters
    ----------
    distance : scalar or array_like, shape (size,)
        The step, or the position of each point.
    size : int
        The number of points.

    Returns
    -------
    Spacing
    """
    return Spacing(size, distance) if _ndim(distance) == 0 else from_coordinate(distance)


def along_axes(
    shape: Sequence[int],
    varargs: tuple[Any, ...],
    axis: Any,
    decide: Callable[[Any, int], T],
) -> tuple[tuple[int, ...], tuple[T, ...]]:
    """Match the spacing arguments of `numpy.gradient` to the axes that it differentiates.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array to differentiate.
    varargs : tuple
        The spacing: nothing, one scalar, or a scalar or 1-d array for each axis.
    axis : None or int or tuple of int
        The axes; None means all.
    decide : callable
        Makes a spacing of one argument and the size of its axis; it is called once the
        argument's shape is known to be right.

    Returns
    -------
    axes : tuple of int
        The axes, none negative, in the order asked for.
    spacings : tuple
        What `decide` made for each.

    Raises
    ------
    TypeError
        Where the number of spacings fits neither none, one scalar nor one for each axis.
    ValueError
        Where an axis is repeated, or a spacing is neither a scalar nor 1-d of the axis' length.
    numpy.exceptions.AxisError
        Where an axis is out of range.
    """
    axes = tuple(range(len(shape))) if axis is None else normalize_axis_tuple(axis, len(shape))
    if not varargs:
        distances: tuple[Any, ...] = (1.0,) * len(axes)
    elif len(varargs) == 1 and _ndim(varargs[0]) == 0:
        distances = varargs * len(axes)
    elif len(varargs) == len(axes):
        distances = varargs
    else:
        msg = (
            f"invalid number of arguments: found {len(varargs)} spacings for {len(axes)} axes; "
            "give none, one scalar for all axes, or one scalar or 1-d array for each axis"
        )
        raise TypeError(msg)
    return axes, tuple(_decided(shape, axes, distances, decide))


def _decided(
    shape: Sequence[int],
    axes: tuple[int, ...],
    distances: tuple[Any, ...],
    decide: Callable[[Any, int], T],
) -> Iterator[T]:
    for axis, distance in zip(axes, distances, strict=True):
        ndim = _ndim(distance)
        if ndim > 1:
            msg = (
                "distances must be either scalars or 1d: "
                f"found an array of {ndim} dimensions for axis {axis}"
            )
            raise ValueError(msg)
        length = _length(distance) if ndim else 0
        if ndim and length == length and length != shape[axis]:  # of NaN the caller knows
            msg = (
                "when 1d, distances must match the length of the corresponding dimension: "
                f"found {length} positions for axis {axis} of {shape[axis]} points"
            )
            raise ValueError(msg)
        yield decide(distance, shape[axis])


def _lazy(values: Any) -> bool:
    """Whether it is a collection of dask's, or wraps one."""
    return hasattr(values, "__dask_graph__") and values.__dask_graph__() is not None


def _length(distance: Any) -> Any:
    shape = getattr(distance, "shape", None)
    return len(distance) if shape is None else shape[0]


def _ndim(distance: Any) -> int:
    """`numpy.ndim`, without the dispatch that some lazy arrays refuse."""
    ndim = getattr(distance, "ndim", None)
    return np.ndim(distance) if ndim is None else int(ndim)
