"""Memory for large results, fresh from the system, by the way in which it comes soonest."""

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from bigrad.numerics import threads

__all__ = ["prefaulted"]

Array = np.ndarray[Any, Any]

# Smaller pieces the C library may keep and hand out again (``mallopt``, the threshold for
# ``mmap``); of these, NumPy has told the system that huge pages are welcome.
_NEW = 32 * 1024 * 1024
_HUGE_PAGE = 2 * 1024 * 1024

# How much is touched of each page: with a page or more of that, NumPy lets other threads run.
_TOUCHED = 512


def prefaulted(array: Array, workers: int) -> Array:
    """Have the system hand out the pages of a large array that has just been made.

    Linux clears a huge page when it is touched for the first time, and clears last what is around
    the place that was touched (``process_huge_page`` in ``mm/memory.c`` of Linux 6.18). Whoever
    fills an array from its start has each page cleared backwards; touched at its end, it is
    cleared forwards, which was measured to take less than half the time. Where pages are small,
    one in 512 of them is touched, which neither helps nor harms.

    The array is NumPy's own and stays so: of what does not own its memory, NumPy makes a copy in
    expressions such as ``gradient(f) * 2``.

    Parameters
    ----------
    array : numpy.ndarray
        Without gaps in its memory, in any order; its contents are lost.
    workers : int
        How many threads share the work.

    Returns
    -------
    numpy.ndarray
        The same array.
    """
    if array.nbytes < _NEW:
        return array
    ends = _ends(np.asarray(array).ravel(order="K").view(np.uint8))
    cuts = (len(ends) * k // workers for k in range(workers + 1))
    tasks = [partial(ends[i:j].fill, 0) for i, j in pairwise(cuts) if i < j]
    if workers == 1:
        tasks[0]()
    else:
        threads.run(tasks, workers)
    return array


def _ends(memory: Array) -> Array:
    """Return the last bytes of each page whose end lies in `memory`: ``(pages, bytes)``."""
    stop = -memory.__array_interface__["data"][0] % _HUGE_PAGE
    if stop < _TOUCHED:
        stop += _HUGE_PAGE
    pages = 1 + (memory.size - stop) // _HUGE_PAGE
    return as_strided(memory[stop - _TOUCHED :], (pages, _TOUCHED), (_HUGE_PAGE, 1))
