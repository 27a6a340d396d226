import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr

import bigrad  # noqa: F401  (registers the accessor)
from bigrad.errors import CoordinateError
from tests.bits import assert_same_bits
from tests.fields import RADIUS, norm, polynomial, rossby_haurwitz

DATA = Path(__file__).parents[3] / "shared" / "data"


def forbidden(*_: Any, **__: Any) -> None:
    """Refuse, as a dask scheduler, to compute anything."""
    pytest.fail("something was computed")


@pytest.fixture
def winds() -> xr.Dataset:
    """A Rossby-Haurwitz wave at two times, and a temperature."""
    lat, lon = np.linspace(90, -90, 65), np.arange(-180, 180, 3.0)
    u, v, vorticity = rossby_haurwitz(np.radians(lon), np.radians(lat)[:, None])
    t, east, north = polynomial(np.radians(lon), np.radians(lat)[:, None])
    dims = ("time", "lat", "lon")
    both = np.array([1.0, 2.0])[:, None, None]
    shared = {"grid_mapping": "crs", "cell_methods": "time: mean", "source": "made up"}
    attributes = {"units": "m s**-1", **shared}
    return xr.Dataset(
        {
            "u": (dims, both * u, attributes | {"standard_name": "eastward_wind", "code": 1}),
            "v": (dims, both * v, attributes | {"standard_name": "northward_wind", "code": 2}),
            "T": (dims, both * t, {"units": "degC", "long_name": "temperature", **shared}),
            "exact": (dims, both * vorticity),
            "east": (dims, both * east),
            "north": (dims, both * north),
            "zonal": (("time", "lat"), (both * np.sin(np.radians(lat)[:, None]))[..., 0]),
            "day": ("time", [1.0, 2.0]),
            "name": ("lat", list(map(str, lat))),
        },
        {
            "lat": ("lat", lat, {"units": "degrees_north"}),
            "lon": ("lon", lon, {"units": "degrees_east"}),
            "crs": ((), 0, {"earth_radius": RADIUS}),
        },
        {"title": "waves"},
    )


def close(actual: xr.DataArray, exact: xr.DataArray, part: float) -> bool:
    lat = np.radians(exact["lat"].values)[:, None]
    error = (actual - exact).values[1]
    return norm(error, lat) < part * norm(exact.values[1], lat)


def test_vorticity_and_divergence(winds: xr.Dataset) -> None:
    vorticity = winds.grad.vorticity("u", "v")
    assert vorticity.name == "vorticity"
    assert vorticity.dims == winds["u"].dims
    assert vorticity.coords.to_dataset().identical(winds["u"].coords.to_dataset())
    assert close(vorticity, winds["exact"], 0.01)
    assert vorticity.attrs == {
        "units": "s-1",
        "standard_name": "atmosphere_relative_vorticity",
        "long_name": "vorticity of eastward_wind and northward_wind",
        "grid_mapping": "crs",
        "cell_methods": "time: mean",
        "source": "made up",
    }
    divergence = winds.grad.divergence("u", "v")
    assert divergence.attrs["standard_name"] == "divergence_of_wind"
    assert float(np.abs(divergence).max()) < 0.01 * float(np.abs(winds["exact"]).max())


def test_gradient_magnitude_advection_laplacian_deformation(winds: xr.Dataset) -> None:
    t = winds["T"]
    gradient = t.grad.compute(["lon", "lat"], metric="sphere")
    assert list(gradient.data_vars) == ["dT_dlon", "dT_dlat"]
    assert close(gradient["dT_dlon"], winds["east"], 0.01)
    assert close(gradient["dT_dlat"], winds["north"], 0.01)
    assert gradient["dT_dlat"].attrs["units"] == "K m-1"
    assert t.grad.compute("lat", metric="sphere").identical(gradient["dT_dlat"].rename("T"))
    magnitude = t.grad.magnitude(["lat", "lon"], metric="sphere")
    xr.testing.assert_allclose(
        magnitude, np.hypot(gradient["dT_dlon"], gradient["dT_dlat"]).rename("T")
    )
    assert magnitude.identical(t.grad.magnitude(metric="sphere"))
    assert magnitude.attrs["units"] == "K m-1"
    assert "cell_methods" not in magnitude.attrs
    advection = winds.grad.advection("T", "u", "v")
    exact = -(winds["u"] * winds["east"] + winds["v"] * winds["north"])
    assert close(advection, exact, 0.01)
    assert advection.attrs["units"] == "K s-1"
    laplacian = t.grad.laplacian(metric="sphere")
    assert laplacian.attrs["units"] == "K m-2"
    flow = gradient.grad.divergence("dT_dlon", "dT_dlat")
    assert close(flow, laplacian, 0.02)
    deformation = winds.grad.deformation("u", "v")
    assert list(deformation.data_vars) == ["stretching", "shearing"]
    assert {array.attrs["units"] for array in deformation.data_vars.values()} == {"s-1"}


