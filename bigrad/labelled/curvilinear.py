"""Grids whose longitudes and latitudes vary along several dimensions: recognised, and refused."""

from collections.abc import Iterable
from typing import Any

import xarray as xr

from bigrad.errors import CoordinateError
from bigrad.labelled.attributes import describing
from bigrad.labelled.conventions import is_latitude, is_longitude

__all__ = ["refuse_curvilinear"]


def refuse_curvilinear(obj: xr.Dataset | xr.DataArray, name: str) -> None:
    """Refuse a name that has no spacing because the grid is curvilinear.

    Parameters
    ----------
    obj : xarray.Dataset or xarray.DataArray
        What has the coordinates; their values are not looked at.
    name : str
        Of a longitude or latitude of several dimensions, of a dimension without a coordinate
        that these vary along, or a usual name of one where there are only such.

    Raises
    ------
    CoordinateError
        Where it is one of these; with what can be done instead.

    Examples
    --------
    >>> ds = xr.Dataset(coords={"lon": (("y", "x"), [[0.0, 1.0], [0.1, 1.1]])})
    >>> refuse_curvilinear(ds, "x")
    Traceback (most recent call last):
    bigrad.errors.CoordinateError: `x` is a dimension without a coordinate, and the grid is ...
    >>> refuse_curvilinear(ds.assign_coords(x=[0.0, 25e3]), "x")
    """
    dims = _curved_along(obj, name)
    if dims is None:
        return
    variables = _variables(obj)
    if name in variables:
        found = f"`{name}` has {variables[name].ndim} dimensions"
    elif name in obj.dims:
        found = f"`{name}` is a dimension without a coordinate"
    else:
        found = f"`{name}` was not found"
    asked = [name] if name in dims else dims
    bare = [dim for dim in asked if dim not in obj.coords]
    if bare:
        numbers = ", ".join(f"{dim}=range({obj.sizes[dim]})" for dim in bare)
        instead = (
            f"give {_listed(bare)} {'1-d coordinates' if bare[1:] else 'a 1-d coordinate'}, of "
            f"lengths or, as `.assign_coords({numbers})` does, of cell numbers"
        )
    else:
        instead = f"name {_listed(dims)}"
    curved = sorted(other for other, along in _curved(obj).items() if along == dims)
    msg = (
        f"{found}, and the grid is curvilinear: {_listed(curved)} "
        f"{'vary' if curved[1:] else 'varies'} along {_listed(dims)}. The distances between its "
        "cells, which derivatives need, are not served yet: regrid to longitudes and latitudes of "
        f"one dimension each; or, for derivatives along the lines of the grid, {instead}, with "
        "`metric=None`"
    )
    raise CoordinateError(msg)


def _curved(obj: xr.Dataset | xr.DataArray) -> dict[str, tuple[str, str]]:
    """Longitudes and latitudes of several dimensions; the last two are those of a map.

    A moving grid has one for time before them. Files that do not say which variables are
    coordinates have them among the data; bounds are none.
    """
    variables = _variables(obj)
    bounds = describing(variables)
    return {
        str(name): (str(variable.dims[-2]), str(variable.dims[-1]))
        for name, variable in variables.items()
        if variable.ndim > 1
        and name not in bounds
        and (is_longitude(name, variable) or is_latitude(name, variable))
    }


def _variables(obj: xr.Dataset | xr.DataArray) -> dict[Any, xr.Variable]:
    if isinstance(obj, xr.Dataset):
        return dict(obj.variables)
    return {name: coordinate.variable for name, coordinate in obj.coords.items()}


def _curved_along(obj: xr.Dataset | xr.DataArray, name: str) -> tuple[str, str] | None:
    """Dimensions of the curvilinear grid that a name is about, if it is."""
    if name in obj.coords and obj.coords[name].ndim < 2:
        return None
    curved = _curved(obj)
    if name in _variables(obj):
        return curved.get(name)
    for dims in curved.values():
        if name in dims:
            return dims
    nothing = xr.Variable((), 0)
    usual = name not in obj.dims and (is_longitude(name, nothing) or is_latitude(name, nothing))
    return next(iter(curved.values()), None) if usual else None


def _listed(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)
