import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from bigrad.cli.commands import main
from bigrad.jobs.storage import MARKER
from tests.jobs.stores import grid, write
from tests.jobs.test_on_grid import winds

MEMORY = ["--memory", "4GiB"]  # The tests' own process holds some hundred MiB.


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 3, 4)}})


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_one_coordinate_keeps_the_names(source: Path, tmp_path: Path) -> None:
    result = run("compute", source, tmp_path / "out.zarr", "--coord", "longitude", *MEMORY)
    assert result.exit_code == 0, result.output
    found = xr.open_zarr(tmp_path / "out.zarr", chunks=None)["t"]
    before = xr.open_zarr(source, chunks=None)
    expected = np.gradient(before["t"].to_numpy(), before["longitude"].to_numpy(), axis=2)
    np.testing.assert_array_equal(found, expected)


def test_options_reach_the_plan(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    result = run(
        *("compute", source, out, "--coord", "time", "--coord", "latitude", "--var", "t"),
        *("--chunks", "time=2,longitude=9", "--shards", "time=4,latitude=6", "--edge-order", "2"),
        *("--datetime-unit", "h", "--workers", "1", *MEMORY),
    )
    assert result.exit_code == 0, result.output
    found = xr.open_zarr(out)
    before = xr.open_zarr(source, chunks=None)
    assert set(found.data_vars) == {"dt_dtime", "dt_dlatitude"}
    assert found["dt_dtime"].encoding["chunks"] == (2, 3, 9)
    assert found["dt_dtime"].encoding["shards"] == (4, 6, 9)
    expected = before.grad.compute(["time"], edge_order=2, datetime_unit="h")
    np.testing.assert_array_equal(found["dt_dtime"], expected["dt_dtime"])


def test_a_dry_run_prints_the_plan_and_writes_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    result = run("compute", source, out, "--coord", "time", "--dry-run", *MEMORY)
    assert result.exit_code == 0
    assert "projected" in result.stdout
    assert not out.exists()


def test_a_dry_run_checks_the_coordinates(tmp_path: Path) -> None:
    path = write(grid().assign_coords(time=[0.0, 1, 2, 2, 3]), tmp_path / "in.zarr")
    result = run("compute", path, tmp_path / "out.zarr", "--coord", "time", "--dry-run", *MEMORY)
    assert result.exit_code == 1
    assert "not strictly monotonic" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--coord", "lon"], "`lon` was not found"),
        (["--coord", "time", "--memory", "1MiB"], "the least that would do is "),
        (["--coord", "time", "--var", "q"], "'q'"),
    ],
)
def test_errors_are_a_message_and_status_1(
    source: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = run("compute", source, tmp_path / "out.zarr", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out.zarr").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--coord", "time", "--memory", "plenty"],
        ["--coord", "time", "--chunks", "time"],
        ["--coord", "time", "--chunks", "time=0"],
        ["--coord", "time", "--chunks", "time=2,time=3"],
        ["--coord", "time", "--edge-order", "3"],
        ["--coord", "time", "--workers", "0"],
        ["--coord", "time", "--storage-options", "anon=true"],
        ["--coord", "time", "--target-options", "[1]"],
        ["--coord", "time", "--accuracy", "4", "--edge-order", "2"],
        ["--coord", "time", "--boundary", "sideways"],
        ["--coord", "time", "--boundary", "fill"],
        ["--coord", "time", "--scheduler", "xyz://127.0.0.1:1", "--memory", "4GiB"],
        ["--coord", "time", "--color", "blue"],
    ],
)
def test_wrong_usage_is_status_2(source: Path, tmp_path: Path, arguments: list[str]) -> None:
    result = run("compute", source, tmp_path / "out.zarr", *arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_overwriting_is_asked_for(source: Path, tmp_path: Path) -> None:
    command = ["compute", source, tmp_path / "out.zarr", "--coord", "time", *MEMORY]
    assert run(*command).exit_code == 0
    again = run(*command)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert "--overwrite" in again.stderr
    assert run(*command, "--overwrite").exit_code == 0


def test_the_version_and_help() -> None:
    assert run("--version").output.split()[-1] == version("bigrad")
    for command in main.commands:
        assert command in run("--help").output
        shown = run(command, "--help")
        assert shown.exit_code == 0
        assert "\\b" not in shown.output
    assert "\n    bigrad compute era5.zarr trend.zarr" in run("compute", "--help").output


def bigrad(*arguments: object) -> list[str]:
    code = "import sys; from bigrad.cli import main; main(sys.argv[1:])"
    return [sys.executable, "-c", code, *map(str, arguments)]


def test_help_loads_neither_dask_nor_zarr_nor_numba() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom bigrad.cli.commands import main\n"
        "assert CliRunner().invoke(main, ['compute', '--help']).exit_code == 0\n"
        "print(*({'dask', 'zarr', 'numba', 'pint', 'tqdm', 'psutil'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert not loaded.stdout.split()


def test_without_a_terminal_progress_is_plain_lines(source: Path, tmp_path: Path) -> None:
    command = bigrad("compute", source, tmp_path / "out.zarr", "--coord", "time")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "100 %" in done.stderr
    assert "peak memory" in done.stderr
    assert "\r" not in done.stderr


def test_a_terminal_shows_a_bar(source: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = bigrad("compute", source, tmp_path / "out.zarr", "--coord", "time")
    with subprocess.Popen(command, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    assert b"\r" in shown
    assert b"B/s" in shown


@pytest.fixture
def heeded() -> Iterator[None]:
    """Where tests run in the background, Ctrl-C is ignored, by the processes they start too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_stops_between_two_blocks_and_says_how_to_go_on(tmp_path: Path) -> None:
    encoding = {"t": {"chunks": (1, 10, 10)}}
    source = write(grid((100, 50, 60)), tmp_path / "in.zarr", encoding=encoding)
    out = tmp_path / "out.zarr"
    command = bigrad("compute", source, out, "--coord", "longitude", "--memory", "4GiB")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (out / MARKER).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    last = f"{out} is not finished; what is done is kept, and `resume` (`--resume`) continues it"
    assert said.strip().splitlines()[-2:] == ["Stopped.", last]
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(out)
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    there = xr.open_zarr(source)["t"].differentiate("longitude")
    xr.testing.assert_equal(xr.open_zarr(out)["t"].drop_attrs(), there.drop_attrs())


@pytest.mark.parametrize(
    ("moment", "before", "after"),
    [
        ("event == 'import' and args[0] == 'click'", [], []),
        ("event == 'import' and args[0] == 'zarr'", [], []),
        ("event == 'open' and 'in.zarr' in str(args[0])", [], []),
        ("event == 'open' and 'time/c/0' in str(args[0])", [], []),
        ("event == 'open' and 't/c/0' in str(args[0])", [], ["is not finished; what is done"]),
        ("event == 'at the end'", ["blocks in"], []),
    ],
    ids=["import", "import later", "planning", "coordinates", "running", "end"],
)
@pytest.mark.usefixtures("heeded")
def test_ctrl_c_at_any_moment_is_a_line_and_status_130(
    source: Path, tmp_path: Path, moment: str, before: list[str], after: list[str]
) -> None:
    code = f"""
import atexit, signal, sys
from bigrad.cli import main
def hook(event, args):
    global done
    if not done and {moment}:
        done = True
        signal.raise_signal(signal.SIGINT)
done = False
sys.addaudithook(hook)
atexit.register(sys.audit, 'at the end')
main(sys.argv[1:])
"""
    out = tmp_path / "out.zarr"
    command = [sys.executable, "-c", code, "compute", str(source), str(out), "-c", "time"]
    done = subprocess.run([*command, "--progress", "none"], capture_output=True, text=True)
    assert done.returncode == 130, done.stderr
    said = [line for line in done.stderr.splitlines() if line]
    for line, expected in zip(said, [*before, "Stopped.", *after], strict=True):
        assert expected in line
    assert (out / "zarr.json").exists() == bool(before)
    assert not (tmp_path / "out.zarr.bigrad" / "lease.json").exists()


def test_progress_as_lines_of_json(source: Path, tmp_path: Path) -> None:
    command = ["compute", source, tmp_path / "out.zarr", "--coord", "time", *MEMORY]
    done = run(*command, "--progress", "json")
    assert done.exit_code == 0, done.stderr
    last = [json.loads(line) for line in done.stdout.splitlines()][-1]
    assert last["blocks_done"] == last["blocks"] > 0
    assert last["bytes_done"] == last["bytes"]
    assert last["peak_memory"] <= last["ceiling"]


def test_resume_and_overwrite_exclude_each_other(source: Path, tmp_path: Path) -> None:
    result = run(
        "compute", source, tmp_path / "out.zarr", "--coord", "time", "--resume", "--overwrite"
    )
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


def test_boundaries_and_schemes(tmp_path: Path) -> None:
    lon = xr.Variable("lon", np.arange(0.0, 360.0, 45.0), {"units": "degrees_east"})
    field = xr.Dataset({"y": ("lon", np.random.default_rng(1).normal(size=8))}, {"lon": lon})
    source = write(field, tmp_path / "in.zarr")
    command = ["compute", source, tmp_path / "out.zarr", "--coord", "lon", *MEMORY]
    result = run(*command, "--boundary", "lon=periodic", "--accuracy", "4", "--order", "2")
    assert result.exit_code == 0, result.stderr
    expected = field.grad.compute("lon", boundary="periodic", accuracy=4, order=2)
    assert np.array_equal(xr.open_zarr(tmp_path / "out.zarr")["y"], expected["y"])
    again = run(*command, "--overwrite", "--boundary", "fill:zero")
    assert again.exit_code == 2
    assert "'zero' is not a number" in again.stderr


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (["vorticity"], ("u", "v")),
        (["divergence", "-u", "u", "-v", "v"], ("u", "v")),
        (["deformation"], ("u", "v")),
        (["advection", "--var", "t"], ("t", "u", "v")),
    ],
    ids=lambda value: value[0],
)
def test_operators_on_winds(tmp_path: Path, command: list[str], names: tuple[str, ...]) -> None:
    dataset = winds()
    source = write(dataset, tmp_path / "in.zarr")
    kind, *options = command
    result = run(kind, source, tmp_path / "out.zarr", *options, *MEMORY)
    assert result.exit_code == 0, result.stderr
    expected = getattr(dataset.grad, kind)(*names)
    expected = expected if isinstance(expected, xr.Dataset) else expected.to_dataset()
    xr.testing.assert_equal(
        xr.open_zarr(tmp_path / "out.zarr").drop_vars("t", errors="ignore"), expected
    )


def test_operators_on_scalars(tmp_path: Path) -> None:
    source = write(winds(), tmp_path / "in.zarr")
    for kind in ("laplacian", "magnitude"):
        out = tmp_path / f"{kind}.zarr"
        result = run(kind, source, out, "--var", "t", "--metric", "sphere", *MEMORY)
        assert result.exit_code == 0, result.stderr
        expected = getattr(winds()["t"].grad, kind)(metric="sphere")
        xr.testing.assert_equal(xr.open_zarr(out)["t"], expected)
    wrong = run("laplacian", source, tmp_path / "x.zarr", "--var", "t", *MEMORY)
    assert wrong.exit_code == 1
    assert "metric" in wrong.stderr
