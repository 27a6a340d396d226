"""What travels between the workers of a cluster: faces, never a chunk."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask.base import compute, persist
from dask.core import flatten
from distributed import Client, LocalCluster, wait

import bigrad
from tests.bits import assert_same_bits, numpys


@pytest.fixture
def client() -> Iterator[Any]:
    # A scheduler that expects a slow network moves no chunk to a worker that has less to do.
    with (
        dask.config.set({"distributed.scheduler.bandwidth": 1}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def received(dask_worker: Any) -> Counter[Any]:
    """Bytes that a worker has got from others, by key."""
    sizes: Counter[Any] = Counter()
    for entry in dask_worker.transfer_incoming_log:
        sizes.update(entry["keys"])
    return sizes


def test_only_faces_travel(client: Any) -> None:
    shape = (256, 128, 128)
    coordinates = [np.arange(n) ** 1.5 for n in shape]
    (x,) = persist(da.random.default_rng(0).random(shape, chunks=64, dtype=np.float32))
    wait(x)
    results = persist(*bigrad.gradient(x, *coordinates))
    wait(results)
    travelled: Counter[Any] = sum(client.run(received).values(), Counter())
    assert not set(flatten(x.__dask_keys__())) & set(travelled)
    faces = sum(
        2 * (count - 1) * x.nbytes // n for count, n in zip(x.numblocks, shape, strict=True)
    )
    operator = 20_000
    assert 0 < travelled.total() <= faces + operator
    assert_same_bits(compute(*results), numpys(x.compute(), *coordinates))
