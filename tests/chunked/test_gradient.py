import subprocess
import sys
from datetime import datetime, timedelta
from typing import Any

import dask
import dask.array as da
import numba  # noqa: F401  (as in a process that has use for the loops)
import numpy as np
import pytest
import zarr
from dask.base import compute, optimize
from hypothesis import given
from hypothesis import strategies as st

import bigrad
from bigrad.errors import CoordinateError
from tests.bits import assert_same_bits, numpys
from tests.strategies import chunks, differentiable, schemed


def computed(lazy: Any) -> Any:
    with dask.config.set(scheduler="sync"), np.errstate(all="ignore"):
        return compute(*lazy) if isinstance(lazy, tuple) else lazy.compute()


@given(differentiable(), st.data())
def test_equals_numpy_for_every_chunking(arguments: Any, data: st.DataObject) -> None:
    f, varargs, kwargs = arguments
    x = da.from_array(f, chunks=data.draw(chunks(f.shape)))
    lazily = tuple(
        da.from_array(v, chunks=data.draw(chunks(v.shape)))
        if isinstance(v, np.ndarray) and data.draw(st.booleans())
        else v
        for v in varargs
    )
    actual = bigrad.gradient(x, *lazily, **kwargs)
    for one in actual if isinstance(actual, tuple) else (actual,):
        assert one.chunks == x.chunks
    assert_same_bits(computed(actual), numpys(f, *varargs, **kwargs))


@given(schemed(), st.data())
def test_every_scheme_and_boundary_for_every_chunking(arguments: Any, data: st.DataObject) -> None:
    f, varargs, kwargs = arguments
    x = da.from_array(f, chunks=data.draw(chunks(f.shape)))
    lazily = tuple(
        da.from_array(v, chunks=data.draw(chunks(v.shape)))
        if np.ndim(v) and data.draw(st.booleans())
        else v
        for v in varargs
    )
    actual = bigrad.gradient(x, *lazily, **kwargs)
    for one in actual if isinstance(actual, tuple) else (actual,):
        assert one.chunks == x.chunks
    with np.errstate(all="ignore"):
        expected = bigrad.gradient(f, *varargs, **kwargs)
    assert_same_bits(computed(actual), expected)


def test_masked_coasts_for_every_chunking() -> None:
    f = np.ma.array(np.arange(12.0) ** 2, mask=np.arange(12) % 5 == 0)
    expected = bigrad.gradient(f, missing="shrink", edge_order=2, boundary="periodic")
    for size in (1, 2, 5, 12):
        x = da.from_array(f, chunks=size)
        actual = bigrad.gradient(x, missing="shrink", edge_order=2, boundary="periodic")
        assert_same_bits(computed(actual), expected)


@pytest.mark.parametrize(
    ("dtype", "options", "error"),
    [
        ("f8", {"accuracy": 5}, ValueError),
        ("f8", {"accuracy": 6, "order": 2}, ValueError),
        ("f8", {"boundary": "periodic"}, CoordinateError),
        ("f8", {"boundary": "wrap"}, ValueError),
        ("i2", {"boundary": ("fill", np.nan)}, TypeError),
        ("M8[s]", {"order": 2}, TypeError),
    ],
)
def test_what_cannot_be_is_refused_when_called(dtype: str, options: Any, error: Any) -> None:
    x = da.zeros(7, dtype=dtype, chunks=2)
    for coordinate in (np.arange(7.0), da.arange(7.0, chunks=3)):
        with pytest.raises(error):
            bigrad.gradient(x, coordinate, **options)


@pytest.mark.parametrize(
    "f",
    [
        np.ma.array(np.arange(12.0) ** 2, mask=np.arange(12) % 5 == 0),
        np.arange("2000-01-01", "2000-01-13", dtype="M8[D]") + np.arange(12) ** 2,
        np.arange(12, dtype=np.float16) ** 2,
        np.arange(12, dtype=np.longdouble) ** 2,
        np.arange(12).astype(object) ** 2,
    ],
    ids=lambda f: f"{type(f).__name__}-{f.dtype}",
)
@pytest.mark.parametrize("size", [1, 2, 5, 12])
@pytest.mark.parametrize("edge_order", [1, 2])
def test_equals_numpy_on_what_the_loops_do_not_take(f: Any, size: int, edge_order: int) -> None:
    x = np.cumsum(np.arange(1.0, 13.0))
    for varargs in ((), (x,)):
        actual = bigrad.gradient(da.from_array(f, chunks=size), *varargs, edge_order=edge_order)
        expected = numpys(f, *varargs, edge_order=edge_order)
        assert actual.dtype == expected.dtype
        assert_same_bits(computed(actual), expected)


