from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bigrad
from bigrad.errors import CoordinateError
from bigrad.numerics.boundaries import Boundary, by_axis
from tests.bits import assert_same_bits, numpys
from tests.strategies import arrays, schemed

PADS: dict[str, Any] = {
    "periodic": {"mode": "wrap"},
    "extend": {"mode": "edge"},
    "reflect": {"mode": "reflect"},
    "fill": {"mode": "constant", "constant_values": 7},
}


def padded(x: Any, kind: str, depth: int, period: float) -> Any:
    """Positions of points and ghosts, spelt out."""
    if kind == "periodic":
        turn = period if x[-1] > x[0] else -period
        return np.concatenate([x[-depth:] - turn, x, x[:depth] + turn])
    if kind == "reflect":
        low, high = 2 * x[0] - x[depth:0:-1], 2 * x[-1] - x[-2 : -depth - 2 : -1]
    else:
        low = x[0] - np.arange(depth, 0, -1) * (x[1] - x[0])
        high = x[-1] + np.arange(1, depth + 1) * (x[-1] - x[-2])
    return np.concatenate([low, x, high])


@given(arrays(dtypes="hlfdFDe", min_size=2), st.sampled_from(list(PADS)), st.data())
def test_equals_numpy_on_a_padded_array(f: Any, kind: str, data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, f.ndim - 1))
    size = f.shape[axis]
    widths = [(1, 1) if k == axis else (0, 0) for k in range(f.ndim)]
    wide = np.pad(f, widths, **PADS[kind])
    boundary: Any = ("fill", 7) if kind == "fill" else kind
    inside = (slice(None),) * axis + (slice(1, -1),)
    sign = data.draw(st.sampled_from([1, -1]))
    # Whole numbers, whose differences are exact.
    x = sign * np.cumsum(data.draw(st.lists(st.integers(1, 9), min_size=size, max_size=size)))
    period = abs(x[-1] - x[0]) + data.draw(st.integers(1, 9))
    with np.errstate(all="ignore"):
        for step in (1, 0.1, np.float32(0.1)):
            actual = bigrad.gradient(f, step, axis=axis, boundary=boundary)
            assert_same_bits(actual, numpys(wide, step, axis=axis)[inside])
        actual = bigrad.gradient(
            f, x, axis=axis, boundary=boundary, period=period if kind == "periodic" else None
        )
        expected = numpys(wide, padded(x, kind, 1, period), axis=axis)[inside]
    assert_same_bits(actual, expected)


@pytest.mark.parametrize("kind", list(PADS))
@pytest.mark.parametrize(("accuracy", "order"), [(2, 2), (4, 1), (6, 1), (6, 2)])
@pytest.mark.parametrize("axis", [0, 1])
def test_equals_the_plain_operator_on_a_padded_array(
    kind: str, accuracy: int, order: int, axis: int
) -> None:
    rng = np.random.default_rng(0)
    f = rng.normal(size=(9, 9)).astype(np.float32)
    depth = accuracy // 2
    widths = [(depth, depth) if k == axis else (0, 0) for k in range(2)]
    wide = np.pad(f, widths, **PADS[kind])
    # More cells at the ends, so that their windows are long enough.
    wide = np.pad(wide, [(9, 9) if k == axis else (0, 0) for k in range(2)])
    x = np.cumsum(rng.integers(1, 5, 9))
    period = x[-1] - x[0] + 3
    ghosts = padded(x, kind, depth, period)
    positions = np.concatenate(
        [ghosts[0] - 9 + np.arange(9), ghosts, ghosts[-1] + 1 + np.arange(9)]
    )
    boundary: Any = ("fill", 7) if kind == "fill" else kind
    inside = (slice(None),) * axis + (slice(9 + depth, -9 - depth),)
    options: Any = {"axis": axis, "accuracy": accuracy, "order": order}
    actual = bigrad.gradient(f, 0.5, boundary=boundary, **options)
    assert_same_bits(actual, bigrad.gradient(wide, 0.5, **options)[inside])
    period_ = period if kind == "periodic" else None
    actual = bigrad.gradient(f, x, boundary=boundary, period=period_, **options)
    assert_same_bits(actual, bigrad.gradient(wide, positions, **options)[inside])


def test_rolling_a_periodic_axis_commutes() -> None:
    f = np.random.default_rng(0).normal(size=(6, 8))
    for options in ({}, {"accuracy": 6}, {"order": 2}, {"missing": "shrink"}):
        whole = bigrad.gradient(f, 0.5, axis=1, boundary="periodic", **options)
        rolled = bigrad.gradient(np.roll(f, 3, 1), 0.5, axis=1, boundary="periodic", **options)
        assert_same_bits(rolled, np.roll(whole, 3, 1))


