import re
from fractions import Fraction
from typing import Any

import cftime
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from bigrad.errors import CoordinateError
from bigrad.labelled.coordinates import (
    coordinate_units,
    coordinate_values,
    dimension_of,
    is_time,
)
from bigrad.numerics.spacing import from_coordinate

RESOLUTIONS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
UNITS = {"W": 604_800, "D": 86_400, "h": 3600, "m": 60, "s": 1} | {
    unit: Fraction(1, 10**places)
    for unit, places in {"ms": 3, "us": 6, "ns": 9, "ps": 12, "fs": 15, "as": 18}.items()
}


def variable(values: Any, dtype: Any = None) -> xr.Variable:
    return xr.Variable("x", np.asarray(values, dtype))


def test_a_coordinate_lies_along_its_dimension() -> None:
    obj = xr.Dataset(
        {"t": (("y", "x"), np.zeros((2, 3)))},
        {"x": [1, 2, 3], "height": ("y", [5.0, 6.0]), "area": (("y", "x"), np.zeros((2, 3)))},
    ).assign_coords(station=1.5)
    assert dimension_of(obj, "x") == "x"
    assert dimension_of(obj, "height") == "y"
    assert dimension_of(obj["t"], "height") == "y"
    for name, said in {
        "y": "dimension without a coordinate.*assign_coords",
        "area": "has 2 dimensions, `y`, `x`.*the 1-d coordinates are `x`, `height`",
        "station": "is a scalar.*the 1-d coordinates are `x`, `height`",
        "t": "data variable.*set_coords",
        "zz": "not found: the 1-d coordinates are `x`, `height`",
    }.items():
        with pytest.raises(CoordinateError, match=f"`{name}`.*{said}"):
            dimension_of(obj, name)
    with pytest.raises(CoordinateError, match="there are no 1-d coordinates"):
        dimension_of(xr.Dataset(), "x")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "g", "u1", "i4", "i8", "u8"])
def test_numbers_stay_as_they_are(dtype: str) -> None:
    values = coordinate_values("x", variable([7, 5, 2], dtype))
    assert values.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(values, [7, 5, 2])


def test_a_lazy_coordinate_is_computed() -> None:
    lazy = xr.Variable("x", da.arange(4, chunks=2))
    np.testing.assert_array_equal(coordinate_values("x", lazy), range(4))


@given(
    start=st.integers(-(10**9), 10**9),
    steps=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    resolution=st.sampled_from(list(RESOLUTIONS)),
    unit=st.sampled_from(list(UNITS)),
    falling=st.booleans(),
    durations=st.booleans(),
)
def test_times_are_exact_whatever_their_resolution(
    start: int, steps: list[int], resolution: str, unit: str, falling: bool, durations: bool
) -> None:
    """The oracle is rational arithmetic, rounded to float64 once."""
    ticks = [start + sum(steps[:k]) * (-1 if falling else 1) for k in range(len(steps) + 1)]
    dtype = f"{'m' if durations else 'M'}8[{resolution}]"
    times = np.array(ticks, "i8").view(dtype)
    expected = [
        float(Fraction(tick - start, RESOLUTIONS[resolution]) / UNITS[unit]) for tick in ticks
    ]
    np.testing.assert_array_equal(coordinate_values("x", variable(times), unit), expected)


@pytest.mark.parametrize("resolution", ["D", "h", *RESOLUTIONS])
def test_hours_are_3600_seconds_apart_and_uniform(resolution: str) -> None:
    step = np.timedelta64(24 if resolution == "D" else 1, "h")
    start = np.datetime64("1700-01-01", "ns" if resolution == "ns" else "s")
    # From 1700 to 2200 there are more nanoseconds than a signed 64-bit integer counts.
    times = (start + np.array([0, 1, 2]) * step).astype(f"M8[{resolution}]")
    spacing = from_coordinate(coordinate_values("time", variable(times)))
    assert spacing.uniform
    assert spacing.delta == (86400.0 if resolution == "D" else 3600.0)


