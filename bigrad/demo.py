"""The demonstration: a gigabyte of zarr differentiated by the command line, and checked.

The field is a sum of plane waves, so that its derivatives are sums of plane waves too: exact
everywhere, and with them the largest error that a centred difference can make.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import xarray as xr

from bigrad.errors import BigradError

__all__ = [
    "Deviation",
    "Grid",
    "Waves",
    "create",
    "deviations",
    "fill",
    "run",
    "weather",
]

STEPS_AT_ONCE = 8
NAME = "t2m"
COORDS = ("longitude", "latitude")


@dataclass(frozen=True, eq=False)
class Waves:
    """A field that is a sum of plane waves.

    ``sum(amplitude * cos(zonal * lon + meridional * lat - frequency * hour + phase))``, with
    longitude and latitude in radians.

    Attributes
    ----------
    amplitude : numpy.ndarray
        Of each wave, in the units of the field.
    zonal, meridional : numpy.ndarray
        Wavenumbers, per radian.
    frequency : numpy.ndarray
        In radians per hour.
    phase : numpy.ndarray
        In radians.
    """

    amplitude: np.ndarray
    zonal: np.ndarray
    meridional: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray

    def along(self, coord: str, times: int = 1) -> "Waves":
        """Return the exact derivative along ``longitude`` or ``latitude``, per degree."""
        number = self.zonal if coord == "longitude" else self.meridional
        return replace(
            self,
            amplitude=self.amplitude * np.deg2rad(number) ** times,
            phase=self.phase + times * np.pi / 2,
        )

    @property
    def limit(self) -> float:
        """What no value of the field exceeds, in either sign."""
        return float(np.abs(self.amplitude).sum())

    def values(self, hour: float, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Return the field at an hour, of shape ``(latitude, longitude)``, both in degrees."""
        # cos(a + b) = cos(a) cos(b) - sin(a) sin(b) makes one product of two matrices of it.
        east = np.deg2rad(longitude)[:, None] * self.zonal
        north = np.deg2rad(latitude)[:, None] * self.meridional
        north = north - self.frequency * hour + self.phase
        rows = self.amplitude * np.hstack([np.cos(north), -np.sin(north)]).reshape(
            len(latitude), 2, -1
        )
        columns = np.hstack([np.cos(east), np.sin(east)])
        product: np.ndarray = rows.reshape(len(latitude), -1) @ columns.T
        return product


def weather(packets: int = 32) -> Waves:
    """Return something like the temperature near the ground, in kelvin.

    Warm at the equator and cold at the poles, with waves that travel east along the middle
    latitudes: ``sin(2 * lat)**2 * cos(x)`` is a sum of three plane waves.
    """
    random = np.random.default_rng(1440)
    zonal = np.round(np.geomspace(1, 48, packets))
    amplitude = 11.0 / np.maximum(zonal, 4.0) ** 0.8
    meridional = random.uniform(-1.4, 1.4, packets) * zonal
    frequency = zonal * np.deg2rad(random.uniform(0.15, 0.6, packets))
    phase = random.uniform(0.0, 2 * np.pi, packets)
    return Waves(
        amplitude=np.concatenate([[268.0, 28.0], amplitude / 2, -amplitude / 4, -amplitude / 4]),
        zonal=np.concatenate([[0.0, 0.0], zonal, zonal, zonal]),
        meridional=np.concatenate([[0.0, 2.0], meridional, meridional + 4, meridional - 4]),
        frequency=np.concatenate([[0.0, 0.0], np.tile(frequency, 3)]),
        phase=np.concatenate([[0.0, 0.0], np.tile(phase, 3)]),
    )


