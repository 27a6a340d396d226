from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner

from bigrad.cli.commands import main
from bigrad.demo import checks, stores, waves
from bigrad.demo.grid import Grid
from bigrad.demo.run import run
from tests.fields import RADIUS, rossby_haurwitz

GRID = Grid(steps=10, resolution=1.0)


@pytest.mark.parametrize("coord", ["longitude", "latitude"])
def test_the_exact_derivative_is_the_limit_of_differences(coord: str) -> None:
    weather = waves.weather()
    here = {"latitude": GRID.latitude, "longitude": GRID.longitude}
    ahead, behind = ({**here, coord: here[coord] + h} for h in (1e-4, -1e-4))
    difference = (weather.values(3.0, **ahead) - weather.values(3.0, **behind)) / 2e-4
    np.testing.assert_allclose(
        weather.along(coord).values(3.0, **here),
        difference,
        atol=1e-7 * weather.along(coord).limit,
    )


@pytest.mark.parametrize("times", [2, 3])
def test_higher_derivatives_are_derivatives_of_derivatives(times: int) -> None:
    weather = waves.weather()
    repeated = weather
    for _ in range(times):
        repeated = repeated.along("latitude")
    np.testing.assert_allclose(
        weather.along("latitude", times).values(0.0, GRID.latitude, GRID.longitude),
        repeated.values(0.0, GRID.latitude, GRID.longitude),
        atol=1e-12 * repeated.limit,
    )


def test_the_wind_is_a_rossby_haurwitz_wave() -> None:
    wind = waves.rossby_haurwitz()
    latitude = np.deg2rad(GRID.latitude)[:, None]
    expected = rossby_haurwitz(np.deg2rad(GRID.longitude), latitude)
    for found, exact in zip((wind.u, wind.v, wind.vorticity), expected, strict=True):
        values = found.values(0.0, GRID.latitude, GRID.longitude)
        np.testing.assert_allclose(values, exact, atol=1e-12 * found.limit)
    by_cos = wind.v_by_cos.values(0.0, GRID.latitude, GRID.longitude)
    np.testing.assert_allclose(by_cos * np.cos(latitude), expected.v, atol=1e-12 * wind.v.limit)
    assert wind.radius == RADIUS


def test_the_wind_carries_its_vorticity_and_that_of_the_earth() -> None:
    """The barotropic vorticity equation holds at all points, so that the wave moves as it does."""
    wind = waves.rossby_haurwitz()
    here = GRID.latitude[1:-1], GRID.longitude
    latitude = np.deg2rad(here[0])[:, None]
    change = (wind.vorticity.values(8.0, *here) - wind.vorticity.values(6.0, *here)) / 7200
    per_radian = np.rad2deg(1.0)
    eastward, northward = (
        per_radian * wind.vorticity.along(coord).values(7.0, *here)
        for coord in ("longitude", "latitude")
    )
    earth = 2 * 7.292e-5 * np.cos(latitude)
    u, v = (part.values(7.0, *here) for part in (wind.u, wind.v))
    carried = (u / np.cos(latitude) * eastward + v * (northward + earth)) / RADIUS
    np.testing.assert_allclose(change, -carried, atol=1e-3 * np.abs(change).max())


def test_writes_a_labelled_store_that_compresses(tmp_path: Path) -> None:
    weather = waves.weather()
    stores.create(tmp_path / "waves.zarr", GRID, stores.TEMPERATURE)
    stores.fill(tmp_path / "waves.zarr", "t2m", weather, GRID)
    with xr.open_zarr(tmp_path / "waves.zarr", consolidated=False) as written:
        assert written["t2m"].dims == ("time", "latitude", "longitude")
        assert written["t2m"].attrs["units"] == "K"
        assert written["time"].dtype.kind == "M"
        assert np.all(np.diff(written["latitude"]) == -GRID.resolution)
        np.testing.assert_array_equal(
            written["t2m"][7],
            weather.values(7, GRID.latitude, GRID.longitude).astype("float32"),
        )
    array = zarr.open_group(tmp_path / "waves.zarr", mode="r")["t2m"]
    assert isinstance(array, zarr.Array)
    assert array.nbytes_stored() < array.nbytes


def test_runs_and_notices_a_wrong_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The peak is that of the command alone: this process may have held more than its ceiling.
    assert np.ones(2**26).nbytes == 2**29
    assert run(tmp_path, memory="512MiB", grid=GRID)
    shown = capfd.readouterr().out
    assert "bigrad compute" in shown
    assert "bigrad vorticity" in shown
    assert "BROKEN" not in shown
    assert (tmp_path / "derivatives.png").read_bytes().startswith(b"\x89PNG")

    weather = waves.weather()
    target = tmp_path / "derivatives.zarr"
    assert all(one.kept for one in checks.slopes(target, "t2m", weather, GRID))
    derivative = zarr.open_group(target, mode="r+")["dt2m_dlatitude"]
    assert isinstance(derivative, zarr.Array)
    good = np.asarray(derivative[9])
    for wrong in (np.nan, -good, 1.3 * good):
        derivative[9] = wrong
        kept = {one.where: one.kept for one in checks.slopes(target, "t2m", weather, GRID)}
        assert not kept["along latitude, inside"]
        assert kept["along longitude, inside"]

    wind = waves.rossby_haurwitz()
    target = tmp_path / "vorticity.zarr"
    assert all(one.kept for one in checks.vorticity(target, wind, GRID))
    vorticity = zarr.open_group(target, mode="r+")["vorticity"]
    assert isinstance(vorticity, zarr.Array)
    good = np.asarray(vorticity[9])
    for rows, part in ((slice(1, -1), "away from the poles"), (-1, "at the poles")):
        for wrong in (np.nan, 1.01 * good[rows]):
            vorticity[9, rows] = wrong
            broken = [one.where for one in checks.vorticity(target, wind, GRID) if not one.kept]
            assert broken == [part]
        vorticity[9] = good


def test_fails_where_the_command_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, memory="1MiB", grid=GRID)
    assert stopped.value.code == 1
    shown = capfd.readouterr()
    assert "MiB" in shown.err
    assert "Traceback" not in shown.err
    assert "Writing" not in shown.out


def test_a_ceiling_that_is_no_size_is_found_before_any_work(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["demo", str(tmp_path / "demo"), "--memory", "foo"])
    assert result.exit_code == 2
    assert "`memory` is not a size" in result.stderr
    assert not (tmp_path / "demo").exists()
