"""A run of blocks, read for real: what each block is given, and how often a chunk is decoded."""

import threading
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.storage import MemoryStore

import bigrad
from bigrad.jobs.blocks import BlockGrid
from bigrad.jobs.chunks import reader_of, writer_of
from bigrad.jobs.pool import Pool
from bigrad.jobs.run import Input, Work
from bigrad.numerics.boundaries import Boundary
from bigrad.numerics.operators import Gradient
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.spacing import from_coordinate
from tests.bits import assert_same_bits

SCHEMES = [
    Scheme(edge_order=1),
    Scheme(edge_order=2),
    Scheme(accuracy=4),
    Scheme(accuracy=6),
    Scheme(accuracy=4, order=2),
]


@st.composite
def works(draw: Any) -> tuple[Work, list[Any], list[Any]]:
    """Blocks of some whole chunks, in runs or not, along some axes; the results' arrays, and
    what they should be."""
    ndim = draw(st.integers(1, 3))
    scheme = draw(st.sampled_from(SCHEMES))
    sizes = st.lists(st.integers(1, 4), min_size=ndim, max_size=ndim)
    least = max(3, scheme.least(None))
    shape = tuple(draw(st.lists(st.integers(least, least + 9), min_size=ndim, max_size=ndim)))
    chunk, unit = tuple(draw(sizes)), tuple(draw(sizes))
    block = tuple(min(n, u * m) for n, u, m in zip(shape, unit, draw(sizes), strict=True))
    axes = draw(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True))

    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.normal(size=shape).astype("f4")
    coords = {axis: np.cumsum(rng.integers(1, 3, shape[axis])) * 0.5 for axis in axes}
    periods = {axis: np.ptp(x) + 0.5 for axis, x in coords.items() if draw(st.booleans())}
    operators = [
        Gradient.along(
            {axis: from_coordinate(x)},
            dtype="f4",
            boundaries={axis: Boundary("periodic", period=periods[axis])}
            if axis in periods
            else None,
            **asdict(scheme),
        )
        for axis, x in coords.items()
    ]
    reach = {axis: operator.reach[axis] for axis, operator in zip(axes, operators, strict=True)}
    grid = BlockGrid(shape, block, reach)
    along = [
        a
        for a in axes
        if grid.counts[a] > 1 and block[a] >= max(reach[a].depth, reach[a].ends - 1)
    ]
    if along and draw(st.booleans()):
        grid = replace(grid, sweep=draw(st.sampled_from(along)), run=draw(st.integers(2, 4)))
    store = MemoryStore()
    source = zarr.create_array(store, name="f", data=values, chunks=chunk)
    results = [
        zarr.create_array(store, name=f"d{axis}", shape=shape, chunks=unit, dtype="f4")
        for axis in axes
    ]
    work = Work(
        name="pass 0",
        what="derivatives of f",
        dims=tuple("xyz"[:ndim]),
        inputs=(Input(reader_of(source), None, chunk),),
        grid=grid,
        operators=tuple(
            (operator, (writer_of(result),))
            for operator, result in zip(operators, results, strict=True)
        ),
        pool=Pool(2**20),
    )
    expected = [
        bigrad.gradient(
            values,
            x,
            axis=axis,
            boundary="periodic" if axis in periods else None,
            period=periods.get(axis),
            **asdict(scheme),
        )
        for axis, x in coords.items()
    ]
    return work, results, expected


@given(works(), st.data())
def test_runs_give_the_bits_of_the_array_and_read_what_is_planned(
    drawn: tuple[Work, list[Any], list[Any]], data: st.DataObject
) -> None:
    work, results, expected = drawn
    runs = data.draw(st.permutations(list(work.tasks(0, work.steps))))
    done = [work.perform(first, stop, threading.Event()) for first, stop in runs]
    (source,) = work.inputs
    planned = work.grid.read_units(source.chunk)
    assert sum(one.steps for one in done) == work.steps
    assert source.reader.traffic.chunks == planned
    assert sum(one.read for one in done) == planned * source.reader.chunk_bytes
    for result, derivative in zip(results, expected, strict=True):
        assert_same_bits(result[:], derivative)
