"""Derivatives of xarray objects along their coordinates: what the accessor's methods do."""

from collections.abc import Iterable, Sequence
from typing import Any

import xarray as xr

from bigrad.arrays import gradient
from bigrad.labelled.assembly import coordinate_names, of_array, of_dataset
from bigrad.labelled.attributes import derivative_attributes
from bigrad.labelled.axes import Along, along, boundaries_by_name, check_size
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
    return of_dataset(
        dataset,
        coord,
        lambda name, variable: _derivatives(name, variable, coordinates, scheme),
        scheme.order,
    )


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
    return of_array(
        array,
        coord,
        lambda name, variable: _derivatives(name, variable, coordinates, scheme),
        scheme.order,
    )


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
    names = coordinate_names(coord)
    if not isinstance(regular, bool):
        msg = f"`regular` must be True or False, found {regular!r}"
        raise TypeError(msg)
    dims = {name: dimension_of(obj, name) for name in names}
    boundaries = boundaries_by_name(boundary, period, dims)
    for name, dim in dims.items():
        check_size(name, dim, obj.sizes[dim], scheme, boundaries.get(name))
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
