import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigrad.jobs.blocks import BlockGrid, Region, count_along
from bigrad.numerics.stencils import Reach


@st.composite
def grids(draw: Any) -> tuple[BlockGrid, tuple[int, ...], tuple[int, ...]]:
    """A grid of whole write units, the write unit, and the chunk of the source."""
    ndim = draw(st.integers(1, 3))
    edge_order = draw(st.sampled_from([1, 2]))
    sizes = st.lists(st.integers(1, 8), min_size=ndim, max_size=ndim)
    shape = tuple(draw(st.lists(st.integers(3, 24), min_size=ndim, max_size=ndim)))
    unit = tuple(draw(sizes))
    block = tuple(min(n, u * m) for n, u, m in zip(shape, unit, draw(sizes), strict=True))
    axes = tuple(draw(st.lists(st.integers(0, ndim - 1), min_size=1, max_size=ndim, unique=True)))
    return (
        BlockGrid(shape, block, {a: Reach(shape[a], ends=edge_order + 1) for a in axes}),
        unit,
        tuple(draw(sizes)),
    )


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


@given(grids())
def test_reads_hold_every_window_and_nothing_outside(
    drawn: tuple[BlockGrid, tuple[int, ...], tuple[int, ...]],
) -> None:
    grid, _, _ = drawn
    for number, region in enumerate(grid):
        reads = grid.reads(number)
        pieces = [reads.core, *(face for pair in reads.faces.values() for face in pair)]
        read = np.zeros(grid.shape, int)
        for piece in pieces:
            assert all(
                0 <= cells.start <= cells.stop <= n
                for cells, n in zip(piece, grid.shape, strict=True)
            )
            read[piece] += 1
        assert read.max() == 1
        for axis, reach in grid.reach.items():
            lo, hi = reach.window(region[axis].start, region[axis].stop)
            assert (read[(*region[:axis], slice(lo, hi), *region[axis + 1 :])] == 1).all()


@given(grids())
def test_counts_are_those_of_brute_force(
    drawn: tuple[BlockGrid, tuple[int, ...], tuple[int, ...]],
) -> None:
    grid, _, chunk = drawn
    touched, cores, reads = 0, [0], [0]
    for number, region in enumerate(grid):
        read = grid.reads(number)
        pieces = [read.core, *(face for pair in read.faces.values() for face in pair)]
        touched += sum(chunks_touched(piece, chunk) for piece in pieces)
        cores.append(volume(region))
        reads.append(sum(map(volume, pieces)))
    core, extended = grid.largest_reads()
    assert grid.read_units(chunk) == touched
    assert core == max(cores)
    assert max(reads) <= extended <= 3 ** len(grid.reach) * max(reads)


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
