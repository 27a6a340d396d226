"""The options of the commands: how they are read, and what they are called.

Only click is imported here, so that help comes at once.
"""

import json
from collections.abc import Callable
from functools import reduce
from typing import Any

import click

__all__ = ["FORMULAS", "GRID", "GRID_EDGES", "JOB", "RADIUS", "Command", "Option", "with_options"]

Command = Callable[..., None]
Option = Callable[[Command], Command]


def with_options(*options: Option) -> Option:
    """Give a command options, which its help lists in this order."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


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
    if kind not in ("periodic", "extend", "reflect", "fill") or bool(colon) != (kind == "fill"):
        msg = f"{text!r} is not periodic, extend, reflect or fill:VALUE"
        raise click.BadParameter(msg)
    return (kind, _number(value)) if colon else kind


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"{text!r} is not a number"
        raise click.BadParameter(msg) from None


# Of every job.
JOB = (
    click.option(
        "--memory",
        "-m",
        metavar="SIZE",
        default="2GiB",
        show_default=True,
        help="The most memory that the process may hold, the interpreter included.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        help="Blocks worked on at the same time. [what cores and memory allow]",
    ),
    click.option(
        "--chunks",
        metavar="DIM=SIZE,...",
        callback=_sizes,
        help="Chunks of the results, as time=24,latitude=91. [SRC's]",
    ),
    click.option(
        "--shards",
        metavar="DIM=SIZE,...",
        callback=_sizes,
        help="Shards of the results (zarr 3). [SRC's]",
    ),
    click.option(
        "--codec",
        type=click.Choice(["none", "lz4", "blosc-zstd", "zstd", "gzip"]),
        help="What compresses the results. [what compresses SRC]",
    ),
    click.option(
        "--storage-options",
        metavar="JSON",
        callback=_options,
        help="Options of fsspec for SRC and DST where these are URLs, as '{\"anon\": true}'.",
    ),
    click.option(
        "--target-options",
        metavar="JSON",
        callback=_options,
        help="Those of DST, where they are others than those of SRC.",
    ),
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="Run on the dask cluster whose scheduler has this address, as tcp://10.0.0.1:8786.",
    ),
    click.option(
        "--resume",
        is_flag=True,
        help="Continue a job that was stopped, where there is one. What it wrote stays, also if "
        "values of SRC changed since.",
    ),
    click.option("--overwrite", is_flag=True, help="Replace DST, if it is a zarr store."),
    click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "lines", "json", "none"]),
        default="auto",
        show_default=True,
        help="How progress is told: a bar, or lines, on standard error; JSON lines on standard "
        "output. By default a bar on a terminal and lines elsewhere.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Check everything, print the plan, write nothing."
    ),
)

# Which formulas, along coordinates.
FORMULAS = (
    click.option(
        "--edge-order",
        type=click.Choice(["1", "2"]),
        default="1",
        show_default=True,
        help="Order of accuracy at the two ends of a dimension.",
    ),
    click.option(
        "--boundary",
        metavar="[NAME=]KIND",
        multiple=True,
        callback=_boundaries,
        help="What lies beyond the ends of a dimension: periodic, extend, reflect, or fill:VALUE. "
        "Of all coordinates or, as longitude=periodic, of one; may be repeated. [one-sided "
        "differences]",
    ),
    click.option(
        "--period",
        metavar="[NAME=]NUMBER",
        multiple=True,
        callback=_periods,
        help="Of periodic coordinates, in their units; known of longitudes.",
    ),
    click.option(
        "--missing",
        type=click.Choice(["propagate", "shrink"]),
        default="propagate",
        show_default=True,
        help="Whether missing values make their neighbours' derivatives missing, or one-sided.",
    ),
    click.option(
        "--accuracy",
        type=click.Choice(["2", "4", "6"]),
        default="2",
        show_default=True,
        help="Order of accuracy; above 2, also at the ends.",
    ),
    click.option(
        "--order",
        type=click.Choice(["1", "2"]),
        default="1",
        show_default=True,
        help="The first derivative, or the second.",
    ),
    click.option(
        "--regular",
        is_flag=True,
        help="The coordinates are meant to have one step each, which rounding hides: check, and "
        "use that step.",
    ),
    click.option(
        "--datetime-unit",
        type=click.Choice(["W", "D", "h", "m", "s", "ms", "us", "ns"]),
        help="Unit of time of derivatives along time. [s]",
    ),
)

RADIUS = click.option(
    "--radius",
    type=float,
    metavar="METRES",
    help="Of the sphere. [that of SRC's grid mapping, else 6371229]",
)

# Of operators on two axes.
GRID = (
    click.option(
        "--x", metavar="NAME", help="Coordinate to the east. [found by its attributes or name]"
    ),
    click.option(
        "--y", metavar="NAME", help="Coordinate to the north. [found by its attributes or name]"
    ),
    RADIUS,
)

GRID_EDGES = click.option(
    "--edge-order",
    type=click.Choice(["1", "2"]),
    default="1",
    show_default=True,
    help="Order of accuracy at the edges of a region.",
)
