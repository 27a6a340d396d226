import os
import subprocess
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numba  # noqa: F401  (as in a process that has use for the loops)
import numpy as np
import pint
import pytest
import zarr
from hypothesis import given

import bigrad
from bigrad.arrays import _remembered
from bigrad.errors import CoordinateError
from bigrad.numerics import expressions, operators
from tests.bits import assert_same_bits, numpys
from tests.strategies import differentiable

Arguments = tuple[Any, tuple[Any, ...], dict[str, Any]]


@given(differentiable())
def test_equals_numpy(arguments: Arguments) -> None:
    """Dtype, strides and bits, for read-only input of every layout, spacing, axis and order.

    By the array expressions, by the loops, and by what the earlier calls have prepared.
    """
    f, varargs, kwargs = arguments
    expected = numpys(f, *varargs, **kwargs)
    for loops, repeated in ((False, False), (True, False), (True, True)):
        with (
            np.errstate(all="ignore"),
            mock.patch.object(operators, "worthwhile", return_value=loops),
        ):
            if not repeated:
                _remembered.clear()
            actual = bigrad.gradient(f, *varargs, **kwargs)
        assert_same_bits(actual, expected)
        if isinstance(expected, np.ndarray):
            assert actual.strides == expected.strides


MASKED = np.ma.array(
    np.arange(12.0).reshape(3, 4) ** 2, mask=np.eye(3, 4, dtype=bool), fill_value=-7.0
)


@pytest.mark.parametrize(
    "f",
    [
        [1, 2, 4, 8],
        np.array([1, 4, 9, 16], object),
        np.array([Fraction(1, 3), Fraction(1, 2), Fraction(2, 7)]),
        np.arange("2000-01-01", "2000-01-07", dtype="M8[D]") + np.arange(6) ** 2,
        np.array([1, 4, 9, 17], "m8[ns]"),
        np.arange(5, dtype=">f4") ** 2,
        np.arange(5, dtype=">i2") ** 2,
        np.array([[1.0, 2.0, 4.0], [3.0, 5.0, 8.0], [1.0, 1.0, 3.0]]).view(np.matrix),
        MASKED,
        MASKED.astype(int),
        np.ma.array(np.arange(5.0), mask=False),
        np.lib.stride_tricks.as_strided(np.arange(9.0), (4, 4), (8, 0)),
        np.zeros(6, [("a", "i1"), ("b", "f8")])["b"],
        np.float64(3),
        np.ones((3, 0, 4)),
    ],
    ids=lambda f: f"{type(f).__name__}-{getattr(f, 'dtype', '')}-{np.ndim(f)}d",
)
@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_equals_numpy_on_what_the_loops_do_not_take(f: Any, edge_order: int) -> None:
    axis = 0 if np.ndim(f) else None
    size = np.shape(f)[0] if np.ndim(f) else 0
    uneven = () if not size else (np.cumsum(np.arange(1.0, size + 1)),)
    for varargs in ((), (2.0,), uneven):
        expected = numpys(f, *varargs, axis=axis, edge_order=edge_order)
        actual = bigrad.gradient(f, *varargs, axis=axis, edge_order=edge_order)
        assert_same_bits(actual, expected)
        if isinstance(expected, np.ma.MaskedArray):
            assert actual.fill_value == expected.fill_value


@pytest.mark.parametrize(
    "x",
    [
        np.array([0, 1, 3, 4]) + 2j,
        np.ma.array([0.0, 1.0, 3.0, 4.0], mask=[False, True, False, False]),
        np.array([0, 1, 3, 4], "m8[s]"),
        np.array([0, 1, 3, 4], np.longdouble),
        np.array([0, 1, 3, 4], object),
        np.array([0.0, np.nan, 3.0, 4.0]),
        [0, 1, 3, 4],
        np.bool_(True),
        Fraction(1, 3),
        np.longdouble("0.1"),
        1e-60,
    ],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.int16])
@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore:Warning. converting a masked element to nan")
def test_equals_numpy_on_odd_spacings(x: Any, dtype: Any) -> None:
    f = np.array([1, 4, 10, 30], dtype)
    for edge_order in (1, 2):
        assert_same_bits(
            bigrad.gradient(f, x, edge_order=edge_order), numpys(f, x, edge_order=edge_order)
        )


