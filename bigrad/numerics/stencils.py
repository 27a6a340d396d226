"""The finite-difference stencil of a whole axis: weights inside and at the two ends."""

from dataclasses import dataclass
from typing import Any

from bigrad.numerics.spacing import Spacing

__all__ = [
    "Difference",
    "Reach",
    "Stencil",
    "Weights",
    "backward",
    "central",
    "check_edge_order",
    "forward",
    "one_sided",
    "stencil",
]


@dataclass(frozen=True, eq=False)
class Difference:
    """The difference of two cells over `divisor`."""

    divisor: Any


@dataclass(frozen=True, eq=False)
class Weights:
    """``a * f[0] + b * f[1] + c * f[2]`` of three consecutive cells.

    Inside the axis `a`, `b` and `c` are arrays with an entry for each cell that has two
    neighbours; at an end they are scalars.
    """

    a: Any
    b: Any
    c: Any


@dataclass(frozen=True)
class Reach:
    """How far along an axis the derivatives at its cells look.

    Attributes
    ----------
    size : int
        The number of cells of the whole axis.
    depth : int
        How many neighbours on either side a cell inside looks at.
    ends : int
        How many cells, counted from the end, the first or the last ones look at.
    periodic : bool
        Whether the cells before the first are the last ones, and those after the last the first.

    Examples
    --------
    >>> Reach(10).window(4, 8)
    (3, 9)
    >>> Reach(10, ends=3).window(9, 10)
    (7, 10)
    >>> Reach(10, periodic=True).window(9, 10)
    (8, 11)
    """

    size: int
    depth: int = 1
    ends: int = 2
    periodic: bool = False

    def window(self, start: int, stop: int) -> tuple[int, int]:
        """Range of input cells that a range of output cells needs.

        Parameters
        ----------
        start, stop : int
            The output cells ``[start, stop)``, at least one.

        Returns
        -------
        lo, hi : int
            The input cells ``[lo, hi)``: within the axis, or, where it is periodic, by places
            that go on beyond its ends, of which each is the cell at its remainder by `size`.
        """
        if self.periodic:
            return start - self.depth, stop + self.depth
        lo, hi = max(start - self.depth, 0), min(stop + self.depth, self.size)
        if start < self.depth:
            hi = max(hi, self.ends)
        if stop > self.size - self.depth:
            lo = min(lo, self.size - self.ends)
        return lo, hi


@dataclass(frozen=True, eq=False)
class Stencil:
    """What a spacing and an edge order make of one axis.

    Attributes
    ----------
    size : int
        The number of cells of the whole axis.
    edge_order : {1, 2}
        The order of accuracy at the two ends.
    interior : Difference or Weights
        For cells with two neighbours: of these neighbours, or of all three.
    first, last : Difference or Weights
        For the two ends of the axis: of the two, or three, cells nearest to the end.
    """

    size: int
    edge_order: int
    interior: Difference | Weights
    first: Difference | Weights
    last: Difference | Weights

    @property
    def reach(self) -> Reach:
        """How far the derivatives along this axis look."""
        return Reach(self.size, ends=self.edge_order + 1)


def check_edge_order(edge_order: Any) -> int:
    """Return `edge_order` as an int, or refuse it.

    Raises
    ------
    ValueError
        Where it is neither 1 nor 2; `numpy.gradient` takes 0 and 1.5 for 2 without a word.
    """
    if edge_order not in (1, 2):
        numpys = "'edge_order' greater than 2 not supported: " if _above_2(edge_order) else ""
        msg = f"{numpys}`edge_order` must be 1 or 2, found {edge_order!r}"
        raise ValueError(msg)
    return int(edge_order)


def _above_2(edge_order: Any) -> bool:
    return isinstance(edge_order, int | float) and edge_order > 2


def stencil(spacing: Spacing, edge_order: int) -> Stencil:
    """Second-order central differences inside, one-sided differences at the ends.

    The formulas, and the order of their operations, are those of `numpy.gradient`, so that
    every bit is the same: Taylor expansions over two or three points, unevenly spaced
    [1]_.

    Parameters
    ----------
    spacing : Spacing
        Of the whole axis, of ``edge_order + 1`` points or more.
    edge_order : {1, 2}
        The order of accuracy at the two ends.

    Returns
    -------
    Stencil

    References
    ----------
    .. [1] Fornberg, B. (1988). Generation of finite difference formulas on arbitrarily
       spaced grids. Mathematics of Computation 51, 699-706.
    """
    parts = (_uniform if spacing.uniform else _uneven)(spacing.delta, edge_order)
    return Stencil(spacing.size, edge_order, *parts)


Parts = tuple[Difference | Weights, Difference | Weights, Difference | Weights]


def central(before: Any, after: Any) -> tuple[Any, Any, Any]:
    """Weights of the previous cell, the cell and the next, given the steps between them."""
    return (
        -after / (before * (before + after)),
        (after - before) / (before * after),
        before / (after * (before + after)),
    )


def forward(near: Any, far: Any) -> tuple[Any, Any, Any]:
    """Weights of a cell and the next two, given the steps between them."""
    return (
        -(2.0 * near + far) / (near * (near + far)),
        (near + far) / (near * far),
        -near / (far * (near + far)),
    )


def backward(far: Any, near: Any) -> tuple[Any, Any, Any]:
    """Weights of the two cells before a cell and the cell, given the steps between them."""
    return (
        near / (far * (far + near)),
        -(near + far) / (far * near),
        (2.0 * near + far) / (near * (far + near)),
    )


def one_sided(step: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """Weights of `forward` and of `backward` where all steps are equal."""
    return (-1.5 / step, 2.0 / step, -0.5 / step), (0.5 / step, -2.0 / step, 1.5 / step)


def _uniform(step: Any, edge_order: int) -> Parts:
    interior = Difference(2.0 * step)
    if edge_order == 1:
        return interior, Difference(step), Difference(step)
    first, last = one_sided(step)
    return interior, Weights(*first), Weights(*last)


def _uneven(steps: Any, edge_order: int) -> Parts:
    interior = Weights(*central(steps[:-1], steps[1:]))
    if edge_order == 1:
        return interior, Difference(steps[0]), Difference(steps[-1])
    first, last = forward(steps[0], steps[1]), backward(steps[-2], steps[-1])
    return interior, Weights(*first), Weights(*last)
