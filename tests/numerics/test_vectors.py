from itertools import product
from unittest import mock

import numba  # noqa: F401  (as in a process that has use for the loops)
import numpy as np
import pytest

from bigrad.arrays import gradient
from bigrad.numerics import fused
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.spacing import along_axes, from_distance
from tests.bits import assert_same_bits, numpys

GUARD = 77


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("dtype", "fdhLFD")
@pytest.mark.parametrize("past_caches", [True, False])
def test_whole_lines_have_the_bits_of_single_cells(
    dtype: str, axis: int, *, past_caches: bool
) -> None:
    """Wherever the result begins in memory, and however far apart the cells it is made of are.

    What lies around the result is left alone.
    """
    rng = np.random.default_rng(ord(dtype) + axis)
    least = 0 if past_caches else 2**40
    # Rows that begin lines of memory, and that do not; more and fewer than are taken together.
    shapes = [(1, 9, 64), (3, 5, 101), (2, 70, 48), (23, 3, 30)]
    steps = (0.3, np.float64(0.3), None)
    places = ((0, 1), (1, 1), (14, 1), (0, 2), (1, -1), (14, -3))
    for shape, (ahead, apart), step, edge_order in product(shapes, places, steps, (1, 2)):
        n = shape[axis]
        if n <= edge_order:
            continue
        wide = rng.normal(size=(*shape[:2], shape[2] * abs(apart), 2)) * 1000
        f = (wide @ ((1, 1j) if dtype in "FD" else (1, 0))).astype(dtype)[..., ::apart]
        distance = np.cumsum(rng.uniform(0.5, 1.5, n)) if step is None else step
        axes, spacings = along_axes(shape, (distance,), axis, from_distance)
        operator = Gradient.along(
            dict(zip(axes, spacings, strict=True)), dtype=dtype, edge_order=edge_order
        )
        memory = np.full(f.size + 32, GUARD, operator.dtype)
        out = memory[ahead : ahead + f.size].reshape(shape)
        with mock.patch.object(fused, "_PAST_CACHES", least):
            operator.apply(Block(f, (0, 0, 0)), (out,), workers=2)
        assert_same_bits(out, numpys(f, distance, axis=axis, edge_order=edge_order))
        assert (memory[:ahead] == GUARD).all()
        assert (memory[ahead + f.size :] == GUARD).all()


def test_complex_numbers_that_are_not_finite() -> None:
    """Cells and weights: a zero part of a weight makes no number of what is infinite."""
    rng = np.random.default_rng(5)
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5])
    f = rng.choice(odd, (9, 70, 48)) + 0j
    f.imag = rng.choice(odd, f.shape)
    for axis, step in product(range(3), (0.3, -0.3, None)):
        distance = np.cumsum(rng.uniform(0.5, 1.5, f.shape[axis])) if step is None else step
        assert_same_bits(gradient(f, distance, axis=axis), numpys(f, distance, axis=axis))


def test_a_box_of_a_larger_array_of_many_axes() -> None:
    """No two of its axes are one run of memory."""
    wide = np.random.default_rng(6).normal(size=(4, 5, 6, 7, 20))
    box = wide[:3, 1:, :-1, 2:, 1:-1]
    for axis in range(box.ndim):
        assert_same_bits(gradient(box, 0.3, axis=axis), numpys(box, 0.3, axis=axis))