@dataclass(frozen=True)
class Grid:
    """A global grid of hourly steps.

    Attributes
    ----------
    steps : int
        Number of hours.
    resolution : float
        Distance of neighbours in degrees, along both horizontal coordinates.
    """

    steps: int = 256
    resolution: float = 0.25

    @property
    def latitude(self) -> np.ndarray:
        """Degrees from the north pole to the south pole."""
        return 90.0 - self.resolution * np.arange(round(180 / self.resolution) + 1)

    @property
    def longitude(self) -> np.ndarray:
        """Degrees from Greenwich eastwards, once around."""
        return self.resolution * np.arange(round(360 / self.resolution))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of a field over time, latitude and longitude."""
        return self.steps, len(self.latitude), len(self.longitude)

    @property
    def nbytes(self) -> int:
        """Bytes of such a field in float32."""
        return 4 * int(np.prod(self.shape))


def create(path: Path, grid: Grid) -> None:
    """Create the store of the field as an ERA5 archive has it: zarr, one step to a chunk.

    Whatever was at `path` is replaced. The coordinates are in it, the field is empty.
    """
    import zarr
    from zarr.codecs import BloscCodec

    coords = xr.Dataset(
        coords={
            "time": (
                "time",
                np.arange(grid.steps),
                {"standard_name": "time", "units": "hours since 2020-01-01"},
            ),
            "latitude": (
                "latitude",
                grid.latitude.astype("float32"),
                {"standard_name": "latitude", "units": "degrees_north"},
            ),
            "longitude": (
                "longitude",
                grid.longitude.astype("float32"),
                {"standard_name": "longitude", "units": "degrees_east"},
            ),
        },
        attrs={"Conventions": "CF-1.11", "title": "Plane waves in the shape of ERA5"},
    )
    coords.to_zarr(path, mode="w", zarr_format=3, consolidated=False)
    zarr.open_group(path, mode="r+").create_array(
        NAME,
        shape=grid.shape,
        chunks=(1, *grid.shape[1:]),
        dtype="float32",
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
        fill_value=np.nan,
        dimension_names=("time", "latitude", "longitude"),
        attributes={
            "standard_name": "air_temperature",
            "long_name": "2 metre temperature",
            "units": "K",
        },
    )


def fill(path: Path, waves: Waves, grid: Grid) -> None:
    """Write the values of the field; no more than a step is in memory."""
    import zarr

    array = zarr.open_array(path / NAME, mode="r+")
    for step in range(grid.steps):
        array[step] = waves.values(step, grid.latitude, grid.longitude).astype("float32")


@dataclass(frozen=True)
class Deviation:
    """How far a computed derivative is from the exact one, and how far it may be.

    Attributes
    ----------
    where : str
        Of which derivative, and on which part of the grid.
    found, bound : float
        In kelvin per degree.
    """

    where: str
    found: float
    bound: float

    @property
    def kept(self) -> bool:
        """Whether the bound holds; not where a value is missing."""
        return self.found <= self.bound


def deviations(target: Path, waves: Waves, grid: Grid) -> Iterator[Deviation]:
    """Compare the computed derivatives with the exact ones, a few steps at a time.

    The bounds are those of Taylor's theorem, ``h**2 / 6 * max|f'''|`` for centred differences
    and ``h / 2 * max|f''|`` for one-sided ones, and half a unit in the last place for each
    rounding to float32.
    """
    h = grid.resolution
    rounding = float(np.spacing(np.float32(waves.limit))) / 2
    with xr.open_zarr(target, chunks=None, decode_times=False) as results:
        for coord in COORDS:
            exact = waves.along(coord)
            arithmetic = float(np.finfo(np.float32).eps) * exact.limit
            inside, ends = _largest(results[f"d{NAME}_d{coord}"], exact, grid, coord)
            yield Deviation(
                f"along {coord}, inside",
                inside,
                h**2 / 6 * waves.along(coord, times=3).limit + rounding / h + arithmetic,
            )
            yield Deviation(
                f"along {coord}, at the ends",
                ends,
                h / 2 * waves.along(coord, times=2).limit + 2 * rounding / h + arithmetic,
            )


def _largest(computed: xr.DataArray, exact: Waves, grid: Grid, coord: str) -> tuple[float, float]:
    """Return the largest error, inside and at the first and last point along `coord`."""
    axis = {"latitude": 0, "longitude": 1}[coord]
    inside = ends = 0.0
    for first in range(0, grid.steps, STEPS_AT_ONCE):
        some = computed[first : first + STEPS_AT_ONCE].to_numpy()
        for step, values in enumerate(some, start=first):
            error = np.abs(values - exact.values(step, grid.latitude, grid.longitude))
            lines = error.max(axis=1 - axis)
            # np.maximum, since max() would lose a NaN.
            inside = float(np.maximum(inside, lines[1:-1].max()))
            ends = float(np.maximum(ends, lines[[0, -1]].max()))
    return inside, ends


@dataclass(frozen=True)
class _Ran:
    """What a command took: wall time in seconds, and the peak of its resident memory in bytes."""

    seconds: float
    peak: int


# The kernel counts into a process' peak that of the process which started it. So a process that
# is next to nothing starts the command, and tells its peak through the pipe that it is given.
_MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
try:
    _, status, usage = os.wait4(process.pid, 0)
except KeyboardInterrupt:
    sys.exit(process.wait())
os.write(int(sys.argv[1]), str(usage.ru_maxrss).encode())
sys.exit(os.waitstatus_to_exitcode(status))
"""


