from typing import Any

import numpy as np
import pytest
import xarray as xr

from bigrad.labelled.attributes import derivative_attributes, describing

SEA = {
    "standard_name": "sea_surface_temperature",
    "long_name": "Sea Surface Temperature",
    "units": "degree_C",
    "cell_methods": "time: mean (interval: 2700 s)",
    "cell_measures": "area: area",
    "grid_mapping": "crs",
    "source": "a buoy",
}


def test_what_holds_for_the_derivative_stays() -> None:
    before = dict(SEA)
    assert derivative_attributes("tos", SEA, "lat", "degrees_north") == {
        "long_name": "derivative of Sea Surface Temperature along lat",
        "units": "K degree-1",
        "cell_methods": "time: mean (interval: 2700 s)",
        "cell_measures": "area: area",
        "grid_mapping": "crs",
        "source": "a buoy",
    }
    assert before == SEA


@pytest.mark.parametrize(
    "stale",
    [
        {"valid_min": -2.0, "valid_max": 40.0},
        {"valid_range": [-2.0, 40.0]},
        {"actual_range": [0.0, 1.0]},
        {"flag_values": [0, 1], "flag_meanings": "dry wet"},
        {"flag_masks": [1, 2]},
        {"_FillValue": -999, "missing_value": -999},
        {"ancillary_variables": "tos_error"},
        {"units_metadata": "temperature: on_scale"},
        {"GRIB_paramId": 34, "GRIB_units": "K"},
        {"number_of_significant_digits": 5},
    ],
)
def test_what_would_be_wrong_is_dropped(stale: dict[str, Any]) -> None:
    plain = derivative_attributes("tos", SEA, "x", "m")
    assert derivative_attributes("tos", SEA | stale, "x", "m") == plain


@pytest.mark.parametrize(
    ("methods", "kept"),
    [
        ("area: time: mean", True),
        ("time: mean within days time: mean over days", True),
        ("area: mean where land time: sum", True),
        ("time: maximum", False),
        ("time: maximum within days time: mean over days", False),
        ("lat: lon: standard_deviation", False),
        ("time: mean (comment: lower: maximum of all)", True),
    ],
)
def test_methods_stay_where_they_are_linear(methods: str, kept: bool) -> None:
    result = derivative_attributes("t", {"cell_methods": methods}, "x", None)
    assert ("cell_methods" in result) == kept


@pytest.mark.parametrize(
    ("attributes", "per"),
    [
        ({"units": "K"}, None),
        ({}, "m"),
        ({"units": "nonsense"}, "m"),
        ({"units": 1}, "m"),
        # Still packed: a count of steps, in no such unit.
        ({"units": "K", "scale_factor": 0.1, "add_offset": 273.0}, "m"),
    ],
)
def test_units_are_absent_where_they_are_not_known(
    attributes: dict[str, Any], per: str | None
) -> None:
    assert derivative_attributes("t", attributes, "x", per) == {
        "long_name": "derivative of t along x"
    }


def test_the_long_name_takes_the_best_name_there_is() -> None:
    named: dict[str, Any] = {"standard_name": "air_temperature"}
    assert derivative_attributes("t", named, "x", None) == {
        "long_name": "derivative of air_temperature along x"
    }
    assert derivative_attributes(None, {}, "x", None) == {"long_name": "derivative along x"}


def test_variables_that_only_describe_others_are_found() -> None:
    zero = np.zeros(1)
    variables = {
        "lat": xr.Variable("lat", zero, {"bounds": "lat_bounds"}),
        "lat_bounds": xr.Variable("lat", zero),
        "t": xr.Variable(
            "lat", zero, {"ancillary_variables": "t_error t_flag"}, {"cell_measures": "area: size"}
        ),
        "t_error": xr.Variable("lat", zero),
        "size": xr.Variable("lat", zero),
        "other": xr.Variable("lat", zero, {"comment": "other t"}),
    }
    assert describing(variables) == {"lat_bounds", "size"}
