"""Run the tasks of a job on a dask cluster.

A worker makes the stages from the plan, which names stores and holds no data: it needs bigrad
and these stores. Tasks are submitted as others finish, so that the scheduler never knows of more
than a few for each thread, however many there are.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import distributed
from dask.utils import format_bytes
from distributed.comm.core import CommClosedError
from zarr.storage import StorePath

from bigrad.errors import BigradError, JobError, MemoryCeilingError, SourceError, TargetError
from bigrad.jobs.lease import Lease, holds
from bigrad.jobs.memory import settle_allocator
from bigrad.jobs.run import Done, Stage, Task
from bigrad.jobs.storage import describe, in_memory
from bigrad.jobs.tally import Tally

if TYPE_CHECKING:
    from bigrad.jobs.job import Plan

__all__ = ["check_cluster", "run_on_cluster"]

# Tasks that the scheduler knows of, for each thread of the cluster: one that runs, and the next.
_AHEAD = 2

# Of a worker's memory limit, what dask lets it use before it stops to give it work.
_PAUSED_AT = 0.8


def check_cluster(client: distributed.Client, plan: Plan) -> None:
    """Refuse a cluster that cannot do the job.

    Raises
    ------
    SourceError, TargetError
        Where a store lies in the memory of this process.
    MemoryCeilingError
        Where a worker may not hold what the plan projects.
    JobError
        Where there are no workers.
    """
    for store, name, error in (
        (plan.source.store, "source", SourceError),
        (plan.target, "target", TargetError),
    ):
        if in_memory(store):
            msg = (
                f"`{name}` {describe(store)!r} lies in the memory of this process, where workers "
                "of a cluster do not find it; use a directory or an object store that all see"
            )
            raise error(msg)
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        msg = "`client` has no workers; start some, or wait for them with `wait_for_workers`"
        raise JobError(msg)
    for address, worker in workers.items():
        limit = worker["memory_limit"]
        if limit and plan.projected_memory > _PAUSED_AT * limit:
            msg = (
                f"the plan projects {format_bytes(plan.projected_memory)} for a process, and the "
                f"worker at {address} is paused at {_PAUSED_AT:.0%} of its limit of "
                f"{format_bytes(limit)}; plan with `memory` of "
                f"{format_bytes(int(_PAUSED_AT * limit))} or less, or give workers more"
            )
            raise MemoryCeilingError(msg)


def run_on_cluster(
    tally: Tally,
    halt: threading.Event,
    client: distributed.Client,
    plan: Plan,
    lease: Lease,
) -> None:
    """Run all tasks; the first error stops the rest, between two blocks.

    Parameters
    ----------
    tally : Tally
        What is to do, and who is told in this thread of what is done.
    halt : threading.Event
        Ends the job between two blocks, once it is set.
    client : distributed.Client
        Of the cluster.
    plan : Plan
        The job; of each worker's threads, ``plan.workers`` work at it at the same time.
    lease : Lease
        What this process holds; once another does, workers stop.

    Raises
    ------
    JobError
        Where workers die of a task again and again, or the cluster is lost.
    """
    tasks = tally.tasks()
    job = uuid.uuid4().hex
    running: dict[Any, Task] = {}
    with _connected(client):
        stages = client.submit(_stages, plan, key=f"bigrad-stages-{job}")
    halting = _Halt(_halting(job), lease.path, lease.identity)
    completed = distributed.as_completed()

    def submit(count: int) -> None:
        for task in islice(tasks, count):
            future = client.submit(
                _perform, stages, task, halting, job, plan.workers,
                key=f"bigrad-{job}-{task.stage}-{task.first}",
            )  # fmt: skip
            running[future] = task
            completed.add(future)

    try:
        with _connected(client):
            submit(_AHEAD * _threads(client))
        for future in completed:
            task = running.pop(future)
            with _connected(client):
                done: Done = future.result()
            tally.finished(task, done)
            future.release()
            if halt.is_set():
                break
            with _connected(client):
                # Workers come and go.
                submit(max(_AHEAD * _threads(client) - len(running), 0))
    finally:
        # However it ends, no worker is to write on. One that cannot be told finds that the
        # lease is gone.
        if running and client.status == "running":
            with suppress(CancelledError):
                distributed.Event(_halting(job), client=client).set()
                distributed.wait(list(running))


@contextmanager
def _connected(client: distributed.Client) -> Iterator[None]:
    """Tell of a cluster that is lost as what it is, whatever fails of it first."""
    try:
        yield
    except distributed.KilledWorker as exc:
        msg = f"workers died of one task again and again ({exc}); the job can be resumed"
        raise JobError(msg) from exc
    except Exception as exc:
        lost = client.status != "running" or isinstance(exc, CancelledError | CommClosedError)
        if isinstance(exc, BigradError) or not lost:
            raise
        msg = (
            f"`client`, which is {client.status}, lost the job's tasks before they were done: it "
            "was closed, or its cluster was lost; the job can be resumed, with a client of a "
            "cluster that runs, or without one"
        )
        raise JobError(msg) from exc


def _threads(client: distributed.Client) -> int:
    return max(int(sum(client.nthreads().values())), 1)


def _stages(plan: Plan) -> list[Stage]:
    return plan.stages()


def _perform(stages: Sequence[Stage], task: Task, halt: _Halt, job: str, workers: int) -> Done:
    """Do one task, in a worker."""
    settle_allocator()
    with _slots(job, workers):
        return stages[task.stage].perform(task.first, task.stop, halt)


@cache
def _slots(job: str, workers: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(workers)


def _halting(job: str) -> str:
    return f"bigrad-halt-{job}"


@dataclass(frozen=True)
class _Halt:
    """Whether the job was stopped, as its client says, or as another one's lease says."""

    event: str
    lease: StorePath
    holder: str

    def is_set(self) -> bool:
        """Whether it was."""
        return bool(distributed.Event(self.event).is_set()) or not holds(self.lease, self.holder)
