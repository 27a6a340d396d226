"""Run the loops of `bigrad.numerics.points` on blocks of NumPy's arrays, on several threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from bigrad.numerics import points, threads
from bigrad.numerics.buffers import Part, parts, slabs
from bigrad.numerics.fresh import prefaulted
from bigrad.numerics.shrink import Shrinking
from bigrad.numerics.weights import Table

__all__ = ["Along", "differentiate"]

Array = np.ndarray[Any, Any]
Box = tuple[int, int, int, int, int, int]

# Rows of fewer cells than these cost more to begin with than to go along: lines serve instead.
_SHORT = 16


@dataclass(frozen=True, eq=False)
class Along:
    """One of the derivatives of a block.

    Attributes
    ----------
    axis : int
        The axis.
    formula : Table or Shrinking
        Of the whole axis.
    start : int
        Place of the block's first cell along the whole axis, ghost cells counted.
    faces : tuple of array, or None
        The cells just before and after the block, where there are any.
    """

    axis: int
    formula: Table | Shrinking
    start: int
    faces: tuple[Any, Any] | None


def differentiate(
    core: Any, along: Along, dtype: np.dtype[Any], out: Array | None = None, workers: int = 1
) -> Any:
    """Differentiate a block of numbers along one axis.

    Parameters
    ----------
    core : numpy.ndarray
        The cells; of a masked array, those that are masked are missing.
    along : Along
        How, and what lies around them.
    dtype : numpy.dtype
        Of the result.
    out : numpy.ndarray, optional
        Where to put it.
    workers : int
        How many threads share the work; bits do not depend on it.

    Returns
    -------
    array
        Of the shape and kind of `core`; missing values of masked arrays are masked.
    """
    cells = _plain(core)
    faces = None if along.faces is None else (_plain(along.faces[0]), _plain(along.faces[1]))
    # Both parts of a complex number are differentiated each for itself.
    real = np.dtype("f4") if cells.dtype == np.float32 else np.dtype("f8")
    if type(out) is np.ndarray and out.dtype == real and cells.ndim == core.ndim and _ours(out):
        target = out
    else:
        target = prefaulted(np.empty_like(cells, real), workers)
    if target.size:
        _fill(target, cells, faces, along, workers)
    if target is out:
        return out
    result = _finished(target, core, dtype)
    if out is None:
        return result
    out[...] = result
    return out


def _ours(array: Array) -> bool:
    return array.flags.aligned and not any(s % array.itemsize for s in array.strides)


def _plain(array: Any) -> Array:
    """As floats in this machine's byte order, with an axis more for complex numbers."""
    if isinstance(array, np.ma.MaskedArray):
        floats = array.astype(np.float64) if array.dtype.kind in "iu" else array
        array = np.ma.filled(floats, np.nan)
    plain: Array = np.asarray(array)
    dtype = plain.dtype
    if dtype.kind in "iu" or dtype.itemsize == 2:
        plain = plain.astype(np.float64)
    elif not dtype.isnative or not _ours(plain):
        plain = plain.astype(dtype.newbyteorder("="))
    if dtype.kind == "c":
        plain = np.ascontiguousarray(plain)
        plain = plain.view(plain.real.dtype).reshape(*plain.shape, 2)
    return plain


def _finished(target: Array, core: Any, dtype: np.dtype[Any]) -> Any:
    if target.ndim > core.ndim:
        target = np.ascontiguousarray(target).view(np.result_type(target, np.complex64))[..., 0]
    with np.errstate(over="ignore"):  # the loops warn of nothing, and so does this
        target = target.astype(dtype, copy=False)
    if isinstance(core, np.ma.MaskedArray):
        return np.ma.array(target, mask=np.isnan(target), fill_value=core.fill_value)
    return target.view(type(core))


def _fill(
    target: Array, cells: Array, faces: tuple[Array, Array] | None, along: Along, workers: int
) -> None:
    run = _run(along, cells)
    tasks = [
        partial(run, slab, box)
        for part in parts(target, cells, faces, along.axis)
        for slab in slabs(part)
        for box in _boxes(slab.shape, workers)
    ]
    if workers == 1:
        for task in tasks:
            task()
    else:
        threads.run(tasks, workers)


def _run(along: Along, cells: Array) -> Callable[[Part, Box], None]:
    formula, n, start = along.formula, cells.shape[along.axis], along.start
    if isinstance(formula, Table):
        inside, first, last = formula.inside, formula.first, formula.last
        most = max(inside.shape[0], formula.ends)

        def run(part: Part, box: Box) -> None:
            room = (np.empty(points.RUN), np.empty(points.RUN + 2 * most), np.empty(most))
            points.sums(
                *part.buffers, n, part.shape[2] < _SHORT, box, start, formula.size, *room,
                formula.depth, inside, first, last,
            )  # fmt: skip
    else:
        absent = np.full(points.RUN, np.nan, cells.dtype)
        absent.setflags(write=False)  # as all buffers are that the loops read

        def run(part: Part, box: Box) -> None:
            room = np.empty(points.RUN + 4, cells.dtype)
            points.differences(
                *part.buffers, n, part.shape[2] < _SHORT, box, start, formula.size, room,
                absent, formula.edge_order == 2, formula.even, formula.numbers,
            )  # fmt: skip

    return run


def _boxes(shape: Sequence[int], workers: int) -> list[Box]:
    """Cut ``(outer, n, inner)`` for several threads, along a direction that is long enough."""
    count = 2 * workers if workers > 1 else 1
    whole = [(0, n) for n in shape]
    which = next((k for k in range(3) if shape[k] >= 4 * count), int(np.argmax(shape)))
    cuts = [shape[which] * i // count for i in range(count + 1)]
    found: list[Box] = []
    for low, high in pairwise(cuts):
        if low < high:
            bounds = whole.copy()
            bounds[which] = (low, high)
            found.append((*bounds[0], *bounds[1], *bounds[2]))
    return found
