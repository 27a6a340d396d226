"""What a coordinate, and what a caller says of it, make of one axis: spacing and boundary."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from bigrad.errors import CoordinateError
from bigrad.labelled.coordinates import (
    check_closed,
    check_once_around,
    coordinate_units,
    coordinate_values,
    full_circle,
    regular_step,
)
from bigrad.numerics.boundaries import Boundary, by_key
from bigrad.numerics.schemes import Scheme

__all__ = ["Along", "along", "boundaries_by_name", "check_size"]


@dataclass(frozen=True, eq=False)
class Along:
    """An axis to differentiate along, found fit for it.

    Attributes
    ----------
    name : str
        Of the coordinate.
    dim : str
        The dimension that it lies along.
    spacing : numpy.ndarray or numpy.float64
        Position of each point, or the step of a regular coordinate.
    units : str or None
        Units of the spacing.
    boundary : Boundary or None
        What lies beyond the ends; with its period, where one is needed.
    """

    name: str
    dim: str
    spacing: np.ndarray[Any, Any] | np.float64
    units: str | None
    boundary: Boundary | None


def boundaries_by_name(boundary: Any, period: Any, dims: Mapping[str, str]) -> dict[str, Boundary]:
    """Boundaries of those coordinates that have one; of longitudes the period is still to come.

    Parameters
    ----------
    boundary : None, str, tuple or mapping
        One for all coordinates, or a mapping by coordinate or dimension. What is given for a
        coordinate goes before what is given for its dimension.
    period : None, float or mapping
        Of periodic coordinates, in the same way.
    dims : mapping of str to str
        For each coordinate to differentiate along, its dimension.

    Returns
    -------
    dict of str to Boundary

    Raises
    ------
    ValueError
        Where something is no boundary or no period, or is for none of the coordinates.

    Examples
    --------
    >>> boundaries_by_name({"x": "periodic"}, None, {"lon": "x", "lat": "y"})
    {'lon': Boundary(kind='periodic', value=None, period=None)}
    """
    return by_key(_spread(boundary, dims, "boundary"), _spread(period, dims, "period"), dims, str)


def _spread(given: Any, dims: Mapping[str, str], argument: str) -> Any:
    """Map names of coordinates to what may be given for names of dimensions too."""
    if not isinstance(given, Mapping):
        return given
    found: dict[str, Any] = {}
    for key, one in given.items():
        names = [key] if key in dims else [name for name, dim in dims.items() if dim == key]
        if not names:
            listed = ", ".join(f"`{name}`" for name in dims)
            msg = f"`{argument}` is given for {key!r}, but the derivatives are along {listed}"
            raise CoordinateError(msg)
        found |= {name: one for name in names if name == key or name not in given}
    return found


def check_size(
    name: str, dim: str, size: int, scheme: Scheme, boundary: Boundary | None = None
) -> None:
    """Refuse a coordinate of fewer points than a scheme needs.

    Raises
    ------
    CoordinateError
        Where that is so.

    Examples
    --------
    >>> check_size("height", "level", 2, Scheme())
    """
    least = scheme.least(boundary)
    if size < least:
        msg = (
            f"`{name}` has too few points along `{dim}`: {scheme.needs(boundary)} needs at least "
            f"{least}, found {size}; select more of them"
        )
        raise CoordinateError(msg)


def along(
    name: str,
    dim: str,
    variable: xr.Variable,
    *,
    datetime_unit: str | None = None,
    boundary: Boundary | None = None,
    regular: bool = False,
) -> Along:
    """Decide an axis from the values of its coordinate.

    Parameters
    ----------
    name, dim : str
        The coordinate, and its dimension.
    variable : xarray.Variable
        Its values; where they are lazy, they are computed.
    datetime_unit : str, optional
        The unit that times are counted in, seconds by default.
    boundary : Boundary, optional
        What lies beyond the ends.
    regular : bool
        Whether the coordinate is meant to have one step.

    Returns
    -------
    Along

    Raises
    ------
    CoordinateError
        Where the coordinate is no spacing, is periodic without a period, goes around more
        than once or not all the way then, or is not regular where it is said to be.

    Examples
    --------
    >>> lon = xr.Variable("x", np.arange(0, 360, 90), {"units": "degrees_east"})
    >>> along("lon", "x", lon, boundary=Boundary("periodic")).boundary.period
    360.0
    """
    values = coordinate_values(name, variable, datetime_unit)
    if boundary is not None and boundary.kind == "periodic":
        period = boundary.period or full_circle(name, variable)
        if period is None:
            msg = (
                f"`boundary` of `{name}` is periodic, and `{name}` is no longitude by its "
                "attributes (`units`, `standard_name`); give its `period`"
            )
            raise CoordinateError(msg)
        check_once_around(name, dim, values, period)
        check_closed(name, values, period, regular=regular)
        # A step goes around in as many steps as there are points.
        boundary = replace(boundary, period=None if regular else period)
    spacing = regular_step(name, values) if regular else values
    return Along(name, dim, spacing, coordinate_units(variable, datetime_unit), boundary)
