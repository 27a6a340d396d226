"""Memory for large results, fresh from the system, by the way in which it comes soonest."""

import math
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from bigrad.numerics import threads

__all__ = ["empty", "empty_like"]

Array = np.ndarray[Any, Any]

# Pieces as large as this the C library does not keep: each is new (``mallopt``, the threshold for
# ``mmap``), and NumPy has told the system that huge pages are welcome there.
_NEW = 32 * 1024 * 1024
_HUGE_PAGE = 2 * 1024 * 1024

# Bytes at the end of each page; from 500 items on NumPy lets other threads run meanwhile.
_TOUCHED = 512


def empty(shape: tuple[int, ...], dtype: Any, workers: int) -> Array:
    """Make an array as `numpy.empty` does, large ones as `empty_like` describes."""
    dtype = np.dtype(dtype)
    if math.prod(shape) * dtype.itemsize < _NEW:
        return np.empty(shape, dtype)
    return _new(shape, dtype, None, workers)


def empty_like(array: Array, dtype: Any, workers: int) -> Array:
    """Make an array as `numpy.empty_like` does, if large of huge pages that are there already.

    Linux clears a huge page when it is touched for the first time, and begins with what is
    farthest from there (``process_huge_page`` in its ``mm/memory.c``). Whoever fills an array from
    its start has each page cleared backwards; touched at its end, it is cleared forwards, which
    was measured to take half the time. An array that begins where a page does has no small pages
    at its ends either, of which each costs as much as a fault. Where the system has no huge pages,
    a few of the small ones are touched, which neither helps nor harms.

    Parameters
    ----------
    array : numpy.ndarray
        What the new array is to have the shape, the order in memory and the class of.
    dtype : numpy.dtype
        Of the new array.
    workers : int
        How many threads share the work.

    Returns
    -------
    numpy.ndarray
        Of any contents.
    """
    like = np.empty_like(array, dtype)
    if like.nbytes < _NEW:
        return like
    kind, shape, dtype, strides = type(like), like.shape, like.dtype, like.strides
    del like  # it has not taken any memory yet
    return _new(shape, dtype, strides, workers).view(kind)


def _new(
    shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...] | None, workers: int
) -> Array:
    pages = -(-math.prod(shape) * dtype.itemsize // _HUGE_PAGE)
    memory = np.empty((pages + 1) * _HUGE_PAGE, np.uint8)
    start = -memory.__array_interface__["data"][0] % _HUGE_PAGE
    ends = memory[start : start + pages * _HUGE_PAGE].reshape(pages, -1)[:, -_TOUCHED:]
    cuts = (pages * k // workers for k in range(workers + 1))
    tasks = [partial(ends[i:j].fill, 0) for i, j in pairwise(cuts)]
    if workers == 1:
        tasks[0]()
    else:
        threads.run(tasks, workers)
    return np.ndarray(shape, dtype, memory, start, strides)
