"""Blocks of NumPy arrays as the compiled loops take them: coefficients and flat buffers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from bigrad.numerics import kernels
from bigrad.numerics.expressions import result_dtype
from bigrad.numerics.stencils import Difference, Stencil, Weights

__all__ = ["Coefficients", "coefficients", "differentiate", "takes"]

_INPUTS = frozenset("bBhHiIlLqQfdFD")
_ARITHMETIC = frozenset("fdFD")

# Three rows of this many bytes stay in a core's first-level caches.
_TILE_BYTES = 32 * 1024


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A stencil's numbers in the precision that NumPy would compute in.

    Attributes
    ----------
    ends : numpy.ndarray, shape (9,)
        Inside, at the first cell and at the last: three weights, or a divisor with the two
        intermediate terms of a complex division by it.
    inside : tuple of numpy.ndarray, shape (size - 2,) each
        Three weights for each cell with two neighbours; empty for an axis with one step.
    """

    ends: np.ndarray[Any, Any]
    inside: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]


def coefficients(stencil: Stencil, dtype: np.dtype[Any]) -> Coefficients | None:
    """Coefficients for data of `dtype`, or None where the array expressions must serve.

    The loops take plain, finite numbers and divisors other than 0; for all else NumPy's own
    arithmetic gives the right result with the right exception or warning.
    """
    if dtype.char not in _INPUTS or not dtype.isnative:
        return None
    data = dtype if dtype.char in _ARITHMETIC else np.dtype(np.float64)
    inside = stencil.interior
    sample = inside.divisor if isinstance(inside, Difference) else inside.a
    if not _plain(sample):
        return None
    computed = np.result_type(data, sample)
    if computed.char not in _ARITHMETIC:
        return None
    real = np.zeros((), computed).real.dtype
    with np.errstate(all="ignore"):  # what is not finite is left to the array expressions
        ends = np.array(
            [
                number
                for part in (inside, stencil.first, stencil.last)
                for number in _three(part, real)
            ],
            real,
        )
        weights = (
            np.zeros((3, 0), real)
            if isinstance(inside, Difference)
            else np.array([inside.a, inside.b, inside.c], real)
        )
    if not (np.isfinite(ends).all() and np.isfinite(weights).all()):
        return None
    return Coefficients(ends, (weights[0], weights[1], weights[2]))


def _plain(number: Any) -> bool:
    """Whether it is a real number, or an array of these, without behaviour of its own."""
    if type(number) is np.ndarray or isinstance(number, np.generic):
        return number.dtype.kind in "fiu"
    return isinstance(number, float | int)


def _three(part: Difference | Weights, real: np.dtype[Any]) -> tuple[Any, Any, Any]:
    if isinstance(part, Weights):
        scalars = np.ndim(part.a) == 0
        return (part.a, part.b, part.c) if scalars else (0, 0, 0)
    divisor = real.type(part.divisor)
    ratio = real.type(0) / divisor
    return divisor, ratio, real.type(1) / (divisor + real.type(0) * ratio)


def takes(array: Any) -> bool:
    """Whether the loops can read `array`: NumPy's own class, aligned, whole-item strides."""
    return (
        type(array) is np.ndarray
        and array.flags.aligned
        and (array.flags.c_contiguous or not any(s % array.itemsize for s in array.strides))
    )


