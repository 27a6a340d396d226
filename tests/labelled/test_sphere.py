from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import bigrad  # noqa: F401  (registers the accessor)
from bigrad.cli.commands import main
from bigrad.errors import CoordinateError
from bigrad.labelled.sphere import RADIUS, horizontal, in_degrees, radius_of
from bigrad.numerics.sphere import End
from tests.bits import assert_same_bits


def on(x: tuple[str, dict[str, Any]], y: tuple[str, dict[str, Any]]) -> xr.Dataset:
    """A field on two dimensions, whose coordinates have these names and attributes."""
    (lon, east), (lat, north) = x, y
    return xr.Dataset(
        {"f": ((lat, lon), np.zeros((3, 4)))},
        {lat: (lat, [-45.0, 0.0, 45.0], north), lon: (lon, [0.0, 90.0, 180.0, 270.0], east)},
    )


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (("a", {"standard_name": "longitude"}), ("b", {"standard_name": "latitude"})),
        (("a", {"units": "degrees_east"}), ("b", {"units": "degree_N"})),
        (("lon", {}), ("lat", {})),
        (("Longitude", {"units": "degrees"}), ("LATITUDE", {"units": "degrees"})),
        (("lat", {"units": "degrees_east"}), ("lon", {"units": "degrees_north"})),
        (("a", {"units": "degrees", "axis": "X"}), ("b", {"units": "degrees", "axis": "Y"})),
    ],
)
def test_finds_longitude_and_latitude(x: Any, y: Any) -> None:
    ds = on(x, y)
    found = horizontal(ds, ds["f"].variable, metric="sphere")
    assert found.names == (x[0], y[0])
    assert found.grid.shape == (3, 4)
    assert found.per == "m"


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (("a", {"standard_name": "projection_x_coordinate"}), ("b", {"axis": "Y"})),
        (("x", {}), ("y", {})),
        (("lon", {"axis": "X"}), ("lat", {"axis": "Y"})),
    ],
)
def test_finds_x_and_y(x: Any, y: Any) -> None:
    ds = on(x, y)
    assert horizontal(ds, ds["f"].variable, metric=None).names == (x[0], y[0])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (("a", {}), ("lat", {}), "no longitude is found"),
        (("lon", {"units": "m"}), ("lat", {}), "no longitude is found"),
        (("rlon", {"standard_name": "grid_longitude"}), ("lat", {}), "name it in the call"),
        (("lon", {}), ("longitude", {}), "`longitude`, `lon` may all be the longitude"),
    ],
)
def test_what_is_not_found_has_to_be_said(x: Any, y: Any, message: str) -> None:
    ds = on(x, y)
    with pytest.raises(CoordinateError, match=message):
        horizontal(ds, ds["f"].variable, metric="sphere")
    if "units" not in x[1]:
        given = horizontal(ds, ds["f"].variable, metric="sphere", x=x[0], y=y[0])
        assert given.names == (x[0], y[0])


def test_coordinates_of_dimensions_come_first() -> None:
    ds = on(("lon", {}), ("lat", {})).assign_coords(longitude=("lon", [1.0, 2.0, 3.0, 4.0]))
    assert horizontal(ds, ds["f"].variable, metric="sphere").names == ("lon", "lat")
    swapped = ds.drop_vars("lon")
    assert horizontal(swapped, swapped["f"].variable, metric="sphere").names[0] == "longitude"


@pytest.mark.parametrize(
    ("attributes", "radius"),
    [
        ({"earth_radius": 6371200.0, "semi_major_axis": 1.0}, 6371200.0),
        ({"semi_major_axis": np.float64(6378137), "inverse_flattening": 298.3}, 6378137.0),
        ({"grid_mapping_name": "latitude_longitude"}, RADIUS),
    ],
)
@pytest.mark.parametrize("named", ["crs", "crs: lon lat"])
def test_radius_of_the_grid_mapping(attributes: Any, radius: float, named: str) -> None:
    ds = on(("lon", {}), ("lat", {})).assign(crs=((), 0, attributes))
    ds["f"].attrs["grid_mapping"] = named
    assert radius_of(ds, ds["f"].variable) == radius
    array = ds.set_coords("crs")["f"]
    assert radius_of(array, array.variable) == radius
    found = horizontal(ds, ds["f"].variable, metric="sphere", radius=2.0)
    assert found.grid.metric is not None
    assert found.grid.metric.radius == 2.0


def test_longitude_and_latitude_are_not_taken_for_each_other() -> None:
    ds = on(("lon", {}), ("lat", {}))
    with pytest.raises(CoordinateError, match="`x` is the longitude"):
        horizontal(ds, ds["f"].variable, metric="sphere", x="lat", y="lon")
    rotated = on(("rlon", {"units": "degrees"}), ("rlat", {"units": "degrees"}))
    found = horizontal(rotated, rotated["f"].variable, metric="sphere", x="rlon", y="rlat")
    assert found.names == ("rlon", "rlat")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_radians_reach_the_poles(dtype: str) -> None:
    radians = {"units": "radians"}
    lat, lon = np.linspace(-np.pi / 2, np.pi / 2, 5), np.arange(8) * np.pi / 4
    ds = xr.Dataset(
        {"f": (("lat", "lon"), np.zeros((5, 8)))},
        {"lat": ("lat", lat.astype(dtype), radians), "lon": ("lon", lon.astype(dtype), radians)},
    )
    grid = horizontal(ds, ds["f"].variable, metric="sphere").grid
    assert grid.x_ends == (End.WRAPPED, End.WRAPPED)
    assert grid.y_ends == (End.POLE, End.POLE)