def test_a_dataset_on_the_sphere(winds: xr.Dataset) -> None:
    one = winds.grad.compute("lat", metric="sphere")
    assert list(one.data_vars) == list(winds.data_vars)
    for name in ("day", "name"):
        assert one[name].identical(winds[name])
    np.testing.assert_allclose(
        one["zonal"].values[0, 1:-1], np.cos(np.radians(winds["lat"]))[1:-1] / RADIUS, rtol=1e-3
    )
    assert one.attrs == winds.attrs
    with pytest.raises(CoordinateError, match="no latitude is found"):
        winds["T"].drop_vars("lat").grad.compute("lon", metric="sphere")


@pytest.mark.parametrize("chunks", [{"time": 1}, {"lat": 10, "lon": 17}, {"lat": 1, "time": 1}])
def test_lazy_with_the_same_bits(winds: xr.Dataset, chunks: dict[str, int]) -> None:
    lazy = winds.chunk(chunks)
    with dask.config.set(scheduler=forbidden):
        results = [
            lazy.grad.vorticity("u", "v"),
            lazy.grad.advection("T", "u", "v"),
            lazy["T"].grad.laplacian(metric="sphere"),
            lazy["T"].grad.compute("lon", metric="sphere"),
            lazy.grad.deformation("u", "v")["shearing"],
        ]
    expected = [
        winds.grad.vorticity("u", "v"),
        winds.grad.advection("T", "u", "v"),
        winds["T"].grad.laplacian(metric="sphere"),
        winds["T"].grad.compute("lon", metric="sphere"),
        winds.grad.deformation("u", "v")["shearing"],
    ]
    with dask.config.set(scheduler="sync"):
        for actual, other in zip(results, expected, strict=True):
            assert isinstance(actual.data, da.Array)
            assert actual.data.chunks == lazy["u"].data.chunks
            assert_same_bits(actual.values, other.values)


def test_half_precision_becomes_single(winds: xr.Dataset) -> None:
    """Of 1e-11 per metre squared, or 1e-6 per second, half precision has no digits."""
    half = winds[["u", "v", "T", "zonal"]].astype("f2")
    single = half.astype("f4")
    for data in (half, half.chunk(time=1, lat=10)):
        for method, names in (("vorticity", "uv"), ("advection", "Tuv")):
            expected = getattr(single.grad, method)(*names)
            assert expected.dtype == np.float32
            assert getattr(data.grad, method)(*names).compute().identical(expected)
        slopes = data.grad.compute("lat", metric="sphere")
        assert slopes.compute().identical(single.grad.compute("lat", metric="sphere"))
    # Without a metric it is NumPy that decides.
    assert half["T"].grad.compute("lat").dtype == np.float16