@given(schemed())
def test_reversing_all_axes_reverses_the_derivatives(arguments: Any) -> None:
    """Of every scheme and boundary, gaps included; first derivatives by steps change sign."""
    f, varargs, kwargs = arguments
    axes = kwargs["axis"]
    back = tuple(x[::-1] if np.ndim(x) else -x for x in varargs)
    with np.errstate(all="ignore"):
        there = bigrad.gradient(f, *varargs, **kwargs)
        turned = bigrad.gradient(np.flip(f, axes), *back, **kwargs)
    if len(axes) == 1:
        there, turned = (there,), (turned,)
    for one, other in zip(there, turned, strict=True):
        # Where all derivatives are nothing but what differences of equal cells leave, the cells
        # say how much that may be.
        scale = 1e-5 * np.nanmax(np.abs(one), initial=0) + 1e-12 * np.nanmax(np.abs(f), initial=0)
        np.testing.assert_allclose(np.flip(other, axes), one, rtol=0, atol=scale)


def test_a_mirror_is_flat_at_the_end() -> None:
    f = np.random.default_rng(0).normal(size=9)
    x = np.cumsum(np.arange(1.0, 10.0))
    for accuracy in (2, 4, 6):
        slopes = bigrad.gradient(f, x, boundary="reflect", accuracy=accuracy)
        np.testing.assert_allclose(slopes[[0, -1]], 0, atol=1e-14)


def test_one_for_all_axes_or_by_axis() -> None:
    f = np.random.default_rng(0).normal(size=(5, 6))
    rows, columns = bigrad.gradient(f, boundary={-1: "periodic"})
    assert_same_bits(rows, np.gradient(f, axis=0))
    assert_same_bits(columns, bigrad.gradient(f, axis=1, boundary="periodic"))
    every = bigrad.gradient(f, boundary="extend")
    assert_same_bits(every[0], bigrad.gradient(f, axis=0, boundary="extend"))
    assert by_axis({0: "extend", 1: None}, None, (0, 1), 2) == {0: Boundary("extend")}


def test_masked_arrays_keep_their_mask() -> None:
    f = np.ma.array(np.arange(6.0) ** 2, mask=np.arange(6) == 0)
    for boundary in ("periodic", ("fill", 3.0)):
        actual = bigrad.gradient(f, boundary=boundary)
        # A central difference does not look at the cell itself.
        hidden = [False, True, False, False, False, boundary == "periodic"]
        np.testing.assert_array_equal(np.ma.getmaskarray(actual), hidden)


LONGITUDE = np.arange(0.0, 361.0, 90.0)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"boundary": "wrap"}, ValueError, "`boundary` must be"),
        ({"boundary": ("fill",)}, ValueError, "`boundary` must be"),
        ({"boundary": {1: "extend"}}, np.exceptions.AxisError, "axis 1"),
        ({"boundary": {"x": "extend"}}, ValueError, "found the key 'x'"),
        ({"boundary": {0: "extend", -1: "extend"}}, ValueError, "twice"),
        ({"period": 360}, ValueError, '`period` is for a `boundary` that is "periodic"'),
        ({"boundary": {0: "extend"}, "period": {0: 3}}, ValueError, '`period` .* not "periodic"'),
        ({"boundary": "periodic"}, CoordinateError, "needs `period`"),
        ({"boundary": "periodic", "period": -1}, ValueError, "positive, finite"),
        ({"boundary": "periodic", "period": 360}, CoordinateError, "a gap of 0.0 .* 360.0"),
        ({"boundary": ("fill", 1j)}, TypeError, "fill value, 1j"),
    ],
)
def test_refusals(options: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        bigrad.gradient(np.zeros(5), LONGITUDE, **options)


def test_more_refusals() -> None:
    with pytest.raises(CoordinateError, match=r"`period` is 7\.0, but 5 steps of 1.0 are 5.0"):
        bigrad.gradient(np.zeros(5), 1.0, boundary="periodic", period=7)
    with pytest.raises(CoordinateError, match="monotonic"):
        bigrad.gradient(np.zeros(3), [0, 2, 1], boundary="periodic", period=7)
    with pytest.raises(TypeError, match="int16 cannot hold"):
        bigrad.gradient(np.zeros(3, "i2"), boundary=("fill", 0.5))
    with pytest.raises(TypeError, match="uint8 cannot hold"):
        bigrad.gradient(np.zeros(3, "u1"), boundary=("fill", -1))
    with pytest.raises(ValueError, match=r"`boundary` 'reflect' .* needs at least 4 cells"):
        bigrad.gradient(np.zeros(3), boundary="reflect", accuracy=6)
    with pytest.raises(ValueError, match="axis 0, along which nothing"):
        bigrad.gradient(np.zeros((3, 3)), axis=1, boundary={0: "extend"})
