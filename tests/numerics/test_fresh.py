"""Memory for large results."""

import sys
from typing import Any

import numpy as np
import pytest

import bigrad
from bigrad.numerics.fresh import prefaulted

LARGE = (5, 1024, 1024)  # of 40 MiB in double precision
PAGE = 2**21


@pytest.mark.parametrize("workers", [1, 3, 64])
@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_only_the_end_of_each_page_is_touched(workers: int, dtype: str) -> None:
    array = np.full(LARGE, -1, dtype).transpose(1, 0, 2)
    assert prefaulted(array, workers) is array
    memory = array.ravel(order="K").view(np.uint8)
    assert np.shares_memory(memory, array)
    untouched = np.full(LARGE, -1, dtype).reshape(-1).view(np.uint8)
    touched = np.flatnonzero(memory != untouched)
    into_page = (touched + memory.__array_interface__["data"][0]) % PAGE
    assert into_page.min() >= PAGE - 512
    assert len(np.unique(touched // PAGE)) >= memory.size // PAGE - 1


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_results_are_those_of_numpy(axis: int, order: Any) -> None:
    f = np.asarray(np.random.default_rng(axis).standard_normal(LARGE), order=order)
    found = bigrad.gradient(f, 0.3, axis=axis)
    assert np.array_equal(found, np.gradient(f, 0.3, axis=axis))
    # NumPy computes in place with what owns its memory.
    assert found.flags.owndata
    assert sys.getsizeof(found) > f.nbytes
