"""Coordinates as spacing: which one a name means, and where its points lie, checked."""

import math
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from fractions import Fraction
from typing import Any, cast

import numpy as np
import xarray as xr

from bigrad.errors import CoordinateError
from bigrad.labelled.conventions import DEGREES_EAST
from bigrad.labelled.curvilinear import refuse_curvilinear

__all__ = [
    "check_closed",
    "check_datetime_unit",
    "check_once_around",
    "coordinate_units",
    "coordinate_values",
    "dimension_of",
    "full_circle",
    "is_time",
    "regular_step",
]

_SECONDS = {
    "W": Fraction(604_800),
    "D": Fraction(86_400),
    "h": Fraction(3600),
    "m": Fraction(60),
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
    "ps": Fraction(1, 10**12),
    "fs": Fraction(1, 10**15),
    "as": Fraction(1, 10**18),
}

# As CF writes those that it writes in another way: its `m` is the metre, its `D` the debye.
_CF_TIME = {"W": "week", "D": "d", "m": "min"}

_MICROSECOND = timedelta(microseconds=1)

# CF's spellings of the units of angles in which other things than longitudes are too.
_ANGLES = {
    "degrees": 360.0,
    "degree": 360.0,
    "deg": 360.0,
    "radians": math.tau,
    "radian": math.tau,
    "rad": math.tau,
}
_LONGITUDES = frozenset({"longitude", "grid_longitude"})
_LONGITUDE_NAMES = frozenset({"lon", "longitude"})

# A column that is missing, or there twice, leaves a gap that is a whole step off.
_CLOSES_WITHIN = 0.01

# Decimals are cut off before values are stored; a grid that is not regular, such as a Gaussian
# one, is off by 50 times as much.
_REGULAR_WITHIN = 1e-4


def dimension_of(obj: xr.Dataset | xr.DataArray, name: str) -> str:
    """Dimension that a coordinate lies along; values are not looked at.

    Parameters
    ----------
    obj : xarray.Dataset or xarray.DataArray
        What has the coordinate.
    name : str
        Name of a 1-d coordinate: that of a dimension, or another one on a dimension.

    Returns
    -------
    str

    Raises
    ------
    CoordinateError
        Where there is no such coordinate, it is not 1-d, or the grid is curvilinear.

    Examples
    --------
    >>> ds = xr.Dataset(coords={"x": [0, 1], "height": ("x", [10.0, 30.0])})
    >>> dimension_of(ds, "height")
    'x'
    """
    refuse_curvilinear(obj, name)
    if name not in obj.coords:
        raise CoordinateError(_absent(obj, name))
    dims = obj.coords[name].dims
    if len(dims) == 1:
        return cast("str", dims[0])
    found = f"has {len(dims)} dimensions, {_listed(dims)}" if dims else "is a scalar"
    msg = f"`{name}` {found}; the spacing must be 1-d: {_choices(obj)}"
    raise CoordinateError(msg)


def _absent(obj: xr.Dataset | xr.DataArray, name: str) -> str:
    if name in obj.dims:
        return (
            f"`{name}` is a dimension without a coordinate, so that its spacing is unknown; give "
            f"it one, as in `.assign_coords({name}=...)` with {obj.sizes[name]} values"
        )
    if isinstance(obj, xr.Dataset) and name in obj.data_vars:
        return (
            f"`{name}` is a data variable; to take it for the spacing, make it a coordinate "
            f"with `.set_coords({name!r})`"
        )
    return f"`{name}` was not found: {_choices(obj)}"


def _choices(obj: xr.Dataset | xr.DataArray) -> str:
    names = [name for name, coordinate in obj.coords.items() if coordinate.ndim == 1]
    if not names:
        return "there are no 1-d coordinates; give it one with `.assign_coords(...)`"
    return f"the 1-d coordinates are {_listed(names)}"


