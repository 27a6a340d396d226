from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner

from bigrad import demo
from bigrad.cli import main

GRID = demo.Grid(steps=10, resolution=1.0)


@pytest.mark.parametrize("coord", ["longitude", "latitude"])
def test_the_exact_derivative_is_the_limit_of_differences(coord: str) -> None:
    waves = demo.weather()
    here = {"latitude": GRID.latitude, "longitude": GRID.longitude}
    ahead, behind = ({**here, coord: here[coord] + h} for h in (1e-4, -1e-4))
    difference = (waves.values(3.0, **ahead) - waves.values(3.0, **behind)) / 2e-4
    np.testing.assert_allclose(
        waves.along(coord).values(3.0, **here), difference, atol=1e-7 * waves.along(coord).limit
    )


@pytest.mark.parametrize("times", [2, 3])
def test_higher_derivatives_are_derivatives_of_derivatives(times: int) -> None:
    waves = demo.weather()
    repeated = waves
    for _ in range(times):
        repeated = repeated.along("latitude")
    np.testing.assert_allclose(
        waves.along("latitude", times).values(0.0, GRID.latitude, GRID.longitude),
        repeated.values(0.0, GRID.latitude, GRID.longitude),
        atol=1e-12 * repeated.limit,
    )


def test_writes_a_labelled_store_that_compresses(tmp_path: Path) -> None:
    waves = demo.weather()
    demo.create(tmp_path / "waves.zarr", GRID)
    demo.fill(tmp_path / "waves.zarr", waves, GRID)
    with xr.open_zarr(tmp_path / "waves.zarr", consolidated=False) as written:
        assert written["t2m"].dims == ("time", "latitude", "longitude")
        assert written["t2m"].attrs["units"] == "K"
        assert written["time"].dtype.kind == "M"
        assert np.all(np.diff(written["latitude"]) == -GRID.resolution)
        np.testing.assert_array_equal(
            written["t2m"][7],
            waves.values(7, GRID.latitude, GRID.longitude).astype("float32"),
        )
    array = zarr.open_group(tmp_path / "waves.zarr", mode="r")["t2m"]
    assert isinstance(array, zarr.Array)
    assert array.nbytes_stored() < array.nbytes


def test_runs_and_notices_a_wrong_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The peak is that of the command alone: this process may have held more than its ceiling.
    assert np.ones(2**26).nbytes == 2**29
    assert demo.run(tmp_path, memory="512MiB", grid=GRID)
    shown = capfd.readouterr().out
    assert "bigrad compute" in shown
    assert "BROKEN" not in shown
    assert (tmp_path / "derivatives.png").read_bytes().startswith(b"\x89PNG")

    waves = demo.weather()
    target = tmp_path / "derivatives.zarr"
    assert all(deviation.kept for deviation in demo.deviations(target, waves, GRID))
    derivative = zarr.open_group(target, mode="r+")["dt2m_dlatitude"]
    assert isinstance(derivative, zarr.Array)
    good = np.asarray(derivative[9])
    for wrong in (np.nan, -good, 1.3 * good):
        derivative[9] = wrong
        kept = {one.where: one.kept for one in demo.deviations(target, waves, GRID)}
        assert not kept["along latitude, inside"]
        assert kept["along longitude, inside"]


def test_fails_where_the_command_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        demo.run(tmp_path, memory="1MiB", grid=GRID)
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
