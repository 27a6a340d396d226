"""The vorticity of a wind, from file to file, against CDO: whole processes, side by side."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import zarr

from benchmarks.arrays import field
from benchmarks.comparison import BIGRAD, SECONDS, Array, Case, Comparison, Measured, Size, Target
from benchmarks.fresh import command
from benchmarks.startup import BIGRAD_COMMAND

__all__ = ["FILES", "ROWS"]

FILES = "files"
CDO = "cdo uv2vr_cfd"

_WORKERS = 2

# CDO's operator is NCL's, with NCL's Earth.
_RADIUS = 6371220

# Of the largest value: the winds are float32, and so are both results.
_ROUNDING = 5e-7

_DIMS = ("time", "latitude", "longitude")
_UNITS = ("hours since 2000-01-01", "degrees_north", "degrees_east")


def _coordinates(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Hours, latitudes from pole to pole, and longitudes that close the circle."""
    times, rows, columns = shape
    return np.arange(times), np.linspace(90, -90, rows), np.arange(columns) * (360 / columns)


def _winds(shape: tuple[int, ...]) -> tuple[Array, Array]:
    """A map of the wind to the east and one of the wind to the north, in m/s."""
    _, rows, columns = (np.radians(c) for c in _coordinates(shape))
    rows = rows[:, None]
    noise = field((2, *shape[1:]), np.float32) % 1
    u = 30 * np.cos(rows) * (1 + np.sin(3 * columns)) + noise[0]
    v = 10 * np.cos(rows) * np.cos(2 * columns - rows) + noise[1]
    return u.astype(np.float32), v.astype(np.float32)


def make_files(netcdf: Path, store: Path, shape: tuple[int, int, int]) -> None:
    """Write the same winds twice, uncompressed, each map of them a chunk."""
    chunks = (1, *shape[1:])
    group = zarr.open_group(store, mode="w")
    with netCDF4.Dataset(netcdf, "w") as dataset:
        for dim, unit, values in zip(_DIMS, _UNITS, _coordinates(shape), strict=True):
            attributes = {"units": unit, "standard_name": dim}
            array = group.create_array(dim, shape=values.shape, dtype="f8", dimension_names=[dim])
            array[:] = values
            array.attrs.update(attributes)
            dataset.createDimension(dim, values.size)
            variable = dataset.createVariable(dim, "f8", (dim,))
            variable[:] = values
            variable.setncatts(attributes)
        for name, wind in zip("uv", _winds(shape), strict=True):
            array = group.create_array(
                name, shape=shape, chunks=chunks, dtype="f4", compressors=None,
                dimension_names=_DIMS,
            )  # fmt: skip
            variable = dataset.createVariable(name, "f4", _DIMS, chunksizes=chunks)
            for number in range(shape[0]):
                one = wind + np.float32(number % 37)
                array[number] = one
                variable[number] = one


def _vorticity(size: Size, folder: Path) -> Case:
    netcdf, store = folder / "in.nc", folder / "in.zarr"
    shape = size.winds
    make_files(netcdf, store, shape)
    missing = {} if shutil.which("cdo") else {CDO: "not installed"}
    targets = {BIGRAD: folder / "out.zarr", CDO: folder / "out.nc"}
    commands = {
        BIGRAD: (
            BIGRAD_COMMAND, "vorticity", store, targets[BIGRAD], "--workers", str(_WORKERS),
            "--radius", str(_RADIUS), "--progress", "none",
        ),
        CDO: ("cdo", "-s", "-f", "nc4", "uv2vr_cfd,u=u,v=v", netcdf, targets[CDO]),
    }  # fmt: skip

    def way(name: str) -> Callable[[], Measured]:
        return lambda: _timed(commands[name], targets[name])

    def agree() -> None:
        if missing:
            return
        ours = zarr.open_array(targets[BIGRAD] / "vorticity", mode="r")
        with netCDF4.Dataset(targets[CDO]) as dataset:
            theirs = dataset["vo"]
            for number in range(shape[0]):
                _agree(np.asarray(ours[number]), theirs[number])

    return Case(
        {name: way(name) for name in targets},
        agree=agree,
        absent=missing,
        nbytes=3 * 4 * int(np.prod(shape)),
        once=size.brief,
    )


def _timed(arguments: tuple[str | os.PathLike[str], ...], target: Path) -> Measured:
    """Run a command that finds no target, and a disk that has written what was before."""
    if target.is_dir():
        shutil.rmtree(target)
    target.unlink(missing_ok=True)
    os.sync()
    began = time.perf_counter()
    command(*arguments)
    return Measured({SECONDS: time.perf_counter() - began})


def _agree(ours: Array, theirs: Any) -> None:
    assert np.isfinite(ours).all(), "bigrad: missing values"
    assert np.ma.getmaskarray(theirs)[[0, -1]].all(), f"{CDO}: values at the poles"
    inside = slice(1, -1)
    expected = theirs[inside]
    assert not np.ma.getmaskarray(expected).any(), f"{CDO}: missing values between the poles"
    bound = _ROUNDING * float(np.abs(expected).max())
    difference = float(np.abs(ours[inside] - expected.data).max())
    assert difference <= bound, f"{CDO}: other values, by {difference:g}, more than {bound:g}"


ROWS = (
    Comparison(
        FILES,
        f"vorticity, Earth of {_RADIUS} m as CDO's; CDO leaves the pole rows missing",
        _vorticity,
        (Target("faster", 1.5, CDO),),
        _WORKERS,
    ),
)
