"""The faces of chunks: what they are, and what they cost."""

import pickle
from typing import Any

import dask.array as da
import numpy as np
import pytest
from dask.base import compute, tokenize
from dask.callbacks import Callback
from dask.highlevelgraph import HighLevelGraph

import bigrad
from bigrad.chunked import halo
from bigrad.numerics.sphere import sphere
from bigrad.numerics.stencils import Reach
from bigrad.numerics.vector_calculus import vector_operator
from bigrad.vectors import apply
from tests.bits import assert_same_bits
from tests.fields import RADIUS


def test_faces_of_a_chunk_are_the_planes_around_it() -> None:
    x = da.from_array(np.arange(20).reshape(10, 2), chunks=((1, 4, 1, 1, 3), 1))
    before, after = halo.faces(x, 0, Reach(10), "gradient")
    assert before.numblocks == after.numblocks == x.numblocks
    assert [before.blocks[i, 0].compute().tolist() for i in range(1, 5)] == [
        [[2 * row]] for row in (0, 4, 5, 6)
    ]
    assert [after.blocks[i, 1].compute().tolist() for i in range(4)] == [
        [[2 * row + 1]] for row in (1, 5, 6, 7)
    ]


@pytest.mark.parametrize("boundary", [None, "periodic"])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_chunks_in_memory_have_their_faces_without_tasks(axis: Any, boundary: Any) -> None:
    f = np.random.default_rng(0).normal(size=(64, 48, 5))
    x = da.from_array(f, chunks=(32, 16, 5))
    lazy = bigrad.gradient(x, axis=axis, boundary=boundary)
    called: list[Any] = []
    with Callback(pretask=lambda key, *_: called.append(key)):
        actual = compute(lazy, scheduler="sync")[0]
    taken_out, joined = (3 * x.npartitions, 3) if axis is None else (0, 1)
    assert len(called) == x.npartitions + taken_out + joined
    expected = bigrad.gradient(f, axis=axis, boundary=boundary)
    assert_same_bits(np.array(actual), np.array(expected))


@pytest.mark.parametrize("axis", [0, None])
@pytest.mark.parametrize("size", [1, 2, 5, 16, 40])
def test_a_graph_with_chunks_in_memory_is_little_more_than_these(size: int, axis: Any) -> None:
    """What is sent to a cluster: an eighth more for each axis with chunks, and keys."""
    f = np.random.default_rng(0).normal(size=(80, 80, 100))
    lazy = bigrad.gradient(da.from_array(f, chunks=(size, max(size, 8), -1)), axis=axis)
    results = lazy if isinstance(lazy, tuple) else (lazy,)
    graph = {key: task for one in results for key, task in dict(one.__dask_graph__()).items()}
    assert len(pickle.dumps(graph)) <= (1.3 if axis is None else 1.17) * f.nbytes


def along_the_first_axis(x: Any) -> Any:
    return bigrad.gradient(x, axis=0)


def vorticity(x: Any) -> Any:
    grid = sphere(np.arange(x.shape[1]) * 5.0, np.linspace(-80, 80, x.shape[0]), RADIUS)
    return apply(vector_operator("vorticity", grid, (0, 1), [x.dtype] * 2), [x, 2 * x])[0]


@pytest.mark.parametrize("derivative", [along_the_first_axis, vorticity])
def test_an_array_and_the_same_on_a_cluster_have_graphs_of_their_own(derivative: Any) -> None:
    """To a scheduler that knows both, one key is one task."""
    x = da.from_array(np.random.default_rng(0).normal(size=(64, 48)), chunks=(32, 16))
    tasks = {key: (there_already, block) for key, block in x.dask.layers[x.name].items()}
    there = da.Array(HighLevelGraph({x.name: tasks}, {x.name: set()}), x.name, x.chunks, x.dtype)
    here, elsewhere = (dict(derivative(one).__dask_graph__()) for one in (x, there))
    shared = here.keys() & elsewhere.keys() - x.dask.layers[x.name].keys()
    assert all(tokenize(here[key]) == tokenize(elsewhere[key]) for key in shared), shared
    assert_same_bits(derivative(x).compute(), derivative(there).compute())


def there_already(block: Any) -> Any:
    return block
