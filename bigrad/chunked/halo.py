"""The halo of dask chunks: faces, cut from the neighbours where these are.

A chunk is never copied to join it with its halo. A face is a block of a thin array whose blocks
lie beside those of the chunks that need it: nothing is left to exchange. It is a task of its own,
which depends on one chunk; or, where that is an array in the graph already, and thick, a view.

On a cluster only faces have to travel. Where a chunk and its faces are on two workers, though,
the scheduler of `distributed` takes the one that it reckons to begin sooner, and moves the chunk
if that is the other one; `OwnerComputes` has it stay. Without that, it reckons with 100 MB a
second, unless told or taught otherwise, and with half a second for each waiting task of a kind
that it has not seen yet: longer than to move many a chunk. So faces are called what the tasks are
that look at them: they come first, and then it has seen some of that kind, which were short.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import dask.array as da
import numpy as np
from dask.array.core import Array
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer

from bigrad.numerics.stencils import Reach

__all__ = ["PREFIX", "SUFFIX", "faces", "regular"]

# What the names of arrays begin with whose blocks look at faces, and those of faces themselves.
PREFIX = "bigrad-"

# What the names of arrays end with that nobody sees: faces, and blocks of several results.
SUFFIX = "-inner"

# How many times as thick as a face a chunk must be for its faces to be in the graph beside it:
# there is an eighth more to send to a cluster, then, for each axis.
_THICK = 16


def regular(chunks: Sequence[int], reach: Reach) -> tuple[int, ...]:
    """Chunks of an axis of which each sees all that it needs in the planes next to it.

    Empty chunks are dropped. Chunks join others until each has as many planes as its neighbours
    look at, and those at the ends have, with these, all that the end cells look at.

    Examples
    --------
    >>> regular((1, 3, 0, 3, 1), Reach(8))
    (1, 3, 3, 1)
    >>> regular((1, 3, 0, 3, 1), Reach(8, ends=3))
    (4, 4)
    >>> regular((1, 1, 1, 1, 1, 3), Reach(8, depth=2, periodic=True))
    (2, 2, 4)
    """
    at_ends = reach.depth if reach.periodic else max(reach.depth, reach.ends - reach.depth)
    sizes: list[int] = []
    for size in chunks:
        least = at_ends if len(sizes) == 1 else reach.depth
        if sizes and (sizes[-1] < least or not size):
            sizes[-1] += size
        elif size:
            sizes.append(size)
    while len(sizes) > 1 and sizes[-1] < at_ends:
        sizes[-2:] = [sum(sizes[-2:])]
    return tuple(sizes)


def faces(x: Any, axis: int, reach: Reach, kind: str) -> tuple[Any, Any]:
    """For each chunk the last planes before it, and the first planes after it.

    Parameters
    ----------
    x : dask.array.Array
        With chunks along `axis` as `regular` makes them.
    axis : int
        The axis to look along.
    reach : Reach
        How far to look.
    kind : str
        What the names of the arrays have after `PREFIX` whose blocks look at the faces.

    Returns
    -------
    before, after : dask.array.Array
        Each with the blocks of `x`, and as many planes along `axis` in each block as `reach` is
        deep. Where the axis ends, a chunk has a block that means nothing, and that may be empty;
        where it is periodic, one of planes from the other end.
    """
    shifted: Callable[..., Any]
    if isinstance(x, Array):
        there_already = _thick_arrays(x, axis, _THICK * reach.depth)
        shifted = partial(_shifted, kind=kind, there_already=there_already)
    else:  # what is no graph yet has its keys from dask
        shifted = _shifted_expression
    return shifted(x, axis, -1, reach), shifted(x, axis, 1, reach)


def _shifted(
    x: Any, axis: int, step: int, reach: Reach, *, kind: str, there_already: Mapping[Any, Any]
) -> Any:
    """Array of the planes on this side of the chunk that is `step` further along `axis`.

    The graph is made by hand: a task for each face, where slices of an array would be three, and
    none where the chunk is there already and thick.
    """
    near, nothing = _near(axis, step, reach.depth), _index(axis, slice(0))
    # Of one name are an array whose chunks are there and the same whose chunks are tasks yet.
    token = tokenize(x.name, axis, step, reach, sorted(there_already))
    name = f"{PREFIX}{kind}-{token}{SUFFIX}"
    number = x.numblocks[axis]
    tasks: dict[Any, Any] = {}
    for place in product(*map(range, x.numblocks)):
        other = place[axis] + step
        inside = reach.periodic or 0 <= other < number
        there = (*place[:axis], other % number, *place[axis + 1 :]) if inside else place
        index = near if inside else nothing
        key = (x.name, *there)
        block = there_already.get(key)
        tasks[(name, *place)] = (_cut, key, index) if block is None else block[index]
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[x])
    widths = tuple(
        reach.depth if reach.periodic or 0 <= i + step < number else 0 for i in range(number)
    )
    chunks = (*x.chunks[:axis], widths, *x.chunks[axis + 1 :])
    return Array(graph, name, chunks, meta=meta_from_array(x))


def _thick_arrays(x: Any, axis: int, least: int) -> dict[Any, Any]:
    """Those chunks, by key, that are NumPy arrays in the graph, of `least` planes or more."""
    layer = x.dask.layers.get(x.name)
    if not isinstance(layer, MaterializedLayer):
        return {}
    return {
        key: block
        for key, block in layer.items()
        if type(block) is np.ndarray and block.shape[axis] >= least
    }


def _shifted_expression(x: Any, axis: int, step: int, reach: Reach) -> Any:
    """As `_shifted`, of what is no graph yet but an expression, as with query planning."""
    depth = reach.depth
    widths = (depth,) * x.numblocks[axis]
    chunks = (*x.chunks[:axis], widths, *x.chunks[axis + 1 :])
    near = _near(axis, step, depth)
    planes = da.map_blocks(_cut, x, near, dtype=x.dtype, meta=meta_from_array(x), chunks=chunks)
    # What has no neighbour may have any planes: here it has those that wrap around.
    others = slice(-depth) if step < 0 else slice(depth, None)
    parts = [planes[near], planes[_index(axis, others)]]
    return da.concatenate(parts if step < 0 else parts[::-1], axis=axis)


def _near(axis: int, step: int, depth: int) -> tuple[slice, ...]:
    """Index of the planes of a chunk that the chunk `step` before it looks at."""
    return _index(axis, slice(-depth, None) if step < 0 else slice(depth))


def _index(axis: int, where: slice) -> tuple[slice, ...]:
    return (slice(None),) * axis + (where,)


def _cut(block: Any, index: tuple[slice, ...]) -> Any:
    # A copy, so that the whole chunk need not live as long as its faces.
    return block[index].copy()
