"""Run the tasks of a job in this process, on dask's threads."""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

import dask.threaded
import zarr
from dask.callbacks import Callback

from bigrad.jobs.run import Task
from bigrad.jobs.tally import Tally

__all__ = ["run_on_threads"]

# Tasks handed to dask at a time, for each worker: enough that the wait for the last of them
# is short against the rest, few enough that the graph stays small.
_WINDOW = 32


def run_on_threads(tally: Tally, halt: threading.Event, *, workers: int, concurrency: int) -> None:
    """Run all tasks; the first error stops the rest, between two blocks.

    Parameters
    ----------
    tally : Tally
        What is to do, and who is told in this thread of what is done.
    halt : threading.Event
        Ends the job between two blocks, once it is set; an error sets it.
    workers : int
        Threads that run tasks.
    concurrency : int
        Chunks that each of them fetches from a remote store at the same time.
    """
    window: dict[str, Task] = {}

    def done(key: Any, value: Any, *_: Any) -> None:
        tally.finished(window[key], value)

    tasks = tally.tasks()
    with (
        zarr.config.set({"async.concurrency": concurrency}),
        ThreadPoolExecutor(workers, thread_name_prefix="bigrad") as pool,
        Callback(posttask=done),
    ):
        try:
            while not halt.is_set() and (some := list(islice(tasks, _WINDOW * workers))):
                window = {f"bigrad-{number}": task for number, task in enumerate(some)}
                graph = {
                    key: (partial(tally.stages[task.stage].perform, task.first, task.stop, halt),)
                    for key, task in window.items()
                }
                dask.threaded.get(graph, list(graph), pool=pool)
        except BaseException:
            halt.set()
            raise
