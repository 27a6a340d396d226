"""Run the compiled loops on blocks of NumPy arrays, tile by tile, on several threads."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from bigrad.numerics import kernels, threads
from bigrad.numerics.buffers import Part, parts, pieces, within
from bigrad.numerics.coefficients import Coefficients
from bigrad.numerics.stencils import Stencil
from bigrad.numerics.tiles import Tile, columns

__all__ = ["Along", "differentiate"]

Array = np.ndarray[Any, Any]

# Three rows of this many bytes stay in a core's first-level caches, and the tile of all axes
# with its neighbours in the second-level ones.
_ROW_BYTES = 32 * 1024
_TILE_BYTES = 256 * 1024


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
    out : numpy.ndarray
        Where to put the derivative.
    """

    axis: int
    stencil: Stencil
    numbers: Coefficients
    start: int
    faces: tuple[Array, Array] | None
    out: Array


def differentiate(core: Array, derivatives: Sequence[Along], workers: int = 1) -> None:
    """Fill the derivatives of a block; the bits do not depend on the number of workers."""
    if not core.size:
        return
    if len(derivatives) > 1 and all(
        array.flags.c_contiguous for array in (core, *(one.out for one in derivatives))
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


def _together(core: Array, derivatives: Sequence[Along], workers: int) -> None:
    """Take a tile for all derivatives before the next."""
    whole = [(one, parts(one.out, core, one.faces, one.axis)[0]) for one in derivatives]
    slowest = min(one.axis for one in derivatives)

    def work(column: list[Tile]) -> None:
        for tile in column:
            for one, part in whole:
                _loop(one, core.itemsize, (within(part, *tile.along(one.axis)),))

    tiles = columns(core.shape, slowest, _TILE_BYTES // core.itemsize)
    if workers == 1:
        for column in tiles:
            work(column)
    else:
        threads.run([partial(work, column) for column in tiles], workers)


def _loop(one: Along, itemsize: int, split: Iterable[Part]) -> None:
    for shape, skipped, buffers in split:
        start = one.start + skipped
        kernels.differentiate(
            *buffers,
            shape,
            _ROW_BYTES // itemsize,
            start == 0,
            start + shape[1] == one.stencil.size,
            one.stencil.edge_order,
            one.numbers.ends,
            *one.numbers.inside,
            start,
        )
