"""What the conventions of CF, and common names, say of a coordinate: longitudes and latitudes."""

from typing import Any

import xarray as xr

__all__ = ["DEGREES", "DEGREES_EAST", "RADIANS", "is_latitude", "is_longitude"]

# CF's spellings of what only longitudes are in, only latitudes, and any angle.
DEGREES_EAST = frozenset(
    {"degrees_east", "degree_east", "degree_E", "degrees_E", "degreeE", "degreesE"}
)
_DEGREES_NORTH = frozenset(
    {"degrees_north", "degree_north", "degree_N", "degrees_N", "degreeN", "degreesN"}
)
DEGREES = frozenset({"degree", "degrees", "deg"}) | DEGREES_EAST | _DEGREES_NORTH
RADIANS = frozenset({"radian", "radians", "rad"})

_LONGITUDE_NAMES = frozenset({"lon", "long", "longitude", "nav_lon", "xlong", "glon"})
_LATITUDE_NAMES = frozenset({"lat", "latitude", "nav_lat", "xlat", "glat"})


def is_longitude(name: Any, variable: xr.Variable) -> bool:
    """Whether a coordinate is a longitude, by its standard name, units, axis or name.

    Examples
    --------
    >>> is_longitude("x", xr.Variable("x", [0.0, 1.0], {"units": "degrees_east"}))
    True
    >>> is_longitude("rlon", xr.Variable("rlon", [0.0], {"standard_name": "grid_longitude"}))
    False
    """
    return _is(name, variable, "longitude", DEGREES_EAST, "X", _LONGITUDE_NAMES)


def is_latitude(name: Any, variable: xr.Variable) -> bool:
    """Whether a coordinate is a latitude, by its standard name, units, axis or name.

    Examples
    --------
    >>> is_latitude("lat", xr.Variable("lat", [0.0, 1.0]))
    True
    """
    return _is(name, variable, "latitude", _DEGREES_NORTH, "Y", _LATITUDE_NAMES)


def _is(
    name: Any,
    variable: xr.Variable,
    standard: str,
    units: frozenset[str],
    axis: str,
    names: frozenset[str],
) -> bool:
    standard_name, unit = (variable.attrs.get(key) for key in ("standard_name", "units"))
    if isinstance(standard_name, str):
        return standard_name == standard
    if isinstance(unit, str) and unit in DEGREES_EAST | _DEGREES_NORTH:
        return unit in units
    if isinstance(unit, str) and unit not in DEGREES | RADIANS:
        return False
    # Of what is no angle, an axis says no more than that it is a length to the east.
    angle = isinstance(unit, str) and variable.attrs.get("axis") == axis
    return angle or str(name).lower() in names
