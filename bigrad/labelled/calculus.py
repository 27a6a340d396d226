"""Derivatives of xarray objects along their coordinates: what the accessor's methods do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xarray as xr

from bigrad.arrays import gradient
from bigrad.errors import CoordinateError
from bigrad.labelled.attributes import derivative_attributes, derivative_name, describing
from bigrad.labelled.axes import Along, along, boundaries_by_name
from bigrad.labelled.coordinates import check_datetime_unit, dimension_of
from bigrad.numerics.schemes import Scheme

__all__ = ["differentiate_array", "differentiate_dataset"]

_NUMPYS = Scheme()


def differentiate_dataset(
    dataset: xr.Dataset,
    coord: str | Sequence[str],
    *,
    datetime_unit: str | None = None,
    boundary: Any = None,
    period: Any = None,
    regular: bool = False,
    scheme: Scheme = _NUMPYS,
) -> xr.Dataset:
    """Differentiate each variable of a dataset; see the accessor of datasets.

    Examples
    --------
    >>> ds = xr.Dataset({"y": ("x", [1.0, 4.0, 9.0])}, {"x": [1.0, 2.0, 3.0]})
    >>> differentiate_dataset(ds, "x")["y"].values
    array([3., 4., 5.])
    """
    coordinates = _coordinates(dataset, coord, datetime_unit, boundary, period, regular, scheme)
    apart = describing(dataset.variables)
    variables: dict[Any, xr.Variable] = {}
    for name, array in dataset.data_vars.items():
        variable = array.variable
        derivatives = (
            _derivatives(str(name), variable, coordinates, scheme)
            if name not in apart and _is_numeric(variable)
            else {}
        )
        if not derivatives:
            results: dict[Any, xr.Variable] = {name: variable}
        elif isinstance(coord, str):
            results = {name: derivatives[coord]}
        else:
            results = _named(str(name), derivatives, scheme.order)
        _check_names(results, variables, dataset.coords)
        variables |= results
    result = xr.Dataset(variables, coords=dataset.coords, attrs=dataset.attrs)
    result.encoding = dict(dataset.encoding)
    return result


def differentiate_array(
    array: xr.DataArray,
    coord: str | Sequence[str],
    *,
    datetime_unit: str | None = None,
    boundary: Any = None,
    period: Any = None,
    regular: bool = False,
    scheme: Scheme = _NUMPYS,
) -> xr.DataArray | xr.Dataset:
    """Differentiate an array; see the accessor of arrays.

    Examples
    --------
    >>> y = xr.DataArray([1.0, 4.0, 9.0], {"x": [1.0, 2.0, 3.0]}, name="y")
    >>> differentiate_array(y, "x").values
    array([3., 4., 5.])
    """
    coordinates = _coordinates(array, coord, datetime_unit, boundary, period, regular, scheme)
    if not _is_numeric(array.variable):
        msg = f"a DataArray of {array.dtype} cannot be differentiated; convert it to numbers first"
        raise TypeError(msg)
    if isinstance(coord, str):
        name = None if array.name is None else str(array.name)
        derivatives = _derivatives(name, array.variable, coordinates, scheme)
        return xr.DataArray(derivatives[coord], coords=array.coords, name=array.name)
    if array.name is None:
        msg = (
            "derivatives along a list of coordinates are named after the DataArray, which has no "
            "name; give it one with `.rename(...)`, or one coordinate at a time"
        )
        raise ValueError(msg)
    derivatives = _derivatives(str(array.name), array.variable, coordinates, scheme)
    results = _named(str(array.name), derivatives, scheme.order)
    _check_names(results, {}, array.coords)
    return xr.Dataset(results, coords=array.coords)


def _named(
    name: str, derivatives: Mapping[str, xr.Variable], order: int
) -> dict[Any, xr.Variable]:
    return {derivative_name(name, along, order): found for along, found in derivatives.items()}


def _coordinates(
    obj: xr.Dataset | xr.DataArray,
    coord: str | Sequence[str],
    datetime_unit: str | None,
    boundary: Any,
    period: Any,
    regular: bool,
    scheme: Scheme,
) -> tuple[Along, ...]:
    """Decide the coordinates; whatever is wrong with any of them is found here."""
    if not isinstance(coord, str | list | tuple) or not all(isinstance(c, str) for c in coord):
        msg = f"`coord` must be the name of a coordinate, or a list of names; found {coord!r}"
        raise TypeError(msg)
    names = [coord] if isinstance(coord, str) else list(coord)
    if not names or len(set(names)) < len(names):
        msg = f"`coord` must name one or several coordinates, each once; found {coord!r}"
        raise CoordinateError(msg)
    if not isinstance(regular, bool):
        msg = f"`regular` must be True or False, found {regular!r}"
        raise TypeError(msg)
    dims = {name: dimension_of(obj, name) for name in names}
    boundaries = boundaries_by_name(boundary, period, dims)
    for name, dim in dims.items():
        least, found = scheme.least(boundaries.get(name)), obj.sizes[dim]
        if found < least:
            msg = (
                f"`{name}` has too few points along `{dim}`: "
                f"{scheme.needs(boundaries.get(name))} needs at least {least}, found {found}; "
                "select more of them"
            )
            raise CoordinateError(msg)
    # Loaded once, since a coordinate may be lazy.
    loaded = {name: obj.coords[name].variable.compute() for name in names}
    check_datetime_unit(datetime_unit, loaded)
    return tuple(
        along(
            name,
            dims[name],
            variable,
            datetime_unit=datetime_unit,
            boundary=boundaries.get(name),
            regular=regular,
        )
        for name, variable in loaded.items()
    )


def _is_numeric(variable: xr.Variable) -> bool:
    return variable.dtype.kind in "iufc"


def _derivatives(
    name: str | None,
    variable: xr.Variable,
    coordinates: Iterable[Along],
    scheme: Scheme,
) -> dict[str, xr.Variable]:
    """Differentiate a variable along those of the coordinates whose dimensions it has."""
    present = [coordinate for coordinate in coordinates if coordinate.dim in variable.dims]
    if present:
        _refuse_quantities(name, variable)
    found: dict[str, Any] = {}
    for together in _passes(present):
        axes = tuple(variable.get_axis_num(c.dim) for c in together)
        boundaries = {a: c.boundary for a, c in zip(axes, together, strict=True) if c.boundary}
        results = gradient(
            variable.data,
            *(c.spacing for c in together),
            axis=axes,
            boundary={axis: boundary.spelt for axis, boundary in boundaries.items()} or None,
            period={a: b.period for a, b in boundaries.items() if b.period} or None,
            **vars(scheme),
        )
        parts = results if isinstance(results, tuple) else (results,)
        found |= {c.name: data for c, data in zip(together, parts, strict=True)}
    return {
        c.name: xr.Variable(
            variable.dims,
            found[c.name],
            derivative_attributes(name, variable.attrs, c.name, c.units, scheme.order),
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


def _passes(coordinates: Iterable[Along]) -> list[list[Along]]:
    """Group coordinates such that one read serves a group: no two share a dimension."""
    passes: list[list[Along]] = []
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
