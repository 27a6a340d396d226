"""The attributes of a derivative: right, or absent."""

import re
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import xarray as xr

from bigrad.labelled.units import quotient

__all__ = ["derivative_attributes", "describing"]

_STALE = frozenset(
    {
        # They say which quantity it is, and in which units.
        "standard_name",
        "long_name",
        "units",
        "units_metadata",
        "STASH",
        "um_stash_source",
        "ukmo__um_stash_source",
        "GRIB_paramId",
        "GRIB_shortName",
        "GRIB_name",
        "GRIB_units",
        "GRIB_cfName",
        "GRIB_cfVarName",
        # They say what values there may be.
        "valid_min",
        "valid_max",
        "valid_range",
        "actual_range",
        "flag_values",
        "flag_masks",
        "flag_meanings",
        # They say how values are stored, and how many of their digits count.
        "_FillValue",
        "missing_value",
        "scale_factor",
        "add_offset",
        "_Unsigned",
        "least_significant_digit",
        "number_of_significant_digits",
        # They name variables that say how good the values are.
        "ancillary_variables",
    }
)

# Differences commute with these: the derivative of a mean is the mean of the derivative.
_LINEAR = frozenset({"mean", "point", "sum"})

# Attributes that name variables which describe the variable that has them.
_REFERENCES = ("bounds", "cell_measures", "climatology", "grid_mapping")


def derivative_attributes(
    name: str | None, attributes: Mapping[Any, Any], coord: str, per: str | None, order: int = 1
) -> dict[Any, Any]:
    """Attributes of the derivative of a variable along a coordinate.

    Parameters
    ----------
    name : str or None
        The variable, where it has a name.
    attributes : mapping
        Its attributes; they are not changed.
    coord : str
        The coordinate.
    per : str or None
        Units of the coordinate, as `coordinate_units` gives them.
    order : {1, 2}
        Of the derivative.

    Returns
    -------
    dict
        `attributes` without those that would be wrong for the derivative. ``units`` are there
        where they are known of both; ``long_name`` says what was done. ``cell_methods`` stay
        where they are linear, and so hold for the derivative too.

    Examples
    --------
    >>> t2m = {"standard_name": "air_temperature", "units": "K", "grid_mapping": "crs"}
    >>> for item in derivative_attributes("t2m", t2m, "x", "m").items():
    ...     print(*item)
    grid_mapping crs
    long_name derivative of air_temperature along x
    units K m-1
    """
    kept = {key: value for key, value in attributes.items() if key not in _STALE}
    if "cell_methods" in kept and not _linear(kept["cell_methods"]):
        del kept["cell_methods"]
    texts = (attributes.get("long_name"), attributes.get("standard_name"), name)
    called = next((text for text in texts if isinstance(text, str) and text), "")
    which = {1: "derivative", 2: "second derivative"}[order]
    kept["long_name"] = f"{which} {f'of {called} ' if called else ''}along {coord}"
    units = attributes.get("units")
    # Where packing is still among the attributes, the values are not in those units.
    packed = "scale_factor" in attributes or "add_offset" in attributes
    derived = units if isinstance(units, str) and not packed else None
    for _ in range(order):
        derived = quotient(derived, per)
    if derived is not None:
        kept["units"] = derived
    return kept


def derivative_name(name: str, coord: str, order: int = 1) -> str:
    """Name the derivative of a variable along one of several coordinates.

    Examples
    --------
    >>> derivative_name("t", "lon"), derivative_name("t", "lon", order=2)
    ('dt_dlon', 'd2t_dlon2')
    """
    power = "" if order == 1 else str(order)
    return f"d{power}{name}_d{coord}{power}"


def _linear(cell_methods: Any) -> bool:
    without_comments = re.sub(r"\([^)]*\)", "", str(cell_methods))
    methods = re.findall(r":\s*(\w+)\b(?!\s*:)", without_comments)
    return bool(methods) and set(methods) <= _LINEAR


def describing(variables: Mapping[Any, xr.Variable]) -> frozenset[Hashable]:
    """Variables that only describe others: bounds, cell areas, error estimates, projections.

    They are no fields. Bounds, for one, would no longer be those of their coordinate once they
    were differentiated.

    Parameters
    ----------
    variables : mapping of str to xarray.Variable
        All variables of a dataset.

    Returns
    -------
    frozenset of str

    Examples
    --------
    >>> latitude = xr.Variable("latitude", [0.5, 1.5], {"bounds": "latitude_bounds"})
    >>> bounds = xr.Variable(("latitude", "bound"), [[0.0, 1.0], [1.0, 2.0]])
    >>> describing({"latitude": latitude, "latitude_bounds": bounds})
    frozenset({'latitude_bounds'})
    """
    return frozenset(_referred(variables.values())) & frozenset(variables)


def _referred(variables: Iterable[xr.Variable]) -> Iterable[str]:
    for variable in variables:
        for key in _REFERENCES:
            words = str(variable.attrs.get(key, variable.encoding.get(key, ""))).split()
            # "crs: x y" names a grid mapping, then coordinates; "area: a" a role, then a variable.
            yield from (
                word.removesuffix(":") if key == "grid_mapping" else word for word in words
            )
