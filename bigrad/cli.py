"""The command line: options in, a plan out, and its progress told.

Only click is imported here before a command runs, so that help comes at once.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bigrad.errors import BigradError

if TYPE_CHECKING:
    from typing import Literal

    from distributed import Client

    from bigrad.jobs.progress import Kind
    from bigrad.jobs.report import Report

__all__ = ["main"]


def _sizes(_: click.Context, __: click.Parameter, text: str | None) -> dict[str, int]:
    """Read sizes by dimension, such as ``time=24,latitude=91``."""
    sizes: dict[str, int] = {}
    for item in text.split(",") if text is not None else ():
        dim, _equals, size = map(str.strip, item.partition("="))
        if not (dim and size.isdecimal() and int(size)):
            msg = f"{item!r} is not DIMENSION=SIZE, as in time=24,latitude=91"
            raise click.BadParameter(msg)
        if dim in sizes:
            msg = f"{dim!r} is given twice"
            raise click.BadParameter(msg)
        sizes[dim] = int(size)
    return sizes


def _options(_: click.Context, __: click.Parameter, text: str | None) -> dict[str, Any] | None:
    """Read a JSON object, such as ``{"anon": true}``."""
    if text is None:
        return None
    try:
        options = json.loads(text)
    except ValueError as exc:
        msg = f"{text!r} is not JSON ({exc})"
        raise click.BadParameter(msg) from exc
    if not isinstance(options, dict):
        msg = f'{text!r} is not a JSON object, as is {{"anon": true}}'
        raise click.BadParameter(msg)
    return options


def _boundaries(_: click.Context, __: click.Parameter, items: tuple[str, ...]) -> Any:
    """Read boundaries such as ``periodic``, ``fill:0`` or ``longitude=periodic``."""
    return _by_name(items, _boundary)


def _periods(_: click.Context, __: click.Parameter, items: tuple[str, ...]) -> Any:
    """Read numbers such as ``360`` or ``longitude=360``."""
    return _by_name(items, _number)


def _by_name(items: tuple[str, ...], read: Callable[[str], Any]) -> Any:
    """One for all coordinates, or a mapping by name; None where there are none."""
    if not items:
        return None
    if len(items) == 1 and "=" not in items[0]:
        return read(items[0])
    named = [item.split("=", 1) for item in items]
    names = [name for name, *_ in named]
    if any(len(pair) < 2 for pair in named) or len(set(names)) < len(names):
        msg = f"{' '.join(items)!r}: give one for all coordinates, or NAME=... once for each"
        raise click.BadParameter(msg)
    return {name.strip(): read(text) for name, text in named}


def _boundary(text: str) -> Any:
    kind, colon, value = text.strip().partition(":")
    return (kind, _number(value)) if colon else kind


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"{text!r} is not a number"
        raise click.BadParameter(msg) from None


def _memory(_: click.Context, __: click.Parameter, text: str) -> str:
    """Refuse what is no number of bytes, such as ``512MiB``."""
    from bigrad.jobs.memory import parse_bytes

    try:
        parse_bytes(text)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from exc
    return text


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("bigrad"), prog_name="bigrad")
def main() -> None:
    """Differentiate gridded data that do not fit in memory."""


@main.command(
    short_help="Differentiate a zarr store along coordinates.",
    epilog="""\b
Examples:
  bigrad compute era5.zarr slopes.zarr --coord longitude --coord latitude
  bigrad compute era5.zarr trend.zarr --coord time --var t2m --memory 512MiB
