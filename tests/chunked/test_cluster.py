"""What travels between the workers of a cluster: faces, never a chunk."""

import math
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.base import annotate, compute, persist
from distributed import Client, LocalCluster, Status, wait

import bigrad
from tests.bits import assert_same_bits, numpys

SHAPE, CHUNK = (256, 128, 128), 64


@pytest.fixture
def client() -> Iterator[Any]:
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(bigrad.OwnerComputes())
        yield client


def waves() -> Any:
    return da.random.default_rng(0).random(SHAPE, chunks=CHUNK, dtype=np.float32)


def received(dask_worker: Any) -> Counter[Any]:
    """Bytes that a worker has got from others, by key."""
    sizes: Counter[Any] = Counter()
    for entry in dask_worker.transfer_incoming_log:
        sizes.update(entry["keys"])
    return sizes


def travelled(client: Any) -> Counter[Any]:
    return sum(client.run(received).values(), Counter())


def slowly(block: Any) -> Any:
    time.sleep(0.3)
    return block


FACES = sum(2 * (n // CHUNK - 1) * 4 * math.prod(SHAPE) // n for n in SHAPE)
OPERATOR = 20_000  # goes to each worker that has not made it


@pytest.mark.parametrize("there_already", [True, False])
def test_only_faces_travel(client: Any, there_already: bool) -> None:
    x, coordinates = waves(), [np.arange(n) ** 1.5 for n in SHAPE]
    if there_already:
        # One worker has three quarters of the chunks, and neighbours are on both.
        places = list(client.scheduler_info()["workers"])
        with annotate(workers=lambda key: places[key[1] % 2 or sum(key[1:]) % 2]):
            x = client.persist(waves(), optimize_graph=False)
        wait(x)
    results = persist(*bigrad.gradient(x, *coordinates))
    wait(results)
    sizes = travelled(client)
    assert 0 < sizes.total() <= FACES + 2 * OPERATOR
    assert max(sizes.values()) < 4 * CHUNK**3
    assert_same_bits(compute(*results), numpys(x.compute(), *coordinates))


def test_what_comes_after_in_the_same_task_makes_no_difference(client: Any) -> None:
    steepest = abs(bigrad.gradient(waves(), 0.5, axis=0)).max().compute()
    assert 0 < max(travelled(client).values()) < 4 * CHUNK**3
    assert steepest == abs(np.gradient(waves().compute(), 0.5, axis=0)).max()


def test_where_somebody_has_said_to_go_is_where_it_goes(client: Any) -> None:
    (first, *_), x = client.run(os.getpid), persist(waves())[0]
    wait(x)
    result = client.persist(bigrad.gradient(x, axis=0), workers=[first], allow_other_workers=False)
    wait(result)
    assert {w for places in client.who_has(result).values() for w in places} == {first}


def test_what_cuts_and_needs_no_faces_goes_anywhere(client: Any) -> None:
    """As the tasks of jobs, which all need one small object."""
    keys = [("of-a-job", k) for k in range(6)]
    graph: dict[Any, Any] = dict.fromkeys(keys, (slowly, "bigrad-stages-0"))
    graph["bigrad-stages-0"] = 1
    futures = client.get(graph, keys, sync=False)
    wait(futures)
    assert len({w for places in client.who_has(futures).values() for w in places}) > 1


def test_a_worker_is_lost(client: Any) -> None:
    (x,) = persist(waves())
    wait(x)
    result = client.compute(bigrad.gradient(x, 0.5, axis=0))
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    assert_same_bits(result.result(), np.gradient(waves().compute(), 0.5, axis=0))


def switch(status: str, dask_worker: Any) -> None:
    dask_worker.periodic_callbacks["memory_monitor"].stop()  # it would see no reason for a pause
    dask_worker.status = Status[status]


def test_tasks_of_a_paused_worker_are_free_to_go(client: Any) -> None:
    first, *_ = client.run(os.getpid)
    x = client.persist(waves(), workers=[first])
    wait(x)
    steepest = client.compute(bigrad.gradient(x, 0.5, axis=0).map_blocks(slowly).max())
    until = time.monotonic() + 30
    # Faces take no time, and nobody relieves a worker of them: pause it when they are cut.
    while not (left := client.processing()[first]) or any("bigrad" in key[0] for key in left):
        assert time.monotonic() < until, left
        time.sleep(0.05)
    client.run(switch, "paused", workers=[first])
    # Of a paused worker, the scheduler leaves one task for each thread.
    while len(left := client.processing()[first]) > 1:
        assert time.monotonic() < until, left
        time.sleep(0.1)
    client.run(switch, "running", workers=[first])
    assert steepest.result() == np.gradient(waves().compute(), 0.5, axis=0).max()
