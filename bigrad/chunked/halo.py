"""The halo of dask chunks: faces, exchanged by dask's own `overlap`.

A chunk is never copied to join it with its halo. A thin array holds the first and the last
plane of every chunk; `overlap` of depth 1 on that array brings each chunk the planes of its
neighbours, and only these travel between the workers of a cluster.
"""

from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask.array.utils import meta_from_array

__all__ = ["faces", "neighbours", "regular"]


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


def faces(x: Any, axis: int) -> Any:
    """For each chunk the last plane before it, its own first and last, and the first after it.

    Parameters
    ----------
    x : dask.array.Array
        With two or more chunks along `axis`, none of them empty.
    axis : int
        The axis to look along.

    Returns
    -------
    dask.array.Array
        With the blocks of `x`, four planes in each along `axis`; three at the two ends, where
        there is nothing to see on one side.
    """
    ends = da.map_blocks(
        _ends,
        x,
        axis=axis,
        dtype=x.dtype,
        meta=meta_from_array(x),
        chunks=(*x.chunks[:axis], (2,) * x.numblocks[axis], *x.chunks[axis + 1 :]),
    )
    # Two planes are enough for a depth of 1: nothing has to be rechunked.
    return da.overlap.overlap(ends, depth={axis: 1}, boundary={axis: "none"}, allow_rechunk=False)


def neighbours(block: Any, axis: int, number: int, total: int) -> tuple[Any, Any]:
    """Split a block of `faces` into the plane before and the plane after a chunk.

    Parameters
    ----------
    block : array
        A block of `faces`.
    axis : int
        The axis that was looked along.
    number, total : int
        The chunk's number along the axis, and how many there are.

    Returns
    -------
    tuple of array
        Empty along `axis` where the whole axis ends.
    """
    first, last = int(number > 0), int(number < total - 1)
    index = (slice(None),) * axis
    stop = block.shape[axis]
    return block[(*index, slice(0, first))], block[(*index, slice(stop - last, stop))]


def _ends(block: Any, axis: int) -> Any:
    # A copy, so that the whole chunk need not live as long as its faces.
    return block[(slice(None),) * axis + (np.array([0, -1]),)]
