"""Vector calculus as operators: of fields on two axes, on the sphere or on a plane.

Each is one pass over its blocks. The formulas, with longitude L and latitude P in radians, u to
the east, v to the north and R the radius:

- components of the gradient: f_L / (R cos P), f_P / R
- divergence: u_L / (R cos P) + v_P / R - v tan P / R
- vorticity: v_L / (R cos P) - u_P / R + u tan P / R
- laplacian: (f_LL / cos(P)^2 + f_PP - f_P tan P) / R^2, compact: from three cells along an axis
- advection of f by the wind: -(u f_L / (R cos P) + v f_P / R)
- deformation: stretching u_L / (R cos P) - v_P / R - v tan P / R and
  shearing v_L / (R cos P) + u_P / R + u tan P / R

On a plane they are the same without R, cos P and tan P.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from bigrad.errors import CoordinateError
from bigrad.numerics.fresh import prefaulted
from bigrad.numerics.operators import Block
from bigrad.numerics.sphere import End, Grid, Metric, Slopes, curvature, slopes
from bigrad.numerics.stencils import Reach, check_edge_order

__all__ = ["INPUTS", "RESULTS", "Terms", "VectorOperator", "called", "takes", "vector_operator"]

Array = np.ndarray[Any, Any]

# How many fields each takes, and what it gives.
INPUTS = {
    "components": 1,
    "magnitude": 1,
    "laplacian": 1,
    "divergence": 2,
    "vorticity": 2,
    "deformation": 2,
    "advection": 3,
}
RESULTS = {
    kind: {"components": ("east", "north"), "deformation": ("stretching", "shearing")}.get(
        kind, (kind,)
    )
    for kind in INPUTS
}

# Of arrays that have to be copied, so many bytes at a time, yet so many maps, of which a line of
# the cache holds cells where they are interleaved in memory; and no fewer rows.
_COPIED_BYTES = 2**20
_COPIED_MAPS = 16
_COPIED_ROWS = 8


class Terms(NamedTuple):
    """``m * Dx(inputs[x]) + Dy(inputs[y]) + t * inputs[y]``, all by row or by column.

    Attributes
    ----------
    x, y : int
        Which of the inputs are differentiated along x and along y.
    m, t : numpy.ndarray
        Factors by row.
    along_x, along_y : Slopes
        Weights by column and by row.
    """

    x: int
    y: int
    m: Array
    t: Array
    along_x: Slopes
    along_y: Slopes


@dataclass(frozen=True, eq=False)
class VectorOperator:
    """An operator of vector calculus, decided for whole arrays; made by `vector_operator`.

    Attributes
    ----------
    kind : str
        One of `INPUTS`.
    grid : Grid
        The two axes.
    axes : tuple of int
        Which axes of the arrays are y and x.
    dtype : numpy.dtype
        Of the results and of the arithmetic: float32 or float64.
    terms : tuple of Terms
        One for each result of a linear operator; a single one for the others.
    """

    kind: str
    grid: Grid
    axes: tuple[int, int]
    dtype: np.dtype[Any]
    terms: tuple[Terms, ...]

    @property
    def inputs(self) -> int:
        """How many arrays it takes, all of one shape."""
        return INPUTS[self.kind]

    @property
    def dtypes(self) -> tuple[np.dtype[Any], ...]:
        """Dtypes of the results."""
        return (self.dtype,) * len(RESULTS[self.kind])

    @property
    def reach(self) -> dict[int, Reach]:
        """How far it looks, by axis."""
        (y, x), (rows, columns) = self.axes, self.grid.shape
        one = self.terms[0]
        return {
            y: Reach(rows, ends=one.along_y.one_sided),
            x: Reach(columns, ends=one.along_x.one_sided, periodic=self.grid.closed),
        }

    def looks(self, number: int) -> tuple[int, ...]:
        """Axes along which it looks at the neighbours of the cells of an input.

        Of the faces of a block, only those along these axes are looked at.
        """
        y, x = self.axes
        along_y = any(one.y == number for one in self.terms)
        along_x = any(one.x == number for one in self.terms)
        return (y,) * along_y + (x,) * along_x

    def extra(
        self, number: int, start: Sequence[int], shape: Sequence[int]
    ) -> tuple[tuple[slice, ...], ...]:
        """Parts of an input that a block needs besides its core and faces: circles near poles.

        Parameters
        ----------
        number : int
            Which input.
        start, shape : sequence of int
            Where the block's core begins, and its shape.

        Returns
        -------
        tuple of tuple of slice
            The parts, to be given as `Block.extra` in this order; mostly none.
        """
        y, x = self.axes
        parts = []
        for row in self._circles(number, start[y], shape[y]):
            index = [slice(i, i + n) for i, n in zip(start, shape, strict=True)]
            index[y], index[x] = slice(row, row + 1), slice(0, self.grid.shape[1])
            parts.append(tuple(index))
        return tuple(parts)

    def circles(self, number: int) -> tuple[tuple[int, int], ...]:
        """Rows of an input that need a circle, as `extra` says, and in which row that is."""
        if all(one.y != number for one in self.terms):
            return ()
        rows = self.grid.shape[0]
        return tuple(
            (at, beside if end is End.POLE else at)
            for end, at, beside in zip(self.grid.y_ends, (0, rows - 1), (1, rows - 2), strict=True)
            if end in (End.POLE, End.ACROSS)
        )

    def _circles(self, number: int, start: int, size: int) -> Iterator[int]:
        """Rows that are needed all around, for each end of the axis that the rows hold."""
        return (row for at, row in self.circles(number) if start <= at < start + size)

    def apply(
        self,
        blocks: Sequence[Block] | Block,
        out: Sequence[Any] | None = None,
        workers: int = 1,
    ) -> tuple[Any, ...]:
        """Compute a block of each result.

        Parameters
        ----------
        blocks : sequence of Block, or Block
            One for each input, all of one place and shape; or that of the only one.
        out : sequence of numpy.ndarray, optional
            Arrays of the cores' shape and of `dtypes` to fill.
        workers : int
            How many threads share the work.

        Returns
        -------
        tuple of numpy.ndarray
            Of the cores' shape.

        Notes
        -----
        Cores in C order with y and x last, in the dtype of the results, are read where they
        are. Others are copied, a few rows of a few maps at a time.
        """
        blocks = (blocks,) if isinstance(blocks, Block) else blocks
        shape = blocks[0].core.shape
        made = (np.empty(shape, dtype) for dtype in self.dtypes)
        results = tuple(out or (prefaulted(one, workers) for one in made))
        if not math.prod(shape):
            return results
        from bigrad.numerics import fused_vectors

        fill = partial(fused_vectors.fill, self.kind, self.grid, self.terms)
        moved = [self._moved(block) for block in blocks]
        views = [np.moveaxis(result, self.axes, (-2, -1)) for result in results]
        if all(map(self._direct, (*views, *(block.core for block in moved)))):
            fill(moved, views, workers)
            return results
        for some, rows in _pieces(views[0].shape, views[0].itemsize):
            parts = [self._copied(n, block, some, rows) for n, block in enumerate(moved)]
            copies = [np.empty(parts[0].core.shape, self.dtype) for _ in views]
            fill(parts, copies, workers)
            for view, copied in zip(views, copies, strict=True):
                view[some][..., rows, :] = copied
        return results

    def _direct(self, array: Array) -> bool:
        """Whether the loops take an array as it is."""
        flags = array.flags
        return flags.c_contiguous and flags.aligned and array.dtype == self.dtype

    def _moved(self, block: Block) -> Block:
        """Return a block with the axes y and x last, and these two as 0 and 1 in its places."""
        y, x = self.axes

        def moved(array: Any) -> Array:
            return np.moveaxis(np.asarray(array), (y, x), (-2, -1))

        faces = {
            place: (moved(block.faces[axis][0]), moved(block.faces[axis][1]))
            for place, axis in enumerate((y, x))
            if axis in block.faces
        }
        start = (block.start[y], block.start[x])
        return Block(moved(block.core), start, faces, tuple(map(moved, block.extra)))

    def _copied(self, number: int, block: Block, some: tuple[Any, ...], rows: slice) -> Block:
        """Return some rows of some maps of a block, as the loops take them."""

        def copied(array: Array) -> Array:
            return np.ascontiguousarray(array, self.dtype)

        core = block.core[some]
        none = block.core[..., :0, :]
        before, after = block.faces.get(0, (none, none))
        first, last = rows.start, rows.stop
        sides = (
            core[..., max(first - 2, 0) : first, :] if first else before[some],
            core[..., last : last + 2, :] if last < core.shape[-2] else after[some],
        )
        faces = {0: (copied(sides[0]), copied(sides[1]))}
        if 1 in block.faces:
            west, east = (side[some][..., rows, :] for side in block.faces[1])
            faces[1] = (copied(west), copied(east))
        row, column = block.start
        wanted = set(self._circles(number, row + first, last - first))
        circles = self._circles(number, row, core.shape[-2])
        extra = tuple(
            copied(circle[some])
            for circle, place in zip(block.extra, circles, strict=True)
            if place in wanted
        )
        return Block(copied(core[..., rows, :]), (row + first, column), faces, extra)


def _pieces(shape: tuple[int, ...], itemsize: int) -> Iterator[tuple[tuple[Any, ...], slice]]:
    """Yield indices of a few maps at a time, and of a few of their rows, together all.

    The first and the last rows are three at least, where there are as many, since so many are
    looked at where the axis ends.
    """
    *leading, rows, columns = shape
    maps = min(_COPIED_MAPS, leading[-1]) if leading else 1
    step = max(_COPIED_BYTES // (maps * columns * itemsize), _COPIED_ROWS)
    starts = range(0, max(rows - 2, 1), step)
    cuts = [slice(i, j) for i, j in pairwise([*starts, rows])]
    if not leading:
        yield from (((), rows) for rows in cuts)
        return
    for place in np.ndindex(*leading[:-1]):
        for i in range(0, leading[-1], maps):
            yield from (((*place, slice(i, i + maps)), rows) for rows in cuts)


def vector_operator(
    kind: str,
    grid: Grid,
    axes: tuple[int, int],
    dtypes: Iterable[Any],
    *,
    edge_order: int = 1,
    names: tuple[str, str] = ("x", "y"),
) -> VectorOperator:
    """Decide an operator of vector calculus.

    Parameters
    ----------
    kind : str
        One of `INPUTS`.
    grid : Grid
        The two axes.
    axes : tuple of int
        Which axes of the arrays are y and x, none negative.
    dtypes : iterable of dtype
        Of the inputs.
    edge_order : {1, 2}, optional
        Order of accuracy at edges. The laplacian looks at three cells there in any case.
    names : tuple of str, optional
        What to call the axes in errors.

    Returns
    -------
    VectorOperator
        Its results have the widest of the inputs' floating dtypes, and float32 at least: float16
        has no digits left for derivatives per metre. Integers count as float64. The arithmetic is
        in that dtype; metric factors and weights are rounded to it once, from float64.

    Raises
    ------
    TypeError
        Where the data are not real numbers of up to 64 bits.
    CoordinateError
        Where an axis is too short.
    ValueError
        Where `edge_order` is neither 1 nor 2.

    Examples
    --------
    >>> from bigrad.numerics.sphere import plane
    >>> grid = plane([0.0, 1.0, 2.0], [0.0, 1.0])
    >>> vorticity = vector_operator("vorticity", grid, (0, 1), ["f4", "f4"])
    >>> u, v = np.float32([[0, 0, 0], [1, 1, 1]]), np.float32([[0, 1, 2], [0, 1, 2]])
    >>> vorticity.apply([Block(u, (0, 0)), Block(v, (0, 0))])[0]
    array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    edge_order = check_edge_order(edge_order)
    least = 3 if kind == "laplacian" else edge_order + 1
    sides = (grid.y_ends, grid.x_ends)
    for name, size, ends in zip(reversed(names), grid.shape, sides, strict=True):
        needed = least if End.EDGE in ends else 2 + (End.POLE in ends)
        if size < needed:
            what = called(kind)
            what += "" if kind == "laplacian" else f" with `edge_order` {edge_order}"
            msg = (
                f"`{name}` has too few points: {what} needs at least {needed}, found {size}; "
                "select more of them"
            )
            raise CoordinateError(msg)
    dtype = _result_dtype(dtypes)
    terms = tuple(
        Terms(x, y, *(_rounded(part, dtype) for part in factors))
        for x, y, factors in _terms(kind, grid, edge_order)
    )
    return VectorOperator(kind, grid, axes, dtype, terms)


