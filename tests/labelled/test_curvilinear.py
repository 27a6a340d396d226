from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

import bigrad
from bigrad.cli.commands import main
from bigrad.errors import CoordinateError
from bigrad.labelled.curvilinear import refuse_curvilinear

DATA = Path(__file__).parents[3] / "shared" / "data"
NEMO = DATA / "nemo_1m_20150101-20150201_grid-T.nc"

# What is found, what is missing and what can be done.
SAID = r"curvilinear: `{0}`, `{1}` vary along `y`, `x`.*distances between.*regrid.*assign_coords"


def curved(lat: str, lon: str, north: Any = None, east: Any = None) -> xr.Dataset:
    """Three fields on a grid that is turned a little against its longitudes and latitudes."""
    y, x = np.arange(4.0)[:, None], np.arange(5.0)
    dims = ("y", "x")
    coords = {
        lat: (dims, y + 0.1 * x, north),
        lon: (dims, x - 0.1 * y, east),
    }
    return xr.Dataset(dict.fromkeys("fuv", (dims, x * y)), coords)


GRIDS = [
    curved("nav_lat", "nav_lon"),
    curved("a", "b", {"units": "degrees_north"}, {"units": "degree_E"}),
    curved("a", "b", {"standard_name": "latitude"}, {"standard_name": "longitude"}),
]


def ways(ds: xr.Dataset, store: str, target: str) -> list[Callable[[], Any]]:
    """Whatever meets the grid: by dimension, by coordinate, or by itself."""
    lat, lon = sorted(map(str, ds.coords))
    return [
        *(
            lambda kind=kind, name=name, metric=metric: kind.grad.compute(name, metric=metric)
            for kind in (ds, ds["f"])
            for name in ("x", "y", lat, lon, "lon")
            for metric in (None, "sphere")
        ),
        *(
            lambda metric=metric: ds.grad.vorticity("u", "v", metric=metric)
            for metric in (None, "sphere")
        ),
        lambda: ds.grad.divergence("u", "v", x="x", y="y"),
        lambda: ds.grad.advection("f", "u", "v", x=lon, y=lat),
        lambda: ds["f"].grad.laplacian(["x", "y"]),
        lambda: ds["f"].grad.magnitude(metric="sphere"),
        *(
            lambda name=name, metric=metric: bigrad.plan(store, target, name, metric=metric)
            for name in ("x", lon)
            for metric in (None, "sphere")
        ),
        lambda: bigrad.plan(
            store, target, operator="vorticity", variables=["u", "v"], metric="sphere"
        ),
        lambda: bigrad.plan(store, target, operator="laplacian"),
    ]


@pytest.mark.parametrize("ds", GRIDS, ids=["name", "units", "standard_name"])
def test_refused_wherever_it_is_met(ds: xr.Dataset, tmp_path: Path) -> None:
    store = str(tmp_path / "in.zarr")
    ds.to_zarr(store, consolidated=False)
    for way in ways(ds, store, str(tmp_path / "out.zarr")):
        with pytest.raises(CoordinateError, match=SAID.format(*sorted(map(str, ds.coords)))):
            way()


@pytest.mark.skipif(not NEMO.exists(), reason=f"{NEMO.name} is not there")
def test_an_ocean_from_the_command_line(tmp_path: Path) -> None:
    with xr.open_dataset(NEMO, decode_times=False) as ds:
        ds[["tos"]].drop_encoding().to_zarr(tmp_path / "in.zarr", consolidated=False)
    for command in (["compute", "--coord", "x"], ["compute", "-c", "nav_lon"], ["laplacian"]):
        stores = [str(tmp_path / "in.zarr"), str(tmp_path / "out.zarr")]
        result = CliRunner().invoke(main, [*command[:1], *stores, *command[1:]])
        assert result.exit_code == 1
        assert "the grid is curvilinear: `nav_lat`, `nav_lon` vary along" in result.output
        assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["x", "nav_lat"])
def test_longitudes_among_the_data(name: str) -> None:
    """Of files that do not say which variables are coordinates; bounds are none of these."""
    ds = GRIDS[0].reset_coords()
    ds["nav_lon"].attrs["bounds"] = "bounds_lon"
    ds["bounds_lon"] = ds["nav_lon"].expand_dims(corner=4).assign_attrs(units="degrees_east")
    with pytest.raises(CoordinateError, match=SAID.format("nav_lat", "nav_lon")):
        ds.grad.compute(name)


def test_whatever_has_its_own_spacing_is_let_through() -> None:
    ds = GRIDS[0].expand_dims(time=2)
    for name in ("time", "z"):
        refuse_curvilinear(ds, name)
    projected = ds.assign_coords(x=np.arange(5) * 1e3, y=np.arange(4) * 1e3)
    np.testing.assert_array_equal(
        projected.grad.compute("x")["f"].values, np.gradient(ds["f"].values, 1e3, axis=2)
    )
    with pytest.raises(CoordinateError, match="grid, name `y`, `x`, with `metric=None`"):
        projected.grad.vorticity("u", "v")
    # A grid that moves, of which time is one dimension, without a coordinate.
    moving = ds.assign_coords(nav_lon=ds["nav_lon"].expand_dims(time=2))
    refuse_curvilinear(moving, "time")
    with pytest.raises(CoordinateError, match="vary along `y`, `x`"):
        refuse_curvilinear(moving, "nav_lon")
