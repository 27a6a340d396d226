"""Equality of arrays to the last bit."""

import warnings
from typing import Any

import numpy as np

__all__ = ["assert_same_bits", "numpys"]


def numpys(f: Any, *varargs: Any, **kwargs: Any) -> Any:
    """`numpy.gradient`, without the warnings that odd data bring."""
    gradient: Any = np.gradient
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        return gradient(f, *varargs, **kwargs)


def assert_same_bits(actual: Any, expected: Any) -> None:
    """Assert equal dtype, shape and bits; of NaNs only that they are at the same places."""
    if isinstance(expected, tuple):
        assert isinstance(actual, tuple)
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same_bits(one, other)
        return
    assert type(actual) is type(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if isinstance(expected, np.ma.MaskedArray):
        np.testing.assert_array_equal(np.ma.getmaskarray(actual), np.ma.getmaskarray(expected))
        actual, expected = actual.filled(), expected.filled()
    for one, other in _reals(np.asarray(actual), np.asarray(expected)):
        np.testing.assert_array_equal(one, other)
        if one.dtype.kind == "f":
            zeros = one == 0
            np.testing.assert_array_equal(np.signbit(one[zeros]), np.signbit(other[zeros]))


def _reals(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> list[tuple[Any, Any]]:
    if one.dtype.kind == "c":
        return [(one.real, other.real), (one.imag, other.imag)]
    return [(one, other)]
