"""Derivatives of variables as a dataset or an array again: which are taken, and their names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import xarray as xr

from bigrad.errors import CoordinateError
from bigrad.labelled.attributes import derivative_name, describing

__all__ = ["Derivatives", "coordinate_names", "of_array", "of_dataset"]

# From a variable and its name to its derivatives by coordinate, of those that it lies along.
Derivatives = Callable[[str | None, xr.Variable], Mapping[str, xr.Variable]]


def coordinate_names(coord: Any) -> list[str]:
    """Return the names of coordinates to differentiate along, or refuse them.

    Raises
    ------
    TypeError
        Where `coord` is neither a name nor a list of names.
    CoordinateError
        Where there are none, or one is there twice.

    Examples
    --------
    >>> coordinate_names("x")
    ['x']
    """
    if not isinstance(coord, str | list | tuple) or not all(isinstance(c, str) for c in coord):
        msg = f"`coord` must be the name of a coordinate, or a list of names; found {coord!r}"
        raise TypeError(msg)
    names = [coord] if isinstance(coord, str) else list(coord)
    if not names or len(set(names)) < len(names):
        msg = f"`coord` must name one or several coordinates, each once; found {coord!r}"
        raise CoordinateError(msg)
    return names


def of_dataset(
    dataset: xr.Dataset, coord: str | Sequence[str], derivatives: Derivatives, order: int = 1
) -> xr.Dataset:
    """Put derivatives in the place of the variables of a dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of its variables, those pass through that are not numeric, only describe others, or lie
        along none of the coordinates.
    coord : str or sequence of str
        One name keeps the names of the variables, a list gives a name to each derivative.
    derivatives : callable
        Differentiates a variable.
    order : {1, 2}
        Of the derivatives.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    ValueError
        Where two variables would have one name.
    """
    apart = describing(dataset.variables)
    variables: dict[Any, xr.Variable] = {}
    for name, array in dataset.data_vars.items():
        variable = array.variable
        found = (
            derivatives(str(name), variable) if name not in apart and _is_numeric(variable) else {}
        )
        if not found:
            results: dict[Any, xr.Variable] = {name: variable}
        elif isinstance(coord, str):
            results = {name: found[coord]}
        else:
            results = _named(str(name), found, order)
        _check_names(results, variables, dataset.coords)
        variables |= results
    result = xr.Dataset(variables, coords=dataset.coords, attrs=dataset.attrs)
    result.encoding = dict(dataset.encoding)
    return result


def of_array(
    array: xr.DataArray, coord: str | Sequence[str], derivatives: Derivatives, order: int = 1
) -> xr.DataArray | xr.Dataset:
    """Make the derivative of an array an array, or several of them a dataset.

    The parameters are those of `of_dataset`.

    Raises
    ------
    TypeError
        Where the array does not hold numbers.
    ValueError
        Where several derivatives would have no name, or one that is taken.
    """
    if not _is_numeric(array.variable):
        msg = f"a DataArray of {array.dtype} cannot be differentiated; convert it to numbers first"
        raise TypeError(msg)
    name = None if array.name is None else str(array.name)
    if isinstance(coord, str):
        found = derivatives(name, array.variable)
        return xr.DataArray(found[coord], coords=array.coords, name=array.name)
    if name is None:
        msg = (
            "derivatives along a list of coordinates are named after the DataArray, which has no "
            "name; give it one with `.rename(...)`, or one coordinate at a time"
        )
        raise ValueError(msg)
    results = _named(name, derivatives(name, array.variable), order)
    _check_names(results, {}, array.coords)
    return xr.Dataset(results, coords=array.coords)


def _is_numeric(variable: xr.Variable) -> bool:
    return variable.dtype.kind in "iufc"


def _named(
    name: str, derivatives: Mapping[str, xr.Variable], order: int
) -> dict[Any, xr.Variable]:
    return {derivative_name(name, along, order): found for along, found in derivatives.items()}


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