def test_on_a_plane() -> None:
    x, y = np.array([0.0, 1, 3, 4]), np.array([5.0, 3, 2])
    rng = np.random.default_rng(0)
    units = {"units": "km"}
    ds = xr.Dataset(
        {"u": (("x", "y"), rng.normal(size=(4, 3))), "v": (("y", "x"), rng.normal(size=(3, 4)))},
        {"x": ("x", x, units), "y": ("y", y, units)},
    )
    ds["u"].attrs["units"] = ds["v"].attrs["units"] = "m s-1"
    expected = np.gradient(ds["v"].values.T, x, axis=0) - np.gradient(ds["u"].values, y, axis=1)
    actual = ds.grad.vorticity("u", "v", metric=None)
    np.testing.assert_allclose(actual.values, expected, rtol=1e-12)
    assert actual.attrs["units"] == "m s-1 km-1"
    named = ds.rename(x="east", y="north")
    assert "standard_name" not in actual.attrs
    again = named.grad.vorticity("u", "v", metric=None, x="east", y="north")
    assert_same_bits(again.values, actual.values)
    with pytest.raises(CoordinateError, match="no x axis is found"):
        named.grad.vorticity("u", "v", metric=None)
    with pytest.raises(CoordinateError, match="`metric=None`"):
        ds.grad.vorticity("u", "v")
    ds["x"].attrs["units"] = "m"
    with pytest.raises(CoordinateError, match="'m' and `y` in 'km'"):
        ds["u"].grad.magnitude(["x", "y"])


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        # What is wrong has a name, whatever it is called within.
        ({"lat": [30.0, 31.0]}, {"edge_order": 2}, "`lat` has too few points: .* 3, found 2"),
        ({"lat": [0.0, 95.0]}, {}, r"`lat` must lie between -90 and 90 .* 95\.0 at index 1"),
        ({}, {"x": "time"}, "`time` is in 's', and on the sphere angles are needed"),
        ({}, {"x": "station"}, "`station` lies along `s`, and the field does not: .* `time`"),
        ({"u": 1j}, {}, "`u` holds complex128, and the vorticity takes real numbers"),
        ({"u": "northward_wind"}, {}, "by its standard_name `u` is 'northward_wind'; give them"),
    ],
)
def test_refusals_name_what_is_wrong(change: Any, options: Any, said: str) -> None:
    lat = change.get("lat", [0.0, 10.0, 20.0])
    u = xr.Variable(("time", "lat", "lon"), np.ones((2, len(lat), 4)))
    ds = xr.Dataset(
        {"u": u * change["u"] if change.get("u") == 1j else u, "v": u},
        {
            "time": np.array(["2001-01-01", "2001-01-02"], "M8[ns]"),
            "lat": lat,
            "lon": [0.0, 1.0, 2.0, 3.0],
            "station": ("s", [5.0, 6.0]),
        },
    )
    if isinstance(change.get("u"), str):
        ds["u"].attrs["standard_name"] = change["u"]
    with pytest.raises((ValueError, TypeError), match=said):
        ds.grad.vorticity("u", "v", **options)
    if "lat" in change:
        zonal = ds["u"].mean("lon")
        with pytest.raises(CoordinateError, match=r"`lat` (must lie|has too few)"):
            zonal.grad.compute("lat", metric="sphere", **options)


def test_refusals(winds: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="component to the east comes first"):
        winds.grad.vorticity("v", "u")
    with pytest.raises(CoordinateError, match=r"`w` is not a variable.*`u`, `v`"):
        winds.grad.vorticity("u", "w")
    with pytest.raises(TypeError, match="by their names, found DataArray"):
        winds.grad.vorticity(winds["u"], winds["v"])
    with pytest.raises(ValueError, match="must have the same"):
        winds.assign(v=winds["v"][0]).grad.vorticity("u", "v")
    with pytest.raises(ValueError, match='`metric` must be "sphere" or None'):
        winds.grad.vorticity("u", "v", metric="plane")
    with pytest.raises(ValueError, match="`radius`"):
        winds["T"].grad.magnitude(["lon", "lat"], radius=1.0)
    with pytest.raises(ValueError, match="`radius`"):
        winds["T"].grad.compute("lon", radius=1.0)
    with pytest.raises(CoordinateError, match="`time` is a dimension without a coordinate"):
        winds["T"].grad.compute("time", metric="sphere")
    with pytest.raises(CoordinateError, match="`time` is not found to be"):
        winds["T"].assign_coords(time=[0, 1]).grad.compute("time", metric="sphere")
    with pytest.raises(CoordinateError, match="`boundary` is not for"):
        winds["T"].grad.compute("lon", metric="sphere", boundary="periodic")
    with pytest.raises(CoordinateError, match="two coordinates"):
        winds["T"].grad.laplacian(["lon"], metric="sphere")
    with pytest.raises(TypeError, match="real numbers"):
        winds.assign(u=winds["u"] * 1j).grad.vorticity("u", "v")


