"""Memory for blocks, used again: the system hands out and clears every page of it only once.

A block is as large as what it is computed from, and lives for a second or less. Memory of that
size goes back to the system when it is freed, and clearing it anew costs a fifth of a job.
"""

import math
import weakref
from threading import RLock
from typing import Any

import numpy as np

__all__ = ["Pool"]

Array = np.ndarray[Any, Any]

# Smaller arrays come from the heap, which keeps its memory. Larger ones are rounded up to
# this, so that blocks of nearly the same size can follow each other.
_STEP = 2 * 2**20


class Pool:
    """Arrays whose memory serves again once they, and all views of them, are gone.

    Parameters
    ----------
    limit : int
        Bytes that all arrays in use and all memory kept for later may take together. Beyond
        it, nothing is refused, but nothing is kept.

    Examples
    --------
    >>> pool = Pool(limit=2**30)
    >>> block = pool.empty((512, 2048), "f4")
    >>> address = block.ctypes.data
    >>> part = block[:4]
    >>> del block, part
    >>> pool.empty((500, 2048), "f4").ctypes.data == address
    True
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._kept: list[Array] = []
        # An array may come to its end anywhere, also inside of what holds the lock.
        self._lock = RLock()

    def __reduce__(self) -> tuple[type["Pool"], tuple[int]]:
        # Another process has memory of its own.
        return Pool, (self._limit,)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array in C order that holds anything; for use from any thread."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < _STEP:
            return np.empty(shape, dtype)
        memory = self._take(-(-size // _STEP) * _STEP)
        # Views hold on to the first array that is not made of another one: by way of a
        # memoryview, that is this one.
        array = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(array, self._give, memory).atexit = False
        values: Array = array[:size].view(dtype).reshape(shape)
        return values

    def _take(self, size: int) -> Array:
        with self._lock:
            fitting = [m for m in self._kept if size <= m.nbytes <= 2 * size]
            if fitting:
                memory = min(fitting, key=len)
                self._drop(memory)
            else:
                while self._kept and self._total() + size > self._limit:
                    self._drop(self._kept[0])
                memory = np.empty(size, np.uint8)
            self._used += memory.nbytes
            return memory

    def _give(self, memory: Array) -> None:
        with self._lock:
            if self._total() <= self._limit:
                self._kept.append(memory)
            self._used -= memory.nbytes

    def _drop(self, memory: Array) -> None:
        self._kept = [m for m in self._kept if m is not memory]

    def _total(self) -> int:
        return self._used + sum(m.nbytes for m in self._kept)
