"""The stencil as plain array expressions, for whatever the fused loops do not take.

Float16 and long doubles, objects, dates, foreign byte order, subclasses of NumPy's array and
other libraries' arrays: slower, with the formulas, and the order of operations, of the loops.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bigrad.numerics.stencils import Difference, Stencil, Weights

__all__ = ["differentiate", "result_dtype"]


def result_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Dtype of the derivative of data of `dtype`, as `numpy.gradient` has it.

    Examples
    --------
    >>> result_dtype(np.dtype("int16")), result_dtype(np.dtype("float32"))
    (dtype('float64'), dtype('float32'))
    """
    if dtype.type is np.datetime64:
        return np.dtype(dtype.name.replace("datetime", "timedelta"))
    if dtype.type is np.timedelta64 or np.issubdtype(dtype, np.inexact):
        return dtype
    return np.dtype(np.float64)


def differentiate(
    stencil: Stencil,
    axis: int,
    start: int,
    core: Any,
    faces: tuple[Any, Any] | None,
    out: Any = None,
) -> Any:
    """Apply a stencil along one axis of a block.

    Parameters
    ----------
    stencil : Stencil
        Of the whole axis.
    axis : int
        The axis.
    start : int
        Place of the first cell of `core` along the whole axis.
    core : array
        The cells to differentiate.
    faces : tuple of array, or None
        The cells just before and after them, where there are any.
    out : array, optional
        Where to put the result.

    Returns
    -------
    array
        Of the shape and kind of `core`.
    """
    dtype = result_dtype(core.dtype)
    size, stop = stencil.size, start + core.shape[axis]
    lo, hi = stencil.reach.window(start, stop)
    f = _operand(_extended(core, faces, axis, start - lo, hi - stop), dtype)
    # A plane has lost its axis for NumPy's arrays, as in NumPy's own code, which subclasses
    # tell apart; other libraries' arrays are joined again, so that theirs keep it.
    numpys = not _foreign(core) and not _foreign(_number_of(stencil.first))

    def cells(first: int, last: int) -> Any:
        return f[along(axis, slice(first - lo, last - lo))]

    def plane(i: int) -> Any:
        return f[along(axis, i - lo)] if numpys else cells(i, i + 1)

    i, j = max(start, 1), min(stop, size - 1)
    inside = _inside(stencil.interior, axis, i, j, cells) if i < j else None
    first = _end(stencil.first, plane, 0) if start == 0 else None
    last = _end(stencil.last, plane, size - stencil.edge_order - 1) if stop == size else None
    if not numpys:
        # No item assignment: some are immutable, others carry units.
        parts = [part for part in (first, inside, last) if part is not None]
        return np.concatenate(parts, axis=axis).astype(dtype)
    if out is None:
        out = np.empty_like(core, dtype=dtype)
    if inside is not None:
        out[along(axis, slice(i - start, j - start))] = inside
    if first is not None:
        out[along(axis, 0)] = first
    if last is not None:
        out[along(axis, -1)] = last
    return out


def along(axis: int, where: int | slice) -> tuple[int | slice, ...]:
    """Index of `where` along `axis`, of everything along the axes before it."""
    return *(slice(None),) * axis, where


def _operand(f: Any, dtype: np.dtype[Any]) -> Any:
    """Return what is subtracted: dates as durations, integers, which wrap around, as floats."""
    if f.dtype.type is np.datetime64:
        return f.view(dtype)
    if np.issubdtype(f.dtype, np.integer) and f.dtype.type is not np.timedelta64:
        return f.astype(np.float64)
    return f


def _extended(core: Any, faces: tuple[Any, Any] | None, axis: int, before: int, after: int) -> Any:
    """Join `core` with as many cells of its faces as are needed."""
    if faces is None or not (before or after):
        return core
    lower, upper = faces
    parts = [
        lower[along(axis, slice(lower.shape[axis] - before, None))],
        core,
        upper[along(axis, slice(None, after))],
    ]
    join = np.ma.concatenate if isinstance(core, np.ma.MaskedArray) else np.concatenate
    return join([part for part in parts if part.shape[axis]], axis=axis)


def _foreign(array: Any) -> bool:
    """Whether it is an array of another library than NumPy."""
    return hasattr(array, "__array_function__") and not isinstance(array, np.ndarray)


def _number_of(part: Difference | Weights) -> Any:
    return part.divisor if isinstance(part, Difference) else part.a


def _inside(
    part: Difference | Weights, axis: int, i: int, j: int, cells: Callable[[int, int], Any]
) -> Any:
    """Differentiate the cells ``[i, j)``, which have two neighbours each."""
    left, right = cells(i - 1, j - 1), cells(i + 1, j + 1)
    if isinstance(part, Difference):
        return (right - left) / part.divisor
    shape = [1] * left.ndim
    shape[axis] = -1
    a, b, c = (weights[i - 1 : j - 1].reshape(shape) for weights in (part.a, part.b, part.c))
    return a * left + b * cells(i, j) + c * right


def _end(part: Difference | Weights, plane: Callable[[int], Any], i: int) -> Any:
    """One-sided derivative from the plane `i` and those after it."""
    if isinstance(part, Difference):
        return (plane(i + 1) - plane(i)) / part.divisor
    return part.a * plane(i) + part.b * plane(i + 1) + part.c * plane(i + 2)
