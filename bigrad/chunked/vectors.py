"""Vector calculus on dask arrays: a block per chunk, lazily, with the chunks of the input."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize

from bigrad.chunked import halo
from bigrad.numerics.operators import Block
from bigrad.numerics.vector_calculus import VectorOperator

__all__ = ["apply"]


def apply(operator: VectorOperator, fields: Sequence[Any]) -> tuple[Any, ...]:
    """Apply an operator to arrays of which at least one is dask's.

    Parameters
    ----------
    operator : VectorOperator
        Decided for arrays of their shape and dtypes.
    fields : sequence of array
        Its inputs, all of one shape. Chunks are those of the first that is a dask array.

    Returns
    -------
    tuple of dask.array.Array
        The results.

    Raises
    ------
    ValueError
        Where chunk sizes are unknown.
    """
    given = next(field.chunks for field in fields if isinstance(field, da.Array))
    if any(size != size for sizes in given for size in sizes):
        msg = (
            "the fields have unknown chunk sizes, and neighbours are exchanged between chunks "
            "of known size only; call `compute_chunk_sizes()` on them first"
        )
        raise ValueError(msg)
    reach = operator.reach
    chunks = tuple(
        halo.regular(sizes, reach[axis]) if axis in reach else sizes
        for axis, sizes in enumerate(given)
    )
    arrays = [da.asarray(field).rechunk(chunks) for field in fields]
    inputs = [
        (x, *_around(operator, number, x), _circles(operator, number, x))
        for number, x in enumerate(arrays)
    ]
    starts = tuple(np.array([0, *accumulate(sizes)][:-1]) for sizes in chunks)
    given_parts = tuple(tuple(part is not None for part in found) for found in inputs)
    dtype = operator.dtype
    options = {"dtype": dtype, "meta": np.empty((0,) * len(chunks), dtype)}
    parts = [part for found in inputs for part in found if part is not None]
    name = f"{halo.PREFIX}{operator.kind}-{tokenize(operator, [part.name for part in parts])}"
    several = len(operator.dtypes) > 1
    blocks = da.map_blocks(
        _compute,
        _once(_Placed(operator, starts, given_parts)),
        *parts,
        chunks=chunks,
        name=name + halo.SUFFIX if several else name,
        **options,
    )
    if not several:
        return (blocks.rechunk(given),)
    results = (
        da.map_blocks(itemgetter(k), blocks, **options) for k in range(len(operator.dtypes))
    )
    return tuple(result.rechunk(given) for result in results)


@dataclass(frozen=True, eq=False)
class _Placed:
    """An operator, where chunks begin along each axis, and which parts its inputs come in.

    Of each input these are: the core; the faces before and after along each of the axes that
    the operator has; circles. Only the core is always there.
    """

    operator: VectorOperator
    starts: tuple[np.ndarray[Any, Any], ...]
    parts: tuple[tuple[bool, ...], ...]


def _once(placed: _Placed) -> Any:
    """Return a dask array of one object, so that it is in the graph once."""
    box = np.empty((), object)
    box[()] = placed
    return da.from_array(box, chunks=(), name="vector-operator-" + tokenize(placed))


def _around(operator: VectorOperator, number: int, x: Any) -> Iterator[Any]:
    """Yield the faces before and after along each axis of the operator, or None twice."""
    for axis, reach in operator.reach.items():
        if axis not in operator.looks(number) or x.numblocks[axis] == 1:
            yield from (None, None)
        else:
            yield from halo.faces(x, axis, reach, operator.kind)


def _circles(operator: VectorOperator, number: int, x: Any) -> Any:
    """Circles that the chunks need, those of each row of chunks together; None where there are.

    Where each chunk has its own, as where chunks hold whole maps, nothing need be brought.
    """
    (y, _), shape = operator.axes, list(x.shape)
    rows = []
    apart = False
    start = [0] * x.ndim
    for size in x.chunks[y]:
        shape[y] = size
        wanted = [part[y] for part in operator.extra(number, start, shape)]
        apart = apart or any(not start[y] <= row.start < start[y] + size for row in wanted)
        rows.append(wanted)
        start[y] += size
    split = x.numblocks[operator.axes[1]] > 1
    if not any(rows) or not (split or apart):
        return None
    along = (slice(None),) * y
    whole = {y: -1, operator.axes[1]: -1}
    parts = [
        da.concatenate([x[(*along, row)] for row in wanted], axis=y).rechunk(whole)
        if wanted
        else _nothing(x, operator.axes)
        for wanted in rows
    ]
    return da.concatenate(parts, axis=y)


def _nothing(x: Any, axes: tuple[int, int]) -> Any:
    """Return a row of zeros for chunks that need no circle, since every chunk has to get one."""
    y, across = axes
    chunks = list(x.chunks)
    chunks[y], chunks[across] = (1,), (x.shape[across],)
    return da.zeros(tuple(map(sum, chunks)), chunks=tuple(chunks), dtype=x.dtype)


def _compute(box: Any, *parts: Any, block_id: tuple[int, ...]) -> Any:
    """Compute one chunk."""
    placed: _Placed = box[()]
    operator = placed.operator
    start = tuple(int(starts[i]) for starts, i in zip(placed.starts, block_id, strict=True))
    left = iter(parts)
    blocks = []
    for number, there in enumerate(placed.parts):
        core, *faces, circles = (next(left) if given else None for given in there)
        around = {
            axis: (faces[2 * k], faces[2 * k + 1])
            for k, axis in enumerate(operator.reach)
            if faces[2 * k] is not None
        }
        extra = tuple(_extra(operator, number, start, core, circles))
        blocks.append(Block(core, start, around, extra))
    results = operator.apply(blocks)
    return results[0] if len(results) == 1 else results


def _extra(
    operator: VectorOperator, number: int, start: tuple[int, ...], core: Any, circles: Any
) -> Iterator[Any]:
    """Yield what the operator wants besides, from the circles or else from the chunk itself."""
    y = operator.axes[0]
    for k, wanted in enumerate(operator.extra(number, start, core.shape)):
        row = k if circles is not None else wanted[y].start - start[y]
        yield (core if circles is None else circles)[(*(slice(None),) * y, slice(row, row + 1))]
