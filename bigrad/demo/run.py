"""Write stores, differentiate them with the command line, check the results, draw them.

The fields are sums of plane waves, so that their derivatives are sums of plane waves too: exact
everywhere, and with them the largest error that a centred difference can make.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import click
from dask.utils import format_bytes

from bigrad.demo import checks, picture
from bigrad.demo.checks import Deviation
from bigrad.demo.commands import Ran, bigrad
from bigrad.demo.grid import Grid
from bigrad.demo.stores import TEMPERATURE, WIND, create, fill
from bigrad.demo.waves import Waves, rossby_haurwitz, weather
from bigrad.errors import BigradError

__all__ = ["run"]

STEPS_OF_WIND = 48


def run(directory: Path, memory: str = "512MiB", grid: Grid | None = None) -> bool:
    """Differentiate a temperature, and take the vorticity of a wind, under a ceiling.

    Parameters
    ----------
    directory : Path
        Where the stores and the picture go; what an earlier run left there is replaced.
    memory : str
        The ceiling of both jobs, as ``--memory`` takes it.
    grid : Grid, optional
        Of the temperature; by default 256 steps of ERA5's grid, which are 1.06 GB. Of the
        wind, there are the first 48 steps.

    Returns
    -------
    bool
        Whether the jobs kept the ceiling, and the errors their bounds.

    Raises
    ------
    SystemExit
        Where a command fails.
    BigradError
        Where matplotlib is not installed.
    """
    from bigrad.jobs.memory import parse_bytes

    ceiling = parse_bytes(memory)
    if find_spec("matplotlib") is None:
        msg = "the demonstration draws a picture: install matplotlib, or bigrad[plot]"
        raise BigradError(msg)
    grid = grid or Grid()
    grid_of_wind = replace(grid, steps=min(grid.steps, STEPS_OF_WIND))
    waves, wind = weather(), rossby_haurwitz()
    directory.mkdir(parents=True, exist_ok=True)
    source, slopes, winds, vorticity = (
        directory / f"{name}.zarr" for name in ("waves", "derivatives", "wind", "vorticity")
    )
    drawn = directory / "derivatives.png"

    under = ("--memory", memory, "--overwrite")
    coords = ("--coord", "longitude", "--coord", "latitude")
    differentiate = ("compute", str(source), str(slopes), *coords, *under)
    curl = ("vorticity", str(winds), str(vorticity), *under)

    create(source, grid, TEMPERATURE)
    create(winds, grid_of_wind, WIND)
    # A plan needs no values: what is wrong with it is found before a gigabyte is written.
    for command in (differentiate, curl):
        bigrad(*command, "--dry-run")
    _write(source, grid, {"t2m": waves})
    of_slopes = bigrad(*differentiate)
    _write(winds, grid_of_wind, {"u": wind.u, "v": wind.v})
    of_vorticity = bigrad(*curl)

    jobs = (
        _Job(
            name="derivatives of a temperature",
            ran=of_slopes,
            ceiling=ceiling,
            nbytes=grid.nbytes,
            errors=tuple(checks.slopes(slopes, "t2m", waves, grid)),
        ),
        _Job(
            name="vorticity of a wind",
            ran=of_vorticity,
            ceiling=ceiling,
            nbytes=2 * grid_of_wind.nbytes,
            errors=tuple(checks.vorticity(vorticity, wind, grid_of_wind)),
        ),
    )
    notes = [job.note for job in jobs]
    away, poles = (f"{100 * one.found:.1g} %" for one in jobs[1].errors)
    notes[1] += f"; largest errors {away} of the strongest vorticity, {poles} at the poles"
    scene = picture.Scene(source, slopes, winds, vorticity, notes=(notes[0], notes[1]))
    picture.draw(drawn, scene)
    for job in jobs:
        job.tell()
    click.echo(f"\npicture: {drawn}")
    return all(job.kept for job in jobs)


@dataclass(frozen=True)
class _Job:
    """What a job did.

    Attributes
    ----------
    name : str
        What it computed.
    ran : Ran
        What it took.
    ceiling : int
        The memory that it was given, in bytes.
    nbytes : int
        Of its source, uncompressed.
    errors : tuple of Deviation
        How far its results are from exact ones.
    """

    name: str
    ran: Ran
    ceiling: int
    nbytes: int
    errors: tuple[Deviation, ...]

    @property
    def speed(self) -> str:
        rate = self.nbytes / self.ran.seconds
        return f"{self.ran.seconds:.1f} s, {rate / 1e6:.0f} MB/s of source, start-up included"

    @property
    def memory(self) -> str:
        return f"{format_bytes(self.ran.peak)} of {format_bytes(self.ceiling)}"

    @property
    def note(self) -> str:
        """What is to be said in a line."""
        size = f"{self.nbytes / 1e9:.2f} GB of float32"
        return f"{size} in {self.speed}; peak memory {self.memory}"

    @property
    def kept(self) -> bool:
        return self.ran.peak <= self.ceiling and all(one.kept for one in self.errors)

    def tell(self) -> None:
        """Print it, a line each."""
        rows = [
            ("time", self.speed),
            ("peak memory", f"{self.memory}: {_verdict(self.ran.peak <= self.ceiling)}"),
            *((f"error {one.where}", f"{one}: {_verdict(one.kept)}") for one in self.errors),
        ]
        click.secho(f"\n{self.name}", bold=True)
        for name, value in rows:
            click.echo(f"  {name:36}{value}")


def _write(path: Path, grid: Grid, variables: Mapping[str, Waves]) -> None:
    """Fill a store."""
    size = " x ".join(map(str, grid.shape))
    names = " and ".join(variables)
    nbytes = len(variables) * grid.nbytes
    click.echo(f"\nWriting {path}: {names}, {size} float32, {nbytes / 1e9:.2f} GB")
    for name, waves in variables.items():
        fill(path, name, waves, grid)


def _verdict(kept: bool) -> str:
    return click.style("kept", fg="green") if kept else click.style("BROKEN", fg="red")
