"""Run the compiled loops of vector calculus on blocks ``(..., y, x)``, on several threads."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bigrad.numerics import poles, threads
from bigrad.numerics import vector_kernels as kernels
from bigrad.numerics.operators import Block
from bigrad.numerics.sphere import End, Grid, Slopes

if TYPE_CHECKING:
    from bigrad.numerics.vector_calculus import Terms

__all__ = ["fill"]

Array = np.ndarray[Any, Any]

# Several results of the same inputs take turns on parts of the data that stay in the cache.
_PART_BYTES = 512 * 1024

# First map and the one after the last, first row and the one after the last.
Part = tuple[int, int, int, int]


def fill(
    kind: str,
    grid: Grid,
    terms: "Sequence[Terms]",
    blocks: Sequence[Block],
    results: Sequence[Array],
    workers: int = 1,
) -> None:
    """Fill the results of an operator; the bits do not depend on the number of workers.

    Parameters
    ----------
    kind, grid, terms
        Of a `VectorOperator`.
    blocks : sequence of Block
        For each input, of axes ``(..., y, x)``: a core in C order in the dtype of the
        arithmetic; a start of two numbers; faces along 0 (y) and 1 (x); circles near poles.
    results : sequence of numpy.ndarray
        As the cores.
    workers : int
        How many threads share the work.
    """
    *leading, rows, columns = blocks[0].core.shape
    maps = math.prod(leading)
    row, _ = blocks[0].start
    at_pole = [
        end is End.POLE and place == row + k
        for end, place, k in zip(grid.y_ends, (0, grid.shape[0] - 1), (0, rows - 1), strict=True)
    ]
    whole = (0, maps, int(at_pole[0]), rows - int(at_pole[1]))
    calls = list(_calls(kind, grid, terms, blocks, results))

    def work(part: Part) -> None:
        for call in calls:
            call(part)

    count = 2 * workers if workers > 1 else 1
    if len(calls) > 1:
        cells = maps * rows * columns
        count = max(count, cells * blocks[0].core.itemsize // _PART_BYTES)
    parts = list(_parts(whole, count))
    if workers > 1:
        threads.run([partial(work, part) for part in parts], workers)
    else:
        for part in parts:
            work(part)
    for which in range(2):
        if at_pole[which]:
            poles.fill(kind, grid, which, blocks, results)


def _parts(whole: Part, count: int) -> Iterator[Part]:
    """Split maps, or the rows of each where there are too few maps, in about `count` parts."""
    z0, z1, i0, i1 = whole
    maps, rows = z1 - z0, i1 - i0
    if maps >= 2 * count or not rows:
        for a, b in pairwise(z0 + maps * k // count for k in range(count + 1)):
            yield a, b, i0, i1
        return
    each = min(-(-count // maps), rows)
    for z in range(z0, z1):
        for a, b in pairwise(i0 + rows * k // each for k in range(each + 1)):
            yield z, z + 1, a, b


class _AlongX(NamedTuple):
    """For each row of a field the three cells that its first and its last column look at."""

    west: Array
    east: Array


class _AlongY(NamedTuple):
    """For each map of a field the rows before and after, and how many an edge looks at."""

    before: Array
    after: Array
    edges: tuple[int, int]


def _calls(
    kind: str,
    grid: Grid,
    terms: "Sequence[Terms]",
    blocks: Sequence[Block],
    results: Sequence[Array],
) -> Iterator[Callable[[Part], None]]:
    """Prepare, for each result or for all, the call of a loop that fills part of it."""
    *leading, rows, columns = blocks[0].core.shape
    shape = (math.prod(leading), rows, columns)
    row, column = blocks[0].start
    cells = [_flat(block.core) for block in blocks]
    outs = [result.reshape(-1) for result in results]
    of_winds = kind in ("divergence", "vorticity", "deformation")
    is_pair = of_winds or kind == "laplacian"
    for number, one in enumerate(terms):
        x = _along_x(grid, one.along_x, blocks[one.x])
        y = _along_y(grid, one.along_y, blocks[one.y], turned=of_winds)
        fields = [cells[one.x], cells[one.y]] if is_pair else cells
        p, q = fields[0], fields[1:]
        sides = (y.before, y.after)
        factors = (one.m, one.t) if is_pair else (one.m,)
        weights = (one.along_y.low, one.along_y.high, row, *one.along_x[:2], column)
        if is_pair:
            buffers = (outs[number], p, x.west, x.east, *q, *sides)
        else:
            buffers = (*outs, p, *q, x.west, x.east, *sides)
        loop = kernels.pair if is_pair else getattr(kernels, kind)
        yield _call(loop, (*buffers, shape), (y.edges, *factors, *weights))


def _call(loop: Any, before: tuple[Any, ...], after: tuple[Any, ...]) -> Callable[[Part], None]:
    """Return a call of a loop that lacks but the part to work on."""
    return lambda part: loop(*before, part, *after)


def _flat(array: Array) -> Array:
    """One type of input, whether or not the caller may write to it, is one compiled loop."""
    flat = np.ascontiguousarray(array).reshape(-1)
    flat.setflags(write=False)
    return flat


def _along_x(grid: Grid, weights: Slopes, block: Block) -> _AlongX:
    core, start = block.core, block.start[1]
    number = core.shape[-1]
    if number == grid.shape[1] and grid.closed:
        nothing = _flat(np.empty(0, core.dtype))  # the loops go around themselves
        return _AlongX(nothing, nothing)
    before, after = block.faces.get(1, (core[..., :0], core[..., :0]))

    def cell(i: int) -> Any:
        if i < 0:
            return before[..., i]
        return core[..., i] if i < number else after[..., i - number]

    sides = []
    for place in (0, number - 1):
        at_edge = [
            end is End.EDGE and start + place == edge
            for end, edge in zip(grid.x_ends, (0, grid.shape[1] - 1), strict=True)
        ]
        three = _nearest(place, weights.one_sided if any(at_edge) else 0, at_edge[1])
        cells = np.empty((*core.shape[:-1], 3), core.dtype)
        for k, i in enumerate(three):
            cells[..., k] = cell(i)
        sides.append(_flat(cells))
    return _AlongX(*sides)


def _nearest(i: int, one_sided: int, last: bool) -> tuple[int, int, int]:
    """Return the three cells that a cell looks at; see the loops' function for rows."""
    if one_sided == 2:
        return (i - 1, i, i) if last else (i, i, i + 1)
    if one_sided == 3:
        return (i - 1, i, i - 2) if last else (i + 2, i, i + 1)
    return i - 1, i, i + 1


def _along_y(grid: Grid, weights: Slopes, block: Block, *, turned: bool) -> _AlongY:
    core, (start, column) = block.core, block.start
    columns = core.shape[-1]
    sides = list(block.faces.get(0, (core[..., :0, :], core[..., :0, :])))
    edges = [0, 0]
    circles = iter(block.extra)
    places = (0, grid.shape[0] - 1)
    for which, here in enumerate((start, start + core.shape[-2] - 1)):
        end = grid.y_ends[which]
        if here != places[which]:
            continue
        if end is End.EDGE:
            edges[which] = weights.one_sided
        elif end is End.POLE:
            next(circles)
        else:
            sides[which] = poles.across(next(circles), column, columns, turned=turned)
    before, after = (_flat(side.astype(core.dtype, copy=False)) for side in sides)
    return _AlongY(before, after, (edges[0], edges[1]))
