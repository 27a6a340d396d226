"""Tasks on the threads of this process: in order, few at a time, and each job's its own."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import zarr
from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import delayed
from zarr.storage import MemoryStore

from bigrad.jobs.journal import Journal
from bigrad.jobs.local import run_on_threads
from bigrad.jobs.run import Done, Halt
from bigrad.jobs.tally import Tally


@dataclass
class Steps:
    """Steps that are calls, one to a task; `ahead` is called when a task is asked for."""

    steps: int
    call: Callable[[int], Any] = int
    ahead: Callable[[int], Any] = int
    begun: list[int] = field(default_factory=list)
    name: str = "steps"

    def tasks(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        for step in range(first, stop):
            self.ahead(step)
            yield step, step + 1

    def perform(self, first: int, stop: int, halt: Halt) -> Done:
        if halt.is_set():
            return Done()
        self.begun.append(first)
        self.call(first)
        return Done(stop - first)


def run(steps: Steps, workers: int = 1) -> list[tuple[int, int]]:
    """Return the steps that the journal knows of at the end, or at an error."""
    with Journal(MemoryStore()) as journal:
        tally = Tally([steps], journal, {}, 0, None)
        with suppress(ZeroDivisionError):
            run_on_threads(tally, threading.Event(), workers=workers)
        return list(journal.done(steps.name))


def elsewhere(function: Callable[..., Any], *args: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *args).result(60)


def test_jobs_in_two_threads_know_only_their_own_steps() -> None:
    """One begins, fails and ends between the tasks of the other, and within one."""
    found: list[list[tuple[int, int]]] = []

    def other(_: int) -> None:
        found.append(elsewhere(run, Steps(5, lambda step: 1 // (step - 3))))

    assert run(Steps(2, other, other)) == [(0, 2)]
    assert found == [[(0, 3)]] * 4


def test_what_else_uses_dask_and_zarr_is_left_alone() -> None:
    seen: list[Any] = []
    concurrency = zarr.config.get("async.concurrency")

    def beside(_: int) -> None:
        assert elsewhere(compute, delayed(abs)(-1)) == (1,)
        assert zarr.config.get("async.concurrency") == concurrency

    with Callback(posttask=lambda key, *_: seen.append(key)):
        assert run(Steps(3, beside, beside)) == [(0, 3)]
    assert not Callback.active
    assert not [key for key in seen if "bigrad" in str(key)]


def test_steps_begin_in_order_and_are_asked_for_as_others_end() -> None:
    asked = 0

    def ahead(_: int) -> None:
        nonlocal asked
        asked += 1

    steps = Steps(10**9, lambda step: 1 // (200 - step), ahead)
    assert run(steps) == [(0, 200)]
    assert steps.begun == list(range(201))
    assert asked < 300


def test_no_more_tasks_run_at_once_than_there_are_workers() -> None:
    at_once = threading.BoundedSemaphore(3)
    all_there = threading.Barrier(3, timeout=60)

    def call(_: int) -> None:
        assert at_once.acquire(blocking=False)
        all_there.wait()
        at_once.release()

    assert run(Steps(99, call), workers=3) == [(0, 99)]
