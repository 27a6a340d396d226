"""The attributes of a derivative: right, or absent."""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import xarray as xr

from bigrad.labelled.units import quotient

__all__ = ["derivative_attributes", "derivative_name", "describing", "vector_attributes"]

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
    kept = _kept(attributes)
    called = _called(name, attributes)
    which = {1: "derivative", 2: "second derivative"}[order]
    kept["long_name"] = f"{which} {f'of {called} ' if called else ''}along {coord}"
    derived = _units(attributes)
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


# What CF calls the vorticity and the divergence of winds and currents.
_WINDS = frozenset({("eastward_wind", "northward_wind"), ("x_wind", "y_wind")})
_CURRENTS = frozenset(
    {
        ("eastward_sea_water_velocity", "northward_sea_water_velocity"),
        ("sea_water_x_velocity", "sea_water_y_velocity"),
    }
)
_STANDARD_NAMES: dict[tuple[Any, ...], str] = {
    **{("vorticity", *pair): "atmosphere_relative_vorticity" for pair in _WINDS},
    **{("divergence", *pair): "divergence_of_wind" for pair in _WINDS},
    **{("vorticity", *pair): "ocean_relative_vorticity" for pair in _CURRENTS},
}


def vector_attributes(
    result: str,
    names: Sequence[str | None],
    attributes: Sequence[Mapping[Any, Any]],
    per: str | None,
) -> dict[Any, Any]:
    """Attributes of what an operator of vector calculus makes of some variables.

    Parameters
    ----------
    result : str
        Which result: "vorticity", "magnitude" and so on.
    names : sequence of str or None
        The variables, where they have names.
    attributes : sequence of mapping
        Their attributes.
    per : str or None
        Units of length of the grid.

    Returns
    -------
    dict
        The attributes that all variables share, without those that would be wrong for the
        result. ``units`` and ``standard_name`` are there where they are known of all.

    Examples
    --------
    >>> u = {"standard_name": "eastward_wind", "units": "m s**-1"}
    >>> v = {"standard_name": "northward_wind", "units": "m s**-1"}
    >>> for item in vector_attributes("vorticity", ["u", "v"], [u, v], "m").items():
    ...     print(*item)
    long_name vorticity of eastward_wind and northward_wind
    units s-1
    standard_name atmosphere_relative_vorticity
    """
    shared = {
        key: value
        for key, value in attributes[0].items()
        if all(key in other and _same(other[key], value) for other in attributes[1:])
    }
    kept = _kept(shared)
    if result in ("magnitude", "advection"):
        kept.pop("cell_methods", None)  # means and sums are not of these
    called = [_called(n, a) or "a field" for n, a in zip(names, attributes, strict=True)]
    if result == "advection":
        kept["long_name"] = f"advection of {called[0]} by {called[1]} and {called[2]}"
    else:
        what = "magnitude of the gradient" if result == "magnitude" else result
        kept["long_name"] = f"{what} of {' and '.join(called)}"
    units = _vector_units(result, [_units(a) for a in attributes], per)
    if units is not None:
        kept["units"] = units
    standard = _STANDARD_NAMES.get((result, *(a.get("standard_name") for a in attributes)))
    if standard is not None:
        kept["standard_name"] = standard
    return kept


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def _vector_units(result: str, units: Sequence[str | None], per: str | None) -> str | None:
    once = [quotient(one, per) for one in units]
    if result == "laplacian":
        return quotient(once[0], per)
    if result == "magnitude":
        return once[0]
    if None in once[-2:] or once[-2] != once[-1]:
        return None  # two components in different units have no sum
    if result == "advection":
        return quotient(units[0], quotient(per, units[1]))
    return once[0]


def _kept(attributes: Mapping[Any, Any]) -> dict[Any, Any]:
    """Attributes that hold for what a linear operator makes of a variable."""
    kept = {key: value for key, value in attributes.items() if key not in _STALE}
    if "cell_methods" in kept and not _linear(kept["cell_methods"]):
        del kept["cell_methods"]
    return kept


def _called(name: str | None, attributes: Mapping[Any, Any]) -> str:
    texts = (attributes.get("long_name"), attributes.get("standard_name"), name)
    return next((text for text in texts if isinstance(text, str) and text), "")


def _units(attributes: Mapping[Any, Any]) -> str | None:
    units = attributes.get("units")
    # Where packing is still among the attributes, the values are not in those units.
    packed = "scale_factor" in attributes or "add_offset" in attributes
    return units if isinstance(units, str) and not packed else None


def _linear(cell_methods: Any) -> bool:
    without_comments = re.sub(r"\([^)]*\)", "", str(cell_methods))
    methods = re.findall(r":\s*(\w+)\b(?!\s*:)", without_comments)
    return bool(methods) and set(methods) <= _LINEAR


def describing(
    variables: Mapping[Any, xr.Variable], among: Iterable[Any] | None = None
) -> frozenset[Hashable]:
    """Variables that only describe others: bounds, cell areas, error estimates, projections.

    They are no fields. Bounds, for one, would no longer be those of their coordinate once they
    were differentiated.

    Parameters
    ----------
    variables : mapping of str to xarray.Variable
        All variables of a dataset.
    among : iterable of str, optional
        Those that are described; by default any.

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
    described = variables if among is None else among
    return frozenset(_referred(variables[name] for name in described)) & frozenset(variables)


def _referred(variables: Iterable[xr.Variable]) -> Iterable[str]:
    for variable in variables:
        for key in _REFERENCES:
            words = str(variable.attrs.get(key, variable.encoding.get(key, ""))).split()
            # "crs: x y" names a grid mapping, then coordinates; "area: a" a role, then a variable.
            yield from (
                word.removesuffix(":") if key == "grid_mapping" else word for word in words
            )
