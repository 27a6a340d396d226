"""The command line: options in, a plan out, and its progress told.

Only click is imported here before a command runs, so that help comes at once.
"""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bigrad.errors import BigradError

if TYPE_CHECKING:
    from bigrad.jobs.plan import Plan
    from bigrad.jobs.report import Progress, Report

__all__ = ["main"]

_SECONDS_BETWEEN_LINES = 10.0


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
    "--edge-order",
    type=click.Choice(["1", "2"]),
    default="1",
    show_default=True,
    help="Order of accuracy at the two ends of a dimension.",
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
@click.option("--overwrite", is_flag=True, help="Replace DST, if it is a zarr store.")
@click.option("--dry-run", is_flag=True, help="Check everything, print the plan, write nothing.")
def compute(
    source: str,
    target: str,
    coords: tuple[str, ...],
    variables: tuple[str, ...],
    memory: str,
    chunks: dict[str, int],
    shards: dict[str, int],
    edge_order: str,
    datetime_unit: str | None,
    workers: int | None,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Differentiate the variables of the zarr store SRC and write them to DST.

    SRC and DST are paths or URLs of stores as xarray writes them, zarr version 2 or 3. The
    derivatives are centred differences, of second order inside, and equal numpy.gradient's to
    the last bit. Packed values and missing ones are decoded; derivatives along time are per
    second. DST holds the coordinates and the attributes too, with the units of the derivative.
    """
    with _told(f"{target} is not finished; --overwrite starts over"):
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
            edge_order=int(edge_order),
            datetime_unit=datetime_unit,
            overwrite=overwrite,
        )
        if dry_run:
            job.spacings()
            click.echo(repr(job))
            return
        with _progress(job) as progress:
            report = job.run(progress)
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
    with _told("run it again to start over"):
        from bigrad import demo as demonstration

        if not demonstration.run(directory, memory):
            sys.exit(1)


@contextmanager
def _told(stopped: str) -> Iterator[None]:
    """Tell errors, warnings and Ctrl-C in a line, without a traceback."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_: click.echo(f"Warning: {message}", err=True)
        try:
            yield
        except (BigradError, OSError) as exc:
            raise click.ClickException(str(exc)) from exc
        except KeyboardInterrupt:
            click.echo(f"\nStopped: {stopped}.", err=True)
            sys.exit(130)


@contextmanager
def _progress(job: "Plan") -> Iterator[Callable[["Progress"], None]]:
    """Show a bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from tqdm import tqdm

    with tqdm(
        total=job.bytes_written, unit="B", unit_scale=True, unit_divisor=1024, desc="bigrad"
    ) as bar:

        def advance(progress: "Progress") -> None:
            bar.set_postfix_str(f"{progress.tasks_done}/{progress.tasks} tasks", refresh=False)
            bar.update(progress.bytes_done - bar.n)

        yield advance


def _lines() -> Callable[["Progress"], None]:
    last = time.monotonic()

    def advance(progress: "Progress") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _SECONDS_BETWEEN_LINES and progress.tasks_done < progress.tasks:
            return
        last = now
        rate = progress.bytes_done / max(progress.seconds, 1e-9)
        # Nothing is known of the time left while variables are copied.
        left = f", {(progress.bytes - progress.bytes_done) / rate:.0f} s left" if rate else ""
        click.echo(
            f"{progress.tasks_done}/{progress.tasks} tasks, "
            f"{100 * progress.bytes_done / max(progress.bytes, 1):.0f} %, "
            f"{rate / 1e6:.0f} MB/s{left}",
            err=True,
        )

    return advance


def _closing(report: "Report", target: str) -> str:
    rate = report.bytes_written / max(report.seconds, 1e-9)
    return f"{target}: {report}, {rate / 1e6:.0f} MB/s"
