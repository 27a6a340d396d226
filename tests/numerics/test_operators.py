import pickle
from typing import Any
from unittest import mock

import numba  # noqa: F401  (as in a process that has use for the loops)
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import bigrad
from bigrad.numerics import fused, general
from bigrad.numerics.boundaries import by_axis
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.spacing import along_axes, from_distance
from tests.bits import assert_same_bits, numpys
from tests.strategies import differentiable, schemed


@given(differentiable(), st.data())
def test_a_block_with_faces_is_part_of_the_whole(arguments: Any, data: st.DataObject) -> None:
    """For any part of any array, faces that are views, copies or wider than needed."""
    f, varargs, kwargs = arguments
    axes, spacings = along_axes(f.shape, varargs, kwargs["axis"], from_distance)
    operator = Gradient.along(
        dict(zip(axes, spacings, strict=True)), dtype=f.dtype, edge_order=kwargs["edge_order"]
    )
    box = []
    for n in f.shape:
        start = data.draw(st.integers(0, n - 1))
        box.append((start, data.draw(st.integers(start + 1, n))))
    core = tuple(slice(*bounds) for bounds in box)
    faces = {}
    for axis in axes:
        start, stop = box[axis]
        lo, hi = operator.reach[axis].window(start, stop)
        wider = data.draw(st.booleans())
        lo, hi = (0, f.shape[axis]) if wider else (lo, hi)
        sides = (slice(lo, start), slice(stop, hi))
        faces[axis] = tuple(f[(*core[:axis], side, *core[axis + 1 :])] for side in sides)
        if data.draw(st.booleans()):
            faces[axis] = tuple(map(np.ascontiguousarray, faces[axis]))
    block = Block(f[core], tuple(start for start, _ in box), faces)
    with np.errstate(all="ignore"):
        parts = operator.apply(block)
    whole = numpys(f, *varargs, **kwargs)
    for part, expected in zip(parts, whole if isinstance(whole, tuple) else (whole,), strict=True):
        assert_same_bits(part, expected[core])


@given(schemed(), st.data())
def test_a_block_of_any_scheme_is_part_of_the_whole(arguments: Any, data: st.DataObject) -> None:
    """Faces are what `reach` says, and wrap around where the axis does."""
    f, varargs, kwargs = arguments
    axes, spacings = along_axes(f.shape, varargs, kwargs["axis"], from_distance)
    scheme = {key: kwargs[key] for key in kwargs if key not in ("axis", "boundary", "period")}
    boundaries = by_axis(kwargs["boundary"], kwargs["period"], axes, f.ndim)
    operator = Gradient.along(
        dict(zip(axes, spacings, strict=True)), dtype=f.dtype, boundaries=boundaries, **scheme
    )
    box = []
    for n in f.shape:
        start = data.draw(st.integers(0, n - 1))
        box.append((start, data.draw(st.integers(start + 1, n))))
    core = tuple(slice(*bounds) for bounds in box)
    faces = {}
    for axis in axes:
        start, stop = box[axis]
        if stop - start == f.shape[axis]:
            continue
        lo, hi = operator.reach[axis].window(start, stop)
        thick = f[(*core[:axis], slice(None), *core[axis + 1 :])]
        sides = (range(lo, start), range(stop, hi))
        faces[axis] = tuple(thick.take(list(s), axis, mode="wrap") for s in sides)
    workers = data.draw(st.integers(1, 4))
    elsewhere = pickle.loads(pickle.dumps(operator))
    # Rows or lines.
    short = data.draw(st.sampled_from([1, 5, 100]))
    with np.errstate(all="ignore"), mock.patch.object(general, "_SHORT", short):
        parts = elsewhere.apply(
            Block(f[core], tuple(start for start, _ in box), faces), None, workers
        )
    with np.errstate(all="ignore"):
        whole = bigrad.gradient(f, *varargs, **kwargs)
    for part, expected in zip(parts, whole if isinstance(whole, tuple) else (whole,), strict=True):
        assert_same_bits(part, expected[core])


@given(differentiable(), st.data())
def test_neither_threads_nor_tiles_nor_the_layout_of_out_change_bits(
    arguments: Any, data: st.DataObject
) -> None:
    f, varargs, kwargs = arguments
    axes, spacings = along_axes(f.shape, varargs, kwargs["axis"], from_distance)
    operator = Gradient.along(
        dict(zip(axes, spacings, strict=True)), dtype=f.dtype, edge_order=kwargs["edge_order"]
    )
    out = []
    for _ in axes:
        every = [slice(None, None, data.draw(st.sampled_from([1, 1, 2, -2]))) for _ in f.shape]
        wide = [n * abs(s.step) for n, s in zip(f.shape, every, strict=True)]
        out.append(np.zeros(wide, operator.dtype)[tuple(every)])
    workers = data.draw(st.integers(1, 5))
    row, tile = data.draw(st.tuples(st.integers(16, 600), st.integers(16, 600)))
    with np.errstate(all="ignore"), mock.patch.multiple(fused, _ROW_BYTES=row, _TILE_BYTES=tile):
        parts = operator.apply(Block(f, (0,) * f.ndim), out, workers)
    whole = numpys(f, *varargs, **kwargs)
    assert all(part is one for part, one in zip(parts, out, strict=True))
    assert_same_bits(parts, whole if isinstance(whole, tuple) else (whole,))
