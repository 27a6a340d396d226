"""The gradient of a dask array: a block per chunk, lazily, with the chunks of the input."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from operator import itemgetter
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array
from dask.base import tokenize

from bigrad.chunked import halo
from bigrad.errors import CoordinateError
from bigrad.numerics.boundaries import NO_PERIOD, Boundary, by_axis
from bigrad.numerics.expressions import result_dtype
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.spacing import Spacing, along_axes, from_distance

__all__ = ["gradient"]


def gradient(
    f: Any, varargs: tuple[Any, ...], *, axis: Any, scheme: Scheme, boundary: Any, period: Any
) -> Any:
    """Gradient of a dask or zarr array; see `bigrad.gradient`.

    Whatever concerns a whole axis is decided once: here, or in one task of the graph where a
    spacing is itself a dask array.
    """
    x = _as_dask(f)
    coordinates: list[Any] = []

    def decide(distance: Any, size: int) -> Spacing | _Deferred:
        if not isinstance(distance, da.Array):
            return from_distance(distance, size)
        _check_known(distance, range(distance.ndim), "the spacing")
        coordinates.append(distance)
        return _Deferred(size, distance.ndim == 1)

    axes, spacings = along_axes(x.shape, varargs, axis, decide)
    exchanged = any(len(x.chunks[a]) > 1 for a in axes)
    _check_known(x, range(x.ndim) if exchanged else axes, "`f`")
    boundaries = by_axis(boundary, period, axes, x.ndim)
    for a in axes:
        scheme.check_size(x.shape[a], boundaries.get(a))
    for a, spacing in zip(axes, spacings, strict=True):
        lazy = isinstance(spacing, _Deferred) and spacing.coordinate
        if lazy and a in boundaries and boundaries[a] == Boundary("periodic"):
            raise CoordinateError(NO_PERIOD)
    scheme.check_dtype(x.dtype)
    for one in boundaries.values():
        one.check(x.dtype)
    if not axes:
        return ()
    template = _Template(
        dict(zip(axes, spacings, strict=True)), np.dtype(x.dtype), scheme, boundaries
    )
    if not (scheme.tabulated or scheme.shrinks):
        _probe(template, x.ndim, coordinates)
    results = _apply(template, x, coordinates)
    return results[0] if len(axes) == 1 else results


@dataclass(frozen=True)
class _Deferred:
    """The spacing of an axis of `size` points whose coordinate, or step, is a dask array."""

    size: int
    coordinate: bool


@dataclass(frozen=True, eq=False)
class _Template:
    """An operator, but for the values of coordinates that are dask arrays."""

    spacings: Mapping[int, Spacing | _Deferred]
    dtype: np.dtype[Any]
    scheme: Scheme
    boundaries: Mapping[int, Boundary]

    def operator(self, values: Iterable[Any]) -> Gradient:
        """Return the operator, given the values of each deferred coordinate in order."""
        left = iter(values)
        spacings = {
            axis: from_distance(next(left), s.size) if isinstance(s, _Deferred) else s
            for axis, s in self.spacings.items()
        }
        return Gradient.along(
            spacings, dtype=self.dtype, boundaries=self.boundaries, **vars(self.scheme)
        )


def _as_dask(f: Any) -> Any:
    """Return `f`; a zarr array as a dask array, whose chunks are what the store is read in."""
    if isinstance(f, da.Array):
        return f
    return da.from_array(f, chunks=f.shards or f.chunks)


def _check_known(x: Any, axes: Iterable[int], name: str) -> None:
    for axis in axes:
        if np.isnan(x.shape[axis]):
            msg = (
                f"{name} has unknown chunk sizes along axis {axis}, and neighbours are exchanged "
                "between chunks of known size only; call `compute_chunk_sizes()` on it first, or "
                "rechunk it before the step that loses the sizes"
            )
            raise ValueError(msg)


def _probe(template: _Template, ndim: int, coordinates: list[Any]) -> None:
    """Differentiate a few zeros, so that what cannot be differentiated raises now.

    Only of objects nothing is known before they are seen.
    """
    given = [s.delta for s in template.spacings.values() if isinstance(s, Spacing)]
    dtypes = [template.dtype, *(c.dtype for c in coordinates), *(_dtype(d) for d in given)]
    if any(dtype.hasobject for dtype in dtypes):
        return
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # The numbers are made up, and so would be any warning of them.
        warnings.simplefilter("ignore")
        try:
            _differentiate_zeros(template, ndim, coordinates, np.array([0, 1, 3, 6]))
        except TypeError:
            # What fails as an uneven coordinate may do as an even one, as durations do.
            _differentiate_zeros(template, ndim, coordinates, np.array([0, 1, 2, 3]))


def _dtype(step: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = step.dtype if hasattr(step, "dtype") else np.asarray(step).dtype
    return dtype


def _differentiate_zeros(
    template: _Template, ndim: int, coordinates: list[Any], positions: Any
) -> None:
    sizes = {axis: min(s.size, 4) for axis, s in template.spacings.items()}
    few = {
        axis: Spacing(size, s.delta if s.uniform else s.delta[: size - 1])
        if isinstance(s := template.spacings[axis], Spacing)
        else _Deferred(size, s.coordinate)
        for axis, size in sizes.items()
    }
    deferred = [size for axis, size in sizes.items() if isinstance(few[axis], _Deferred)]
    samples = (
        positions[:size].astype(c.dtype) if c.ndim else c.dtype.type(1)
        for c, size in zip(coordinates, deferred, strict=True)
    )
    shape = tuple(sizes.get(axis, 1) for axis in range(ndim))
    # An axis with a boundary may be too short for one-sided differences of second order.
    scheme = replace(template.scheme, edge_order=1) if template.boundaries else template.scheme
    operator = _Template(few, template.dtype, scheme, {}).operator(samples)
    operator.apply(Block(np.zeros(shape, template.dtype), (0,) * ndim))


@dataclass(frozen=True, eq=False)
class _Placed:
    """An operator, and where the chunks of the array begin along each axis."""

    operator: Gradient
    starts: tuple[np.ndarray[Any, Any], ...]


def _apply(template: _Template, x: Any, coordinates: list[Any]) -> tuple[Any, ...]:
    reach = {
        axis: template.scheme.reach(spacing.size, template.boundaries.get(axis))
        for axis, spacing in template.spacings.items()
    }
    chunks = tuple(
        halo.regular(sizes, reach[axis]) if axis in reach else sizes
        for axis, sizes in enumerate(x.chunks)
    )
    regular = x.rechunk(chunks)
    split = [axis for axis in template.spacings if len(chunks[axis]) > 1]
    result = result_dtype(template.dtype)
    # To dask a mapping is the same in any order, which here is that of the results.
    axes = tuple(template.spacings)
    faces = [face for a in split for face in halo.faces(regular, a, reach[a], "gradient")]
    inputs = [array.name for array in (regular, *faces, *coordinates)]
    name = f"{halo.PREFIX}gradient-{tokenize(template, axes, inputs)}"
    blocks = da.map_blocks(
        _gradient,
        regular,
        _placed(template, coordinates, chunks),
        *faces,
        split=split,
        name=name if len(axes) == 1 else name + halo.SUFFIX,
        dtype=result,
        meta=meta_from_array(x, dtype=result),
        chunks=chunks,
    )
    if len(axes) == 1:
        return (blocks.rechunk(x.chunks),)
    # A chunk is a tuple with an array for each axis, of which none keeps the others alive.
    components = (
        da.map_blocks(itemgetter(k), blocks, dtype=result, meta=meta_from_array(x, dtype=result))
        for k in range(len(axes))
    )
    return tuple(component.rechunk(x.chunks) for component in components)


def _placed(
    template: _Template, coordinates: list[Any], chunks: tuple[tuple[int, ...], ...]
) -> Any:
    """Return the operator as a dask array of one object, so that it is in the graph once."""
    # Of the other axes no place is looked up, and their chunks may be of unknown size.
    starts = tuple(
        np.array([0, *accumulate(sizes)][:-1])
        if axis in template.spacings
        else np.zeros(len(sizes))
        for axis, sizes in enumerate(chunks)
    )
    if not coordinates:
        name = "gradient-operator-" + tokenize(template, tuple(template.spacings), starts)
        return da.from_array(_boxed(_Placed(template.operator(()), starts)), chunks=(), name=name)
    return da.map_blocks(
        _decide,
        *(values.rechunk(-1) for values in coordinates),
        template=template,
        starts=starts,
        drop_axis=list(range(max(values.ndim for values in coordinates))),
        dtype=object,
        meta=_boxed(None),
    )


def _decide(*values: Any, template: _Template, starts: tuple[Any, ...]) -> Any:
    return _boxed(_Placed(template.operator(values), starts))


def _boxed(content: Any) -> Any:
    box = np.empty((), object)
    box[()] = content
    return box


def _gradient(
    core: Any,
    placed: Any,
    *faces: Any,
    split: list[int],
    block_id: tuple[int, ...],
) -> Any:
    """Differentiate one chunk."""
    content: _Placed = placed[()]
    start = tuple(int(starts[i]) for starts, i in zip(content.starts, block_id, strict=True))
    if len(content.operator.stencils) > 1 and type(core) is np.ndarray:
        # A chunk of an array in memory is rows far apart, to be read once for all derivatives.
        core = np.ascontiguousarray(core)
    around = dict(zip(split, zip(faces[::2], faces[1::2], strict=True), strict=True))
    results = content.operator.apply(Block(core, start, around))
    return results[0] if len(results) == 1 else results
