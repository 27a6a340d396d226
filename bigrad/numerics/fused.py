"""Run the compiled loops on blocks of NumPy arrays, tile by tile, on several threads."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bigrad.numerics import kernels, threads
from bigrad.numerics.buffers import Geometry, Part, Place, parts, pieces, within
from bigrad.numerics.coefficients import Coefficients
from bigrad.numerics.stencils import Stencil
from bigrad.numerics.tiles import Tile, columns
from bigrad.numerics.vectors import LINE

__all__ = ["Along", "Prepared", "differentiate", "prepared"]

Array = np.ndarray[Any, Any]

# Long runs of memory are what is fast, as long as three rows, and the tile of several axes with
# its neighbours, stay in the larger caches (measured: half and a quarter of these cost a third).
_ROW_BYTES = 512 * 1024
_TILE_BYTES = 2 * 1024 * 1024

# A result larger than the caches is written past them: its memory need not be read first.
_PAST_CACHES = 32 * 1024 * 1024


class Along(NamedTuple):
    """One of the derivatives of a block.

    Attributes
    ----------
    axis : int
        The axis.
    stencil : Stencil
        Of the whole axis.
    numbers : Coefficients
        Of the stencil.
    start : int
        Place of the block's first cell along the whole axis.
    faces : tuple of numpy.ndarray, or None
        The cells just before and after the block, where there are any.
    out : numpy.ndarray, or None
        Where to put the derivative; None where that is still to be seen.
    """

    axis: int
    stencil: Stencil
    numbers: Coefficients
    start: int
    faces: tuple[Array, Array] | None
    out: Any


def differentiate(core: Array, derivatives: Sequence[Along], workers: int = 1) -> None:
    """Fill the derivatives of a block; the bits do not depend on the number of workers."""
    if not core.size:
        return
    if (
        len(derivatives) > 1
        and core.nbytes > _TILE_BYTES
        and all(array.flags.c_contiguous for array in (core, *(one.out for one in derivatives)))
    ):
        _together(core, derivatives, workers)
        return
    for one in derivatives:
        split = parts(one.out, core, one.faces, one.axis)
        if workers == 1:
            _loop(one, core.itemsize, split)
            continue
        threads.run(
            [
                partial(_loop, one, core.itemsize, (piece,))
                for part in split
                for piece in pieces(part, 2 * workers)
            ],
            workers,
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """The derivatives of small arrays of one shape, ready but for the arrays themselves.

    Attributes
    ----------
    dtype : numpy.dtype
        Of the results.
    calls : tuple
        For each derivative the geometry of its buffers, and what the loop takes besides.
    """

    dtype: np.dtype[Any]
    calls: tuple[tuple[Any, tuple[Any, ...]], ...]

    def apply(self, f: Array) -> tuple[Array, ...]:
        """Differentiate a whole array, which must be NumPy's own and C-contiguous."""
        cells = f.reshape(-1)
        cells.setflags(write=False)  # the one type of input that the loops are compiled for
        results = []
        for geometry, options in self.calls:
            out = np.empty_like(f, self.dtype)
            kernels.differentiate(
                out.reshape(-1), geometry,
                cells, geometry, cells, geometry, cells, geometry, *options, -1, None,
            )  # fmt: skip
            results.append(out)
        return tuple(results)


def prepared(
    shape: tuple[int, ...], itemsize: int, dtype: np.dtype[Any], derivatives: Iterable[Along]
) -> Prepared | None:
    """Prepare derivatives of whole arrays of a shape; None where these are not small."""
    if not 0 < math.prod(shape) * itemsize <= _TILE_BYTES:
        return None
    calls = []
    for one in derivatives:
        n, inner = shape[one.axis], math.prod(shape[one.axis + 1 :])
        outer = math.prod(shape[: one.axis])
        calls.append(
            ((0, 0, n * inner, inner, 1), _options(one, itemsize, (1, outer, n, inner), 0))
        )
    return Prepared(dtype, tuple(calls))


def _together(core: Array, derivatives: Sequence[Along], workers: int) -> None:
    """Take a tile for all derivatives before the next."""
    whole = [(one, parts(one.out, core, one.faces, one.axis)[0]) for one in derivatives]
    slowest = min(one.axis for one in derivatives)

    def work(column: list[Tile]) -> None:
        for tile in column:
            for one, part in whole:
                low, high = tile.along(one.axis)
                _loop(one, core.itemsize, (within(part, (0, *low), (1, *high)),))

    tiles = columns(core.shape, slowest, _TILE_BYTES // core.itemsize)
    if workers == 1:
        for column in tiles:
            work(column)
    else:
        threads.run([partial(work, column) for column in tiles], workers)


def _loop(one: Along, itemsize: int, split: Iterable[Part]) -> None:
    for shape, skipped, buffers in split:
        options = _options(one, itemsize, shape, one.start + skipped)
        kernels.differentiate(*buffers, *options, _line(*buffers[:2]), _apart(buffers))


def _options(one: Along, itemsize: int, shape: Place, start: int) -> tuple[Any, ...]:
    """All that the loop takes besides buffers."""
    return (
        shape,
        _ROW_BYTES // itemsize,
        start == 0,
        start + shape[2] == one.stencil.size,
        one.stencil.edge_order,
        one.numbers.ends,
        one.numbers.inside,
        start,
    )


def _line(out: Array, geometry: Geometry) -> int:
    """Find a cell of a large result that begins a line of memory; negative where none does."""
    if out.nbytes < _PAST_CACHES or geometry[-1] != 1:
        return -1
    ahead: int = -out.__array_interface__["data"][0] % LINE
    return -1 if ahead % out.itemsize else ahead // out.itemsize


def _apart(buffers: Sequence[Any]) -> bool | None:
    """None where the cells of every buffer follow each other: those loops are others."""
    return None if all(geometry[-1] == 1 for geometry in buffers[1::2]) else True