def _listed(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def coordinate_values(
    name: str, variable: xr.Variable, datetime_unit: str | None = None
) -> np.ndarray[Any, Any]:
    """Position of each point of a coordinate, fit to be the spacing of a derivative.

    Parameters
    ----------
    name : str
        What to call the coordinate in errors.
    variable : xarray.Variable
        The coordinate, 1-d; where it is lazy, it is computed.
    datetime_unit : {"W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"}, optional
        The unit that times are counted in, seconds by default. Other coordinates ignore it.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Numbers as they are, in their own dtype and unit. Dates (datetime64 and cftime) and
        durations (timedelta64) as float64 in `datetime_unit` since the first point: the exact
        difference, rounded once, whatever the resolution they are stored in.

    Raises
    ------
    CoordinateError
        Where a value is not finite, not a number nor a time, values are not strictly
        monotonic, or `datetime_unit` is no unit of fixed length.

    Examples
    --------
    >>> days = np.array(["2001-01-01", "2001-01-02"], "datetime64[ns]")
    >>> coordinate_values("time", xr.Variable("time", days))
    array([    0., 86400.])
    >>> coordinate_values("time", xr.Variable("time", days), "h")
    array([ 0., 24.])
    """
    data = variable.data
    # To know other arrays, xarray loads the packages of all.
    values: np.ndarray[Any, Any] = data if isinstance(data, np.ndarray) else variable.to_numpy()
    if is_time(variable):
        unit = _seconds_in(datetime_unit)
        if any(getattr(value, "tzinfo", None) is not None for value in values.flat):
            msg = (
                f"`{name}` has a time zone, which the spacing cannot have; take it away with "
                f"`.assign_coords({name}=index.tz_convert(None))`, where `index` is the "
                "pandas index"
            )
            raise CoordinateError(msg)
        _refuse_first(name, values, _isnat(values), "is missing")
        ticks, tick = _ticks(name, values)
        _check_order(name, values, values)
        numbers = _in_units(ticks, tick / unit)
        _check_apart(name, numbers, values)
        return numbers
    if values.dtype.kind not in "iuf":
        msg = (
            f"`{name}` holds {values.dtype}; the spacing must be real numbers, dates or "
            "durations: convert it, or choose another coordinate"
        )
        raise CoordinateError(msg)
    _refuse_first(name, values, ~np.isfinite(values), "is not finite")
    _check_order(name, values, values)
    _check_apart(name, values.astype(np.float64), values)
    return values


def coordinate_units(variable: xr.Variable, datetime_unit: str | None = None) -> str | None:
    """Units of what `coordinate_values` returns, in CF spelling where they are of time.

    Parameters
    ----------
    variable : xarray.Variable
        The coordinate.
    datetime_unit : str, optional
        As for `coordinate_values`.

    Returns
    -------
    str or None
        None where a coordinate of numbers has no units.

    Examples
    --------
    >>> coordinate_units(xr.Variable("x", [0.0, 1.0], {"units": "degrees_east"}))
    'degrees_east'
    >>> day = np.array(["2001-01-01"], "datetime64[ns]")
    >>> coordinate_units(xr.Variable("time", day), "m")
    'min'
    """
    if is_time(variable):
        unit = datetime_unit or "s"
        return _CF_TIME.get(unit, unit)
    units = variable.attrs.get("units")
    return units if isinstance(units, str) else None


def full_circle(name: str, variable: xr.Variable) -> float | None:
    """Period of a longitude, in its own units; None where it is not surely one.

    Parameters
    ----------
    name : str
        Name of the coordinate.
    variable : xarray.Variable
        The coordinate.

    Returns
    -------
    float or None
        360 where the units are degrees, 2 pi where they are radians. A longitude is known by
        its units, else by its ``standard_name``, else by the name ``lon`` or ``longitude``.

    Examples
    --------
    >>> full_circle("x", xr.Variable("x", [0.0, 180.0], {"units": "degrees_east"}))
    360.0
    >>> full_circle("x", xr.Variable("x", [0.0, 180.0], {"units": "degrees"})) is None
    True
    """
    units = variable.attrs.get("units")
    if not isinstance(units, str):
        return None
    if units in DEGREES_EAST:
        return 360.0
    if variable.attrs.get("standard_name") in _LONGITUDES or name in _LONGITUDE_NAMES:
        return _ANGLES.get(units)
    return None


def check_closed(
    name: str, values: np.ndarray[Any, Any], period: float, *, regular: bool = False
) -> None:
    """Refuse a coordinate that does not go around a whole period.

    Parameters
    ----------
    name : str
        What to call the coordinate in errors.
    values : numpy.ndarray, shape (n,)
        Position of each point.
    period : float
        The distance after which all repeats itself.
    regular : bool
        Whether the step of a regular coordinate is to be taken for the gap as well.

    Raises
    ------
    CoordinateError
        Where the gap between the last point and the first of the next period is smaller than
        every step of the coordinate, or larger, by more than a hundredth; for a regular one, by
        more than `regular_step` allows.

    Examples
    --------
    >>> check_closed("lon", np.arange(0.0, 360.0, 90.0), 360.0)
    >>> check_closed("lon", np.arange(0.0, 270.0, 90.0), 360.0)
    Traceback (most recent call last):
    bigrad.errors.CoordinateError: `lon` does not close: from its last point, 180.0, ...
    """
    numbers = values.astype(np.float64)
    steps = np.abs(np.diff(numbers))
    gap = period - abs(numbers[-1] - numbers[0])
    slack = _off_grid(values) if regular else _CLOSES_WITHIN * steps.min()
    if not steps.min() - slack <= gap <= steps.max() + slack:
        msg = (
            f"`{name}` does not close: from its last point, {values[-1]}, to its first, "
            f"{values[0]}, there is a gap of {gap:.6g} in a period of {period:.6g}, with steps "
            f"of {_range(steps)}; a periodic `boundary` needs the whole circle, each point once"
        )
        raise CoordinateError(msg)


def check_once_around(name: str, dim: str, values: np.ndarray[Any, Any], period: float) -> None:
    """Refuse a coordinate that goes around more than once, as with both 0 and 360 degrees.

    The columns that are there twice would keep the circle from closing: differences beside them
    would be one-sided, or count a step of no length.

    Parameters
    ----------
    name, dim : str
        What to call the coordinate in errors, and its dimension.
    values : numpy.ndarray, shape (n,)
        Position of each point, strictly monotonic; at least 2.
    period : float
        The distance after which all repeats itself, in the units of the values.

    Raises
    ------
    CoordinateError
        Where points are as far as that from the first one, to a hundredth of a step.

    Examples
    --------
    >>> check_once_around("lon", "x", np.arange(0.0, 360.0, 90.0), 360.0)
    >>> check_once_around("lon", "x", np.arange(0.0, 361.0, 90.0), 360.0)
    Traceback (most recent call last):
    bigrad.errors.CoordinateError: `lon` goes around more than once: 360.0 at index 4 is a ...
    """
    numbers = values.astype(np.float64)
    slack = _CLOSES_WITHIN * min(np.abs(np.diff(numbers)).min(), period)
    again = np.abs(numbers - numbers[0]) >= period - slack
    if again.any():
        i = int(again.argmax())
        msg = (
            f"`{name}` goes around more than once: {values[i]} at index {i} is a whole period of "
            f"{period:.6g} or more from the first point, {values[0]}; take each point of the "
            f"circle once, as with `.isel({dim}=slice({i}))`"
        )
        raise CoordinateError(msg)


def _range(steps: np.ndarray[Any, Any]) -> str:
    low, high = f"{steps.min():.6g}", f"{steps.max():.6g}"
    return low if low == high else f"{low} to {high}"


def regular_step(name: str, values: np.ndarray[Any, Any]) -> np.float64:
    """Step of a coordinate that is regular but for rounding.

    Parameters
    ----------
    name : str
        What to call the coordinate in errors.
    values : numpy.ndarray, shape (n,)
        Position of each point.

    Returns
    -------
    numpy.float64
        The distance between the first point and the last, over the number of steps.

    Raises
    ------
    CoordinateError
        Where a point is off the regular grid by more than a ten-thousandth of a step and two
        roundings of the largest value: to float32 where that can hold all values, as it does
        those that were stored so, else to their own dtype.

    Examples
    --------
    >>> tenths = np.arange(3600, dtype="f4") * np.float32(0.1)
    >>> f"{regular_step('lon', tenths):.6f}"
    '0.100000'
    """
    numbers = values.astype(np.float64)
    step = (numbers[-1] - numbers[0]) / (len(numbers) - 1)
    exact = np.linspace(numbers[0], numbers[-1], len(numbers))
    off = np.abs(numbers - exact)
    slack = _off_grid(values)
    if (off > slack).any():
        i = int((off > slack).argmax())
        msg = (
            f"`{name}` is not regular: {values[i]} at index {i} is {off[i]:.3g} off the grid of "
            f"step {step:.6g} from its first point to its last; leave `regular` away"
        )
        raise CoordinateError(msg)
    return np.float64(step)


def _off_grid(values: np.ndarray[Any, Any]) -> float:
    """How far a point may be off a regular grid."""
    numbers = values.astype(np.float64)
    step = abs(numbers[-1] - numbers[0]) / (len(numbers) - 1)
    return float(_REGULAR_WITHIN * step + 2 * _rounding(values) * np.abs(numbers).max())


def _rounding(values: np.ndarray[Any, Any]) -> float:
    if values.dtype.kind != "f":
        return 0.0
    with np.errstate(over="ignore"):
        single = bool((values.astype(np.float32) == values).all())
    return max(
        float(np.finfo(values.dtype).eps), float(np.finfo(np.float32).eps) if single else 0.0
    )


def check_datetime_unit(unit: str | None, coordinates: Mapping[str, xr.Variable]) -> None:
    """Refuse a unit of time where no coordinate is a time.

    Raises
    ------
    CoordinateError
        Where that is so.
    """
    if unit is None or any(map(is_time, coordinates.values())):
        return
    found = ", ".join(f"`{name}` of {one.dtype}" for name, one in coordinates.items())
    msg = (
        f"`datetime_unit` is for dates and durations, found {unit!r} with {found}; leave it out, "
        "or decode the times with `xarray.decode_cf`"
    )
    raise CoordinateError(msg)


def is_time(variable: xr.Variable) -> bool:
    """Whether a variable holds dates (datetime64 or cftime) or durations (timedelta64).

    Parameters
    ----------
    variable : xarray.Variable
        Any; it is computed where it is lazy and holds objects.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_time(xr.Variable("time", np.array([1, 2], "timedelta64[s]")))
    True
    >>> is_time(xr.Variable("time", [1, 2]))
    False
    """
    if variable.dtype.kind != "O" or "cftime" not in sys.modules:
        return variable.dtype.kind in "mM"
    cftime = sys.modules["cftime"]
    values = variable.to_numpy().flat
    return any(isinstance(value, cftime.datetime) for value in values)


def _seconds_in(datetime_unit: Any) -> Fraction:
    unit = datetime_unit or "s"
    if not isinstance(unit, str) or unit not in _SECONDS:
        why = "; years and months have no fixed length" if unit in ("Y", "M") else ""
        msg = f"`datetime_unit` must be one of {', '.join(_SECONDS)}, found {unit!r}{why}"
        raise CoordinateError(msg)
    return _SECONDS[unit]


def _isnat(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    missing: np.ndarray[Any, Any] = (
        np.isnat(values)
        if values.dtype.kind in "mM"
        else np.array([not hasattr(value, "calendar") for value in values], bool)
    )
    return missing


def _ticks(name: str, values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], Fraction]:
    """Exact time since the first point: Python's integers, and how many seconds one is."""
    if values.dtype.kind in "mM":
        unit, count = np.datetime_data(values.dtype)
        ticks = values.astype(np.int64).astype(object)
        return ticks - ticks[:1], count * _SECONDS[unit]
    try:
        durations = values - values[:1]
    except (TypeError, ValueError) as exc:
        msg = f"`{name}` mixes dates that cannot be compared: {exc}; give all the same calendar"
        raise CoordinateError(msg) from exc
    ticks = np.empty(len(values), object)
    ticks[:] = [duration // _MICROSECOND for duration in durations]
    return ticks, Fraction(1, 10**6)


def _in_units(ticks: np.ndarray[Any, Any], tick: Fraction) -> np.ndarray[Any, Any]:
    # Python divides integers of any size with one rounding: equal steps stay equal wherever
    # float64 can say so, and the gradient sees a uniform axis.
    counts: np.ndarray[Any, Any] = (ticks * tick.numerator / tick.denominator).astype(np.float64)
    return counts


def _refuse_first(
    name: str, values: np.ndarray[Any, Any], bad: np.ndarray[Any, Any], what: str
) -> None:
    if bad.any():
        i = int(bad.argmax())
        msg = (
            f"`{name}` {what} at index {i}, where it is {values[i]}; the spacing needs all "
            "values: drop that point, or fill it in"
        )
        raise CoordinateError(msg)


def _check_apart(name: str, numbers: np.ndarray[Any, Any], shown: np.ndarray[Any, Any]) -> None:
    """Refuse values that differ, but not once they are float64, as the gradient takes them."""
    same = numbers[1:] == numbers[:-1]
    if same.any():
        i = int(same.argmax())
        msg = (
            f"`{name}` has values that float64 cannot tell apart: {shown[i]} at index {i} and "
            f"{shown[i + 1]} after it, too far from the first point or from zero; differentiate "
            "a shorter part, or count from nearer by"
        )
        raise CoordinateError(msg)


def _check_order(name: str, exact: np.ndarray[Any, Any], shown: np.ndarray[Any, Any]) -> None:
    """Refuse values that neither rise nor fall all along."""
    rising = exact[1:] > exact[:-1]
    falling = exact[1:] < exact[:-1]
    if rising.all() or falling.all():
        return
    i = int((~(rising if rising[0] else falling)).argmax())
    msg = (
        f"`{name}` is not strictly monotonic: {shown[i]} at index {i} is followed by "
        f"{shown[i + 1]}; drop points that repeat one, and sort with `.sortby({name!r})`"
    )
    raise CoordinateError(msg)