def test_angles_only() -> None:
    values = np.array([0, 30, 60], "f4")
    assert in_degrees("lat", xr.Variable("lat", values)).dtype == np.float32
    radians = xr.Variable("lat", np.radians([0.0, 30, 90]), {"units": "radians"})
    assert in_degrees("lat", radians)[2] == 90
    with pytest.raises(CoordinateError, match="`lat` is in 'km'"):
        in_degrees("lat", xr.Variable("lat", values, {"units": "km"}))


def around(lon: Any, units: str = "degrees_east") -> xr.Dataset:
    """Winds on a global grid with these longitudes."""
    lat = np.arange(-90.0, 91.0, 30.0)
    field = (("lat", "x"), np.cos(np.radians(lat))[:, None] * np.arange(len(lon)))
    coords = {"lat": lat, "lon": ("x", lon, {"units": units, "standard_name": "longitude"})}
    return xr.Dataset({"u": field, "v": field}, coords)


@given(
    number=st.integers(3, 40),
    start=st.integers(-180, 180),
    more=st.integers(1, 3),
    falling=st.booleans(),
    radians=st.booleans(),
    dtype=st.sampled_from(["f4", "f8"]),
)
def test_longitudes_that_go_around_more_than_once_are_refused(
    number: int, start: int, more: int, falling: bool, radians: bool, dtype: str
) -> None:
    """What the message advises makes the grid global."""
    degrees = start + (-1 if falling else 1) * np.arange(number + more) * (360 / number)
    units, lon = ("radians", np.radians(degrees)) if radians else ("degrees_east", degrees)
    ds = around(lon.astype(dtype), units)
    advised = rf"`lon` goes around more than once: .* `\.isel\(x=slice\({number}\)\)`"
    refusals: list[Callable[[], Any]] = [
        lambda: ds.grad.vorticity("u", "v"),
        lambda: ds.grad.compute("lat", metric="sphere"),
        lambda: ds["u"].grad.laplacian(metric="sphere"),
        lambda: ds.grad.compute("lon", boundary="periodic"),
    ]
    for refused in refusals:
        with pytest.raises(CoordinateError, match=advised):
            refused()
    once = ds.isel(x=slice(number))
    assert horizontal(once, once["u"].variable, metric="sphere").grid.x_ends[0] is End.WRAPPED
    assert once.grad.compute("lon", boundary="periodic")["u"].shape == once["u"].shape
    # Without a metric or a boundary they are numbers as any others.
    expected = np.gradient(ds["u"].values, ds["lon"].values, axis=1)
    assert_same_bits(ds.grad.compute("lon")["u"].values, expected)


def test_jobs_refuse_longitudes_that_go_around_more_than_once(tmp_path: Path) -> None:
    around(np.arange(0.0, 361.0, 45.0)).to_zarr(tmp_path / "in.zarr", consolidated=False)
    places = [str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr")]
    for command in (
        ["compute", *places, "--coord", "lon", "--metric", "sphere"],
        ["compute", *places, "--coord", "lon", "--boundary", "periodic"],
        ["divergence", *places],
    ):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert "360.0 at index 8 is a whole period of 360 or more from" in result.output
        assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    ("radius", "error"),
    [
        *((one, TypeError) for one in ("x", "6371000", True, np.array([1.0, 2.0]), 1j)),
        *((one, ValueError) for one in (0, -1.0, np.nan, np.inf)),
    ],
)
def test_a_radius_that_is_none_is_refused(radius: Any, error: type[Exception]) -> None:
    ds = around(np.arange(0.0, 360.0, 45.0))
    refusals: list[Callable[[], Any]] = [
        lambda: ds.grad.vorticity("u", "v", radius=radius),
        lambda: ds.grad.compute("lon", metric="sphere", radius=radius),
        lambda: ds["u"].grad.magnitude(metric="sphere", radius=radius),
        # Without longitudes, as zonal means are.
        lambda: ds["u"].mean("x").grad.compute("lat", metric="sphere", radius=radius),
    ]
    for refused in refusals:
        with pytest.raises(error, match=r"`radius` must be .*number.* metres, found"):
            refused()


@pytest.mark.parametrize("radius", ["6371000", True, 0, -1.0, np.nan, [1.0, 2.0]])
@pytest.mark.parametrize("key", ["earth_radius", "semi_major_axis"])
def test_a_grid_mapping_whose_radius_is_none_is_refused(key: str, radius: Any) -> None:
    ds = around(np.arange(0.0, 360.0, 45.0)).assign_coords(crs=((), 0, {key: radius}))
    ds["u"].attrs["grid_mapping"] = "crs"
    message = f"attribute `{key}` of the grid mapping `crs` must be .* found .* or give `radius`"
    with pytest.raises(CoordinateError, match=message):
        ds.grad.vorticity("u", "v")
    with pytest.raises(CoordinateError, match=message):
        ds["u"].isel(x=0).drop_vars("lon").grad.compute("lat", metric="sphere")
    assert ds.grad.vorticity("u", "v", radius=np.float32(6371e3)).shape == ds["u"].shape
    # NetCDF has attributes of one number as arrays, too.
    ds["crs"].attrs[key] = np.array([2.0])
    assert radius_of(ds, ds["u"].variable) == 2.0


def test_longitudes_that_go_around_unevenly_count_as_regional_and_a_warning_says_so() -> None:
    lon = np.arange(0.0, 360.0, 10.0)
    lon[3] += 0.5
    ds = xr.Dataset(
        {name: (("lat", "lon"), np.ones((5, 36))) for name in "uv"},
        {"lat": np.linspace(-60, 60, 5), "lon": lon},
    )
    with pytest.warns(UserWarning, match=r"`lon` goes around .* steps of 9.5 to 10.5.*regional"):
        ds.grad.vorticity("u", "v")
    ds.isel(lon=slice(30)).grad.vorticity("u", "v")
