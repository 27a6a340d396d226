"""Blocks of NumPy arrays as the loops see them: flat buffers with strides, cut in parts."""

import math
from collections.abc import Iterator
from itertools import chain, pairwise, product
from operator import mul, sub
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

__all__ = ["Geometry", "Part", "Place", "overlap", "parts", "pieces", "slabs", "takes", "within"]

Array = np.ndarray[Any, Any]

# Offset, and strides of ``(many, outer, n, inner)``, in items.
Geometry = tuple[int, ...]

# A cell by ``(many, outer, n, inner)``.
Place = tuple[int, ...]


# Cells that are better read in one run.
_LONG = 32 * 1024

# Of the search whether strided arrays share a cell; a hundredth of a millisecond.
_WORK = 1000


def overlap(one: Array, other: Array) -> bool:
    """Whether two arrays share memory, or may do where it would take long to tell.

    Examples
    --------
    >>> pairs = np.zeros((3, 2))
    >>> overlap(pairs[:, 0], pairs[:, 1]), overlap(pairs[:, 0], pairs)
    (False, True)
    """
    work: Any = _WORK  # NumPy's stubs have known since 2.5 that this may be any number
    try:
        return bool(np.shares_memory(one, other, max_work=work))
    except np.exceptions.TooHardError:
        return True


class Part(NamedTuple):
    """Part of a block that is ``(many, outer, n, inner)`` in memory, the axis before the last.

    Attributes
    ----------
    shape : tuple of int
        ``(many, outer, n, inner)``.
    skipped : int
        How many cells of the block precede it along the axis.
    buffers : tuple
        A flat array and its geometry, for result, core, and the cells before and after it.
    """

    shape: Place
    skipped: int
    buffers: tuple[Any, ...]


def takes(array: Any) -> bool:
    """Whether the loops can read `array`: NumPy's own classes, aligned, whole-item strides."""
    return (
        type(array) in (np.ndarray, np.memmap)
        and array.flags.aligned
        and (array.flags.c_contiguous or not any(s % array.itemsize for s in array.strides))
    )


def parts(out: Array, core: Array, faces: tuple[Array, Array] | None, axis: int) -> list[Part]:
    """Split a block, not an empty one, into parts that are so in memory; mostly one."""
    if not (core.flags.c_contiguous and out.flags.c_contiguous):
        return list(_strided(out, core, faces, axis))
    shape = core.shape
    n, outer, inner = shape[axis], math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    strides = (0, 0, n * inner, inner, 1)
    cells = _readonly(core.reshape(-1))
    sides = (cells, strides, cells, strides)
    if faces is not None:
        (lower, i), (upper, j) = ((_readonly(_flattened(f)), f.shape[axis] * inner) for f in faces)
        sides = (lower, (i, 0, i, inner, 1), upper, (0, 0, j, inner, 1))
    return [Part((1, outer, n, inner), 0, (out.reshape(-1), strides, cells, strides, *sides))]


def _flattened(face: Array) -> Array:
    return np.ascontiguousarray(face).reshape(-1)


def _strided(
    out: Array, core: Array, faces: tuple[Array, Array] | None, axis: int
) -> Iterator[Part]:
    """Parts of a block that is not contiguous, with the innermost loop along memory."""
    order = sorted((a for a in range(core.ndim) if a != axis), key=lambda a: -abs(core.strides[a]))
    # A face that lies as the core does, as in a larger array, is one more row of it; of another a
    # copy does, since faces are thin.
    there = [axis, *order]
    back = np.argsort(there)
    arrays = [out, core]
    for given in faces or (core, core):
        face = given if given.size else core
        if any(face.strides[a] != core.strides[a] for a in order):
            face = np.ascontiguousarray(face.transpose(there)).transpose(back)
        arrays.append(face)
    flats = [_flat(array, writeable=array is out) for array in arrays]
    along = [array.strides[axis] // array.itemsize for array in arrays]
    runs = _merged(core.shape, order, [[s // a.itemsize for s in a.strides] for a in arrays])
    rows = bool(runs) and abs(runs[-1][1][1]) <= abs(along[1])
    inner, inward = runs.pop() if rows else (1, along)
    outer, outward = runs.pop() if runs else (1, [0] * 4)
    many, apart = runs.pop() if runs else (1, [0] * 4)
    ahead = (0, 0, arrays[2].shape[axis] * along[2], 0)
    for place in product(*(range(size) for size, _ in runs)):
        offsets = [
            offset + ahead[k] + sum(i * run[1][k] for i, run in zip(place, runs, strict=True))
            for k, (_, offset) in enumerate(flats)
        ]
        buffers = [
            (flat, (offsets[k], apart[k], outward[k], along[k], inward[k]))
            for k, (flat, _) in enumerate(flats)
        ]
        shape = (many, outer, core.shape[axis], inner)
        yield Part(shape, 0, tuple(chain.from_iterable(buffers)))


def slabs(part: Part) -> Iterator[Part]:
    """Split a part in what is ``(outer, n, inner)`` in memory, with three strides each."""
    many, *shape = part.shape
    for k in range(many):
        buffers = (
            (one[0] + k * one[1], *one[2:]) if isinstance(one, tuple) else one
            for one in part.buffers
        )
        yield Part(tuple(shape), part.skipped, tuple(buffers))


def within(part: Part, low: Place, high: Place) -> Part:
    """Those cells of a part that lie from `low` to before `high`."""
    (_, _, n, _), skipped, (out, go, f, gf, before, gb, after, ga) = part
    (k, o, start, j), stop = low, high[2]

    def moved(geometry: Geometry, i: int) -> Geometry:
        offset, *strides = geometry
        return offset + sum(map(mul, (k, o, i, j), strides)), *strides

    # Inside a part, the cells just before and after some of it are others of the core.
    sides = (
        *((f, moved(gf, start)) if start else (before, moved(gb, 0))),
        *((f, moved(gf, stop)) if stop < n else (after, moved(ga, 0))),
    )
    shape = tuple(map(sub, high, low))
    return Part(shape, skipped + start, (out, moved(go, start), f, moved(gf, start), *sides))


def pieces(part: Part, count: int) -> Iterator[Part]:
    """Split a part in `count`, along the slowest direction that is long enough.

    The axis comes last: each piece of it reads cells of its neighbours, too.
    """
    shape = part.shape
    enough = {0: 4 * count, 1: 4 * count, 3: _LONG * count, 2: 4 * count}
    which = next((k for k, least in enough.items() if shape[k] >= least), int(np.argmax(shape)))
    for i, j in pairwise(shape[which] * i // count for i in range(count + 1)):
        if i < j:
            low = tuple(i if k == which else 0 for k in range(4))
            high = tuple(j if k == which else shape[k] for k in range(4))
            yield within(part, low, high)


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


def _flat(array: Array, *, writeable: bool) -> tuple[Array, int]:
    """All memory that a strided array spans, and the index of its first item in it."""
    item = array.itemsize
    forward = array[tuple(slice(None, None, -1 if s < 0 else 1) for s in array.strides)]
    reach = [(n - 1) * (s // item) for n, s in zip(array.shape, array.strides, strict=True)]
    flat = as_strided(forward, (sum(map(abs, reach)) + 1,), (item,), writeable=writeable)
    return flat, -sum(r for r in reach if r < 0)


def _readonly(flat: Array) -> Array:
    """One type of input, whether or not the caller may write to it, is one compiled loop."""
    flat.setflags(write=False)
    return flat