def test_is_lazy() -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        msg = "computed"
        raise AssertionError(msg)

    with dask.config.set(scheduler=fail):
        x = da.ones((6, 8), chunks=(2, 3))
        bigrad.gradient(x, da.arange(6, chunks=2) ** 2, 0.5, edge_order=2)


@pytest.mark.parametrize(
    ("f", "varargs", "kwargs"),
    [
        (np.ones((4, 4), bool), (), {}),
        (np.array(["a", "b", "c"]), (), {}),
        (np.ones(4), (np.array([1, 2, 4, 5], "M8[s]"),), {}),
        (np.ones(4), (None,), {}),
        (np.ones(4), (np.ones((2, 2)),), {}),
        (np.ones(4), (np.ones(3),), {}),
        (np.ones(4), (np.ones(5),), {}),
        (np.ones((4, 4)), (np.ones(4),), {}),
        (np.ones((4, 4)), (1, 2, 3), {}),
        (np.ones((4, 4)), (), {"axis": (0, 0)}),
        (np.ones((4, 4)), (), {"axis": 2}),
        (np.ones((4, 4)), (), {"edge_order": 3}),
        (np.ones(2), (), {"edge_order": 2}),
    ],
)
@pytest.mark.parametrize("lazy_spacing", [False, True])
def test_raises_when_called_what_numpy_raises(
    f: Any, varargs: Any, kwargs: Any, lazy_spacing: bool
) -> None:
    with pytest.raises(Exception) as expected:  # noqa: PT011
        numpys(f, *varargs, **kwargs)
    if lazy_spacing:
        varargs = tuple(da.from_array(v) if isinstance(v, np.ndarray) else v for v in varargs)
    with pytest.raises(expected.type):
        bigrad.gradient(da.from_array(f, chunks=2), *varargs, **kwargs)


def test_unknown_chunks_are_refused_with_the_way_out() -> None:
    x = da.arange(10, chunks=3)
    unknown = x[x > 4]
    with pytest.raises(ValueError, match=r"`f` .* axis 0.*compute_chunk_sizes\(\)"):
        bigrad.gradient(unknown)
    with pytest.raises(ValueError, match=r"the spacing .* axis 0.*compute_chunk_sizes\(\)"):
        bigrad.gradient(da.ones(5, chunks=2), unknown)


def test_unknown_chunks_do_not_matter_where_nothing_is_exchanged() -> None:
    f = np.random.default_rng(0).random((10, 5))
    x = da.from_array(f, chunks=(3, -1))
    actual = bigrad.gradient(x[x[:, 0] > 0.5], axis=1)
    assert_same_bits(computed(actual), numpys(f[f[:, 0] > 0.5], axis=1))


def test_what_depends_on_values_is_not_refused_before_they_are_known() -> None:
    dates = np.array([datetime(2000, 1, 1 + i) for i in (0, 1, 3, 4, 5)], object)
    day = timedelta(days=1)
    with dask.config.set(scheduler="sync"):
        actual = bigrad.gradient(da.from_array(dates, chunks=2), day).compute()
        assert actual.tolist() == bigrad.gradient(dates, day).tolist() == [1.0, 1.5, 1.5, 1, 1]
    seconds = np.arange(5).astype("m8[s]")
    even = np.arange(5).astype("M8[s]")
    lazy = bigrad.gradient(da.from_array(seconds), da.from_array(even))
    assert_same_bits(computed(lazy), numpys(seconds, even))


@pytest.mark.parametrize("shards", [None, (4, 4)])
def test_takes_a_zarr_array_with_what_its_store_is_read_in(shards: Any) -> None:
    values = np.random.default_rng(0).normal(size=(7, 8))
    z = zarr.create_array({}, data=values, chunks=(2, 4), shards=shards)
    for axis in (0, 1):
        actual = bigrad.gradient(z, axis=axis, edge_order=2)
        assert actual.chunksize == (shards or (2, 4))
        assert_same_bits(computed(actual), numpys(values, axis=axis, edge_order=2))


def test_the_coordinate_is_in_the_graph_once() -> None:
    x = da.ones((50, 4), chunks=(5, 2))
    coordinate = np.arange(50.0) ** 2
    graph = dict(bigrad.gradient(x, coordinate, axis=0).__dask_graph__())
    assert sum("gradient-operator" in str(key) for key in graph) == 1