""",
)
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST")
@click.option(
    "--coord",
    "-c",
    "coords",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Coordinate to differentiate along; its values are the spacing. Once, and results keep "
    "the names of the variables; several times, and they are called d<variable>_d<coordinate>.",
)
@click.option(
    "--var",
    "-v",
    "variables",
    multiple=True,
    metavar="NAME",
    help="Variable to take; may be repeated. By default all are taken: those that are not "
    "numeric, or have not the dimension, are copied.",
)
@click.option(
    "--memory",
    "-m",
    metavar="SIZE",
    callback=_memory,
    default="2GiB",
    show_default=True,
    help="The most memory that the process may hold, the interpreter included.",
)
@click.option(
    "--chunks",
    metavar="DIM=SIZE,...",
    callback=_sizes,
    help="Chunks of the results, as time=24,latitude=91. [SRC's]",
)
@click.option(
    "--shards",
    metavar="DIM=SIZE,...",
    callback=_sizes,
    help="Shards of the results (zarr 3). [SRC's]",
)
@click.option(
    "--codec",
    type=click.Choice(["none", "lz4", "blosc-zstd", "zstd", "gzip"]),
    help="What compresses the results. [what compresses SRC]",
)
@click.option(
    "--edge-order",
    type=click.Choice(["1", "2"]),
    default="1",
    show_default=True,
    help="Order of accuracy at the two ends of a dimension.",
)
@click.option(
    "--boundary",
    metavar="[NAME=]KIND",
    multiple=True,
    callback=_boundaries,
    help="What lies beyond the ends of a dimension: periodic, extend, reflect, or fill:VALUE. Of "
    "all coordinates or, as longitude=periodic, of one; may be repeated. [one-sided differences]",
)
@click.option(
    "--period",
    metavar="[NAME=]NUMBER",
    multiple=True,
    callback=_periods,
    help="Of periodic coordinates, in their units; known of longitudes.",
)
@click.option(
    "--missing",
    type=click.Choice(["propagate", "shrink"]),
    default="propagate",
    show_default=True,
    help="Whether missing values make their neighbours' derivatives missing, or one-sided.",
)
@click.option(
    "--accuracy",
    type=click.Choice(["2", "4", "6"]),
    default="2",
    show_default=True,
    help="Order of accuracy; above 2, also at the ends.",
)
@click.option(
    "--order",
    type=click.Choice(["1", "2"]),
    default="1",
    show_default=True,
    help="The first derivative, or the second.",
)
@click.option(
    "--regular",
    is_flag=True,
    help="The coordinates are meant to have one step each, which rounding hides: check, and use "
    "that step.",
)
@click.option(
    "--datetime-unit",
    type=click.Choice(["W", "D", "h", "m", "s", "ms", "us", "ns"]),
    help="Unit of time of derivatives along time. [s]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Blocks worked on at the same time. [what cores and memory allow]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on the dask cluster whose scheduler has this address, as tcp://10.0.0.1:8786.",
)
@click.option(
    "--resume", is_flag=True, help="Continue a job that was stopped, where there is one."
)
@click.option("--overwrite", is_flag=True, help="Replace DST, if it is a zarr store.")
@click.option(
    "--storage-options",
    metavar="JSON",
    callback=_options,
    help="Options of fsspec for SRC and DST where these are URLs, as '{\"anon\": true}'.",
)
@click.option(
    "--target-options",
    metavar="JSON",
    callback=_options,
    help="Those of DST, where they are others than those of SRC.",
)
@click.option(
    "--progress",
    type=click.Choice(["auto", "bar", "lines", "json", "none"]),
    default="auto",
    show_default=True,
    help="How progress is told: a bar, or lines, on standard error; JSON lines on standard "
    "output. By default a bar on a terminal and lines elsewhere.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, print the plan, write nothing.")
def compute(
    source: str,
    target: str,
    coords: tuple[str, ...],
    variables: tuple[str, ...],
    memory: str,
    chunks: dict[str, int],
    shards: dict[str, int],
    codec: str | None,
    edge_order: str,
    boundary: Any,
    period: Any,
    missing: "Literal['propagate', 'shrink']",
    accuracy: str,
    order: str,
    regular: bool,
    datetime_unit: str | None,
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    overwrite: bool,
    storage_options: dict[str, Any] | None,
    target_options: dict[str, Any] | None,
    progress: "Kind",
    dry_run: bool,
) -> None:
    """Differentiate the variables of the zarr store SRC and write them to DST.

    SRC and DST are paths or URLs of stores as xarray writes them, zarr version 2 or 3. The
    derivatives are centred differences, of second order inside, and equal numpy.gradient's to
    the last bit. Packed values and missing ones are decoded; derivatives along time are per
    second. DST holds the coordinates and the attributes too, with the units of the derivative.
    """
    if resume and overwrite:
        msg = "--resume continues a job and --overwrite starts over: give one of them"
        raise click.UsageError(msg)
    with _told():
        from bigrad.jobs.plan import plan

        job = plan(
            source,
            target,
            coords[0] if len(coords) == 1 else list(coords),
            variables=variables or None,
            memory=memory,
            workers=workers,
            chunks=chunks,
            shards=shards,
            codec=codec,
            edge_order=int(edge_order),
            boundary=boundary,
            period=period,
            missing=missing,
            accuracy=int(accuracy),
            order=int(order),
            regular=regular,
            datetime_unit=datetime_unit,
            overwrite=overwrite,
            storage_options=storage_options,
            target_options=target_options,
        )
        if dry_run:
            job.coordinates()
            click.echo(repr(job))
            return
        with _client(scheduler) as client:
            report = job.run(resume=resume, progress=progress, client=client)
        click.echo(_closing(report, target), err=True)


@main.command(short_help="Make a gigabyte of weather, differentiate it, check the result.")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default="demo")
@click.option(
    "--memory",
    "-m",
    callback=_memory,
    default="512MiB",
    show_default=True,
    metavar="SIZE",
    help="The ceiling that the job is given.",
)
def demo(directory: Path, memory: str) -> None:
    """Show in DIRECTORY what bigrad does: one gigabyte of zarr under a small ceiling.

    Writes a field whose derivatives are known, runs `bigrad compute` on it, prints throughput,
    peak memory and the largest error, and draws maps. Fails if memory or error are too large.
    """
    with _told():
        from bigrad import demo as demonstration

        if not demonstration.run(directory, memory):
            sys.exit(1)


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
            click.echo("\n".join(["", "Stopped.", *_notes(exc)]), err=True)
            sys.exit(130)


def _notes(exc: BaseException) -> list[str]:
    return getattr(exc, "__notes__", [])


@contextmanager
def _client(address: str | None) -> "Iterator[Client | None]":
    if address is None:
        yield None
        return
    from distributed import Client

    with Client(address) as client:
        yield client


def _closing(report: "Report", target: str) -> str:
    rate = report.bytes_written / max(report.seconds, 1e-9)
    return f"{target}: {report}, {rate / 1e6:.0f} MB/s"
