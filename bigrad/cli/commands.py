"""The command line: options in, a plan out, and its progress told.

Only click is imported here before a command runs, so that help comes at once.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bigrad.cli import INTERRUPTED, STOPPED, raising_interrupts
from bigrad.cli.options import (
    FORMULAS,
    GRID,
    GRID_EDGES,
    JOB,
    RADIUS,
    Command,
    Option,
    with_options,
)
from bigrad.errors import BigradError

if TYPE_CHECKING:
    from distributed import Client

    from bigrad.jobs.report import Report

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("bigrad"), prog_name="bigrad")
def main() -> None:
    """Differentiate gridded data that do not fit in memory."""


_SOURCE = click.argument("source", metavar="SRC")
_TARGET = click.argument("target", metavar="DST")


def _metric(default: str) -> Callable[[Command], Command]:
    return click.option(
        "--metric",
        type=click.Choice(["sphere", "none"]),
        default=default,
        show_default=True,
        help="On the sphere, derivatives are per metre of longitude and latitude; else they are "
        "per unit of the coordinates.",
    )


@main.command(
    short_help="Differentiate a zarr store along coordinates.",
    epilog="""\b
Examples:
  bigrad compute era5.zarr slopes.zarr --coord longitude --coord latitude
  bigrad compute era5.zarr trend.zarr --coord time --var t2m --memory 512MiB
  bigrad compute era5.zarr waves.zarr --coord longitude --boundary periodic