def test_deterministic_names() -> None:
    x = da.ones((50, 4), chunks=(5, 2))
    coordinate = np.arange(50.0) ** 2
    one, same, other = (
        bigrad.gradient(x, c, axis=0) for c in (coordinate, coordinate.copy(), 2 * coordinate)
    )
    assert one.name == same.name != other.name


@pytest.mark.parametrize("boundary", ["periodic", "extend", "reflect", ("fill", 0)], ids=str)
def test_with_a_boundary_two_cells_are_enough(boundary: Any) -> None:
    f = np.arange(6.0).reshape(2, 3) ** 2
    expected = bigrad.gradient(f, axis=0, edge_order=2, boundary=boundary)
    actual = bigrad.gradient(da.from_array(f, 1), axis=0, edge_order=2, boundary=boundary)
    assert_same_bits(actual.compute(scheduler="sync"), expected)


@pytest.mark.parametrize("axis", [0, 1, 2, None])
@pytest.mark.parametrize("options", [{}, {"boundary": "periodic", "accuracy": 4}], ids=str)
def test_few_tasks_per_chunk(axis: int | None, options: Any) -> None:
    x = da.from_array(np.ones((40, 20, 20)), chunks=(4, 5, 5))
    lazy = bigrad.gradient(x, axis=axis, **options)
    (optimized,) = optimize(lazy)
    results = optimized if isinstance(optimized, tuple) else (optimized,)
    tasks = {key for result in results for key in dict(result.__dask_graph__())}
    assert len(tasks) <= x.npartitions * (12 if axis is None else 5)


def test_two_tasks_per_chunk_along_an_unchunked_axis() -> None:
    x = da.from_array(np.ones((40, 20)), chunks=(4, 20))
    (optimized,) = optimize(bigrad.gradient(x, axis=1))
    operator = 1
    assert len(dict(optimized.__dask_graph__())) <= 2 * x.npartitions + operator


WITH_QUERY_PLANNING = """
import dask
dask.config.set({"array.query-planning": True, "scheduler": "sync"})
import dask.array as da, numpy as np, bigrad
f = np.random.default_rng(0).normal(size=(9, 6, 7))
for chunks in [(1, 1, 1), (3, 2, 4), ((1, 7, 1), (1, 4, 1), (3, 0, 4))]:
    x = da.from_array(f, chunks=chunks)
    for edge_order in (1, 2):
        c = [np.arange(n) ** 1.5 for n in f.shape]
        expected = np.gradient(f, *c, edge_order=edge_order)
        for spacing in (c, [da.from_array(v, chunks=2) for v in c]):
            actual = dask.compute(*bigrad.gradient(x, *spacing, edge_order=edge_order))
            assert all((a == e).all() for a, e in zip(actual, expected, strict=True))
    around = {"boundary": "periodic", "accuracy": 4}
    expected = bigrad.gradient(f, **around)
    actual = dask.compute(*bigrad.gradient(x, **around))
    assert all((a == e).all() for a, e in zip(actual, expected, strict=True))
assert "_array_expr" in type(x).__module__
"""


def test_works_with_query_planning() -> None:
    """In a process of its own, since the choice is made when dask.array is first imported."""
    subprocess.run([sys.executable, "-c", WITH_QUERY_PLANNING], check=True)


def test_booleans_have_a_gradient_where_numpys_have() -> None:
    f, x = np.arange(8) % 3 == 0, np.array([0, 1, 3, 4, 6, 7, 9, 12.0])
    found = bigrad.gradient(da.from_array(f, chunks=4), x, edge_order=2)
    assert_same_bits(found.compute(), np.gradient(f, x, edge_order=2))


@pytest.mark.parametrize("axes", [(0, 1), (0, 1, 2), (2, 0)])
def test_orders_of_axes_are_different_graphs(axes: tuple[int, ...]) -> None:
    f = np.random.default_rng(0).random((12, 10, 8))
    x = da.from_array(f, chunks=4)
    there, back = compute(bigrad.gradient(x, axis=axes), bigrad.gradient(x, axis=axes[::-1]))
    for found, expected in zip(there, np.gradient(f, axis=axes), strict=True):
        assert_same_bits(found, expected)
    for found, expected in zip(back, there[::-1], strict=True):
        assert_same_bits(found, expected)
