"""Blocks of NumPy arrays as the compiled loops take them: coefficients and flat buffers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise, product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from bigrad.numerics import kernels, threads
from bigrad.numerics.stencils import Difference, Stencil, Weights

__all__ = ["Coefficients", "coefficients", "differentiate", "takes"]

Array = np.ndarray[Any, Any]

_INPUTS = frozenset("bBhHiIlLqQfdFD")
_ARITHMETIC = frozenset("fdFD")

# Three rows of this many bytes stay in a core's first-level caches.
_TILE_BYTES = 32 * 1024


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A stencil's numbers in the precision that NumPy would compute in.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the result.
    ends : numpy.ndarray, shape (9,)
        Inside, at the first cell and at the last: three weights, or a divisor with the two
        intermediate terms of a complex division by it.
    inside : tuple of numpy.ndarray, shape (size - 2,) each
        Three weights for each cell with two neighbours; empty for an axis with one step.
    """

    dtype: np.dtype[Any]
    ends: Array
    inside: tuple[Array, Array, Array]


def coefficients(stencil: Stencil, dtype: np.dtype[Any]) -> Coefficients | None:
    """Coefficients for data of `dtype`, or None where the array expressions must serve.

    The loops take plain, finite numbers and divisors other than 0; for all else NumPy's own
    arithmetic gives the right result with the right exception or warning.
    """
    if dtype.char not in _INPUTS or not dtype.isnative:
        return None
    data = dtype if dtype.char in _ARITHMETIC else _FLOAT64
    inside = stencil.interior
    even = isinstance(inside, Difference)
    sample = inside.divisor if isinstance(inside, Difference) else inside.a
    if not _plain(sample):
        return None
    computed = np.result_type(data, sample)
    if computed.char not in _ARITHMETIC:
        return None
    real = _REAL[computed.char]
    with np.errstate(all="ignore"):  # what is not finite is left to the array expressions
        numbers = [*_three(stencil.first, computed), *_three(stencil.last, computed)]
        if isinstance(inside, Difference):
            ends = np.array([*_three(inside, computed), *numbers], real)
            weights = _EMPTY[real.char]
        else:
            ends = np.array([0.0, 0.0, 0.0, *numbers], real)
            weights = np.array((inside.a, inside.b, inside.c), real)
    if even and not (ends[0] and ends[3]):
        return None
    if not (np.isfinite(ends).all() and (even or np.isfinite(weights).all())):
        return None
    return Coefficients(data, ends, (weights[0], weights[1], weights[2]))


_FLOAT64 = np.dtype(np.float64)
_REAL = {
    char: np.dtype(real) for char, real in {"f": "f4", "F": "f4", "d": "f8", "D": "f8"}.items()
}
_EMPTY = {char: np.zeros((3, 0), char) for char in "fd"}


def _plain(number: Any) -> bool:
    """Whether it is a real number, or an array of these, without behaviour of its own."""
    if type(number) is np.ndarray or isinstance(number, np.generic):
        return number.dtype.kind in "fiu"
    return isinstance(number, float | int)


def _three(part: Difference | Weights, computed: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """Three weights; or a divisor, with the terms of Smith's division where it is complex."""
    if isinstance(part, Weights):
        return part.a, part.b, part.c
    if computed.kind == "f":
        return part.divisor, 0.0, 0.0
    real = _REAL[computed.char].type
    divisor = real(part.divisor)
    ratio = real(0) / divisor
    return divisor, ratio, real(1) / (divisor + real(0) * ratio)


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
    core: Array,
    faces: tuple[Array, Array] | None,
    out: Array | None = None,
    workers: int = 1,
) -> Array:
    """Apply a stencil along one axis of a block; as `expressions.differentiate`.

    Parameters
    ----------
    workers : int
        How many threads share the work; the bits do not depend on it.
    """
    if out is None:
        out = np.empty_like(core, numbers.dtype)
    parts = _parts(out, core, faces, axis)
    if workers > 1:
        threads.run([
            partial(_loop, numbers, stencil, start, core.itemsize, piece)
            for part in parts
            for piece in _pieces(part, workers)
        ], workers)  # fmt: skip
    else:
        for part in parts:
            _loop(numbers, stencil, start, core.itemsize, part)
    return out


