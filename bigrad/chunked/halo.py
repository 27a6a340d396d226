"""The halo of dask chunks: faces, cut from the neighbours where these are.

A chunk is never copied to join it with its halo. A face is a task of its own, which depends on
one chunk, and is a block of a thin array whose blocks lie beside those of the chunks that need
it: nothing is left to exchange.

On a cluster only faces have to travel. Where a chunk and its faces are on two workers, though,
the scheduler of `distributed` takes the one that it reckons to begin sooner, and moves the chunk
if that is the other one. It reckons with 100 MB a second, unless told or taught otherwise, and
with half a second for each waiting task of a kind that it has not seen yet. Told by the setting
``distributed.scheduler.bandwidth`` that the network is slow, it leaves chunks where they are.
"""

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import dask.array as da
from dask.array.core import Array
from dask.array.utils import meta_from_array
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

__all__ = ["faces", "regular"]


def regular(chunks: Sequence[int], edge_order: int) -> tuple[int, ...]:
    """Chunks of an axis of which each sees all that it needs in the planes next to it.

    Empty chunks are dropped. With ``edge_order=2`` the end cells need the two cells next to
    them, so a chunk of 1 at an end joins its neighbour.

    Examples
    --------
    >>> regular((1, 3, 0, 3, 1), edge_order=1)
    (1, 3, 3, 1)
    >>> regular((1, 3, 0, 3, 1), edge_order=2)
    (4, 4)
    """
    sizes = [size for size in chunks if size]
    if edge_order == 2:
        if len(sizes) > 1 and sizes[0] == 1:
            sizes[:2] = [sum(sizes[:2])]
        if len(sizes) > 1 and sizes[-1] == 1:
            sizes[-2:] = [sum(sizes[-2:])]
    return tuple(sizes)


def faces(x: Any, axis: int) -> tuple[Any, Any]:
    """For each chunk the last plane before it, and the first plane after it.

    Parameters
    ----------
    x : dask.array.Array
        Without empty chunks along `axis`.
    axis : int
        The axis to look along.

    Returns
    -------
    before, after : dask.array.Array
        Each with the blocks of `x`, and a plane along `axis` in each block. A chunk that has no
        neighbour on that side has a block that means nothing there, and that may be empty.
    """
    last, first = (partial(_cut, axis=axis, where=slice(*w)) for w in ((-1, None), (0, 1)))
    shifted = _shifted if isinstance(x, Array) else _shifted_expression
    return shifted(x, axis, last, -1), shifted(x, axis, first, 1)


def _shifted(x: Any, axis: int, cut: partial[Any], step: int) -> Any:
    """Array of what `cut` takes from the chunk that is `step` further along `axis`.

    The graph is made by hand: a task for each face, where slices of an array would be three.
    """
    nothing = partial(_cut, axis=axis, where=slice(0))
    name = f"face-{tokenize(x.name, axis, step)}"
    number = x.numblocks[axis]
    tasks: dict[Any, Any] = {}
    for place in product(*map(range, x.numblocks)):
        other = place[axis] + step
        there = (*place[:axis], other, *place[axis + 1 :])
        inside = 0 <= other < number
        tasks[(name, *place)] = (cut, (x.name, *there)) if inside else (nothing, (x.name, *place))
    graph = HighLevelGraph.from_collections(name, tasks, dependencies=[x])
    widths = tuple(int(0 <= i + step < number) for i in range(number))
    chunks = (*x.chunks[:axis], widths, *x.chunks[axis + 1 :])
    return Array(graph, name, chunks, meta=meta_from_array(x))


def _shifted_expression(x: Any, axis: int, cut: partial[Any], step: int) -> Any:
    """As `_shifted`, of what is no graph yet but an expression, as with query planning."""
    widths = (1,) * x.numblocks[axis]
    chunks = (*x.chunks[:axis], widths, *x.chunks[axis + 1 :])
    planes = da.map_blocks(cut, x, dtype=x.dtype, meta=meta_from_array(x), chunks=chunks)
    index = (slice(None),) * axis
    end, others = (slice(1), slice(-1)) if step < 0 else (slice(-1, None), slice(1, None))
    parts = [planes[(*index, end)], planes[(*index, others)]]
    return da.concatenate(parts if step < 0 else parts[::-1], axis=axis)


def _cut(block: Any, axis: int, where: slice) -> Any:
    # A copy, so that the whole chunk need not live as long as its faces.
    return block[(slice(None),) * axis + (where,)].copy()
