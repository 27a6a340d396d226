"""A stencil's numbers in the precision that NumPy would compute in, for the fused loops."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bigrad.numerics.stencils import Difference, Stencil, Weights

__all__ = ["Coefficients", "coefficients"]

Array = np.ndarray[Any, Any]

_INPUTS = frozenset("bBhHiIlLqQfdFD")
_ARITHMETIC = frozenset("fdFD")


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A stencil's numbers in the precision that NumPy would compute in.

    Attributes
    ----------
    ends : numpy.ndarray, shape (9,)
        Inside, at the first cell and at the last: three weights, or a divisor with the two
        intermediate terms of a complex division by it.
    inside : tuple of numpy.ndarray, shape (size - 2,) each, or None
        Three weights for each cell with two neighbours; None for an axis with one step.
    """

    ends: Array
    inside: tuple[Array, Array, Array] | None


def coefficients(stencil: Stencil, dtype: np.dtype[Any]) -> Coefficients | None:
    """Coefficients for data of `dtype`, or None where the array expressions must serve.

    The loops take plain, finite numbers and divisors other than 0; for all else NumPy's own
    arithmetic gives the right result with the right exception or warning.
    """
    if dtype.char not in _INPUTS or not dtype.isnative:
        return None
    data = dtype if dtype.char in _ARITHMETIC else _FLOAT64
    inside, ends = stencil.interior, (stencil.first, stencil.last)
    even = isinstance(inside, Difference)
    if not all(_plain(_sample(part)) for part in (inside, *ends)):
        return None
    computed = np.result_type(data, _sample(inside))
    if computed.char not in _ARITHMETIC:
        return None
    if computed.kind == "c" and any(
        isinstance(end, Difference) and np.result_type(data, end.divisor) != computed
        for end in ends
    ):
        # A narrow integer step: NumPy divides in less precision at the ends. A real quotient
        # is the same once it is rounded to that precision, a complex one is not.
        return None
    real = _REAL[computed.char]
    with np.errstate(all="ignore"):  # what is not finite is left to the array expressions
        numbers = [number for end in ends for number in _three(end, computed)]
        if isinstance(inside, Difference):
            table = np.array([*_three(inside, computed), *numbers], real)
            weights = None
        else:
            table = np.array([0.0, 0.0, 0.0, *numbers], real)
            a, b, c = (np.asarray(w, real) for w in (inside.a, inside.b, inside.c))
            weights = (a, b, c)
        # A sum is finite if all that it adds is, and takes no temporary.
        finite = np.isfinite([part.sum() for part in (table, *(weights or ()))]).all()
    if even and not (table[0] and table[3]):
        return None
    if not finite:
        return None
    return Coefficients(table, weights)


_FLOAT64 = np.dtype(np.float64)
_REAL = {
    char: np.dtype(real) for char, real in {"f": "f4", "F": "f4", "d": "f8", "D": "f8"}.items()
}


def _sample(part: Difference | Weights) -> Any:
    return part.divisor if isinstance(part, Difference) else part.a


def _plain(number: Any) -> bool:
    """Whether it is a real number, or an array of these, without behaviour of its own."""
    if type(number) is np.ndarray or isinstance(number, np.generic):
        return number.dtype.kind in "fiu"
    return isinstance(number, float | int)


def _three(part: Difference | Weights, computed: np.dtype[Any]) -> tuple[Any, Any, Any]:
    """Three weights; or a divisor, with the terms of Smith's division where it is complex."""
    if isinstance(part, Weights):
        return part.a, part.b, part.c
    if computed.kind == "f":
        return part.divisor, 0.0, 0.0
    real = _REAL[computed.char].type
    divisor = real(part.divisor)
    ratio = real(0) / divisor
    return divisor, ratio, real(1) / (divisor + real(0) * ratio)
