import runpy
import sys
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from distributed import Client

import bigrad
from examples import (
    daily_cycle,
    era_interim_vorticity,
    local_cluster,
    shaded_relief,
    temperature_fronts,
    upwelling_coast,
)

EXAMPLES = Path(__file__).parents[1] / "examples"
# This process may hold much already.
MEMORY = "4GiB"
ARGUMENTS: dict[str, list[str]] = {
    "daily_cycle": ["--memory", MEMORY],
    "era_interim_vorticity": [],
    "local_cluster": ["--memory", MEMORY],
    "shaded_relief": ["--size", "96"],
    "temperature_fronts": [],
    "upwelling_coast": [],
}
WINDS = era_interim_vorticity.WINDS


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.filterwarnings("ignore::xarray.SerializationWarning")
@pytest.mark.parametrize("name", ARGUMENTS)
def test_draws_its_picture(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "era_interim_vorticity" and not WINDS.exists():
        pytest.skip(f"{WINDS.name} is not there")
    script = str(EXAMPLES / f"{name}.py")
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", [script, *ARGUMENTS[name], str(picture)])
    runpy.run_path(script, run_name="__main__")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_plane_is_as_bright_as_its_angle_to_the_sun() -> None:
    """Sun in the west, 30 degrees high: on a slope of 60 degrees it stands at the zenith."""
    east = da.arange(20, chunks=3) * 10.0
    westward_slope = np.tan(np.deg2rad(60)) * da.broadcast_to(east, (5, 20))
    light = shaded_relief.relief(westward_slope, 10.0, azimuth=270, altitude=30)
    assert isinstance(light, da.Array)
    np.testing.assert_allclose(light, 1.0)
    np.testing.assert_allclose(
        shaded_relief.relief(0 * westward_slope, 10.0, azimuth=270, altitude=30), 0.5
    )
    north = shaded_relief.relief(westward_slope.T, 10.0, azimuth=0, altitude=30)
    np.testing.assert_allclose(north, 1.0)


def test_landscapes_do_not_depend_on_the_chunks() -> None:
    np.testing.assert_array_equal(
        shaded_relief.landscape(48, chunk=48), shaded_relief.landscape(48, chunk=7)
    )


def test_the_strength_of_a_front_is_in_kelvin_per_100_km() -> None:
    latitude = np.linspace(60.0, 40.0, 81)
    longitude = np.linspace(0.0, 10.0, 41)
    eastward = xr.DataArray(
        np.broadcast_to(0.5 * longitude, (81, 41)),
        {"latitude": latitude, "longitude": longitude},
        name="t",
    ).chunk(latitude=1)
    found = temperature_fronts.strength(eastward)
    assert found.chunks == eastward.chunks
    km_per_degree = np.cos(np.deg2rad(latitude)) * 2 * np.pi * 6371.229 / 360
    np.testing.assert_allclose(found[:, 3], 50 / km_per_degree)


def test_an_even_slope_is_even_up_to_the_coast() -> None:
    latitude, longitude = np.linspace(10.0, -10.0, 41), np.linspace(0.0, 10.0, 41)
    northward = np.broadcast_to(0.5 * latitude[:, np.newaxis], (41, 41)).copy()
    northward[10:20, 5:9] = np.nan
    northward[25, 30:] = np.nan
    sea = ~np.isnan(northward)
    temperature = xr.DataArray(
        northward, {"latitude": latitude, "longitude": longitude}, name="sst"
    ).chunk(latitude=1, longitude=7)
    found = upwelling_coast.slope(temperature).values
    np.testing.assert_array_equal(~np.isnan(found), sea)
    np.testing.assert_allclose(found[sea], 50 / (2 * np.pi * 6371.229 / 360))


def test_without_winds_it_is_said_what_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = str(EXAMPLES / "era_interim_vorticity.py")
    picture = tmp_path / "picture.png"
    monkeypatch.setattr(sys, "argv", [script, "--winds", str(tmp_path / "no.nc"), str(picture)])
    with pytest.raises(SystemExit, match="give --winds"):
        runpy.run_path(script, run_name="__main__")


def test_air_that_turns_as_a_whole_has_its_vorticity_at_the_poles_too() -> None:
    latitude, longitude = np.linspace(90.0, -90.0, 37), np.arange(-180.0, 180.0, 5.0)
    turning = np.broadcast_to(7.292e-5 * 6371229 * np.cos(np.deg2rad(latitude))[:, None], (37, 72))
    winds = xr.Dataset(
        {"u": (("latitude", "longitude"), turning)},
        {"latitude": latitude, "longitude": longitude},
    )
    found = era_interim_vorticity.vorticity(winds.assign(v=0 * winds["u"]))
    planetary = np.broadcast_to(2 * 7.292e-5 * np.sin(np.deg2rad(latitude))[:, None], (37, 72))
    np.testing.assert_allclose(found, planetary, atol=0.01 * 1.5e-4)


def test_maps_of_warming_are_numpys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    temperature = daily_cycle.made_up(hours=7, resolution=10.0)
    temperature.to_zarr(tmp_path / "in.zarr", consolidated=False)
    found = daily_cycle.warming(tmp_path / "in.zarr", tmp_path / "out.zarr", "t2m", MEMORY)
    np.testing.assert_array_equal(found, np.gradient(temperature.values, 1.0, axis=0))
    assert found.attrs["units"] == "K h-1"
    assert "each source chunk is decoded" in capsys.readouterr().out


def test_a_stopped_job_is_continued_on_the_cluster(tmp_path: Path) -> None:
    wind = local_cluster.made_up(hours=24, resolution=10.0)
    wind.to_zarr(tmp_path / "in.zarr", consolidated=False)
    plan = bigrad.plan(
        tmp_path / "in.zarr", tmp_path / "out.zarr", operator="vorticity", variables=("u", "v"),
        metric="sphere", memory=MEMORY,
    )  # fmt: skip
    with Client(processes=False, n_workers=2, memory_limit=0, dashboard_address=":0") as client:
        first, second = local_cluster.stopped_and_continued(plan, client)
    assert plan.blocks / 2 <= first[-1].blocks_done < plan.blocks
    assert second[0].blocks_resumed >= first[-1].blocks_done
    assert second[-1].blocks_done == plan.blocks
    found = xr.open_zarr(tmp_path / "out.zarr")["vorticity"]
    np.testing.assert_array_equal(found, wind.grad.vorticity("u", "v", metric="sphere"))
