"""Which formulas to differentiate by: those of `numpy.gradient`, or others that are asked for."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bigrad.numerics.boundaries import Boundary
from bigrad.numerics.stencils import Reach, check_edge_order

__all__ = ["Scheme"]


@dataclass(frozen=True)
class Scheme:
    """Which formulas to differentiate by.

    Attributes
    ----------
    edge_order : {1, 2}
        Order of accuracy at the ends of an axis, and beside missing cells, of the first
        derivative of second-order accuracy.
    accuracy : {2, 4, 6}
        Order of accuracy inside; by other formulas than NumPy's also at the ends.
    order : {1, 2}
        The first or the second derivative.
    missing : {"propagate", "shrink"}
        Whether the neighbours of a missing cell are missing too, or have one-sided differences.

    Raises
    ------
    ValueError
        Where one of them is none of these, or they have no meaning together.

    Examples
    --------
    >>> Scheme(accuracy=4).reach(100)
    Reach(size=100, depth=2, ends=5, periodic=False)
    >>> Scheme(accuracy=4, edge_order=2)
    Traceback (most recent call last):
    ValueError: `edge_order` is for first derivatives with `accuracy` 2; found 2 with ...
    """

    edge_order: int = 1
    accuracy: int = 2
    order: int = 1
    missing: Literal["propagate", "shrink"] = "propagate"

    def __post_init__(self) -> None:
        object.__setattr__(self, "edge_order", check_edge_order(self.edge_order))
        object.__setattr__(self, "accuracy", _one_of("accuracy", self.accuracy, (2, 4, 6)))
        object.__setattr__(self, "order", _one_of("order", self.order, (1, 2)))
        if self.missing not in ("propagate", "shrink"):
            msg = f'`missing` must be "propagate" or "shrink", found {self.missing!r}'
            raise ValueError(msg)
        if self.tabulated and self.edge_order != 1:
            msg = (
                "`edge_order` is for first derivatives with `accuracy` 2; found "
                f"{self.edge_order} with `accuracy` {self.accuracy} and `order` {self.order}, by "
                "which the ends are as accurate as the inside: leave `edge_order` away"
            )
            raise ValueError(msg)
        if self.tabulated and self.shrinks:
            msg = (
                '`missing` "shrink" is for first derivatives with `accuracy` 2; found `accuracy` '
                f"{self.accuracy} and `order` {self.order}"
            )
            raise ValueError(msg)

    @property
    def tabulated(self) -> bool:
        """Whether the weights are Fornberg's for windows of several points."""
        return self.accuracy > 2 or self.order > 1

    @property
    def shrinks(self) -> bool:
        """Whether differences are one-sided beside missing cells."""
        return self.missing == "shrink"

    @property
    def depth(self) -> int:
        """How many neighbours on either side a cell inside looks at."""
        return self.edge_order if self.shrinks else self.accuracy // 2

    @property
    def ends(self) -> int:
        """How many cells, counted from an end, the cells at that end look at."""
        return self.accuracy + self.order if self.tabulated else self.edge_order + 1

    def reach(self, size: int, boundary: Boundary | None = None) -> Reach:
        """How far derivatives along an axis of `size` cells look."""
        if boundary is None:
            return Reach(size, self.depth, self.ends)
        return Reach(size, self.depth, 1, boundary.kind == "periodic")

    def least(self, boundary: Boundary | None = None) -> int:
        """How many cells an axis must have.

        As many as a window at an end; with a boundary, half a window and the cell in its middle,
        so that no cell lies twice on the same side.
        """
        return self.ends if boundary is None else self.depth + 1

    def needs(self, boundary: Boundary | None = None) -> str:
        """Name what it is that needs as many cells as `least` says, for messages."""
        if boundary is not None:
            return f"`boundary` {boundary.kind!r} with {self._accurate}"
        return self._accurate if self.tabulated else f"`edge_order` {self.edge_order}"

    @property
    def _accurate(self) -> str:
        return f"`accuracy` {self.accuracy} and `order` {self.order}"

    def check_size(self, size: int, boundary: Boundary | None = None) -> None:
        """Refuse an axis of too few cells.

        Raises
        ------
        ValueError
            Where it has fewer than `least`.
        """
        least = self.least(boundary)
        if size < least:
            numpys = (
                "Shape of array too small to calculate a numerical gradient, at least "
                "(edge_order + 1) elements are required: "
            )
            msg = (
                f"{'' if boundary or self.tabulated else numpys}{self.needs(boundary)} needs at "
                f"least {least} cells, found an axis of {size}"
            )
            raise ValueError(msg)

    def check_dtype(self, dtype: np.dtype[Any]) -> None:
        """Refuse data that the formulas are not for: NumPy's own are for all that subtracts.

        Raises
        ------
        TypeError
            Where the data are no numbers, or of more than double precision.
        """
        if not (self.tabulated or self.shrinks):
            return
        if dtype.kind not in "iufc" or dtype.itemsize > (16 if dtype.kind == "c" else 8):
            msg = (
                "`accuracy` above 2, `order` 2 and `missing` are for integers, floats and complex "
                f"numbers of at most double precision, found {dtype}; convert the data first"
            )
            raise TypeError(msg)


def _one_of(name: str, given: Any, choices: tuple[int, ...]) -> int:
    if isinstance(given, bool) or given not in choices:
        expected = ", ".join(map(str, choices[:-1]))
        msg = f"`{name}` must be {expected} or {choices[-1]}, found {given!r}"
        raise ValueError(msg)
    return int(given)
