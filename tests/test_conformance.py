"""The tests that NumPy and dask ship for their own gradient, with bigrad's in its place."""

from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.array.tests.test_routines import test_gradient as test_dask  # noqa: F401
from numpy.lib.tests import test_function_base
from numpy.lib.tests.test_function_base import TestGradient

import bigrad


def chunked(chunks: int) -> Any:
    def gradient(f: Any, *varargs: Any, **kwargs: Any) -> Any:
        lazy = bigrad.gradient(da.from_array(np.asanyarray(f), chunks=chunks), *varargs, **kwargs)
        return tuple(g.compute() for g in lazy) if isinstance(lazy, tuple) else lazy.compute()

    return gradient


@pytest.fixture(autouse=True)
def dasks_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(da, "gradient", bigrad.gradient)


@pytest.mark.parametrize("chunks", [None, 1, 2, 3, -1])
class TestNumpys(TestGradient):
    @pytest.fixture(autouse=True)
    def numpys_is_ours(self, monkeypatch: pytest.MonkeyPatch, chunks: int | None) -> None:
        ours = bigrad.gradient if chunks is None else chunked(chunks)
        monkeypatch.setattr(np, "gradient", ours)
        monkeypatch.setattr(test_function_base, "gradient", ours)


del TestGradient
