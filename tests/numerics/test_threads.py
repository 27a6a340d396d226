import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import bigrad
from bigrad.numerics import threads
from tests.bits import assert_same_bits

LARGE = 2**26


def test_one_thread_in_others_threads_and_for_small_arrays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BIGRAD_NUM_THREADS", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    assert threads.available(LARGE) == 3
    assert threads.available(1000) == 1
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(threads.available, LARGE).result() == 1
    monkeypatch.delenv("BIGRAD_NUM_THREADS")
    assert threads.available(LARGE) == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= threads.available(LARGE) <= (os.cpu_count() or 1)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_refuses_a_number_of_threads_that_is_none(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BIGRAD_NUM_THREADS", value)
    with pytest.raises(ValueError, match=f"`BIGRAD_NUM_THREADS`.*{value}"):
        threads.available(LARGE)


def test_all_tasks_run_on_several_threads_and_errors_come_out() -> None:
    ran, names = [], set()
    together = threading.Barrier(2, timeout=30)

    def task(i: int) -> None:
        if i < 2:
            together.wait()
        names.add(threading.current_thread().name)
        ran.append(i)

    threads.run([lambda i=i: task(i) for i in range(20)], 2)  # type: ignore[misc]
    assert sorted(ran) == list(range(20))
    assert len(names) == 2

    def fail() -> None:
        msg = "no"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="no"):
        threads.run([fail], 2)


def _in_a_child(size: int) -> float:
    return float(bigrad.gradient(np.arange(size) * 2.0)[-1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIGRAD_NUM_THREADS", "2")
    bigrad.gradient(np.zeros(2**20))
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: None)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_in_a_child, (2**20,)).get(timeout=60) == 2.0


@pytest.mark.parametrize("count", [8, 16, 64])
@pytest.mark.parametrize("edge_order", [1, 2])
def test_any_number_of_threads_gives_numpys_bits(
    monkeypatch: pytest.MonkeyPatch, count: int, edge_order: Any
) -> None:
    """Threads may get pieces that are one cell wide, whose cells do not follow each other."""
    monkeypatch.setattr(threads, "available", lambda _: count)
    wide = np.random.default_rng(0).normal(size=(30, 60, 31, 33))
    for f in (wide[:2, :59, :, :].reshape(2, 59, 31, 33)[0], wide[:29, ::2, :30, :31]):
        for axis in range(f.ndim):
            x = np.cumsum(np.random.default_rng(1).random(f.shape[axis]) + 0.5)
            for spacing in (x, 0.5):
                expected = np.gradient(f, spacing, axis=axis, edge_order=edge_order)
                found = bigrad.gradient(f, spacing, axis=axis, edge_order=edge_order)
                assert_same_bits(found, expected)
