import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bigrad.jobs.pool import Pool

MiB = 2**20


def address(array: Any) -> int:
    return int(array.ctypes.data)


def test_no_two_arrays_share_memory_while_any_view_of_one_is_left() -> None:
    pool = Pool(limit=64 * MiB)
    first = pool.empty((4, MiB), "f4")
    place = address(first)
    view = first[1:, ::2].view("i4")[::-1]
    del first
    other = pool.empty((4, MiB), "f4")
    assert not np.shares_memory(view, other)
    del view
    assert address(pool.empty((2, 3, MiB // 2), "f8")) != place
    assert address(pool.empty((4, MiB - 1), "f4")) == place


def test_what_is_kept_makes_room_for_what_is_needed() -> None:
    pool = Pool(limit=20 * MiB)
    some = [pool.empty((size * MiB,), "u1") for size in (8, 12)]
    some.clear()
    assert pool._total() == 20 * MiB
    wide = pool.empty((18 * MiB,), "u1")
    assert pool._total() == 18 * MiB
    beyond = pool.empty((18 * MiB,), "u1")
    del wide, beyond
    assert pool._total() <= 20 * MiB


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), max_size=40))
def test_arrays_in_use_keep_their_values(steps: list[tuple[int, int]]) -> None:
    pool = Pool(limit=16 * MiB)
    held: dict[int, Any] = {}
    for number, (size, slot) in enumerate(steps):
        held.pop(slot, None)
        held[slot] = pool.empty((size * MiB,), "u1")
        held[slot].fill(slot)
        held[slot] = held[slot][number:]
        assert all((values[::512] == other).all() for other, values in held.items())


def test_threads_share_a_pool() -> None:
    pool = Pool(limit=64 * MiB)

    def work(number: int) -> bool:
        for _ in range(30):
            array = pool.empty((3 * MiB,), "u1")
            array[::4096] = number
            if (array[::4096] != number).any():
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, range(4)))
    gc.collect()
    assert pool._used == 0
    assert pool._total() <= 4 * 2 * 4 * MiB  # the next array is there before the last is gone
