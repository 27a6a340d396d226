"""Which worker of a cluster takes the derivative of a chunk: the one that owns the chunk."""

from collections import Counter
from typing import Any

from distributed import Scheduler, Status
from distributed.diagnostics.plugin import SchedulerPlugin

from bigrad.chunked.halo import PREFIX, SUFFIX

__all__ = ["OwnerComputes"]


class OwnerComputes(SchedulerPlugin):
    """Scheduler plugin by which only the faces of chunks travel between workers.

    A chunk and its faces are seldom all on one worker. The scheduler gives the task to that one
    of them that it reckons to begin soonest, and moves the chunk if it is another; and a worker
    without work may take over the task, and the chunk, from one that has much. With this plugin
    the task goes to the worker that holds most of the bytes that it needs, and stays there: who
    owns a chunk computes its derivative, as is the rule where grids are split between processes
    [1]_. Tasks of a worker that is paused, or leaves, may go anywhere, and so may all others.

    What has two fields, as vorticity, needs a chunk of each: where these are on two workers, the
    smaller one travels.

    Register it before the work begins, and leave it registered until that is done: without it,
    nobody lifts what it has said of tasks that are under way.

    References
    ----------
    .. [1] Callahan, D. and Kennedy, K. (1988). Compiling programs for distributed-memory
       multiprocessors. Journal of Supercomputing 2, 151-169.

    Examples
    --------
    >>> import dask.array as da
    >>> from dask.distributed import Client
    >>> import bigrad
    >>> with Client(processes=False, n_workers=2, dashboard_address=":0") as client:
    ...     client.register_plugin(bigrad.OwnerComputes())
    ...     bigrad.gradient(da.arange(6, chunks=3) ** 2).compute()
    array([1., 2., 4., 6., 8., 9.])
    """

    name = "bigrad-owner-computes"
    idempotent = True

    async def start(self, scheduler: Scheduler) -> None:
        """Keep the scheduler, which is about to use the plugin."""
        self._scheduler = scheduler
        self._placed: dict[Any, str] = {}

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Say where those tasks go that wait for nothing any more.

        The scheduler calls this before it decides.
        """
        task = self._scheduler.tasks[key]
        if key in self._placed:
            if finish == "processing":
                task.loose_restrictions = False  # from now on no other worker may take it over
            else:
                self._release(task)
        if finish in ("waiting", "memory"):
            for one in (task,) if finish == "waiting" else task.dependents:
                if one.state == "waiting" and not one.waiting_on and _is_ours(one):
                    self._place(one)

    def log_event(self, topic: Any, msg: Any) -> None:
        """Release the tasks of a worker that is paused, or leaves."""
        if isinstance(msg, dict) and msg.get("action") == "worker-status-change":
            worker = self._scheduler.workers.get(topic)
            if worker is not None and worker.status != Status.running:
                for task in worker.processing:
                    if task.key in self._placed:
                        self._release(task)

    def _place(self, task: Any) -> None:
        if task.key in self._placed:
            self._release(task)  # what it needs was lost, and has been computed once more
        if task.worker_restrictions or task.host_restrictions or task.resource_restrictions:
            return  # somebody has said already where it is to go
        held: Counter[str] = Counter()
        for needed in task.dependencies:
            for worker in needed.who_has or ():
                held[worker.address] += needed.nbytes
        if held:
            owner = self._placed[task.key] = max(held, key=held.__getitem__)
            self._scheduler.set_restrictions({task.key: owner})
            task.loose_restrictions = True  # that worker may be paused, or about to leave

    def _release(self, task: Any) -> None:
        if task.worker_restrictions == {self._placed.pop(task.key)}:
            self._scheduler.set_restrictions({task.key: None})
            task.loose_restrictions = False


def _is_ours(task: Any) -> bool:
    """Whether a task cuts or looks at faces, or takes one of several results."""
    return any(_is_inner(one.key) for one in (task, *task.dependencies))


def _is_inner(key: Any) -> bool:
    name = key[0] if isinstance(key, tuple) else key
    return isinstance(name, str) and name.endswith(SUFFIX) and name.startswith(PREFIX)
