from itertools import product
from unittest import mock

import numba  # noqa: F401  (as in a process that has use for the loops)
import numpy as np
import pytest

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
    """Wherever the result begins in memory; what lies around it is left alone."""
    rng = np.random.default_rng(ord(dtype) + axis)
    least = 0 if past_caches else 2**40
    # Rows that begin lines of memory, and that do not; more and fewer than are taken together.
    shapes = [(1, 9, 64), (3, 5, 101), (2, 70, 48), (23, 3, 30)]
    steps = (0.3, np.float64(0.3), None)
    for shape, ahead, step, edge_order in product(shapes, (0, 1, 14), steps, (1, 2)):
        n = shape[axis]
        if n <= edge_order:
            continue
        f = (rng.normal(size=shape) * 1000).astype(dtype)
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
