"""Run the tasks of a job in this process, on dask's threads."""

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import dask.threaded

from bigrad.jobs.run import Done, Task
from bigrad.jobs.tally import Tally

__all__ = ["run_on_threads"]

# Tasks handed to dask at a time, for each worker: enough that the wait for the last of them
# is short against the rest, few enough that the graph stays small.
_WINDOW = 32


def run_on_threads(tally: Tally, halt: threading.Event, *, workers: int) -> None:
    """Run all tasks; the first error stops the rest, between two blocks.

    Any number of jobs may run in one process, each in a thread of its own, and beside them
    whatever else uses dask or zarr: nothing that these share is changed.

    Parameters
    ----------
    tally : Tally
        What is to do, and who is told in this thread of what is done.
    halt : threading.Event
        Ends the job between two blocks, once it is set; an error sets it.
    workers : int
        Threads that run tasks.
    """
    tasks = tally.tasks()
    waiting: deque[Task] = deque()

    def perform() -> tuple[Task, Done]:
        # In order, whatever of its graph dask comes to first.
        task = waiting.popleft()
        return task, tally.stages[task.stage].perform(task.first, task.stop, halt)

    def done(_: str, value: tuple[Task, Done], *__: Any) -> None:
        tally.finished(*value)

    # Given to dask with the graph: its context manager tells of all that the process computes.
    callbacks = [(None, None, None, done, None)]
    with ThreadPoolExecutor(workers, thread_name_prefix="bigrad") as pool:
        try:
            while not halt.is_set():
                waiting.extend(islice(tasks, _WINDOW * workers))
                if not waiting:
                    break
                graph = {f"bigrad-{number}": (perform,) for number in range(len(waiting))}
                dask.threaded.get(graph, list(graph), pool=pool, callbacks=callbacks)
        except BaseException:
            halt.set()
            raise
