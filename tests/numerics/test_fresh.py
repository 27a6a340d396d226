"""Memory for large results."""

import numpy as np
import pytest

import bigrad
from bigrad.numerics import fresh

LARGE = (5, 1024, 1024)  # of 40 MiB in double precision


@pytest.mark.parametrize("workers", [1, 3, 64])
@pytest.mark.parametrize(
    "make",
    [
        lambda a: a,
        lambda a: a.T,
        lambda a: a.transpose(1, 0, 2)[:, ::-1],
        lambda a: a.view(np.memmap),
    ],
    ids=["C", "Fortran", "backwards", "memmap"],
)
def test_as_numpy_has_it(make, workers):
    array = make(np.empty(LARGE))
    found, expected = fresh.empty_like(array, "f8", workers), np.empty_like(array)
    assert type(found) is type(expected)
    assert (found.shape, found.strides, found.dtype) == (
        expected.shape,
        expected.strides,
        expected.dtype,
    )
    assert found.flags.writeable
    assert found.flags.aligned


def test_every_cell_is_there():
    found = fresh.empty(LARGE, "f4", 2), fresh.empty(LARGE, "f8", 2), fresh.empty(LARGE, "f8", 1)
    for k, array in enumerate(found):
        array[...] = np.arange(array.size).reshape(LARGE) + k
    for k, array in enumerate(found):
        assert np.array_equal(array, np.arange(array.size, dtype=array.dtype).reshape(LARGE) + k)


def test_pages_at_both_ends_are_whole():
    address, size = fresh.empty(LARGE, "f8", 1).__array_interface__["data"][0], 2**21
    assert address % size == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_results_are_those_of_numpy(axis, order):
    f = np.asarray(np.random.default_rng(axis).standard_normal(LARGE), order=order)
    assert np.array_equal(bigrad.gradient(f, 0.3, axis=axis), np.gradient(f, 0.3, axis=axis))