""",
)
@with_options(
    _SOURCE,
    _TARGET,
    click.option(
        "--coord",
        "-c",
        "coords",
        multiple=True,
        required=True,
        metavar="NAME",
        help="Coordinate to differentiate along; its values are the spacing. Once, and results "
        "keep the names of the variables; several times, and they are called "
        "d<variable>_d<coordinate>.",
    ),
    click.option(
        "--var",
        "-v",
        "variables",
        multiple=True,
        metavar="NAME",
        help="Variable to take; may be repeated. By default all are taken: those that are not "
        "numeric, or have not the dimension, are copied.",
    ),
    _metric("none"),
    RADIUS,
    *FORMULAS,
    *JOB,
)
def compute(
    source: str, target: str, coords: tuple[str, ...], accuracy: str, order: str, **options: Any
) -> None:
    """Differentiate the variables of the zarr store SRC and write them to DST.

    SRC and DST are paths or URLs of stores as xarray writes them, zarr version 2 or 3. The
    derivatives are centred differences, of second order inside, and equal numpy.gradient's to
    the last bit. Packed values and missing ones are decoded; derivatives along time are per
    second. DST holds the coordinates and the attributes too, with the units of the derivative.
    """
    coord = coords[0] if len(coords) == 1 else list(coords)
    _run(source, target, coord=coord, accuracy=int(accuracy), order=int(order), **options)


_WIND = (
    click.option("-u", metavar="NAME", default="u", show_default=True, help="Wind to the east."),
    click.option("-v", metavar="NAME", default="v", show_default=True, help="Wind to the north."),
)


def _of_wind(kind: str, what: str) -> None:
    """Make the command of an operator that takes a wind."""

    @main.command(kind, short_help=f"{what} of a wind.")
    @with_options(_SOURCE, _TARGET, *_WIND, _metric("sphere"), *GRID, GRID_EDGES, *JOB)
    def command(source: str, target: str, u: str, v: str, **options: Any) -> None:
        _run(source, target, operator=kind, variables=(u, v), **options)

    command.help = (
        f"{what} of the wind in the zarr store SRC, written to DST.\n\n"
        "In one reading, by differences of second order. On the sphere the metric terms are "
        "there, longitudes that go around are closed, and rows at the poles have values too."
    )


_of_wind("vorticity", "Vorticity")
_of_wind("divergence", "Divergence")
_of_wind("deformation", "Stretching and shearing")


@main.command(short_help="Advection by a wind.")
@with_options(
    _SOURCE,
    _TARGET,
    click.option("--var", "variable", metavar="NAME", required=True, help="What is carried."),
    *_WIND,
    _metric("sphere"),
    *GRID,
    GRID_EDGES,
    *JOB,
)
def advection(source: str, target: str, variable: str, u: str, v: str, **options: Any) -> None:
    """Advection of a variable of the zarr store SRC by its wind, written to DST.

    What the wind brings: minus the product of the wind and the gradient, in one reading.
    """
    _run(source, target, operator="advection", variables=(variable, u, v), **options)


def _of_scalars(kind: str, what: str, *edges: Option) -> None:
    """Make the command of an operator that takes any variables, one by one."""

    @main.command(kind, short_help=f"{what} of variables.")
    @with_options(
        _SOURCE,
        _TARGET,
        click.option(
            "--var",
            "variables",
            multiple=True,
            metavar="NAME",
            help="Variable to take; may be repeated. [all numeric ones of two or more dimensions]",
        ),
        _metric("none"),
        *GRID,
        *edges,
        *JOB,
    )
    def command(source: str, target: str, **options: Any) -> None:
        _run(source, target, operator=kind, **options)

    command.help = (
        f"{what} of variables of the zarr store SRC, written to DST under their names.\n\n"
        "In one reading, by differences of second order."
    )


_of_scalars("magnitude", "Magnitude of the gradient", GRID_EDGES)
_of_scalars("laplacian", "Laplacian")


def _run(
    source: str,
    target: str,
    *,
    variables: tuple[str, ...] = (),
    edge_order: str = "1",
    metric: str,
    dry_run: bool,
    resume: bool,
    progress: Any,
    scheduler: str | None,
    **options: Any,
) -> None:
    """Plan a job and do it."""
    if resume and options["overwrite"]:
        msg = "--resume continues a job and --overwrite starts over: give one of them"
        raise click.UsageError(msg)
    with _told():
        from bigrad.jobs.plan import plan

        with _usage():
            job = plan(
                source,
                target,
                variables=variables or None,
                edge_order=int(edge_order),
                metric=None if metric == "none" else "sphere",
                **options,
            )
        if dry_run:
            job.coordinates()
            click.echo(repr(job))
            return
        with _client(scheduler) as client, raising_interrupts():
            report = job.run(resume=resume, progress=progress, client=client)
        click.echo(_closing(report, target), err=True)


@main.command(short_help="Make a gigabyte of weather, differentiate it, check the result.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default="demo")
@click.option(
    "--memory",
    "-m",
    default="512MiB",
    show_default=True,
    metavar="SIZE",
    help="The ceiling that each job is given.",
)
def demo(directory: Path, memory: str) -> None:
    """Show in DIRECTORY what bigrad does: one gigabyte of zarr under a small ceiling.

    Writes a field whose derivatives are known and a wind whose vorticity is, runs `bigrad
    compute` and `bigrad vorticity` on them, prints throughput, peak memory and the largest
    error, and draws maps. Fails if memory or error are too large.
    """
    with _told():
        from bigrad.demo.run import run
        from bigrad.jobs.memory import parse_bytes

        with _usage():
            parse_bytes(memory)
        with raising_interrupts():
            fine = run(directory, memory)
        if not fine:
            sys.exit(1)


@contextmanager
def _usage() -> Iterator[None]:
    """Tell of options that are wrong by themselves, or together."""
    try:
        yield
    except (ValueError, TypeError) as exc:
        if isinstance(exc, BigradError):
            raise
        raise click.UsageError(str(exc)) from exc


@contextmanager
def _told() -> Iterator[None]:
    """Tell errors, warnings and Ctrl-C in a line, without a traceback."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: click.echo(f"Warning: {message}", err=True)
        try:
            yield
        except (BigradError, OSError) as exc:
            raise click.ClickException("\n".join([str(exc), *_notes(exc)])) from exc
        except KeyboardInterrupt as exc:
            click.echo("\n".join([STOPPED, *_notes(exc)]), err=True)
            sys.exit(INTERRUPTED)


def _notes(exc: BaseException) -> list[str]:
    return getattr(exc, "__notes__", [])


@contextmanager
def _client(address: str | None) -> "Iterator[Client | None]":
    if address is None:
        yield None
        return
    from distributed import Client

    try:
        client = Client(address)
    except ValueError as exc:
        msg = f"{address!r} is no address of a scheduler, as tcp://10.0.0.1:8786 is ({exc})"
        raise click.BadParameter(msg, param_hint="--scheduler") from exc
    with client:
        yield client


def _closing(report: "Report", target: str) -> str:
    rate = report.bytes_written / max(report.seconds, 1e-9)
    return f"{target}: {report}, {rate / 1e6:.0f} MB/s"
