"""Fields on the sphere whose derivatives are known exactly; angles in radians."""

from math import factorial
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "RADIUS",
    "Wind",
    "harmonic",
    "norm",
    "polynomial",
    "rossby_haurwitz",
    "solid_body",
    "strain",
]

RADIUS = 6_371_229.0

Array = np.ndarray[Any, Any]


class Wind(NamedTuple):
    """A wind without divergence, and its vorticity."""

    u: Array
    v: Array
    vorticity: Array


def solid_body(lon: Array, lat: Array, angle: float) -> Wind:
    """Rotation of the whole sphere about an axis tilted by an angle."""
    speed = 40.0
    nothing = 0 * lon * lat
    u = np.cos(lat) * np.cos(angle) + np.sin(lat) * np.cos(lon) * np.sin(angle)
    v = -np.sin(lon) * np.sin(angle) + nothing
    spin = np.sin(lat) * np.cos(angle) - np.cos(lon) * np.cos(lat) * np.sin(angle)
    return Wind(speed * u + nothing, speed * v, 2 * speed / RADIUS * spin + nothing)


def rossby_haurwitz(lon: Array, lat: Array) -> Wind:
    """The wave of wavenumber 4."""
    w = k = 7.848e-6
    r = 4
    c, s = np.cos(lat), np.sin(lat)
    wave = np.cos(r * lon)
    u = RADIUS * (w * c + k * c ** (r - 1) * (r * s**2 - c**2) * wave)
    v = -RADIUS * k * r * c ** (r - 1) * s * np.sin(r * lon)
    return Wind(u, v, 2 * w * s - k * s * c**r * (r**2 + 3 * r + 2) * wave)


def harmonic(degree: int, order: int, lon: Array, lat: Array) -> Array:
    """A real spherical harmonic, up to a factor: an eigenfunction of the laplacian."""
    # P_l^m is (1 - x^2)^(m/2) times a derivative of the Legendre polynomial.
    legendre = np.polynomial.Legendre.basis(degree).deriv(order)
    size = factorial(degree - order) / factorial(degree + order)
    values: Array = np.cos(lat) ** order * legendre(np.sin(lat)) * np.cos(order * lon)
    return np.multiply(np.sqrt(size), values)


def polynomial(lon: Array, lat: Array) -> tuple[Any, Any, Any]:
    """Restrict a polynomial to the sphere; with its gradient to the east and to the north."""
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon
    f = x + 2 * y * z - 3 * z + x**2 * z + y**3
    gradient = (1 + 2 * x * z, 2 * z + 3 * y**2, 2 * y - 3 + x**2)
    east, north = (_along(gradient, direction) / RADIUS for direction in _frame(lon, lat))
    return f, east, north


def strain(lon: Array, lat: Array) -> tuple[Array, Array, Array, Array]:
    """Give a wind with stretching and shearing that are exact, also at the poles.

    The wind is the projection of the field ``G p`` of a constant matrix, of which the curved
    surface adds the same to both stretching terms.
    """
    matrix = np.array([[0.0, 3.0, -1.0], [1.0, 2.0, 5.0], [4.0, -2.0, 1.0]])
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon
    east, north = _frame(lon, lat)
    moved = tuple(row[0] * x + row[1] * y + row[2] * z for row in matrix)

    def form(a: Any, b: Any) -> Any:
        """Change of `a` along `b`."""
        return _along(tuple(row[0] * b[0] + row[1] * b[1] + row[2] * b[2] for row in matrix), a)

    stretching = form(east, east) - form(north, north)
    shearing = form(north, east) + form(east, north)
    return _along(moved, east), _along(moved, north), stretching / RADIUS, shearing / RADIUS


def _frame(lon: Array, lat: Array) -> tuple[Any, Any]:
    flat = 0 * lon * lat
    east = (-np.sin(lon) + flat, np.cos(lon) + flat, flat)
    north = (-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat) + flat)
    return east, north


def _along(vector: Any, direction: Any) -> Any:
    return sum(a * b for a, b in zip(vector, direction, strict=True))


def norm(error: Array, lat: Array) -> float:
    """Root of the mean square over the sphere."""
    weights = np.broadcast_to(np.cos(lat), error.shape)
    return float(np.sqrt((weights * error**2).sum() / weights.sum()))
