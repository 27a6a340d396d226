"""Grids of two axes, on the sphere or on a plane: what differences need to know of them.

Everything is decided here, once, from whole coordinates: whether a grid closes around the
sphere, whether it reaches the poles and how, and the metric factors, all in float64.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from bigrad.errors import CoordinateError

__all__ = [
    "End",
    "Grid",
    "Metric",
    "Slopes",
    "curvature",
    "exact_poles",
    "plane",
    "slopes",
    "sphere",
]

Array = np.ndarray[Any, Any]

# How far, in steps, the points of a grid that closes may lie from even ones: coordinates that
# were rounded to float32, or to a few decimals, still close; no regional grid comes this near.
_EVEN = 0.02

# How far from a pole, or beyond it, in steps, a row at it may lie: sums of steps, and radians in
# float32, miss it by a little, and the cosine of what is left has no digit that counts.
_AT_POLE = 0.01


class End(Enum):
    """What there is beyond the first or the last cell of an axis.

    Attributes
    ----------
    EDGE
        Nothing: differences are one-sided.
    WRAPPED
        The other end of the axis.
    ACROSS
        A pole, and beyond it the same row, half a circle further.
    POLE
        Nothing: the row is the pole itself.
    """

    EDGE = "edge"
    WRAPPED = "wrapped"
    ACROSS = "across"
    POLE = "pole"


@dataclass(frozen=True, eq=False)
class Metric:
    """What makes distances of differences of longitude and latitude.

    Attributes
    ----------
    radius : float
        In metres, or in whatever unit the derivatives are to be per.
    longitudes, latitudes : numpy.ndarray
        In radians; those of rows at a pole are right angles to the last bit.
    """

    radius: float
    longitudes: Array
    latitudes: Array


@dataclass(frozen=True, eq=False)
class Grid:
    """Two axes, `x` to the east and `y` to the north.

    Attributes
    ----------
    x_steps, y_steps : numpy.ndarray
        Differences of neighbours, in coordinate units or in radians. Where an end is `WRAPPED`
        or `ACROSS`, there is one more step, to the cell beyond it.
    x_ends, y_ends : pair of End
        At the first and at the last cell.
    metric : Metric or None
        None on a plane.
    """

    x_steps: Array
    y_steps: Array
    x_ends: tuple[End, End]
    y_ends: tuple[End, End]
    metric: Metric | None

    @property
    def shape(self) -> tuple[int, int]:
        """How many cells along y and along x."""
        return _size(self.y_steps, self.y_ends), _size(self.x_steps, self.x_ends)

    @property
    def closed(self) -> bool:
        """Whether the first cell along x follows the last."""
        return End.WRAPPED in self.x_ends


class Slopes(NamedTuple):
    """A derivative along an axis as weights of the differences of neighbours.

    At cell `i` it is ``low * (f[i] - f[i - 1]) + high * (f[i + 1] - f[i])``, at the first cell,
    where that is an edge, `f[2]` stands for ``f[i - 1]``, and `f[-3]` for ``f[i + 1]`` at the
    last. So it is exactly 0 where all are equal, and the same bits when the axis is turned
    round.

    Attributes
    ----------
    low, high : numpy.ndarray
        For each cell of the axis.
    one_sided : int
        How many cells the one at an `EDGE` looks at: 2 or 3.
    """

    low: Array
    high: Array
    one_sided: int


def plane(x: Any, y: Any) -> Grid:
    """Grid in coordinate units.

    Parameters
    ----------
    x, y : array_like, 1-d
        The coordinates: strictly monotonic, at least 2 points each.

    Examples
    --------
    >>> plane([0.0, 1.0, 3.0], [0.0, 2.0]).shape
    (2, 3)
    """
    edges = (End.EDGE, End.EDGE)
    x_steps, y_steps = (np.diff(np.asarray(c, np.float64)) for c in (x, y))
    return Grid(x_steps, y_steps, edges, edges, None)


def sphere(longitude: Any, latitude: Any, radius: float) -> Grid:
    """Grid of longitudes and latitudes on a sphere.

    It is global where even longitudes close the circle: their gap is as wide as their steps.
    Then its first longitude follows its last; and at a latitude end it looks across the pole
    if this is no further than the next row, or ends in the pole if there is a row at it. Every
    other end is an edge, so that nothing is made up in a regional grid.

    Parameters
    ----------
    longitude, latitude : array_like, 1-d
        In degrees, rising or falling, strictly monotonic.
    radius : float
        Of the sphere.

    Raises
    ------
    CoordinateError
        Where a latitude lies beyond a pole.
    ValueError
        Where `radius` is not a positive number.

    Examples
    --------
    >>> sphere([0, 90, 180, 270], [-60, 0, 60], 1.0).y_ends
    (<End.ACROSS: 'across'>, <End.ACROSS: 'across'>)
    >>> sphere([0, 90, 180], [-60, 0, 60], 1.0).x_ends
    (<End.EDGE: 'edge'>, <End.EDGE: 'edge'>)
    """
    if not (np.isfinite(radius) and radius > 0):
        msg = f"`radius` must be a positive number, in metres as a rule; found {radius!r}"
        raise ValueError(msg)
    lon, lat = (np.asarray(c).astype(np.float64) for c in (longitude, latitude))
    lat = exact_poles(lat)
    number = len(lon)
    turn = np.copysign(360.0, lon[-1] - lon[0])
    even = lon[0] + np.arange(number) * (turn / number)
    closed = bool(number > 2 and (np.abs(lon - even) <= _EVEN * abs(turn) / number).all())
    if not closed:
        edges = (End.EDGE, End.EDGE)
        metric = Metric(radius, np.radians(lon), np.radians(lat))
        return Grid(np.radians(np.diff(lon)), np.radians(np.diff(lat)), edges, edges, metric)
    metric = Metric(radius, np.radians(even), np.radians(lat))
    x_steps = np.full(number + 1, np.radians(turn / number))
    steps = np.diff(lat)
    ends, beyond = zip(
        *(_end(lat[i], steps[j] if j else steps[0]) for i, j in ((0, 0), (-1, -1))), strict=True
    )
    y_steps = np.radians([*beyond[0], *steps, *beyond[1]])
    return Grid(x_steps, y_steps, (End.WRAPPED, End.WRAPPED), (ends[0], ends[1]), metric)


def exact_poles(latitude: Any, name: str = "latitude") -> Array:
    """Latitudes whose rows at a pole are there exactly, where rounding had them beside it.

    Parameters
    ----------
    latitude : array_like, 1-d
        In degrees.
    name : str
        What to call them in errors.

    Raises
    ------
    CoordinateError
        Where one lies beyond a pole.

    Examples
    --------
    >>> exact_poles([0.0, 45.0, 90.00001])
    array([ 0., 45., 90.])
    """
    lat = np.asarray(latitude).astype(np.float64)
    step = np.abs(np.diff(lat)).min(initial=90.0)
    at_pole = np.abs(np.abs(lat) - 90) <= _AT_POLE * step
    exact: Array = np.where(at_pole, np.copysign(90.0, lat), lat)
    beyond = np.abs(exact) > 90
    if beyond.any():
        i = int(beyond.argmax())
        msg = (
            f"`{name}` must lie between -90 and 90 degrees, found {lat[i]} at index {i}; correct "
            "its values, or its units, which say whether they are degrees or radians"
        )
        raise CoordinateError(msg)
    return exact


def _end(lat: float, step: float) -> tuple[End, list[float]]:
    """Say what there is beyond a latitude at an end; with the step there, if any."""
    distance = 90 - abs(lat)
    if distance == 0:
        return End.POLE, []
    if distance > abs(step) * (1 + _EVEN):
        return End.EDGE, []
    return End.ACROSS, [float(np.copysign(2 * distance, step))]


def _size(steps: Array, ends: tuple[End, End]) -> int:
    return len(steps) + 1 - sum(end in (End.WRAPPED, End.ACROSS) for end in ends)


def slopes(steps: Array, ends: tuple[End, End], edge_order: int) -> Slopes:
    """First derivative: the parabola through a cell and its two neighbours.

    Second order, also on uneven axes [1]_; at an edge of the order asked for, as in
    `numpy.gradient`.

    Parameters
    ----------
    steps : numpy.ndarray
        As in `Grid`.
    ends : pair of End
        As in `Grid`.
    edge_order : {1, 2}
        Order of accuracy where an end is an `EDGE`.

    References
    ----------
    .. [1] Fornberg, B. (1988). Generation of finite difference formulas on arbitrarily
       spaced grids. Mathematics of Computation 51, 699-706.

    Examples
    --------
    >>> slopes(np.array([1.0, 1.0, 2.0]), (End.EDGE, End.EDGE), edge_order=1).high
    array([1.        , 0.5       , 0.16666667, 0.        ])
    """
    before, after = steps[:-1], steps[1:]
    low = after / (before * (before + after))
    high = before / (after * (before + after))
    first, last = (0.0, 1 / steps[0]), (1 / steps[-1], 0.0)
    if edge_order == 2:
        near, far = steps[:2]
        first = (near / (far * (near + far)), (near + far) / (near * far))
        far, near = steps[-2:]
        last = ((near + far) / (near * far), near / (far * (near + far)))
    return _whole(low, high, (first, last), ends, edge_order + 1)


def curvature(steps: Array, ends: tuple[End, End]) -> Slopes:
    """Second derivative: of the parabola through three cells, at an edge the nearest three.

    Parameters
    ----------
    steps : numpy.ndarray
        As in `Grid`.
    ends : pair of End
        As in `Grid`.

    Examples
    --------
    >>> curvature(np.array([1.0, 1.0]), (End.EDGE, End.EDGE)).low
    array([-1., -1.,  2.])
    """
    before, after = steps[:-1], steps[1:]
    low = -2 / (before * (before + after))
    high = 2 / (after * (before + after))
    near, far = steps[:2]
    first = (-2 / (far * (near + far)), -2 / (near * far))
    far, near = steps[-2:]
    last = (2 / (near * far), 2 / (far * (near + far)))
    return _whole(low, high, (first, last), ends, 3)


def _whole(
    low: Array,
    high: Array,
    at_edges: tuple[tuple[float, float], tuple[float, float]],
    ends: tuple[End, End],
    one_sided: int,
) -> Slopes:
    """Add the weights of ends without a cell beyond; a pole has none, and is not asked."""
    for k, end in enumerate(ends):
        if end in (End.WRAPPED, End.ACROSS):
            continue
        weights = at_edges[k] if end is End.EDGE else (0.0, 0.0)
        at = 0 if k == 0 else len(low)
        low, high = (np.insert(w, at, v) for w, v in zip((low, high), weights, strict=True))
    return Slopes(low, high, one_sided)
