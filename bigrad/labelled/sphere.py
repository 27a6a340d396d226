"""Which coordinates of a field are longitude and latitude, or x and y, and the grid they make."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from bigrad.errors import CoordinateError
from bigrad.labelled.conventions import DEGREES, RADIANS, is_latitude, is_longitude
from bigrad.labelled.coordinates import (
    check_once_around,
    coordinate_units,
    coordinate_values,
    dimension_of,
)
from bigrad.labelled.curvilinear import refuse_curvilinear
from bigrad.numerics import sphere as grids

__all__ = [
    "RADIUS",
    "Horizontal",
    "horizontal",
    "in_degrees",
    "radius_of",
]

# In metres; of the ECMWF's and the Met Office's models.
RADIUS = 6_371_229.0


@dataclass(frozen=True, eq=False)
class Horizontal:
    """The two coordinates that vector calculus is about.

    Attributes
    ----------
    names : tuple of str
        Of the coordinates along x and along y.
    dims : tuple of str
        The dimensions that these lie along.
    grid : Grid
        What they make.
    per : str or None
        Units of length that derivatives are per, where they are known.
    """

    names: tuple[str, str]
    dims: tuple[str, str]
    grid: grids.Grid
    per: str | None


def horizontal(
    obj: xr.Dataset | xr.DataArray,
    field: xr.Variable,
    *,
    metric: str | None,
    x: str | None = None,
    y: str | None = None,
    radius: float | None = None,
) -> Horizontal:
    """Find the horizontal coordinates of a field, and decide their grid.

    Parameters
    ----------
    obj : xarray.Dataset or xarray.DataArray
        What has the coordinates.
    field : xarray.Variable
        The field, or one of the components of the wind.
    metric : {"sphere", None}
        Whether they are longitude and latitude, or lengths.
    x, y : str, optional
        Names of the coordinates to the east and to the north; found by the conventions of CF
        where they are not given.
    radius : float, optional
        Of the sphere, in metres: else that of the field's grid mapping, else `RADIUS`.

    Returns
    -------
    Horizontal

    Raises
    ------
    CoordinateError
        Where a coordinate is not found, or is not fit to be differentiated along; where
        longitudes go around more than once, as with both 0 and 360 degrees; or where a grid
        mapping has no fit radius.
    TypeError
        Where `radius` is no number.
    ValueError
        Where `metric` is unknown, or `radius` is not positive, or given without a sphere.
    """
    if metric not in ("sphere", None):
        msg = f'`metric` must be "sphere" or None, found {metric!r}'
        raise ValueError(msg)
    if metric is None and radius is not None:
        msg = f'`radius` is for `metric="sphere"`, found {radius!r} with no metric: leave it out'
        raise ValueError(msg)
    metres = radius_of(obj, field, radius) if metric else None
    tests = (is_longitude, is_latitude) if metric else (_is_x, _is_y)
    names = (
        x if x is not None else _found(obj, field, tests[0], "x", metric),
        y if y is not None else _found(obj, field, tests[1], "y", metric),
    )
    dims = (dimension_of(obj, names[0]), dimension_of(obj, names[1]))
    _check_dims(field, names, dims)
    variables = [obj.coords[name].variable.compute() for name in names]
    for name, variable in zip(names, variables, strict=True):
        if variable.size < 2:
            msg = f"`{name}` has too few points: at least 2 are needed, found {variable.size}"
            raise CoordinateError(msg)
    if metres is None:
        values = [coordinate_values(n, v) for n, v in zip(names, variables, strict=True)]
        units = [coordinate_units(variable) for variable in variables]
        if None not in units and units[0] != units[1]:
            msg = (
                f"`{names[0]}` is in {units[0]!r} and `{names[1]}` in {units[1]!r}, and their "
                "derivatives cannot be added; convert one of them, or, for a longitude and a "
                'latitude, give `metric="sphere"`'
            )
            raise CoordinateError(msg)
        return Horizontal(names, dims, grids.plane(*values), units[0])
    _check_directions(names, variables)
    lon, lat = (in_degrees(n, v) for n, v in zip(names, variables, strict=True))
    check_once_around(names[0], dims[0], lon, 360.0)
    lat = grids.exact_poles(lat, names[1])
    grid = grids.sphere(lon, lat, metres)
    if not grid.closed:
        _tell_uneven(names[0], lon)
    return Horizontal(names, dims, grid, "m")


def _tell_uneven(name: str, lon: np.ndarray[Any, Any]) -> None:
    """Warn of longitudes that seem to go around, with steps too uneven to close the circle."""
    steps = np.abs(np.diff(lon.astype(np.float64)))
    if 360 - steps.sum() <= 1.5 * steps.max():
        warnings.warn(
            f"`{name}` goes around the sphere, but in steps of {steps.min():.6g} to "
            f"{steps.max():.6g}, and only even ones are taken for a global grid: this one counts "
            "as regional, with one-sided differences at its edges and no values at the poles",
            UserWarning,
            stacklevel=2,
        )


def _is_x(name: Any, variable: xr.Variable) -> bool:
    return _is_plane_axis(name, variable, "x")


def _is_y(name: Any, variable: xr.Variable) -> bool:
    return _is_plane_axis(name, variable, "y")


def _is_plane_axis(name: Any, variable: xr.Variable, axis: str) -> bool:
    standard_name, marked = (variable.attrs.get(key) for key in ("standard_name", "axis"))
    if isinstance(standard_name, str) and standard_name.startswith("projection_"):
        return standard_name == f"projection_{axis}_coordinate"
    return str(marked or name).lower() == axis


def _found(
    obj: xr.Dataset | xr.DataArray,
    field: xr.Variable,
    test: Callable[[Any, xr.Variable], bool],
    keyword: str,
    metric: str | None,
) -> str:
    """Name of the coordinate that passes a test; of several, that of a dimension."""
    on_field = {
        name: coordinate.variable
        for name, coordinate in obj.coords.items()
        if coordinate.ndim and set(coordinate.dims) <= set(field.dims)
    }
    names = [name for name, variable in on_field.items() if test(name, variable)]
    of_dimensions = [name for name in names if name in field.dims]
    found = of_dimensions or names
    if len(found) == 1:
        return str(found[0])
    what = {"x": "longitude", "y": "latitude"}[keyword] if metric else f"{keyword} axis"
    if found:
        msg = f"{_listed(found)} may all be the {what}; say which, with `{keyword}=`"
        raise CoordinateError(msg)
    for dim in field.dims:
        refuse_curvilinear(obj, str(dim))
    coordinates = [name for name, variable in on_field.items() if variable.ndim == 1]
    there = f"are {_listed(coordinates)}" if coordinates else "are none"
    round_ = any(is_longitude(name, variable) for name, variable in on_field.items())
    marked = f"`standard_name` {what!r}" if metric else f"`axis` {keyword.upper()!r}"
    way_out = (
        "; on a plane, give `metric=None`"
        if metric
        else '; for longitude and latitude, give `metric="sphere"`'
        if round_
        else ""
    )
    msg = (
        f"no {what} is found among the coordinates of the field by its standard_name, units, axis "
        f"or name: those of one dimension {there}; name it in the call, or give it the {marked}"
        f"{way_out}"
    )
    raise CoordinateError(msg)


def _check_dims(field: xr.Variable, names: tuple[str, str], dims: tuple[str, str]) -> None:
    if dims[0] == dims[1]:
        msg = f"`{names[0]}` and `{names[1]}` lie along one dimension, `{dims[0]}`; two are needed"
        raise CoordinateError(msg)
    for name, dim in zip(names, dims, strict=True):
        if dim not in field.dims:
            msg = (
                f"`{name}` lies along `{dim}`, and the field does not: its dimensions are "
                f"{_listed(field.dims)}; name a coordinate that lies along one of these"
            )
            raise CoordinateError(msg)


def _check_directions(names: tuple[str, str], variables: list[xr.Variable]) -> None:
    if is_latitude(names[0], variables[0]) and is_longitude(names[1], variables[1]):
        msg = (
            f"`x` is the longitude and `y` the latitude, found `{names[0]}` and `{names[1]}`, "
            "which are the reverse by their standard_name, units or name; give them the other "
            "way round, or correct these"
        )
        raise CoordinateError(msg)


def in_degrees(name: str, variable: xr.Variable) -> np.ndarray[Any, Any]:
    """Longitudes or latitudes in degrees, in the precision that they were given in.

    Parameters
    ----------
    name : str
        What to call the coordinate in errors.
    variable : xarray.Variable
        The coordinate, 1-d.

    Raises
    ------
    CoordinateError
        Where it is a time, in other units than of angles, or not strictly monotonic and finite.

    Examples
    --------
    >>> in_degrees("lat", xr.Variable("lat", [0.0, np.pi / 2], {"units": "radians"}))
    array([ 0., 90.])
    """
    units = coordinate_units(variable) or variable.attrs.get("units", "degrees")
    if units not in DEGREES | RADIANS:
        msg = (
            f"`{name}` is in {units!r}, and on the sphere angles are needed, in degrees or "
            'radians; for lengths, leave `metric="sphere"` out'
        )
        raise CoordinateError(msg)
    values = coordinate_values(name, variable)
    return np.degrees(values.astype(np.float64)) if units in RADIANS else values


def radius_of(obj: xr.Dataset | xr.DataArray, field: xr.Variable, given: Any = None) -> float:
    """Radius of the sphere in metres: what is given, else that of the grid mapping, else `RADIUS`.

    Parameters
    ----------
    obj : xarray.Dataset or xarray.DataArray
        What may have the grid mapping as a variable.
    field : xarray.Variable
        What may name it.
    given : float, optional
        The argument `radius`.

    Raises
    ------
    TypeError
        Where `given` is no number.
    ValueError
        Where it is not positive, or not finite.
    CoordinateError
        Where that of the grid mapping is no positive, finite number.

    Examples
    --------
    >>> field = xr.Variable("x", [1.0], {"grid_mapping": "crs"})
    >>> crs = xr.Variable((), 0, {"earth_radius": 6_371_200.0})
    >>> radius_of(xr.Dataset({"f": field, "crs": crs}), field)
    6371200.0
    """
    if given is not None:
        radius = _number(given)
        if radius is None:
            msg = f"`radius` must be a number, of metres, found {given!r}"
            raise TypeError(msg)
        if not 0 < radius < math.inf:
            msg = f"`radius` must be a positive, finite number of metres, found {given!r}"
            raise ValueError(msg)
        return radius
    named = str(field.attrs.get("grid_mapping", field.encoding.get("grid_mapping", ""))).split()
    where: Mapping[Any, Any] = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    for word in named:
        mapping = where.get(word.removesuffix(":"))
        attributes = {} if mapping is None else mapping.attrs
        for key in ("earth_radius", "semi_major_axis"):
            if key in attributes:
                radius = _number(attributes[key])
                if radius is None or not 0 < radius < math.inf:
                    msg = (
                        f"the attribute `{key}` of the grid mapping `{word.removesuffix(':')}` "
                        f"must be a positive number of metres, found {attributes[key]!r}; "
                        "correct it, or give `radius`"
                    )
                    raise CoordinateError(msg)
                return radius
    return RADIUS


def _number(value: Any) -> float | None:
    """Return a real number, also that of an array of one, as attributes may be, or else None."""
    one = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    return float(one) if isinstance(one, Real) and not isinstance(one, bool) else None


def _listed(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)