@pytest.mark.skipif(not (DATA / "eraint_uvz.nc").exists(), reason="eraint_uvz.nc is not there")
@pytest.mark.filterwarnings("ignore::xarray.SerializationWarning")
@pytest.mark.parametrize("chunks", [None, {"level": 1}, {"latitude": 50, "longitude": 111}])
def test_era_interim_against_plain_numpy(chunks: Any) -> None:
    """All but the poles' rows, where plain NumPy has no answer."""
    with xr.open_dataset(DATA / "eraint_uvz.nc", chunks=chunks) as ds:
        actual = {
            "vorticity": ds.grad.vorticity("u", "v"),
            "divergence": ds.grad.divergence("u", "v"),
        }
        with dask.config.set(scheduler="sync"):
            ds, actual = ds.compute(), {name: one.compute() for name, one in actual.items()}
    u, v = ds["u"].values, ds["v"].values
    lat = np.radians(ds["latitude"].values.astype(float))[:, None]
    width = 2 * np.radians(0.75) * np.cos(lat) * RADIUS
    u_x, v_x = ((np.roll(f, -1, -1) - np.roll(f, 1, -1)) / width for f in (u, v))
    u_y, v_y = (np.gradient(f, lat[:, 0] * RADIUS, axis=-2) for f in (u, v))
    tangent = np.tan(lat) / RADIUS
    expected = {
        "vorticity": v_x - u_y + u * tangent,
        "divergence": u_x + v_y - v * tangent,
    }
    for name, one in expected.items():
        inner = actual[name].values[..., 1:-1, :]
        np.testing.assert_allclose(inner, one[..., 1:-1, :], rtol=1e-9, atol=1e-16)
        mean = actual[name].weighted(np.cos(np.radians(ds["latitude"]))).mean()
        assert abs(float(mean)) < 0.01 * float(actual[name].std())
    for end in (0, -1):
        row = actual["vorticity"].values[..., end, :]
        assert (row == row[..., :1]).all()
        assert (np.abs(row) < 1e-4).all()


AGAINST_METPY = """
import warnings
warnings.simplefilter("ignore")
import metpy.calc, numpy as np, xarray as xr
import bigrad
from tests.fields import RADIUS, rossby_haurwitz
lat, lon = np.linspace(60, -60, 81), np.arange(0, 120, 1.5)
u, v, _ = rossby_haurwitz(np.radians(lon), np.radians(lat)[:, None])
units = {"units": "m/s"}
ds = xr.Dataset(
    {"u": (("lat", "lon"), u, units), "v": (("lat", "lon"), v, units)},
    {"lat": lat, "lon": lon},
)
ds["lat"].attrs["units"], ds["lon"].attrs["units"] = "degrees_north", "degrees_east"
on_sphere = ds.metpy.assign_crs(grid_mapping_name="latitude_longitude", earth_radius=RADIUS)
x, y = np.arange(80) * 3.0, np.cumsum(np.arange(81) + 9.0)
plane = xr.Dataset(
    {name: (("y", "x"), ds[name].values / 1e4, units) for name in "uv"},
    {"y": ("y", y, {"units": "m"}), "x": ("x", x, {"units": "m"})},
)
scale = np.abs(metpy.calc.vorticity(on_sphere.u, on_sphere.v)).max().item().magnitude
for name in ("vorticity", "divergence", "shearing_deformation", "stretching_deformation"):
    theirs = getattr(metpy.calc, name)
    for source, given, options, part in (
        (ds, on_sphere, {"metric": "sphere"}, 2e-3),
        (plane, plane, {"metric": None}, 1e-9),
    ):
        if "deformation" in name:
            ours = source.grad.deformation("u", "v", **options)[name.split("_")[0]]
        else:
            ours = getattr(source.grad, name)("u", "v", **options)
        other = theirs(given.u, given.v).metpy.dequantify().values
        ours, other = ours.values[1:-1, 1:-1], other[1:-1, 1:-1]
        assert abs(ours - other).max() < part * scale, (name, options)
"""


def test_metpy_agrees_away_from_the_poles() -> None:
    """In a process of its own, since MetPy changes pint's settings for all of it."""
    if importlib.util.find_spec("metpy") is None:
        pytest.skip("MetPy is not installed")
    subprocess.run([sys.executable, "-c", AGAINST_METPY], check=True)
