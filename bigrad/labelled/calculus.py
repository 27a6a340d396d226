"""Derivatives of xarray objects along their coordinates: what the accessor's methods do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bigrad.arrays import gradient
from bigrad.errors import CoordinateError
from bigrad.labelled.attributes import derivative_attributes, describing
from bigrad.labelled.coordinates import (
    coordinate_units,
    coordinate_values,
    dimension_of,
    is_time,
)
from bigrad.numerics.stencils import check_edge_order

__all__ = ["differentiate_array", "differentiate_dataset"]


@dataclass(frozen=True, eq=False)
class _Coordinate:
    """A coordinate whose values have been found fit to be a spacing."""

    name: str
    dim: str
    values: np.ndarray[Any, Any]
    units: str | None


def differentiate_dataset(
    dataset: xr.Dataset,
    coord: str | Sequence[str],
    *,
    edge_order: int = 1,
    datetime_unit: str | None = None,
) -> xr.Dataset:
    """Differentiate each variable of a dataset; see the accessor of datasets.

    Examples
    --------
    >>> ds = xr.Dataset({"y": ("x", [1.0, 4.0, 9.0])}, {"x": [1.0, 2.0, 3.0]})
    >>> differentiate_dataset(ds, "x")["y"].values
    array([3., 4., 5.])
    """
    coordinates = _coordinates(dataset, coord, edge_order, datetime_unit)
    apart = describing(dataset.variables)
    variables: dict[Any, xr.Variable] = {}
    for name, array in dataset.data_vars.items():
        variable = array.variable
        derivatives = (
            _derivatives(str(name), variable, coordinates, edge_order)
            if name not in apart and _is_numeric(variable)
            else {}
        )
        if not derivatives:
            results = {name: variable}
        elif isinstance(coord, str):
            results = {name: derivatives[coord]}
        else:
            results = {f"d{name}_d{along}": result for along, result in derivatives.items()}
        _check_names(results, variables, dataset.coords)
        variables |= results
    result = xr.Dataset(variables, coords=dataset.coords, attrs=dataset.attrs)
    result.encoding = dict(dataset.encoding)
    return result


def differentiate_array(
    array: xr.DataArray,
    coord: str | Sequence[str],
    *,
    edge_order: int = 1,
    datetime_unit: str | None = None,
) -> xr.DataArray | xr.Dataset:
    """Differentiate an array; see the accessor of arrays.

    Examples
    --------
    >>> y = xr.DataArray([1.0, 4.0, 9.0], {"x": [1.0, 2.0, 3.0]}, name="y")
    >>> differentiate_array(y, "x").values
    array([3., 4., 5.])
    """
    coordinates = _coordinates(array, coord, edge_order, datetime_unit)
    if not _is_numeric(array.variable):
        msg = f"a DataArray of {array.dtype} cannot be differentiated; convert it to numbers first"
        raise TypeError(msg)
    if isinstance(coord, str):
        name = None if array.name is None else str(array.name)
        derivatives = _derivatives(name, array.variable, coordinates, edge_order)
        return xr.DataArray(derivatives[coord], coords=array.coords, name=array.name)
    if array.name is None:
        msg = (
            "derivatives along a list of coordinates are named after the DataArray, which has no "
            "name; give it one with `.rename(...)`, or one coordinate at a time"
        )
        raise ValueError(msg)
    derivatives = _derivatives(str(array.name), array.variable, coordinates, edge_order)
    results = {f"d{array.name}_d{along}": result for along, result in derivatives.items()}
    _check_names(results, {}, array.coords)
    return xr.Dataset(results, coords=array.coords)


def _coordinates(
    obj: xr.Dataset | xr.DataArray,
    coord: str | Sequence[str],
    edge_order: int,
    datetime_unit: str | None,
) -> tuple[_Coordinate, ...]:
    """Decide the coordinates; whatever is wrong with any of them is found here."""
    if not isinstance(coord, str | list | tuple) or not all(isinstance(c, str) for c in coord):
        msg = f"`coord` must be the name of a coordinate, or a list of names; found {coord!r}"
        raise TypeError(msg)
    names = [coord] if isinstance(coord, str) else list(coord)
    if not names or len(set(names)) < len(names):
        msg = f"`coord` must name one or several coordinates, each once; found {coord!r}"
        raise CoordinateError(msg)
    check_edge_order(edge_order)
    dims = {name: dimension_of(obj, name) for name in names}
    for name, dim in dims.items():
        if obj.sizes[dim] < edge_order + 1:
            msg = (
                f"`{name}` has too few points along `{dim}`: `edge_order` {edge_order} needs at "
                f"least {edge_order + 1}, found {obj.sizes[dim]}; select more of them"
            )
            raise CoordinateError(msg)
    # Loaded once, since a coordinate may be lazy.
    loaded = {name: obj.coords[name].variable.compute() for name in names}
    if datetime_unit is not None and not any(map(is_time, loaded.values())):
        msg = (
            f"`datetime_unit` is for dates and durations, found {datetime_unit!r} with "
            f"{_dtypes(loaded)}; leave it out, or decode the times with `xarray.decode_cf`"
        )
        raise CoordinateError(msg)
    return tuple(
        _Coordinate(
            name,
            dims[name],
            coordinate_values(name, variable, datetime_unit),
            coordinate_units(variable, datetime_unit),
        )
        for name, variable in loaded.items()
    )


def _dtypes(variables: Mapping[str, xr.Variable]) -> str:
    return ", ".join(f"`{name}` of {variable.dtype}" for name, variable in variables.items())


def _is_numeric(variable: xr.Variable) -> bool:
    return variable.dtype.kind in "iufc"


def _derivatives(
    name: str | None,
    variable: xr.Variable,
    coordinates: Iterable[_Coordinate],
    edge_order: int,
) -> dict[str, xr.Variable]:
    """Differentiate a variable along those of the coordinates whose dimensions it has."""
    present = [coordinate for coordinate in coordinates if coordinate.dim in variable.dims]
    if present:
        _refuse_quantities(name, variable)
    found: dict[str, Any] = {}
    for together in _passes(present):
        axes = tuple(variable.get_axis_num(c.dim) for c in together)
        results = gradient(
            variable.data, *(c.values for c in together), axis=axes, edge_order=edge_order
        )
        parts = results if isinstance(results, tuple) else (results,)
        found |= {c.name: data for c, data in zip(together, parts, strict=True)}
    return {
        c.name: xr.Variable(
            variable.dims,
            found[c.name],
            derivative_attributes(name, variable.attrs, c.name, c.units),
        )
        for c in present
    }


def _refuse_quantities(name: str | None, variable: xr.Variable) -> None:
    if hasattr(variable.data, "magnitude"):
        msg = (
            f"`{name or 'the DataArray'}` is a pint quantity, which would lose the units of the "
            "coordinate; make them attributes first, with `.pint.dequantify()`"
        )
        raise TypeError(msg)


def _passes(coordinates: Iterable[_Coordinate]) -> list[list[_Coordinate]]:
    """Group coordinates such that one read serves a group: no two share a dimension."""
    passes: list[list[_Coordinate]] = []
    for coordinate in coordinates:
        for together in passes:
            if all(other.dim != coordinate.dim for other in together):
                together.append(coordinate)
                break
        else:
            passes.append([coordinate])
    return passes


def _check_names(
    results: Iterable[Any], variables: Mapping[Any, Any], coords: Mapping[Any, Any]
) -> None:
    taken = [name for name in results if name in variables or name in coords]
    if taken:
        msg = (
            f"two variables of the result would be called {taken[0]!r}; rename one of them "
            "before, or give one coordinate at a time"
        )
        raise ValueError(msg)
