import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bigrad
from tests.bits import assert_same_bits, numpys
from tests.strategies import arrays, differentiable, spacings


def by_hand(f: list[float], x: list[float], edge_order: int) -> list[float]:
    """Polynomials through the cells that are there, by their definition."""

    def there(i: int) -> bool:
        return 0 <= i < len(f) and not math.isnan(f[i])

    def parabola(i: int, j: int, k: int, at: int) -> float:
        slope, next_slope = (f[j] - f[i]) / (x[j] - x[i]), (f[k] - f[j]) / (x[k] - x[j])
        curvature = (next_slope - slope) / (x[k] - x[i])
        return slope + curvature * (2 * x[at] - x[i] - x[j])

    def derivative(i: int) -> float:
        left, right = there(i - 1), there(i + 1)
        if not there(i) or not (left or right):
            return math.nan
        if left and right:
            return parabola(i - 1, i, i + 1, i)
        step = 1 if right else -1
        if edge_order == 2 and there(i + 2 * step):
            return parabola(i, i + step, i + 2 * step, i)
        return (f[i + step] - f[i]) / (x[i + step] - x[i])

    return [derivative(i) for i in range(len(f))]


@given(arrays(dtypes="d", min_size=3), st.sampled_from([1, 2]), st.floats(0, 0.8), st.data())
def test_equals_what_is_done_by_hand(
    f: Any, edge_order: int, share: float, data: st.DataObject
) -> None:
    axis = data.draw(st.integers(0, f.ndim - 1))
    size = f.shape[axis]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    f = rng.normal(size=f.shape)
    f[rng.random(f.shape) < share] = np.nan
    x = data.draw(
        st.sampled_from([np.arange(size) * 0.5, np.cumsum(rng.uniform(0.5, 2, size))[::-1]])
    )
    actual = bigrad.gradient(f, x, axis=axis, edge_order=edge_order, missing="shrink")
    expected = np.apply_along_axis(
        lambda line: np.array(by_hand(line.tolist(), x.tolist(), edge_order)), axis, f
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@given(differentiable(dtypes="bhilqfd"))
def test_where_nothing_is_missing_it_is_numpys_gradient(arguments: Any) -> None:
    f, varargs, kwargs = arguments
    f = np.nan_to_num(f) if f.dtype.kind == "f" else f
    with np.errstate(all="ignore"):
        actual = bigrad.gradient(f, *varargs, missing="shrink", **kwargs)
    assert_same_bits(actual, numpys(f, *varargs, **kwargs))


@pytest.mark.parametrize("dtype", ["f8", "f4", "i2"])
def test_masked_cells_are_missing_and_so_are_results(dtype: str) -> None:
    values = np.array([1, 4, 9, 16, 25, 36], dtype)
    mask = [False, False, True, False, True, False]
    f = np.ma.array(values, mask=mask, fill_value=-1)
    actual = bigrad.gradient(f, missing="shrink")
    np.testing.assert_array_equal(
        np.ma.getmaskarray(actual), [False, False, True, True, True, True]
    )
    np.testing.assert_array_equal(actual.compressed(), [3.0, 3.0])
    assert actual.fill_value == -1


def test_infinite_values_are_not_missing() -> None:
    f = np.array([1.0, 2.0, np.inf, 4.0, 5.0])
    with np.errstate(all="ignore"):
        assert_same_bits(bigrad.gradient(f, missing="shrink"), np.gradient(f))


@given(st.data())
def test_a_missing_ghost_is_missing(data: st.DataObject) -> None:
    """Beyond the coast of a global grid, or where the fill is no number."""
    size = data.draw(st.integers(3, 7))
    spacing = data.draw(spacings(size))
    f = np.random.default_rng(0).normal(size=size)
    with np.errstate(all="ignore"):
        for edge_order in (1, 2):
            assert_same_bits(
                bigrad.gradient(
                    f, spacing, edge_order=edge_order, boundary=("fill", np.nan), missing="shrink"
                ),
                bigrad.gradient(f, spacing, edge_order=edge_order, missing="shrink"),
            )


def test_across_a_date_line() -> None:
    f = np.array([1.0, np.nan, 4.0, 8.0, 2.0])
    actual = bigrad.gradient(f, boundary="periodic", missing="shrink", edge_order=2)
    expected = [
        (1.5 * f[0] - 2 * f[4] + 0.5 * f[3]),
        np.nan,
        (-1.5 * f[2] + 2 * f[3] - 0.5 * f[4]),
        (f[4] - f[2]) / 2,
        (f[0] - f[3]) / 2,
    ]
    np.testing.assert_allclose(actual, expected)


@pytest.mark.parametrize("dtype", ["f2", "F"])
def test_other_precisions(dtype: str) -> None:
    f = np.array([1, np.nan, 4, 8, 2], dtype)
    actual = bigrad.gradient(f, missing="shrink")
    assert actual.dtype == f.dtype
    np.testing.assert_allclose(actual, np.array([np.nan, np.nan, 4, -1, -6], dtype))
