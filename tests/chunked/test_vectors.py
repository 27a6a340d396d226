import subprocess
import sys
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from dask.base import compute, optimize
from hypothesis import given
from hypothesis import strategies as st

from bigrad.numerics.sphere import sphere
from bigrad.numerics.vector_calculus import INPUTS, vector_operator
from bigrad.vectors import apply
from tests.bits import assert_same_bits
from tests.fields import RADIUS
from tests.numerics.test_vector_calculus import grids
from tests.strategies import chunks


@given(
    grid_of=grids(),
    kind=st.sampled_from(sorted(INPUTS)),
    dtype=st.sampled_from(["f4", "f8", "i2"]),
    edge_order=st.sampled_from([1, 2]),
    leading=st.sampled_from([(3,), (2, 3)]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_equals_numpy_for_every_chunking(
    grid_of: Any, kind: str, dtype: str, edge_order: Any, leading: Any, seed: int, data: Any
) -> None:
    grid, rows, columns = grid_of
    rng = np.random.default_rng(seed)
    order = data.draw(st.permutations(range(len(leading) + 2)))
    fields = [
        (100 * rng.normal(size=(*leading, rows, columns))).astype(dtype).transpose(order)
        for _ in range(INPUTS[kind])
    ]
    axes = (order.index(len(leading)), order.index(len(leading) + 1))
    operator = vector_operator(kind, grid, axes, [f.dtype for f in fields], edge_order=edge_order)
    sizes = data.draw(chunks(fields[0].shape))
    lazy = [da.from_array(f, chunks=sizes if n == 0 else -1) for n, f in enumerate(fields)]
    results = apply(operator, lazy)
    assert all(result.chunks == lazy[0].chunks for result in results)
    with dask.config.set(scheduler="sync"):
        for actual, expected in zip(compute(*results), apply(operator, fields), strict=True):
            assert_same_bits(np.ascontiguousarray(actual), np.ascontiguousarray(expected))


def winds(rows: int, columns: int, sizes: Any) -> tuple[Any, list[Any]]:
    """Vorticity on a global grid, and two lazy fields."""
    lat, lon = np.linspace(-90, 90, rows), np.arange(columns) * 360 / columns
    operator = vector_operator("vorticity", sphere(lon, lat, RADIUS), (1, 2), ["f4", "f4"])
    return operator, [da.ones((6, rows, columns), chunks=sizes, dtype="f4") for _ in range(2)]


def test_chunks_of_whole_maps_exchange_nothing() -> None:
    operator, fields = winds(9, 8, (1, -1, -1))
    (optimized,) = optimize(apply(operator, fields)[0])
    assert len(dict(optimized.__dask_graph__())) <= 3 * 6 + 1


def test_names_are_deterministic_and_the_operator_is_in_the_graph_once() -> None:
    operator, fields = winds(9, 8, (2, 3, 4))
    one, same = (apply(winds(9, 8, (2, 3, 4))[0], fields)[0] for _ in range(2))
    other = apply(operator, fields[::-1])[0]
    assert one.name == same.name == other.name  # fields of ones, all three
    assert sum("vector-operator" in str(key) for key in dict(one.__dask_graph__())) == 1


def test_refusals() -> None:
    operator, fields = winds(9, 8, (1, -1, -1))
    unknown = fields[0][fields[0][:, 0, 0] > 0]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        apply(operator, [unknown, unknown])
    with pytest.raises(ValueError, match=r"one shape, with \(9, 8\) points"):
        apply(operator, [fields[0], fields[1][:, :5]])
    with pytest.raises(TypeError, match="`out` needs NumPy"):
        apply(operator, fields, [np.empty((6, 9, 8), "f4")])
    with pytest.raises(TypeError, match="takes 2 fields, found 1"):
        apply(operator, fields[:1])
    values = np.ones((6, 9, 8), "f4")
    with pytest.raises(TypeError, match="MaskedArray"):
        apply(operator, [np.ma.masked_array(values), values])
    masked = da.from_array(np.ma.masked_array(values), chunks=3, asarray=False)
    with pytest.raises(TypeError, match="MaskedArray"):
        apply(operator, [fields[0], masked])
    with pytest.raises(ValueError, match="share memory"):
        apply(operator, [values, values], [values])


WITH_QUERY_PLANNING = """
import dask
dask.config.set({"array.query-planning": True, "scheduler": "sync"})
import dask.array as da, numpy as np
from bigrad.numerics.sphere import sphere
from bigrad.numerics.vector_calculus import vector_operator
from bigrad.vectors import apply
u, v = np.random.default_rng(0).normal(size=(2, 3, 9, 8))
grid = sphere(np.arange(8) * 45.0, np.linspace(-90, 90, 9), 1.0)
for kind in ("vorticity", "deformation"):
    operator = vector_operator(kind, grid, (1, 2), [u.dtype, v.dtype])
    for chunks in [(1, -1, -1), (3, 2, 3), (1, (1, 7, 1), (1, 4, 3))]:
        lazy = [da.from_array(f, chunks=chunks) for f in (u, v)]
        actual = dask.compute(*apply(operator, lazy))
        expected = apply(operator, [u, v])
        assert all((a == e).all() for a, e in zip(actual, expected, strict=True))
"""


def test_works_with_query_planning() -> None:
    """In a process of its own, since the choice is made when dask.array is first imported."""
    subprocess.run([sys.executable, "-c", WITH_QUERY_PLANNING], check=True)