def _loop(
    numbers: Coefficients, stencil: Stencil, start: int, itemsize: int, part: "_Part"
) -> None:
    shape, skipped, buffers = part
    start += skipped
    kernels.differentiate(
        *buffers,
        shape,
        _TILE_BYTES // itemsize,
        start == 0,
        start + shape[1] == stencil.size,
        stencil.edge_order,
        numbers.ends,
        *numbers.inside,
        start,
    )


# The shape of a part of a block, ``(outer, n, inner)``; how many cells along the axis precede
# it; and for result, core and both faces a flat array, its offset and three strides.
_Part = tuple[tuple[int, int, int], int, tuple[Any, ...]]


def _parts(
    out: Array, core: Array, faces: tuple[Array, Array] | None, axis: int
) -> Sequence[_Part]:
    """Split a block into parts that are ``(outer, n, inner)`` in memory, mostly one."""
    if not core.size:
        return ()
    if not (core.flags.c_contiguous and out.flags.c_contiguous):
        return list(_strided(out, core, faces, axis))
    shape = core.shape
    n, outer, inner = shape[axis], math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    strides = (0, n * inner, inner, 1)
    cells = _readonly(core.reshape(-1))
    sides = (cells, strides, cells, strides)
    if faces is not None:
        (lower, i), (upper, j) = ((_readonly(_flattened(f)), f.shape[axis] * inner) for f in faces)
        sides = (lower, (i, i, inner, 1), upper, (0, j, inner, 1))
    return (((outer, n, inner), 0, (out.reshape(-1), strides, cells, strides, *sides)),)


def _flattened(face: Array) -> Array:
    return np.ascontiguousarray(face).reshape(-1)


def _strided(
    out: Array, core: Array, faces: tuple[Array, Array] | None, axis: int
) -> Iterator[_Part]:
    """Parts of a block that is not contiguous, with the innermost loop along memory."""
    order = sorted((a for a in range(core.ndim) if a != axis), key=lambda a: -abs(core.strides[a]))
    # Faces are thin: a copy costs little, and merges along whatever axes the core merges.
    there = [axis, *order]
    back = np.argsort(there)
    arrays = [out, core]
    for face in faces or (core, core):
        copied = face is not core and face.size
        arrays.append(
            np.ascontiguousarray(face.transpose(there)).transpose(back) if copied else core
        )
    flats = [_flat(array) for array in arrays]
    along = [array.strides[axis] // array.itemsize for array in arrays]
    runs = _merged(core.shape, order, [[s // a.itemsize for s in a.strides] for a in arrays])
    rows = bool(runs) and abs(runs[-1][1][1]) <= abs(along[1])
    inner, inward = runs.pop() if rows else (1, [0] * 4)
    outer, outward = runs.pop() if runs else (1, [0] * 4)
    ahead = (0, 0, arrays[2].shape[axis] * along[2], 0)
    for place in product(*(range(size) for size, _ in runs)):
        offsets = [
            offset + ahead[k] + sum(i * run[1][k] for i, run in zip(place, runs, strict=True))
            for k, (_, offset) in enumerate(flats)
        ]
        buffers = [
            (flat, (offsets[k], outward[k], along[k], inward[k]))
            for k, (flat, _) in enumerate(flats)
        ]
        yield (outer, core.shape[axis], inner), 0, tuple(chain.from_iterable(buffers))


def _pieces(part: _Part, workers: int) -> Iterator[_Part]:
    """Split a part for several threads, along the slowest direction that is long enough."""
    shape, skipped, buffers = part
    count = 2 * workers
    which = next((k for k in range(3) if shape[k] >= 4 * count), int(np.argmax(shape)))
    bounds = [shape[which] * i // count for i in range(count + 1)]
    for i, j in pairwise(bounds):
        if i == j:
            continue
        moved = [
            buffer if k % 2 == 0 else (buffer[0] + i * buffer[1 + which], *buffer[1:])
            for k, buffer in enumerate(buffers)
        ]
        if which == 1:  # the cells just before and after are others of the core
            core, (offset, *strides) = buffers[2:4]
            step = strides[1]
            moved[4:] = [
                *((core, (offset + i * step, *strides)) if i else buffers[4:6]),
                *((core, (offset + j * step, *strides)) if j < shape[1] else buffers[6:8]),
            ]
        smaller = (*shape[:which], j - i, *shape[which + 1 :])
        yield smaller, skipped + i * (which == 1), tuple(moved)  # type: ignore[misc]


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
