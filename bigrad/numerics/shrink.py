"""One-sided differences beside missing cells, which are boundaries as the ends of an axis are."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bigrad.numerics.spacing import Spacing
from bigrad.numerics.stencils import backward, central, forward, one_sided

__all__ = ["Shrinking", "shrinking"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class Shrinking:
    """Numbers for the differences that a cell may have, given which neighbours are there.

    Attributes
    ----------
    size : int
        The number of cells, ghost cells too.
    edge_order : {1, 2}
        Order of accuracy beside a missing cell.
    even : bool
        Whether the central difference is a quotient, by the first row, instead of a sum.
    numbers : numpy.ndarray, shape (11, size) or (11, 1)
        Three weights for both neighbours; a divisor for the next cell and one for the previous;
        three weights for the next two cells and three for the previous two. All for each cell,
        or for all of them; 0 where there are no such neighbours.
    """

    size: int
    edge_order: int
    even: bool
    numbers: Array


def shrinking(spacing: Spacing, edge_order: int, dtype: np.dtype[Any]) -> Shrinking:
    """Differences along an axis, in the precision that NumPy would compute in.

    Where nothing is missing they are those of `numpy.gradient`, of real data in single or double
    precision to the last bit.

    Parameters
    ----------
    spacing : Spacing
        Of the axis, ghost cells too.
    edge_order : {1, 2}
        Order of accuracy beside a missing cell that has two cells on its other side; first
        order where there is but one.
    dtype : numpy.dtype
        Of the data.

    Returns
    -------
    Shrinking

    Raises
    ------
    CoordinateError
        Where the spacing is not of real numbers.
    """
    delta = spacing.numbers('`missing` "shrink"')
    # As NumPy has it: integers are in double precision, be they data or a step.
    data = np.dtype("f8") if dtype.kind in "iu" else dtype
    computed = np.result_type(data, 2.0 * delta)
    real = np.dtype("f4") if computed == np.float32 else np.dtype("f8")
    with np.errstate(all="ignore"):  # a step of 0 gives what it does in any division
        if spacing.uniform:
            following, preceding = one_sided(delta)
            column = [2.0 * delta, 0.0, 0.0, delta, delta, *following, *preceding]
            numbers = np.array(column, real)[:, np.newaxis]
        else:
            numbers = _uneven(delta, spacing.size, real)
    return Shrinking(spacing.size, edge_order, spacing.uniform, numbers)


def _uneven(steps: Any, size: int, real: np.dtype[Any]) -> Array:
    numbers = np.zeros((11, size), real)
    before, after = steps[:-1], steps[1:]
    numbers[:3, 1:-1] = central(before, after)
    numbers[3, :-1] = steps
    numbers[4, 1:] = steps
    numbers[5:8, :-2] = forward(before, after)
    numbers[8:11, 2:] = backward(before, after)
    return numbers