def _command(*arguments: str) -> _Ran:
    """Run ``bigrad`` with these arguments, as a user would.

    Raises
    ------
    SystemExit
        With the status of the command, where it fails.
    """
    click.secho(f"$ {shlex.join(['bigrad', *arguments])}", bold=True)
    script = Path(sysconfig.get_path("scripts"), "bigrad")
    read, write = os.pipe()
    began = time.perf_counter()
    try:
        status = subprocess.call(
            [sys.executable, "-IS", "-c", _MEASURE, str(write), script, *arguments],
            pass_fds=[write],
        )
    finally:
        os.close(write)
        with os.fdopen(read) as pipe:
            peak = pipe.read()
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(status)
    return _Ran(seconds, int(peak) * (1 if sys.platform == "darwin" else 1024))


def _draw(path: Path, source: Path, target: Path, note: str) -> None:
    """Draw the field and its derivatives in the middle of the period."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with (
        xr.open_zarr(source, chunks=None, consolidated=False) as field,
        xr.open_zarr(target, chunks=None) as results,
    ):
        middle = {"time": field.sizes["time"] // 2}
        panels = {
            "field": field[NAME].isel(middle).load(),
            **{coord: results[f"d{NAME}_d{coord}"].isel(middle).load() for coord in COORDS},
        }
    figure = Figure(figsize=(12, 11), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes: Mapping[str, Any] = figure.subplot_mosaic(
        [["field", "field"], list(COORDS)], height_ratios=[2, 1]
    )
    # One scale for both derivatives, so that their colours can be compared.
    strongest = max(float(np.quantile(np.abs(panels[coord]), 0.998)) for coord in COORDS)
    titles = {
        "field": panels["field"].attrs["long_name"],
        **{coord: f"its derivative along {coord}" for coord in COORDS},
    }
    for name, panel in panels.items():
        ax = axes[name]
        image = ax.imshow(
            panel,
            extent=_edges(panel),
            cmap="magma" if name == "field" else "RdBu_r",
            vmin=None if name == "field" else -strongest,
            vmax=None if name == "field" else strongest,
            interpolation="nearest",
        )
        ax.set_title(titles[name], loc="left", fontsize=13 if name == "field" else 11)
        ax.set_xticks(range(0, 361, 60), [f"{x}°" for x in range(0, 361, 60)])
        ax.set_yticks(range(-90, 91, 45), ["90° S", "45° S", "0°", "45° N", "90° N"])
        ax.tick_params(labelsize=8, length=2)
        ax.spines[:].set_visible(False)
        bar = figure.colorbar(
            image,
            ax=ax,
            orientation="horizontal",
            shrink=0.45 if name == "field" else 0.9,
            aspect=35,
            pad=0.02,
            extend="neither" if name == "field" else "both",
        )
        bar.set_label(panel.attrs.get("units", ""), fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)
    when = str(panels["field"]["time"].dt.strftime("%Y-%m-%d %H:%M").item())
    figure.suptitle(f"bigrad: {when}", x=0.01, ha="left", fontsize=15, fontweight="bold")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=9, color="0.35")
    figure.savefig(path, dpi=120)


def _edges(panel: xr.DataArray) -> tuple[float, float, float, float]:
    """Return where the outermost cells end: left, right, bottom, top."""
    latitude, longitude = (panel[name].to_numpy() for name in ("latitude", "longitude"))
    half = float(longitude[1] - longitude[0]) / 2
    return (
        float(longitude[0]) - half,
        float(longitude[-1]) + half,
        float(latitude[-1]) - half,
        float(latitude[0]) + half,
    )


def run(directory: Path, memory: str = "512MiB", grid: Grid | None = None) -> bool:
    """Write a store, differentiate it with ``bigrad compute``, check the result, draw it.

    Parameters
    ----------
    directory : Path
        Where the stores and the picture go; what an earlier run left there is replaced.
    memory : str
        The ceiling of the job, as ``--memory`` takes it.
    grid : Grid, optional
        By default 256 steps of ERA5's grid, which are 1.06 GB.

    Returns
    -------
    bool
        Whether the job kept its ceiling, and the errors their bounds.

    Raises
    ------
    SystemExit
        Where the command fails.
    BigradError
        Where matplotlib is not installed.
    """
    from dask.utils import format_bytes

    from bigrad.jobs.memory import parse_bytes

    ceiling = parse_bytes(memory)
    if find_spec("matplotlib") is None:
        msg = "the demonstration draws a picture: install matplotlib, or bigrad[plot]"
        raise BigradError(msg)
    grid = grid or Grid()
    waves = weather()
    directory.mkdir(parents=True, exist_ok=True)
    source, target, picture = (
        directory / name for name in ("waves.zarr", "derivatives.zarr", "derivatives.png")
    )

    coords = [word for coord in COORDS for word in ("--coord", coord)]
    job = ["compute", str(source), str(target), *coords, "--memory", memory, "--overwrite"]
    create(source, grid)
    # A plan needs no values: what is wrong with it is found before a gigabyte is written.
    _command(*job, "--dry-run")

    size = " x ".join(map(str, grid.shape))
    click.echo(f"\nWriting {source}: {size} float32, {grid.nbytes / 1e9:.2f} GB")
    fill(source, waves, grid)

    ran = _command(*job)
    rate = grid.nbytes / ran.seconds
    found = list(deviations(target, waves, grid))

    speed = f"{ran.seconds:.1f} s, {rate / 1e6:.0f} MB/s of source, start-up included"
    peak = f"{format_bytes(ran.peak)} of {format_bytes(ceiling)}"
    _draw(picture, source, target, f"{size} float32 in {speed}; peak memory {peak}")

    rows = [("time", speed), ("peak memory", f"{peak}: {_verdict(ran.peak <= ceiling)}")]
    for one in found:
        error = f"{one.found:.1e} of at most {one.bound:.1e} K per degree: {_verdict(one.kept)}"
        rows.append((f"error {one.where}", error))
    rows.append(("picture", str(picture)))
    width = max(len(name) for name, _ in rows) + 2
    click.echo()
    for name, value in rows:
        click.echo(f"{name:{width}}{value}")
    return ran.peak <= ceiling and all(one.kept for one in found)


def _verdict(kept: bool) -> str:
    return click.style("kept", fg="green") if kept else click.style("BROKEN", fg="red")
