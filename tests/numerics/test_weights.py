from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bigrad
from bigrad.errors import CoordinateError
from bigrad.numerics.weights import fornberg

SCHEMES = [(2, 2), (4, 1), (4, 2), (6, 1), (6, 2)]


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=8, unique=True), st.data())
def test_weights_differentiate_polynomials_exactly(points: list[int], data: st.DataObject) -> None:
    """In exact arithmetic: any power that the points determine, by derivatives of any order."""
    order = data.draw(st.integers(0, len(points) - 1))
    power = data.draw(st.integers(0, len(points) - 1))
    offsets = np.array([Fraction(p) for p in points])
    factorial = np.prod(np.arange(1, order + 1), dtype=int)
    expected = factorial if power == order else 0
    assert fornberg(offsets, order) @ offsets**power == expected


@given(st.lists(st.floats(0.5, 2), min_size=9, max_size=20), st.booleans(), st.data())
def test_polynomials_on_uneven_points(
    steps: list[float], falling: bool, data: st.DataObject
) -> None:
    """Up to the degree that a window determines, at the ends too."""
    accuracy, order = data.draw(st.sampled_from(SCHEMES))
    x = np.cumsum(steps) / np.sum(steps)
    x = x[::-1] if falling else x
    degree = accuracy + order - 1 if order == 1 else accuracy
    power = np.polynomial.Polynomial(np.arange(1, degree + 2) / 7)
    actual = bigrad.gradient(power(x), x, accuracy=accuracy, order=order)
    scale = np.abs(np.diff(x)).min() ** -order
    np.testing.assert_allclose(actual, power.deriv(order)(x), atol=1e-12 * scale)


@pytest.mark.parametrize(("accuracy", "order"), SCHEMES)
@pytest.mark.parametrize("even", [True, False])
def test_order_of_convergence(accuracy: int, order: int, even: bool) -> None:
    """Of the accuracy asked for, inside and at the ends."""
    errors = []
    for size in (33, 65):
        s = np.linspace(0, 1, size)
        x = s if even else s + 0.3 * s**2
        spacing = x[1] if even else x
        actual = bigrad.gradient(np.exp(2 * x), spacing, accuracy=accuracy, order=order)
        error = np.abs(actual - 2**order * np.exp(2 * x))
        errors.append(
            (error[size // 4 : -(size // 4)].max(), error[0], error[1], error[-1], error[-2])
        )
    measured = np.log2(np.array(errors[0]) / np.array(errors[1]))
    assert measured.min() > accuracy - 0.4
    assert measured[0] == pytest.approx(accuracy, abs=0.25)


@pytest.mark.filterwarnings("ignore:FinDiff is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("accuracy", "order"), SCHEMES)
def test_agrees_with_findiff(accuracy: int, order: int) -> None:
    """Where it takes the same cells.

    With one step it takes others beside the end cells, for second derivatives on uneven points
    two more inside.
    """
    findiff = pytest.importorskip("findiff")
    x = np.cumsum(np.random.default_rng(0).uniform(0.5, 1.5, 25))
    f = np.random.default_rng(1).normal(size=(25, 4))
    depth = accuracy // 2
    inside, near = range(depth, 25 - depth), [*range(depth), *range(25 - depth, 25)]
    for spacing, same in (
        (0.5, [0, *inside, 24]),
        (x, [*near, *inside] if order == 1 else near),
    ):
        expected = findiff.FinDiff(0, spacing, order, acc=accuracy)(f)
        actual = bigrad.gradient(f, spacing, axis=0, accuracy=accuracy, order=order)
        np.testing.assert_allclose(actual[same], expected[same], atol=1e-9)


@pytest.mark.parametrize(("accuracy", "order"), SCHEMES)
def test_constants_have_no_derivative_and_reversal_turns_the_sign(
    accuracy: int, order: int
) -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.uniform(0.5, 1.5, 25)).astype(np.float32)
    constant = np.full((25, 3), 300.15, np.float32)
    options: Any = {"accuracy": accuracy, "order": order}
    for spacing in (x, np.float32(0.1)):
        assert not bigrad.gradient(constant, spacing, axis=0, **options).any()
    f = rng.normal(size=(25, 3))
    there = bigrad.gradient(f, 0.7, axis=0, **options)
    back = bigrad.gradient(f[::-1], 0.7, axis=0, **options)[::-1]
    np.testing.assert_allclose(back, (-1) ** order * there, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8", "F", "D", "i2", "u1"])
def test_every_kind_of_number_and_layout(dtype: str) -> None:
    """As the same numbers in double precision, rounded once; along rows and along lines."""
    rng = np.random.default_rng(0)
    f: Any = (rng.normal(size=(12, 14, 3)) * 50).astype("i2").astype(dtype)
    if f.dtype.kind == "c":
        f = f + 1j * rng.integers(-9, 9, f.shape)
    x = np.cumsum(rng.uniform(0.5, 1.5, 14))
    plain = f.astype(np.complex128 if f.dtype.kind == "c" else np.float64)
    parts = [plain.real, plain.imag] if f.dtype.kind == "c" else [plain]
    expected = [bigrad.gradient(part, x, axis=1, accuracy=4) for part in parts]
    result = np.result_type(f, np.float16) if f.dtype.kind in "fc" else np.dtype("f8")
    for view in (f, np.asfortranarray(f), f[::-1], f.transpose(1, 0, 2).copy().transpose(1, 0, 2)):
        actual = bigrad.gradient(view, x, axis=1, accuracy=4)
        assert actual.dtype == result.newbyteorder("=" if f.dtype.isnative else ">")
        turned = actual[::-1] if view.base is f and view.strides[0] < 0 else actual
        found = [turned.real, turned.imag] if f.dtype.kind == "c" else [turned]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other.astype(one.dtype))
    out = np.empty((28, 12, 3), result)[::2].transpose(1, 0, 2)
    if f.dtype.isnative:
        assert bigrad.gradient(f, x, axis=1, accuracy=4, out=out) is out
        np.testing.assert_array_equal(out, bigrad.gradient(f, x, axis=1, accuracy=4))


@pytest.mark.parametrize(
    ("f", "spacing", "options", "error", "match"),
    [
        (np.ones(9), 1.0, {"accuracy": 3}, ValueError, "`accuracy` must be 2, 4 or 6, found 3"),
        (np.ones(9), 1.0, {"order": 0}, ValueError, "`order` must be 1 or 2, found 0"),
        (np.ones(9), 1.0, {"accuracy": 4, "edge_order": 2}, ValueError, "leave `edge_order` away"),
        (np.ones(6), 1.0, {"accuracy": 6}, ValueError, "at least 7 cells, found an axis of 6"),
        (np.ones(9), 0.0, {"accuracy": 4}, CoordinateError, "step other than 0"),
        (np.ones(9), [0, 1, 1, *range(2, 8)], {"order": 2}, CoordinateError, "monotonic"),
        (
            np.ones(9),
            np.arange(9) + 1j,
            {"order": 2},
            CoordinateError,
            "plain real numbers, found complex",
        ),
        (np.ones(9, object), 1.0, {"order": 2}, TypeError, "found object; convert"),
        (np.ones(9), 1.0, {"missing": "skip"}, ValueError, "`missing` must be"),
        (np.ones(9), 1.0, {"missing": "shrink", "order": 2}, ValueError, '`missing` "shrink"'),
    ],
)
def test_refusals(f: Any, spacing: Any, options: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        bigrad.gradient(f, spacing, **options)
