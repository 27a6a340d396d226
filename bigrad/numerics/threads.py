"""Threads for one large array in memory; tasks of dask and of jobs use one each."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache

__all__ = ["available", "cores", "run"]

# Below this many bytes one thread is done before others have started.
_WORTHWHILE = 2**20

_VARIABLES = ("BIGRAD_NUM_THREADS", "OMP_NUM_THREADS")


def available(nbytes: int) -> int:
    """How many threads may share work on an array of `nbytes` bytes.

    ``BIGRAD_NUM_THREADS``, else ``OMP_NUM_THREADS``, else as many as there are cores for this
    process. Always one in a thread or process that somebody else has started, such as a dask
    worker's: whoever started several has the cores in use.

    Raises
    ------
    ValueError
        Where the environment variable is not a positive whole number.
    """
    if nbytes < _WORTHWHILE:
        return 1
    if threading.current_thread() is not threading.main_thread():
        return 1
    if multiprocessing.parent_process() is not None:
        return 1
    for variable in _VARIABLES:
        if value := os.environ.get(variable):
            # OpenMP takes a list, a number for each level of nesting.
            first = value.split(",")[0].strip()
            if first.isascii() and first.isdigit() and int(first):
                return int(first)
            msg = f"`{variable}` must be a positive whole number, found {value!r}"
            raise ValueError(msg)
    return cores()


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(tasks: Sequence[Callable[[], None]], workers: int) -> None:
    """Run tasks that release the GIL on this thread and ``workers - 1`` others."""
    left = iter(tasks)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                task = next(left, None)
            if task is None:
                return
            task()

    others: list[Future[None]] = []
    with suppress(RuntimeError):  # while the interpreter shuts down, nothing can be submitted
        pool = _pool(workers - 1)
        others += [pool.submit(work) for _ in range(workers - 1)]
    work()
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="bigrad")


if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