def differentiate(
    numbers: Coefficients,
    stencil: Stencil,
    axis: int,
    start: int,
    core: np.ndarray[Any, Any],
    faces: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None,
    out: np.ndarray[Any, Any] | None = None,
) -> np.ndarray[Any, Any]:
    """Apply a stencil along one axis of a block; as `expressions.differentiate`."""
    if out is None:
        out = np.empty_like(core, result_dtype(core.dtype))
    n = core.shape[axis]
    lower, upper = faces or (None, None)
    for shape, buffers in _buffers(out, core, lower, upper, axis):
        kernels.differentiate(
            *buffers,
            shape,
            max(_TILE_BYTES // core.itemsize, 1),
            start == 0,
            start + n == stencil.size,
            stencil.edge_order,
            numbers.ends,
            *numbers.inside,
            start,
        )
    return out


Array = np.ndarray[Any, Any]


def _buffers(
    out: Array, core: Array, lower: Array | None, upper: Array | None, axis: int
) -> Iterator[tuple[tuple[int, int, int], list[Any]]]:
    """Split a block into parts that are ``(outer, n, inner)`` in memory, mostly one.

    Yields
    ------
    shape : tuple of int
        ``(outer, n, inner)``.
    buffers : list
        For result, core and both faces: a flat array, and its offset and three strides.
    """
    n = core.shape[axis]
    if not core.size:
        return
    if core.flags.c_contiguous and out.flags.c_contiguous:
        outer, inner = math.prod(core.shape[:axis]), math.prod(core.shape[axis + 1 :])
        strides = (0, n * inner, inner, 1)
        buffers = [out.reshape(-1), strides, _readonly(core.reshape(-1)), strides]
        for face, end in ((lower, True), (upper, False)):
            if face is None or not face.size:
                buffers += [buffers[2], strides]
                continue
            cells = face.shape[axis] * inner
            flat = _readonly(np.ascontiguousarray(face).reshape(-1))
            buffers += [flat, (cells * end, cells, inner, 1)]
        yield (outer, n, inner), buffers
        return

    # The other axes in the order of memory, so that the innermost loop runs along it.
    others = sorted(
        (a for a in range(core.ndim) if a != axis), key=lambda a: -abs(core.strides[a])
    )
    arrays = [out, core]
    for face in (lower, upper):
        # Thin: a copy costs little, and merges with whatever axes the core's merge with.
        present = face is not None and face.size
        order = [axis, *others]
        arrays.append(
            np.ascontiguousarray(face.transpose(order)).transpose(np.argsort(order))
            if face is not None and present
            else core
        )
    flats = [_flat(array) for array in arrays]
    runs = _merged(core.shape, others, [[s // a.itemsize for s in a.strides] for a in arrays])
    along = [array.strides[axis] // array.itemsize for array in arrays]
    contiguous = not runs or runs[-1][1][1] > abs(along[1])
    inner, inner_strides = (1, [0] * 4) if contiguous else runs.pop()
    outer, outer_strides = runs.pop() if runs else (1, [0] * 4)
    for place in product(*(range(size) for size, _ in runs)):
        buffers = []
        for k, (flat, offset) in enumerate(flats):
            offset += sum(i * strides[k] for i, (_, strides) in zip(place, runs, strict=True))
            if k == 2:
                offset += arrays[k].shape[axis] * along[k]
            buffers += [flat, (offset, outer_strides[k], along[k], inner_strides[k])]
        yield (outer, n, inner), buffers


def _merged(
    shape: tuple[int, ...], axes: list[int], strides: list[list[int]]
) -> list[tuple[int, list[int]]]:
    """Merge neighbouring axes that are one run of memory in every array.

    Returns
    -------
    list of (int, list of int)
        Size of each run, and its stride in each array.
    """
    runs: list[tuple[int, list[int]]] = []
    for axis in axes:
        size, steps = shape[axis], [s[axis] for s in strides]
        if size == 1:
            continue
        if runs and runs[-1][1] == [size * step for step in steps]:
            size *= runs.pop()[0]
        runs.append((size, steps))
    return runs


def _flat(array: Array) -> tuple[Array, int]:
    """All memory that a strided array spans, and the index of its first item in it."""
    item = array.itemsize
    forward = array[tuple(slice(None, None, -1 if s < 0 else 1) for s in array.strides)]
    reach = [(n - 1) * (s // item) for n, s in zip(array.shape, array.strides, strict=True)]
    flat = as_strided(forward, (sum(map(abs, reach)) + 1,), (item,))
    return flat, -sum(r for r in reach if r < 0)


def _readonly(flat: Array) -> Array:
    """One type of input, whether or not the caller may write to it, is one compiled loop."""
    flat.setflags(write=False)
    return flat
