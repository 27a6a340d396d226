"""Finite-difference weights for windows of several points, on any grid, of any order."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from bigrad.errors import CoordinateError
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.spacing import Spacing

__all__ = ["Table", "fornberg", "table"]

Array = np.ndarray[Any, Any]


def fornberg(offsets: Any, order: int) -> Any:
    """Weights of the values at some points for a derivative at 0.

    They differentiate every polynomial exactly that has fewer coefficients than there are points.

    Parameters
    ----------
    offsets : array, shape (..., n)
        Where the points are, all of a window different; floats, or fractions for exact weights.
    order : int
        Of the derivative, less than `n`.

    Returns
    -------
    array, shape (..., n)

    Notes
    -----
    Fornberg's recurrence [1]_: the weights of every derivative for the first points give those for
    the same points and the next one.

    References
    ----------
    .. [1] Fornberg, B. (1988). Generation of finite difference formulas on arbitrarily spaced
       grids. Mathematics of Computation 51, 699-706.

    Examples
    --------
    >>> fornberg(np.array([-1.0, 0.0, 1.0]), 2)
    array([ 1., -2.,  1.])
    >>> print(*fornberg(np.array([Fraction(k) for k in range(3)]), 1))
    -3/2 2 -1/2
    """
    count = offsets.shape[-1]
    zero = offsets[..., 0] * 0
    # By derivative, then by point: derivative 0 is what interpolates.
    weights = [[zero] * count for _ in range(order + 1)]
    weights[0][0] = zero + 1
    scale = zero + 1
    for new in range(1, count):
        x, previous = offsets[..., new], offsets[..., new - 1]
        product = zero + 1
        for old in range(new):
            product = product * (x - offsets[..., old])
        for m in range(order, -1, -1):
            below = weights[m - 1][new - 1] * m if m else zero
            weights[m][new] = (below - previous * weights[m][new - 1]) * scale / product
        for old in range(new):
            apart = x - offsets[..., old]
            for m in range(order, -1, -1):
                below = weights[m - 1][old] * m if m else zero
                weights[m][old] = (x * weights[m][old] - below) / apart
        scale = product
    return np.stack(weights[order], axis=-1)


@dataclass(frozen=True, eq=False)
class Table:
    """Weights for every cell of an axis; the cell's own is left out.

    A derivative is the sum of weights times what the cells of a window have more than the cell
    itself: weights of derivatives add up to 0, so that constants have none, exactly.

    Attributes
    ----------
    size : int
        The number of cells, ghost cells too.
    depth : int
        How many cells from an end have windows of their own.
    ends : int
        How many cells these windows have.
    inside : numpy.ndarray, shape (2 * depth + 1, size - 2 * depth) or (2 * depth + 1, 1)
        For each of the other cells, or for all of them.
    first, last : numpy.ndarray, shape (depth, ends)
        For the cells near the ends; empty where these are ghost cells.
    """

    size: int
    depth: int
    ends: int
    inside: Array
    first: Array
    last: Array


def table(spacing: Spacing, scheme: Scheme, *, ghosts: bool) -> Table:
    """Weights of a scheme on the points of an axis.

    Parameters
    ----------
    spacing : Spacing
        Of the axis, ghost cells too.
    scheme : Scheme
        A tabulated one.
    ghosts : bool
        Whether the first and the last cells are ghosts, which have no derivatives.

    Returns
    -------
    Table
        On uniform axes weights that are rounded twice: as fractions, and divided by the step.

    Raises
    ------
    CoordinateError
        Where a step is 0 or not finite, or points are not strictly monotonic.
    """
    steps = _steps(spacing)
    depth, ends, order = scheme.depth, scheme.ends, scheme.order
    width = 2 * depth + 1
    empty = np.zeros((0, ends))
    if spacing.uniform:
        unit = float(steps) ** order
        inside = np.array(_exact(width, depth, order))[:, np.newaxis] / unit
        if ghosts:
            return Table(spacing.size, depth, ends, inside, empty, empty)
        first = np.array([_exact(ends, k, order) for k in range(depth)]) / unit
        last = np.array([_exact(ends, ends - depth + k, order) for k in range(depth)]) / unit
        return Table(spacing.size, depth, ends, inside, first, last)
    count = spacing.size - 2 * depth
    inside = fornberg(_windows(steps, range(count), width, depth), order).T
    if ghosts:
        return Table(spacing.size, depth, ends, np.ascontiguousarray(inside), empty, empty)
    first = _near(steps[: ends - 1], range(depth), order)
    last = _near(steps[len(steps) - ends + 1 :], range(ends - depth, ends), order)
    return Table(spacing.size, depth, ends, np.ascontiguousarray(inside), first, last)


def _steps(spacing: Spacing) -> Array:
    """Return the steps as float64, in which all weights are computed."""
    steps = np.asarray(spacing.numbers("`accuracy` above 2, or `order` 2,"), np.float64)
    if not (np.isfinite(steps).all() and ((steps > 0).all() or (steps < 0).all())):
        msg = (
            "`accuracy` above 2, or `order` 2, needs a spacing that is finite, and strictly "
            "monotonic or a step other than 0"
        )
        raise CoordinateError(msg)
    return steps


@lru_cache(maxsize=64)
def _exact(width: int, at: int, order: int) -> tuple[float, ...]:
    """Weights at point `at` of `width` points with a step of 1, rounded once."""
    offsets = np.array([Fraction(k - at) for k in range(width)])
    return tuple(map(float, fornberg(offsets, order)))


def _windows(steps: Array, starts: range, width: int, at: int) -> Array:
    """Offsets of the points of windows from their point `at`; added up from there outwards."""
    places = np.asarray(starts)[:, np.newaxis] + np.arange(width - 1)
    within = steps[places]
    after = np.cumsum(within[:, at:], axis=1)
    before = -np.cumsum(within[:, :at][:, ::-1], axis=1)[:, ::-1]
    return np.concatenate([before, np.zeros((len(places), 1)), after], axis=1)


def _near(steps: Array, places: range, order: int) -> Array:
    """Weights at some places of the one window that has these steps."""
    width = len(steps) + 1
    offsets = [_windows(steps, range(1), width, at)[0] for at in places]
    return np.asarray(fornberg(np.array(offsets), order))
