"""Vector calculus on xarray objects: what the accessor's methods do."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bigrad.arrays import gradient
from bigrad.errors import CoordinateError
from bigrad.labelled import assembly
from bigrad.labelled.attributes import derivative_attributes, vector_attributes
from bigrad.labelled.axes import check_size
from bigrad.labelled.conventions import is_latitude, is_longitude
from bigrad.labelled.coordinates import dimension_of
from bigrad.labelled.sphere import (
    Horizontal,
    horizontal,
    in_degrees,
    radius_of,
)
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.sphere import exact_poles
from bigrad.numerics.vector_calculus import (
    RESULTS,
    VectorOperator,
    called,
    takes,
    vector_operator,
)
from bigrad.vectors import apply

__all__ = [
    "check_plain",
    "check_winds",
    "differentiate_array",
    "differentiate_dataset",
    "of_array",
    "of_winds",
    "operator_on",
]

# Options of derivatives along coordinates that have no meaning, or no formulas yet, on the sphere.
_PLAIN = {
    "datetime_unit": None,
    "boundary": None,
    "period": None,
    "missing": "propagate",
    "accuracy": 2,
    "order": 1,
    "regular": False,
}


def of_winds(
    kind: str,
    dataset: xr.Dataset,
    names: Sequence[str],
    *,
    metric: str | None = "sphere",
    x: str | None = None,
    y: str | None = None,
    radius: float | None = None,
    edge_order: int = 1,
) -> dict[str, xr.DataArray]:
    """Apply an operator to variables of a dataset; see the accessor of datasets.

    Parameters
    ----------
    kind : str
        One of `bigrad.numerics.vector_calculus.INPUTS`.
    dataset : xarray.Dataset
        What has the variables.
    names : sequence of str
        The variables, the components of the wind last.
    metric, x, y, radius, edge_order
        As for the accessor.

    Returns
    -------
    dict of str to xarray.DataArray
        The results by name.

    Examples
    --------
    >>> coords = {"y": [0.0, 1.0], "x": [0.0, 1.0, 2.0]}
    >>> u = (("y", "x"), [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    >>> ds = xr.Dataset({"u": u, "v": u}, coords)
    >>> of_winds("vorticity", ds, ["u", "v"], metric=None)["vorticity"].values
    array([[-1., -1., -1.],
           [-1., -1., -1.]])
    """
    for name in names:
        if not isinstance(name, str):
            msg = f"variables are given by their names, found {type(name).__name__}"
            raise TypeError(msg)
        if name not in dataset.variables:
            known = ", ".join(f"`{n}`" for n in dataset.data_vars) or "none"
            msg = f"`{name}` is not a variable of the dataset; its variables are {known}"
            raise CoordinateError(msg)
    variables = [dataset.variables[name] for name in names]
    check_winds(names[-2:], variables[-2:])
    first = dataset[names[0]]
    found = horizontal(dataset, first.variable, metric=metric, x=x, y=y, radius=radius)
    results = _results(kind, found, names, variables, edge_order)
    return {
        result: xr.DataArray(variable, coords=first.coords, name=result)
        for result, variable in results.items()
    }


def of_array(
    kind: str,
    array: xr.DataArray,
    coord: Sequence[str] | None,
    *,
    metric: str | None = None,
    radius: float | None = None,
    edge_order: int = 1,
) -> xr.DataArray:
    """Apply an operator to an array; see the accessor of arrays.

    Examples
    --------
    >>> coords = {"y": [0.0, 1.0, 2.0], "x": [0.0, 1.0, 2.0]}
    >>> f = xr.DataArray(np.outer([0.0, 1, 4], [1.0, 1, 1]), coords, ("y", "x"))
    >>> of_array("laplacian", f, ["x", "y"]).values
    array([[2., 2., 2.],
           [2., 2., 2.],
           [2., 2., 2.]])
    """
    x, y = _x_and_y(array, coord, metric)
    found = horizontal(array, array.variable, metric=metric, x=x, y=y, radius=radius)
    name = None if array.name is None else str(array.name)
    (variable,) = _results(kind, found, [name], [array.variable], edge_order).values()
    return xr.DataArray(variable, coords=array.coords, name=array.name)


def _x_and_y(
    obj: xr.DataArray, coord: Sequence[str] | None, metric: str | None
) -> tuple[str | None, str | None]:
    """Which of two coordinates is which; on a plane it does not matter."""
    if coord is None:
        return None, None
    if isinstance(coord, str) or len(coord) != 2 or len(set(coord)) != 2:
        msg = f"`coord` must name two coordinates, found {coord!r}"
        raise CoordinateError(msg)
    x, y = coord
    if metric and y in obj.coords and is_longitude(y, obj.coords[y].variable):
        return y, x
    if metric and x in obj.coords and is_latitude(x, obj.coords[x].variable):
        return y, x
    return x, y


def check_winds(names: Sequence[str], variables: Sequence[xr.Variable]) -> None:
    """Refuse components of the wind that, by their standard names, are in the wrong order.

    Raises
    ------
    ValueError
        Where the first goes to the north, or the second to the east.
    """
    directions = [str(variable.attrs.get("standard_name", "")) for variable in variables]
    if directions[0].startswith("northward_") or directions[1].startswith("eastward_"):
        found = zip(names, directions, strict=True)
        known = " and ".join(f"`{name}` is {one!r}" for name, one in found if one)
        msg = (
            f"the component to the east comes first, and by its standard_name {known}; give them "
            "in the other order, or correct these"
        )
        raise ValueError(msg)


def _results(
    kind: str,
    found: Horizontal,
    names: Sequence[str | None],
    variables: Sequence[xr.Variable],
    edge_order: int,
) -> dict[str, xr.Variable]:
    dims = variables[0].dims
    data = _applied(kind, found, names, variables, edge_order)
    attributes = [variable.attrs for variable in variables]
    return {
        result: xr.Variable(dims, values, vector_attributes(result, names, attributes, found.per))
        for result, values in zip(RESULTS[kind], data, strict=True)
    }


def _applied(
    kind: str,
    found: Horizontal,
    names: Sequence[str | None],
    variables: Sequence[xr.Variable],
    edge_order: int,
) -> tuple[Any, ...]:
    """Results of an operator, with the dimensions of the first variable."""
    dims = variables[0].dims
    for name, variable in zip(names, variables, strict=True):
        if set(variable.dims) != set(dims):
            msg = (
                f"`{names[0]}` has the dimensions {dims} and `{name}` {variable.dims}; they must "
                "have the same, so select from one or expand the other"
            )
            raise ValueError(msg)
    fields = [variable.transpose(*dims).data for variable in variables]
    return apply(operator_on(kind, found, names, variables, edge_order), fields)


def operator_on(
    kind: str,
    found: Horizontal,
    names: Sequence[str | None],
    variables: Sequence[xr.Variable],
    edge_order: int,
) -> VectorOperator:
    """Decide an operator for variables on horizontal coordinates.

    Parameters
    ----------
    kind : str
        One of `bigrad.numerics.vector_calculus.INPUTS`.
    found : Horizontal
        The coordinates.
    names : sequence of str or None
        What to call the variables in errors.
    variables : sequence of xarray.Variable
        Its inputs; of the first it has the order of dimensions.
    edge_order : {1, 2}
        Order of accuracy at edges.

    Returns
    -------
    VectorOperator

    Raises
    ------
    TypeError
        Where a variable does not hold real numbers of up to 64 bits.
    CoordinateError
        Where a coordinate has too few points.
    """
    for name, variable in zip(names, variables, strict=True):
        if not takes(variable.dtype):
            msg = (
                f"{f'`{name}`' if name else 'the DataArray'} holds {variable.dtype}, and "
                f"{called(kind)} takes real numbers of up to 64 bits; convert it, as with "
                "`.astype(float)`, or take real and imaginary parts apart"
            )
            raise TypeError(msg)
    x, y = (variables[0].dims.index(dim) for dim in found.dims)
    dtypes = [variable.dtype for variable in variables]
    return vector_operator(
        kind, found.grid, (y, x), dtypes, edge_order=edge_order, names=found.names
    )


def differentiate_dataset(
    dataset: xr.Dataset,
    coord: str | Sequence[str],
    *,
    metric: str | None,
    radius: float | None = None,
    edge_order: int = 1,
    **others: Any,
) -> xr.Dataset:
    """Differentiate each variable of a dataset on the sphere; see the accessor of datasets.

    Examples
    --------
    >>> coords = {"lat": [-1.0, 0.0, 1.0], "lon": [0.0, 1.0, 2.0]}
    >>> ds = xr.Dataset({"t": (("lat", "lon"), np.outer([0.0, 1, 2], [1.0, 1, 1]))}, coords)
    >>> per_degree = differentiate_dataset(ds, "lat", metric="sphere", radius=180 / np.pi)
    >>> per_degree["t"].values[1]
    array([1., 1., 1.])
    """
    names = _horizontal_names(dataset, coord, metric, radius, others)

    def derivatives(name: str | None, variable: xr.Variable) -> dict[str, xr.Variable]:
        here = {n: east for n, east in names.items() if dataset.coords[n].dims[0] in variable.dims}
        if not here:
            return {}
        return _derivatives(dataset, name, variable, here, radius=radius, edge_order=edge_order)

    return assembly.of_dataset(dataset, coord, derivatives)


def differentiate_array(
    array: xr.DataArray,
    coord: str | Sequence[str],
    *,
    metric: str | None,
    radius: float | None = None,
    edge_order: int = 1,
    **others: Any,
) -> xr.DataArray | xr.Dataset:
    """Differentiate an array on the sphere; see the accessor of arrays.

    Examples
    --------
    >>> coords = {"lat": [-1.0, 0.0, 1.0], "lon": [0.0, 1.0, 2.0]}
    >>> t = xr.DataArray(np.outer([0.0, 1, 2], [1.0, 1, 1]), coords, ("lat", "lon"), name="t")
    >>> list(differentiate_array(t, ["lon", "lat"], metric="sphere").data_vars)
    ['dt_dlon', 'dt_dlat']
    """
    names = _horizontal_names(array, coord, metric, radius, others)
    return assembly.of_array(
        array,
        coord,
        lambda name, variable: _derivatives(
            array, name, variable, names, radius=radius, edge_order=edge_order
        ),
    )


def check_plain(what: str, options: Mapping[str, Any]) -> None:
    """Refuse options that have no meaning, or no formulas yet, on two axes together.

    Parameters
    ----------
    what : str
        What they were given with.
    options : mapping of str to object
        Options of derivatives along coordinates.

    Raises
    ------
    CoordinateError
        Where one is not what it is by default.
    """
    for option, value in options.items():
        if value != _PLAIN[option]:
            msg = (
                f"`{option}` is not for {what}, whose formulas are of second order and know what "
                f"lies beyond the ends; found {value!r}: leave it out"
            )
            raise CoordinateError(msg)


def _horizontal_names(
    obj: xr.Dataset | xr.DataArray,
    coord: str | Sequence[str],
    metric: str | None,
    radius: float | None,
    others: Mapping[str, Any],
) -> dict[str, bool]:
    """Return the names of the coordinates, and whether each is a longitude."""
    if metric is None:
        msg = (
            f'`radius` is for `metric="sphere"`, found {radius!r} with no metric: give both, or '
            "leave it out"
        )
        raise ValueError(msg)
    if metric != "sphere":
        msg = f'`metric` must be "sphere" or None, found {metric!r}'
        raise ValueError(msg)
    check_plain('`metric="sphere"`', others)
    which = {}
    for name in assembly.coordinate_names(coord):
        dimension_of(obj, name)
        variable = obj.coords[name].variable
        if not (is_longitude(name, variable) or is_latitude(name, variable)):
            msg = (
                f"`{name}` is not found to be a longitude or a latitude, by its standard_name, "
                'units or name, as `metric="sphere"` needs; correct these, or differentiate '
                "along it in a call of its own, without `metric`"
            )
            raise CoordinateError(msg)
        which[name] = is_longitude(name, variable)
    if len(set(which.values())) < len(which):
        msg = f"`coord` must name at most one longitude and one latitude, found {coord!r}"
        raise CoordinateError(msg)
    return which


def _derivatives(
    obj: xr.Dataset | xr.DataArray,
    name: str | None,
    variable: xr.Variable,
    names: Mapping[str, bool],
    *,
    radius: float | None,
    edge_order: int,
) -> dict[str, xr.Variable]:
    """Differentiate a variable along the longitude and the latitude that are asked for."""
    x = next((n for n, east in names.items() if east), None)
    y = next((n for n, east in names.items() if not east), None)
    if y is not None and x is None and not _has_longitude(obj, variable):
        data = {y: _along_meridian(obj, variable, y, radius, edge_order)}
    else:
        found = horizontal(obj, variable, metric="sphere", x=x, y=y, radius=radius)
        both = _applied("components", found, [name], [variable], edge_order)
        data = dict(zip(found.names, both, strict=True))
    return {
        n: xr.Variable(variable.dims, data[n], derivative_attributes(name, variable.attrs, n, "m"))
        for n in names
    }


def _has_longitude(obj: xr.Dataset | xr.DataArray, variable: xr.Variable) -> bool:
    return any(
        is_longitude(name, coordinate.variable) and set(coordinate.dims) <= set(variable.dims)
        for name, coordinate in obj.coords.items()
        if coordinate.ndim
    )


def _along_meridian(
    obj: xr.Dataset | xr.DataArray,
    variable: xr.Variable,
    name: str,
    radius: float | None,
    edge_order: int,
) -> Any:
    """Differentiate what has no longitude, as zonal means: along latitude it is a line."""
    r = radius_of(obj, variable, radius)
    degrees = in_degrees(name, obj.coords[name].variable.compute())
    metres = np.radians(exact_poles(degrees, name)) * r
    dim = dimension_of(obj, name)
    check_size(name, dim, obj.sizes[dim], Scheme(edge_order))
    axis = variable.get_axis_num(dim)
    # As the operators on two axes: half precision has no digits left for what is per metre.
    half = variable.dtype.kind == "f" and variable.dtype.itemsize < 4
    data = variable.data.astype(np.float32) if half else variable.data
    return gradient(data, metres, axis=axis, edge_order=edge_order)