@pytest.mark.parametrize(
    ("f", "varargs", "kwargs"),
    [
        (np.ones(4, bool), (), {}),
        (np.array(["a", "b", "c"]), (), {}),
        (np.ones(4), (np.array([1, 2, 4, 5], "M8[s]"),), {}),
        (np.ones(4), (np.array([True, False, False, True]),), {}),
        (np.ones(4), (None,), {}),
        (np.ones(4), (np.ones((2, 2)),), {}),
        (np.ones(4), (np.ones(3),), {}),
        (np.ones((4, 4)), (np.ones(4),), {}),
        (np.ones((4, 4)), (1, 2, 3), {}),
        (np.ones((4, 4)), (), {"axis": (0, 0)}),
        (np.ones((4, 4)), (), {"axis": 2}),
        (np.ones((4, 4)), (), {"axis": 1.0}),
        (np.ones(4), (), {"edge_order": 3}),
        (np.ones(2), (), {"edge_order": 2}),
        (np.ones(1), (), {}),
        (np.ones(0), (), {}),
        (np.ones(1), ([0.0],), {}),
        (np.ones(4), (0,), {"edge_order": 2}),
    ],
)
def test_raises_what_numpy_raises(f: Any, varargs: Any, kwargs: Any) -> None:
    with np.errstate(all="ignore"), pytest.raises(Exception) as expected:  # noqa: PT011
        numpys(f, *varargs, **kwargs)
    with pytest.raises(expected.type) as actual:
        bigrad.gradient(f, *varargs, **kwargs)
    assert actual.type is expected.type
    if expected.type is ValueError and not str(expected.value).startswith("repeated"):
        assert str(expected.value).rstrip(".") in str(actual.value)


def test_behaves_alike_however_often_it_was_called() -> None:
    """The loops, which do not warn of what data bring about, load some time or other."""
    f = np.array([0, np.inf, 1, np.inf])
    for loops in (False, True):
        _remembered.clear()
        with (
            np.errstate(all="raise"),
            mock.patch.object(operators, "worthwhile", return_value=loops),
        ):
            assert_same_bits(bigrad.gradient(f), numpys(f))


@pytest.mark.parametrize("units", ["data", "spacing", "both"])
@pytest.mark.parametrize("uneven", [True, False])
def test_units_of_quantities_are_a_quotient(units: str, uneven: bool) -> None:
    u: Any = pint.UnitRegistry()
    f, x = np.array([1.0, 4.0, 9.0, 16.0]), np.array([1.0, 2.0, 4.0, 8.0] if uneven else 2.0)
    y = f * u.K if units in ("data", "both") else f
    step = x * u.m if units in ("spacing", "both") else x
    actual = bigrad.gradient(y, step)
    expected = {"data": u.K, "spacing": 1 / u.m, "both": u.K / u.m}[units]
    assert actual.units == (1 * expected).units
    np.testing.assert_allclose(actual.magnitude, numpys(f, x), rtol=1e-14)


def test_quantities_have_boundaries_and_no_weights() -> None:
    u: Any = pint.UnitRegistry()
    f, x = np.array([1.0, 4.0, 9.0, 16.0]), np.array([1.0, 2.0, 4.0, 8.0])
    for boundary in ("extend", "reflect"):
        actual = bigrad.gradient(f * u.K, x * u.m, boundary=boundary)
        assert actual.units == (1 * u.K / u.m).units
        np.testing.assert_allclose(actual.magnitude, bigrad.gradient(f, x, boundary=boundary))
    for options in ({"missing": "shrink"}, {"order": 2}, {"boundary": "periodic", "period": 9}):
        with pytest.raises(CoordinateError, match="plain real numbers, found Quantity"):
            bigrad.gradient(f, x * u.m, **options)
    with pytest.raises(TypeError, match="need NumPy's arrays, found Quantity"):
        bigrad.gradient(f * u.K, x, missing="shrink")


def test_a_file_in_memory_takes_the_loops(tmp_path: Path) -> None:
    f = np.memmap(tmp_path / "f", np.float32, "w+", shape=(40, 50))
    f[:] = np.random.default_rng(0).random(f.shape)
    x = np.cumsum(np.arange(1.0, 51.0))
    with mock.patch.object(expressions, "differentiate", side_effect=AssertionError):
        actual = bigrad.gradient(f, x, axis=1)
    assert_same_bits(actual, numpys(f, x, axis=1))


def test_takes_a_coordinate_that_is_a_zarr_array() -> None:
    x = np.arange(5.0) ** 2
    assert_same_bits(bigrad.gradient(x, zarr.array(x)), numpys(x, x))


