"""The poles: what lies across them, and the rows at them.

Near a pole, a field is a polynomial of the position in the plane that touches the sphere
there. Means around the row nearest to the pole, and its first two waves, give the derivatives
at the pole with an error of second order:

- vorticity and divergence: circulation around, and flux out of, that circle by its area
- laplacian: flux out of the circle half way, by its area
- gradient: the first wave of the field
- deformation: the second wave of the wind

Sums are in float64, over the whole circle in one order, whatever the chunks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bigrad.numerics import vector_kernels as kernels
from bigrad.numerics.operators import Block
from bigrad.numerics.sphere import Grid

__all__ = ["across", "fill"]

Array = np.ndarray[Any, Any]


def across(circle: Array, start: int, count: int, *, turned: bool) -> Array:
    """Return what lies across the pole from a row: the same row, half a circle further.

    Parameters
    ----------
    circle : numpy.ndarray, shape (..., 1, n)
        The row nearest to the pole, all around.
    start, count : int
        The columns to look from.
    turned : bool
        Whether it is a component of a vector, whose sign changes across the pole.

    Returns
    -------
    numpy.ndarray, shape (..., 1, count)
        Between two columns, where their number is odd, the mean of both.

    Examples
    --------
    >>> across(np.array([[1.0, 2.0, 3.0, 4.0]]), 1, 2, turned=False)
    array([[4., 1.]])
    """
    number = circle.shape[-1]
    opposite = (np.arange(start, start + count) + number // 2) % number
    beyond: Array = circle[..., opposite]
    if number % 2:
        beyond = (beyond + circle[..., (opposite + 1) % number]) / 2
    return -beyond if turned else beyond


class _Waves(NamedTuple):
    """The mean of a row around a pole, and the amplitudes of its first two waves.

    Only the first few may be there, as many as the operator needs.
    """

    mean: Any = None
    cos: Any = None
    sin: Any = None
    cos2: Any = None
    sin2: Any = None


# How many of these each operator needs.
_NEEDED = {
    "vorticity": 1,
    "divergence": 1,
    "laplacian": 1,
    "components": 3,
    "magnitude": 3,
    "advection": 3,
    "deformation": 5,
}


def _waves(circle: Array, longitudes: Array, needed: int) -> _Waves:
    number = len(longitudes)
    shapes = (
        lambda at: np.full(number, 0.5),
        np.cos,
        np.sin,
        lambda at: np.cos(2 * at),
        lambda at: np.sin(2 * at),
    )
    waves = np.stack([shape(longitudes) for shape in shapes[:needed]])
    rings = np.array(circle.reshape(-1, number), np.float64, order="C")
    # Without a constant part, of which sums of sines and cosines leave a little.
    first = rings[:, 0].copy()
    rings -= first[:, None]
    sums = np.empty((needed, len(rings)))
    kernels.moments(sums, rings, waves)
    amplitudes = 2 / number * sums
    amplitudes[0] += first
    return _Waves(*amplitudes.reshape(needed, *circle.shape[:-2], 1))


def fill(
    kind: str, grid: Grid, which: int, blocks: Sequence[Block], results: Sequence[Array]
) -> None:
    """Fill the first (0) or the last (1) row of the results, which is a pole.

    Parameters
    ----------
    kind, grid
        Of a `VectorOperator`.
    which : int
        Which end of the y axis.
    blocks : sequence of Block
        As for the loops; the circle of this end is the first or the last extra part.
    results : sequence of numpy.ndarray
        To fill.
    """
    if grid.metric is None:  # a plane has no poles
        return
    at = -which
    longitudes, latitudes = grid.metric.longitudes, grid.metric.latitudes
    column = blocks[0].start[1]
    here = longitudes[column : column + blocks[0].core.shape[-1]]
    waves = [
        _waves(block.extra[at], longitudes, _NEEDED[kind]) if block.extra else _Waves()
        for block in blocks
    ]
    rows = [block.core[..., at, :].astype(np.float64) for block in blocks]
    pole = _Pole(
        float(np.sign(latitudes[at])),
        grid.metric.radius,
        float(abs(latitudes[-2 if which else 1])),
        here,
    )
    for result, row in zip(results, _ROWS[kind](pole, waves, rows), strict=True):
        with np.errstate(over="ignore"):
            result[..., at, :] = row


@dataclass(frozen=True, eq=False)
class _Pole:
    """A pole, and the row nearest to it.

    Attributes
    ----------
    sign : float
        1 at the north pole, -1 at the south pole.
    radius : float
        Of the sphere.
    nearest : float
        Absolute latitude of that row, in radians.
    here : numpy.ndarray
        Longitudes of the columns to compute.
    """

    sign: float
    radius: float
    nearest: float
    here: Array

    @property
    def distance(self) -> float:
        """Of the row from the axis."""
        return float(self.radius * np.cos(self.nearest))

    @property
    def spin(self) -> float:
        """What makes of a mean along the circle a mean over the cap: length by area."""
        return self.sign * self.distance / (self.radius**2 * (1 - float(np.sin(self.nearest))))


def _vorticity(pole: _Pole, waves: Sequence[_Waves], rows: Sequence[Array]) -> tuple[Array]:
    return (pole.spin * waves[0].mean,)


def _divergence(pole: _Pole, waves: Sequence[_Waves], rows: Sequence[Array]) -> tuple[Array]:
    return (-pole.spin * waves[1].mean,)


def _laplacian(pole: _Pole, waves: Sequence[_Waves], rows: Sequence[Array]) -> tuple[Array]:
    height = np.pi / 2 - pole.nearest
    half = np.pi / 2 - height / 2
    factor = np.cos(half) / (height * (1 - np.sin(half)) * pole.radius**2)
    return (factor * (waves[0].mean - rows[0]),)


def _components(
    pole: _Pole, waves: Sequence[_Waves], rows: Sequence[Array]
) -> tuple[Array, Array]:
    cos, sin = np.cos(pole.here), np.sin(pole.here)
    a, b = waves[0].cos / pole.distance, waves[0].sin / pole.distance
    return b * cos - a * sin, -pole.sign * (a * cos + b * sin)


def _magnitude(pole: _Pole, waves: Sequence[_Waves], rows: Sequence[Array]) -> tuple[Array]:
    return (np.hypot(waves[0].cos, waves[0].sin) / pole.distance,)


def _advection(pole: _Pole, waves: Sequence[_Waves], rows: Sequence[Array]) -> tuple[Array]:
    east, north = _components(pole, waves, rows)
    return (-(rows[1] * east + rows[2] * north),)


def _deformation(
    pole: _Pole, waves: Sequence[_Waves], rows: Sequence[Array]
) -> tuple[Array, Array]:
    """Deformation of the wind in the plane, seen from each meridian.

    Around the circle at distance r, u has the wave (-A sin 2L + B cos 2L) r / 2, and v to the
    pole the wave -(A cos 2L + B sin 2L) r / 2, where A and B are stretching and shearing along
    the meridians of 0 and 90 degrees. The mean of what both say is taken.
    """
    u, v = waves
    a = -(pole.sign * v.cos2 + u.sin2) / pole.distance
    b = (u.cos2 - pole.sign * v.sin2) / pole.distance
    cos, sin = np.cos(2 * pole.here), np.sin(2 * pole.here)
    return -(a * cos + b * sin), pole.sign * (a * sin - b * cos)


_ROWS: dict[str, Any] = {
    "vorticity": _vorticity,
    "divergence": _divergence,
    "laplacian": _laplacian,
    "components": _components,
    "magnitude": _magnitude,
    "advection": _advection,
    "deformation": _deformation,
}
