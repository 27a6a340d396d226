import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigrad.jobs.blocks import BlockGrid, Region, count_along, touched
from bigrad.numerics.stencils import Reach


@st.composite
def grids(draw: Any) -> tuple[BlockGrid, tuple[int, ...], tuple[int, ...]]:
    """A grid of whole write units, the write unit, and the chunk of the source."""
    ndim = draw(st.integers(1, 3))
    depth = draw(st.integers(1, 2))
    ends = draw(st.integers(depth + 1, depth + 2))
    sizes = st.lists(st.integers(1, 8), min_size=ndim, max_size=ndim)
    shape = tuple(draw(st.lists(st.integers(ends, 24), min_size=ndim, max_size=ndim)))
    unit = tuple(draw(sizes))
    block = tuple(min(n, u * m) for n, u, m in zip(shape, unit, draw(sizes), strict=True))
    axes = draw(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True))
    grid = BlockGrid(shape, block, {axis: Reach(shape[axis], depth, ends) for axis in axes})
    along = [a for a in axes if grid.counts[a] > 1 and block[a] >= ends - 1]
    if along and draw(st.booleans()):
        grid = replace(grid, sweep=draw(st.sampled_from(along)), run=draw(st.integers(2, 5)))
    return grid, unit, tuple(draw(sizes))


def volume(region: Region) -> int:
    return math.prod(cells.stop - cells.start for cells in region)


def chunks_touched(region: Region, chunk: tuple[int, ...]) -> int:
    """One by one, as a reader would meet them."""
    if not volume(region):
        return 0
    along = [
        {cell // size for cell in range(cells.start, cells.stop)}
        for cells, size in zip(region, chunk, strict=True)
    ]
    return sum(1 for _ in product(*along))


@given(grids())
def test_every_cell_is_written_once_and_every_unit_is_whole(
    drawn: tuple[BlockGrid, tuple[int, ...], tuple[int, ...]],
) -> None:
    grid, unit, _ = drawn
    written = np.zeros(grid.shape, int)
    for region in grid:
        written[region] += 1
        for cells, size, n in zip(region, unit, grid.shape, strict=True):
            assert cells.start % size == 0
            assert cells.stop % size == 0 or cells.stop == n
    assert (written == 1).all()
    assert len(list(grid)) == len(grid)


def runs(grid: BlockGrid) -> list[tuple[int, int]]:
    return list(grid.runs(0, len(grid)))


@given(grids())
def test_runs_are_consecutive_blocks_along_an_axis(
    drawn: tuple[BlockGrid, tuple[int, ...], tuple[int, ...]],
) -> None:
    grid, _, _ = drawn
    assert [n for first, stop in runs(grid) for n in range(first, stop)] == list(range(len(grid)))
    assert len(runs(grid)) == grid.tasks
    for first, stop in runs(grid):
        assert stop - first <= grid.run
        for number in range(first, stop - 1):
            one, other = grid.region(number), grid.region(number + 1)
            assert [a for a in range(len(one)) if one[a] != other[a]] == [grid.sweep]
            assert one[grid.sweep or 0].stop == other[grid.sweep or 0].start


@given(grids())
def test_reads_hold_every_window_and_nothing_outside(
    drawn: tuple[BlockGrid, tuple[int, ...], tuple[int, ...]],
) -> None:
    grid, _, _ = drawn
    for first, stop in runs(grid):
        read = np.zeros(grid.shape, int)
        for number, reads in enumerate(grid.reads(first, stop), first):
            region = grid.region(number)
            assert region == tuple(
                slice(whole.start + cells.start, whole.start + cells.stop)
                for whole, cells in zip(reads.core, reads.inside, strict=True)
            )
            for piece in reads.regions:
                assert all(
                    0 <= cells.start < cells.stop <= n
                    for cells, n in zip(piece, grid.shape, strict=True)
                )
                read[piece] += 1
        assert read.max() == 1
        for number in range(first, stop):
            region = grid.region(number)
            for axis, reach in grid.reach.items():
                lo, hi = reach.window(region[axis].start, region[axis].stop)
                assert (read[(*region[:axis], slice(lo, hi), *region[axis + 1 :])] == 1).all()


@given(grids())
def test_counts_are_those_of_brute_force(
    drawn: tuple[BlockGrid, tuple[int, ...], tuple[int, ...]],
) -> None:
    grid, _, chunk = drawn
    found = [reads for first, stop in runs(grid) for reads in grid.reads(first, stop)]
    cells = grid.largest()
    assert grid.read_units(chunk) == sum(
        chunks_touched(region, chunk) for reads in found for region in reads.regions
    )
    assert all(
        touched(region, chunk) == chunks_touched(region, chunk)
        for reads in found
        for region in reads.regions
    )
    assert cells.core == max(map(volume, grid))
    assert cells.piece >= max(
        volume(reads.core)
        + sum(
            volume(slab)
            for axis, slabs in reads.faces.items()
            if axis != grid.sweep
            for side in slabs
            for slab in side
        )
        for reads in found
    )


@pytest.mark.parametrize(("block", "unit"), [(1, 1), (1, 7), (5, 3), (37, 37)])
@pytest.mark.parametrize("edge_order", [1, 2])
def test_long_axes_are_counted_exactly(block: int, unit: int, edge_order: int) -> None:
    size = 1009
    reach = Reach(size, ends=edge_order + 1)
    found = count_along(size, block, unit, reach)
    joined = faces = 0
    for start in range(0, size, block):
        stop = min(start + block, size)
        lo, hi = reach.window(start, stop)
        joined += chunks_touched((slice(lo, hi),), (unit,))
        faces += chunks_touched((slice(lo, start),), (unit,))
        faces += chunks_touched((slice(stop, hi),), (unit,))
    assert (found.joined, found.faces) == (joined, faces)