def test_works_while_the_interpreter_shuts_down() -> None:
    code = (
        "import atexit, numpy as np, bigrad; bigrad.gradient(np.ones(2))\n"
        "atexit.register(lambda: print(bigrad.gradient(np.arange(1e6) * 2)[-1]))"
    )
    env = {**os.environ, "BIGRAD_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout == "2.0\n", done.stderr


@pytest.mark.parametrize("edge_order", [0, -1, 1.5, "2", None])
def test_refuses_edge_orders_that_numpy_takes_for_2(edge_order: Any) -> None:
    with pytest.raises(ValueError, match=r"`edge_order` must be 1 or 2, found"):
        bigrad.gradient(np.arange(5.0), edge_order=edge_order)


def test_warns_of_a_step_of_zero_as_numpy_does() -> None:
    f = np.array([1.0, 2.0, 4.0])
    for varargs in ((0.0,), (np.array([0.0, 0.0, 1.0]),)):
        with warnings.catch_warnings(record=True) as ours:
            warnings.simplefilter("always")
            actual = bigrad.gradient(f, *varargs)
        with warnings.catch_warnings(record=True) as theirs:
            warnings.simplefilter("always")
            assert_same_bits(actual, np.gradient(f, *varargs))
        assert {str(w.message) for w in ours} == {str(w.message) for w in theirs} != set()


class Immutable(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of another library: dispatches NumPy's functions, allows no assignment."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)
        self.shape, self.ndim, self.dtype = (
            self.values.shape,
            self.values.ndim,
            self.values.dtype,
        )

    def __getitem__(self, index: Any) -> "Immutable":
        return Immutable(self.values[index])

    def astype(self, dtype: Any) -> "Immutable":
        return Immutable(self.values.astype(dtype))

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        msg = "not to be turned into a NumPy array"
        raise AssertionError(msg)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [i.values if isinstance(i, Immutable) else i for i in inputs]
        return Immutable(getattr(ufunc, method)(*plain, **kwargs))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        assert func is np.concatenate
        return Immutable(func([part.values for part in args[0]], **kwargs))


@given(differentiable(dtypes="hfdF"))
def test_serves_other_libraries_arrays(arguments: Arguments) -> None:
    f, varargs, kwargs = arguments
    with np.errstate(all="ignore"):
        actual = bigrad.gradient(Immutable(f), *varargs, **kwargs)
    many = isinstance(actual, tuple)
    plain = tuple(a.values for a in actual) if many else actual.values
    assert_same_bits(plain, numpys(f, *varargs, **kwargs))


def test_fills_out() -> None:
    f = np.random.default_rng(0).normal(size=(5, 6))
    out = np.empty_like(f), np.empty_like(f)
    assert bigrad.gradient(f, out=out)[1] is out[1]
    assert_same_bits(out, numpys(f))
    assert bigrad.gradient(f, axis=1, out=out[0]) is out[0]
    assert_same_bits(out[0], numpys(f, axis=1))
    half = f.astype(np.float16)
    target = np.empty_like(half)
    assert bigrad.gradient(half, axis=0, out=target) is target
    assert_same_bits(target, numpys(half, axis=0))


F = np.arange(6.0)


@pytest.mark.parametrize(
    ("out", "error", "match"),
    [
        (np.empty(5), ValueError, "shape"),
        (np.empty(6, np.float32), ValueError, "dtype"),
        ((np.empty(6), np.empty(6)), ValueError, "each axis"),
        ([0.0] * 6, ValueError, "each axis"),
        (0.0, TypeError, "NumPy array"),
        (np.broadcast_to(0.0, 6), ValueError, "writeable"),
        (F, ValueError, "memory"),
        (np.empty(6), TypeError, "mask"),
    ],
)
def test_refuses_an_out_that_cannot_be_filled(out: Any, error: Any, match: str) -> None:
    f = np.ma.masked_equal(F, 2) if match == "mask" else F
    with pytest.raises(error, match=f"`out`.*{match}"):
        bigrad.gradient(f, out=out)


def test_equal_steps_of_another_type_are_not_taken_for_each_other() -> None:
    """What is remembered from call to call must not confuse them: the dtype decides bits."""
    f = np.random.default_rng(0).normal(size=50).astype(np.float32)
    coordinate = np.cumsum(np.arange(50)) * 0.1
    steps = [1, 1.0, True, np.float32(1), np.float64(1), 0.1, np.float32(0.1), np.float64(0.1)]
    for x in (*steps, coordinate, coordinate.astype("f4"), coordinate.astype("f2"), coordinate):
        assert_same_bits(bigrad.gradient(f, x), numpys(f, x))


def test_results_may_be_interleaved() -> None:
    f, both = np.random.default_rng(0).random((6, 5)), np.empty((6, 5, 2))
    bigrad.gradient(f, out=(both[..., 0], both[..., 1]))
    for k, expected in enumerate(np.gradient(f)):
        assert_same_bits(both[..., k], expected)
    bigrad.gradient(both[:3, :, 0], axis=0, out=both[3:, :, 0])
    with pytest.raises(ValueError, match="share memory"):
        bigrad.gradient(both[..., 0], axis=0, out=both[..., 0])
