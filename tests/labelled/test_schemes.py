"""Boundaries, gaps, accuracy and regular coordinates on labelled data."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import xarray as xr

import bigrad
from bigrad.errors import CoordinateError
from bigrad.labelled.coordinates import full_circle, regular_step
from tests.bits import assert_same_bits

RNG = np.random.default_rng(0)


def globe(size: int = 12, **attrs: Any) -> xr.Dataset:
    lon = np.arange(size) * (360 / size)
    lat = [-60.0, -20.0, 10.0, 60.0]
    return xr.Dataset(
        {"t": (("lat", "lon"), RNG.normal(size=(4, size)), {"units": "K"})},
        {
            "lon": ("lon", lon, {"units": "degrees_east"} | attrs),
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "x": ("lon", lon * 1000.0, {"units": "m"}),
        },
    )


def test_a_globe_is_periodic_by_its_attributes() -> None:
    ds = globe()
    t = ds["t"].values
    for boundary in ("periodic", {"lon": "periodic"}):
        result = ds.grad.compute("lon", boundary=boundary)
        expected = bigrad.gradient(t, 30.0, axis=1, boundary="periodic")
        assert_same_bits(result["t"].values, expected)
    assert result["t"].attrs["units"] == "K degree-1"
    both = ds["t"].grad.compute(["lon", "lat"], boundary={"lon": "periodic"}, edge_order=2)
    assert_same_bits(both["dt_dlon"].values, expected)
    assert_same_bits(both["dt_dlat"].values, np.gradient(t, ds["lat"], axis=0, edge_order=2))


def test_a_dimension_speaks_for_its_coordinates_and_a_coordinate_for_itself() -> None:
    ds = globe().rename_dims(lon="column")
    periods = {"x": 360_000.0}
    along = ds.grad.compute(["lon", "x"], boundary={"column": "periodic"}, period=periods)
    np.testing.assert_allclose(along["dt_dlon"], along["dt_dx"] * 1000, atol=1e-12)
    apart = ds.grad.compute(["lon", "x"], boundary={"column": "periodic", "x": "extend"})
    np.testing.assert_array_equal(apart["dt_dlon"], along["dt_dlon"])
    expected = bigrad.gradient(ds["t"].values, ds["x"].values, axis=1, boundary="extend")
    assert_same_bits(apart["dt_dx"].values, expected)


@pytest.mark.parametrize(
    ("name", "attrs", "period"),
    [
        ("x", {"units": "degree_E"}, 360.0),
        ("x", {"units": "degrees", "standard_name": "grid_longitude"}, 360.0),
        ("x", {"units": "radians", "standard_name": "longitude"}, 2 * np.pi),
        ("lon", {"units": "degrees"}, 360.0),
        ("lon", {}, None),
        ("latitude", {"units": "degrees_north"}, None),
        ("x", {"units": "m"}, None),
    ],
)
def test_which_coordinates_are_longitudes(name: str, attrs: Any, period: float | None) -> None:
    assert full_circle(name, xr.Variable("x", [0.0, 1.0], attrs)) == period


@pytest.mark.parametrize(
    ("change", "options", "match"),
    [
        ({"lon": slice(0, 11)}, {}, r"`lon` does not close: .*330.*|gap of 60 .* steps of 30"),
        ({"lon": [*range(12), 0]}, {}, "not strictly monotonic"),
        ({}, {"boundary": {"lat": "periodic"}}, "'lat', but the derivatives are along `lon`"),
        ({}, {"period": 180.0}, r"more than once: 180\.0 at index 6 .* period of 180"),
        ({"lon": [0]}, {}, r"`boundary` 'periodic' .* needs at least 2, found 1"),
        ({}, {"regular": 1}, "`regular` must be True or False"),
        ({}, {"boundary": "wrap"}, "`boundary` must be"),
        ({}, {"boundary": None, "period": 360.0}, "`period` is for"),
    ],
)
def test_refusals(change: Any, options: Any, match: str) -> None:
    ds = globe().isel(change)
    with pytest.raises((CoordinateError, ValueError, TypeError), match=match):
        ds.grad.compute("lon", **({"boundary": "periodic"} | options))


def test_what_is_no_longitude_needs_a_period() -> None:
    ds = globe()
    with pytest.raises(CoordinateError, match="`x` is no longitude by its attributes"):
        ds.grad.compute("x", boundary="periodic")
    doubled = xr.concat([ds, ds.isel(lon=[0]).assign_coords(lon=[360.0])], "lon")
    with pytest.raises(CoordinateError, match=r"more than once: 360\.0 at index 12"):
        doubled.grad.compute("lon", boundary="periodic")


def test_dates_have_periods_in_the_unit_of_the_derivative() -> None:
    days = np.arange("2001-01-01", "2001-01-11", dtype="M8[D]").astype("M8[ns]")
    y = xr.DataArray(RNG.normal(size=10), {"time": days}, name="y")
    actual = y.grad.compute("time", datetime_unit="D", boundary="periodic", period=10)
    assert_same_bits(actual.values, bigrad.gradient(y.values, 1.0, boundary="periodic"))


def test_second_derivatives_have_names_and_units_of_their_own() -> None:
    ds = globe()
    result = ds.grad.compute(["x"], order=2, accuracy=4)
    assert list(result.data_vars) == ["d2t_dx2"]
    expected = bigrad.gradient(ds["t"].values, ds["x"].values, axis=1, order=2, accuracy=4)
    assert_same_bits(result["d2t_dx2"].values, expected)
    assert result["d2t_dx2"].attrs == {
        "units": "K m-2",
        "long_name": "second derivative of t along x",
    }


def test_a_regular_coordinate_has_an_exact_step() -> None:
    size = 3600
    exact = np.arange(size) * 0.1
    single = exact.astype("f4")
    assert abs(regular_step("lon", single) - 0.1) < 1e-8
    y = np.sin(np.deg2rad(exact))
    for stored in (single, single.astype("f8"), single[::-1]):
        data = y[::-1] if stored[0] > stored[-1] else y
        array = xr.DataArray(data, {"lon": ("lon", stored, {"units": "degrees_east"})}, name="y")
        truth = np.deg2rad(np.cos(np.deg2rad(array["lon"].values.astype("f8"))))
        exactly = array.grad.compute("lon", boundary="periodic", regular=True).values
        error = np.abs(exactly - truth).max() / truth.max()
        assert error < 1e-6
        rounded = array.grad.compute("lon", boundary="periodic").values
        assert np.abs(rounded - truth).max() / truth.max() > 50 * error


def test_a_regular_circle_has_as_many_steps_as_points() -> None:
    lon = np.arange(360) * 0.999
    y = xr.DataArray(np.zeros(360), {"lon": ("lon", lon, {"units": "degrees_east"})}, name="y")
    y.grad.compute("lon", boundary="periodic", period=359.64, regular=True)
    with pytest.raises(CoordinateError, match=r"gap of 1\.359 .* with steps of 0\.999;"):
        y.grad.compute("lon", boundary="periodic", regular=True)
    nearly = y.assign_coords(lon=("lon", lon / 0.999 * 0.99999, {"units": "degrees_east"}))
    nearly.grad.compute("lon", boundary="periodic")
    with pytest.raises(CoordinateError, match=r"gap of 1\.00359 "):
        nearly.grad.compute("lon", boundary="periodic", regular=True)


def test_what_is_not_regular_is_named() -> None:
    gaussian = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(64)[0]))
    for lat in (gaussian, gaussian.astype("f4")):
        with pytest.raises(CoordinateError, match=r"`lat` is not regular: .* at index 1 is"):
            regular_step("lat", lat)
    assert regular_step("k", np.array([1, 3, 5, 7])) == 2


def test_coasts_do_not_depend_on_chunks_or_laziness() -> None:
    ds = globe(24)
    ds["t"] = ds["t"].where(ds["t"] > -0.5)
    options: dict[str, Any] = {"missing": "shrink", "boundary": {"lon": "periodic"}}
    whole = ds.grad.compute(["lon", "lat"], edge_order=2, **options)
    assert (whole["dt_dlon"].isnull() >= ds["t"].isnull()).all()
    for chunks in (1, 2, 5):
        lazy = ds.chunk(lon=chunks, lat=chunks).grad.compute(["lon", "lat"], 2, **options)
        assert isinstance(lazy["dt_dlon"].data, da.Array)
        for name in ("dt_dlon", "dt_dlat"):
            assert_same_bits(lazy[name].values, whole[name].values)


def test_coast_of_a_real_ocean() -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "nemo_1m_20150101-20150201_grid-T.nc"
    if not path.exists():
        pytest.skip(f"{path.name} is kept outside of the project, and is not here")
    pytest.importorskip("netCDF4")
    with xr.open_dataset(path, decode_times=False) as opened:
        tos = opened["tos"].load()
    along = tos.assign_coords(x=np.arange(tos.sizes["x"]) * 1.0)
    propagated = along.grad.compute("x").values
    shrunk = along.grad.compute("x", missing="shrink").values
    sea = ~np.isnan(tos.values)
    inside = ~np.isnan(propagated) & sea
    np.testing.assert_array_equal(shrunk[inside], propagated[inside])
    assert np.isnan(shrunk[~sea]).all()
    assert (~np.isnan(shrunk)).sum() > inside.sum()