def called(kind: str) -> str:
    """Name an operator as errors do.

    Examples
    --------
    >>> called("components"), called("advection")
    ('the gradient', 'the advection')
    """
    return "the gradient" if kind == "components" else f"the {kind}"


def takes(dtype: np.dtype[Any]) -> bool:
    """Whether there are operators for fields of a dtype: real numbers of up to 64 bits.

    Examples
    --------
    >>> takes(np.dtype("i2")), takes(np.dtype(complex))
    (True, False)
    """
    return dtype.kind in "iuf" and dtype.itemsize <= 8


def _result_dtype(dtypes: Iterable[Any]) -> np.dtype[Any]:
    found = [np.dtype(dtype) for dtype in dtypes]
    for dtype in found:
        if not takes(dtype):
            msg = (
                f"vector calculus takes real numbers of up to 64 bits, found {dtype}; convert "
                "the data, as with `.astype(float)`, or take real and imaginary parts apart"
            )
            raise TypeError(msg)
    floats = (d if d.kind == "f" else np.dtype(np.float64) for d in found)
    return np.result_type(np.float32, *floats).newbyteorder("=")


def _rounded(part: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(part, Slopes):
        return Slopes(part.low.astype(dtype), part.high.astype(dtype), part.one_sided)
    return part.astype(dtype)


Factors = tuple[Array, Array, Slopes, Slopes]


def _terms(kind: str, grid: Grid, edge_order: int) -> Iterator[tuple[int, int, Factors]]:
    """Yield for each result the inputs to differentiate, and the factors in float64."""
    if kind == "laplacian":
        yield 0, 0, _laplacian(grid)
        return
    east = slopes(grid.x_steps, grid.x_ends, edge_order)
    north = slopes(grid.y_steps, grid.y_ends, edge_order)
    m, t = np.ones(grid.shape[0]), np.zeros(grid.shape[0])
    if grid.metric is not None:
        radius, cosine = grid.metric.radius, _cosine(grid.metric)
        m, t = 1 / (radius * cosine), np.sin(grid.metric.latitudes) / (radius * cosine)
        north = Slopes(north.low / radius, north.high / radius, north.one_sided)
    if grid.closed:
        # All steps are equal, and one factor makes a derivative of the difference of neighbours.
        m, east = m * east.low[0], Slopes(np.empty(0), np.empty(0), east.one_sided)
    south = Slopes(-north.low, -north.high, north.one_sided)
    if kind == "divergence":
        yield 0, 1, (m, -t, east, north)
    elif kind == "vorticity":
        yield 1, 0, (m, t, east, south)
    elif kind == "deformation":
        yield 0, 1, (m, -t, east, south)
        yield 1, 0, (m, t, east, north)
    else:
        yield 0, 0, (m, t, east, north)


def _cosine(metric: Metric) -> Array:
    """Cosines of the latitudes; NaN at a pole, where nothing points to the east."""
    cosine: Array = np.cos(metric.latitudes)
    return np.where(np.abs(metric.latitudes) < np.pi / 2, cosine, np.nan)


def _laplacian(grid: Grid) -> Factors:
    """Compact: of the parabolas through three cells along each axis."""
    east = curvature(grid.x_steps, grid.x_ends)
    north = curvature(grid.y_steps, grid.y_ends)
    m, t = np.ones(grid.shape[0]), np.zeros(grid.shape[0])
    if grid.metric is None:
        return m, t, east, north
    # The second derivative less tan P times the first, whose weights add up to one pair. The
    # difference of fluxes at half levels is less exact, and wrong where these are not half way
    # between a row and the pole, as on Gaussian grids.
    cosine, radius = _cosine(grid.metric), grid.metric.radius
    slope = slopes(grid.y_steps, grid.y_ends, edge_order=2)
    tangent = np.sin(grid.metric.latitudes) / cosine
    low, high = (
        (second - tangent * first) / radius**2
        for first, second in zip(slope[:2], north[:2], strict=True)
    )
    return 1 / (radius * cosine) ** 2, t, east, Slopes(low, high, north.one_sided)