def test_a_range_of_dates_wider_than_64_bits_of_ticks() -> None:
    times = np.array(["1700-01-01", "2200-01-01"], "M8[ns]")
    seconds = (times.astype("M8[s]") - times[0].astype("M8[s]")).astype(float)
    np.testing.assert_array_equal(coordinate_values("x", variable(times)), seconds)


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "standard", "julian", "all_leap"])
def test_cftime_is_exact_to_the_microsecond(calendar: str) -> None:
    dates = [
        cftime.datetime(2000, 2, 28, calendar=calendar),
        cftime.datetime(2000, 3, 1, calendar=calendar),
        cftime.datetime(2000, 3, 1, 0, 0, 0, 1, calendar=calendar),
    ]
    days = {"360_day": 3, "noleap": 1}.get(calendar, 2)
    np.testing.assert_array_equal(
        coordinate_values("x", variable(dates, object)),
        [0.0, 86400.0 * days, (86_400_000_000 * days + 1) / 1e6],
    )
    np.testing.assert_array_equal(
        coordinate_values("x", variable(dates[:2], object), "D"), [0.0, days]
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.0, 1.0, 1.0], "not strictly monotonic: 1.0 at index 1 is followed by 1.0; drop"),
        ([0, 0, 1], "0 at index 0 is followed by 0"),
        ([3, 2, 1, 2], "1 at index 2 is followed by 2"),
        (np.array([3, 1, 2], "u1"), "1 at index 1 is followed by 2"),
        ([2**60, 2**60 + 1], "float64 cannot tell apart"),
        (
            np.array(["2000-01-01", "2001-01-01", "2001-01-01T00:00:00.000000001"], "M8[ns]"),
            "float64 cannot tell apart.*at index 1",
        ),
        ([0.0, np.nan, 2.0], "not finite at index 1, where it is nan"),
        ([0.0, 1.0, np.inf], "not finite at index 2, where it is inf"),
        (np.array(["2001-01-02", "2001-01-01", "2001-01-01"], "M8[s]"), "2001-01-01.*at index 1"),
        (np.array(["2001-01-02", "NaT"], "M8[s]"), "missing at index 1"),
        (np.array([1, "NaT"], "m8[s]"), "missing at index 1"),
        (
            np.array([cftime.datetime(2001, 1, 1, calendar="noleap"), None]),
            "missing at index 1, where it is None",
        ),
        (
            np.array(
                [
                    cftime.datetime(2001, 1, 1, calendar="noleap"),
                    cftime.datetime(2001, 1, 2, calendar="360_day"),
                ]
            ),
            "same calendar",
        ),
        (["a", "b"], "holds <U1; the spacing must be real numbers, dates or durations"),
        ([False, True], "holds bool"),
        ([1j, 2j], "holds complex128"),
        (np.array([1, "a"], object), "holds object"),
    ],
)
def test_what_cannot_be_a_spacing_is_refused(values: Any, said: str) -> None:
    with pytest.raises(CoordinateError, match=f"`lon`.*{said}"):
        coordinate_values("lon", variable(values))


@pytest.mark.parametrize("unit", ["Y", "M", "month", "sec"])
def test_a_unit_without_fixed_length_is_refused(unit: str) -> None:
    times = variable(np.array([0, 1], "M8[s]"))
    said = f"`datetime_unit` must be one of W, D, h, .*found {re.escape(repr(unit))}"
    with pytest.raises(CoordinateError, match=said):
        coordinate_values("time", times, unit)


@pytest.mark.parametrize(
    ("values", "time"),
    [
        ([0.0, 1.0], False),
        (np.array([1], "m8[s]"), True),
        (np.array([1], "M8[s]"), True),
        (np.array([cftime.DatetimeNoLeap(2001, 1, 1)]), True),
        (np.array(["a"], object), False),
        (np.array([], object), False),
    ],
)
def test_units_are_those_of_the_attributes_but_for_times(values: Any, time: bool) -> None:
    coordinate = xr.Variable("x", values, {"units": "degrees_east"})
    assert is_time(coordinate) == time
    assert coordinate_units(coordinate) == ("s" if time else "degrees_east")
    assert coordinate_units(coordinate, "m") == ("min" if time else "degrees_east")
    assert coordinate_units(coordinate, "D") == ("d" if time else "degrees_east")


def test_no_units_are_none() -> None:
    assert coordinate_units(xr.Variable("x", [1.0])) is None
    assert coordinate_units(xr.Variable("x", [1.0], {"units": 1})) is None
