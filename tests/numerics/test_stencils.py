from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.spacing import from_coordinate
from bigrad.numerics.stencils import Reach


@given(st.data())
def test_a_window_is_all_that_is_read_and_no_more_than_needed(data: st.DataObject) -> None:
    """Cells outside the window change nothing; those at its two ends change something."""
    edge_order = data.draw(st.sampled_from([1, 2]))
    size = data.draw(st.integers(edge_order + 1, 9))
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    lo, hi = Reach(size, ends=edge_order + 1).window(start, stop)
    assert 0 <= lo <= start < stop <= hi <= size

    x = np.arange(size) ** 1.5
    f = np.cos(x)
    operator = Gradient.along({0: from_coordinate(x)}, dtype=f.dtype, edge_order=edge_order)

    def derivative(values: Any) -> Any:
        return operator.apply(Block(values, (0,)))[0][start:stop]

    for i in range(size):
        changed = f.copy()
        changed[i] += 1
        differs = not np.array_equal(derivative(changed), derivative(f))
        assert not differs or lo <= i < hi
        assert differs or i not in (lo, hi - 1)


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("even", [True, False])
def test_order_of_convergence(even: bool, edge_order: int) -> None:
    """Second order inside; at the ends the order that is asked for."""
    errors = []
    for size in (65, 129):
        s = np.linspace(0, 1, size)
        x = s if even else s + 0.3 * s**2
        operator = Gradient.along({0: from_coordinate(x)}, dtype=x.dtype, edge_order=edge_order)
        (derivative,) = operator.apply(Block(np.exp(x), (0,)))
        error = np.abs(derivative - np.exp(x))
        errors.append((error[1:-1].max(), error[0], error[-1]))
    inside, first, last = np.log2(np.array(errors[0]) / np.array(errors[1]))
    assert inside == pytest.approx(2, abs=0.1)
    assert first == pytest.approx(edge_order, abs=0.1)
    assert last == pytest.approx(edge_order, abs=0.1)
