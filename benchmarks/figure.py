"""The scaling figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.chunks import COPY, DASK
from benchmarks.comparison import BIGRAD, SECONDS
from benchmarks.fresh import MEGABYTES
from benchmarks.jobs import XARRAY

__all__ = ["draw"]

# One colour for bigrad, greys for the peers, a dashed line for the limit.
_LOOK: Mapping[str, Mapping[str, Any]] = {
    BIGRAD: {"color": "#c8401c", "marker": "o", "linewidth": 2.2, "zorder": 3},
    XARRAY: {"color": "#4d5b69", "marker": "s"},
    DASK: {"color": "#4d5b69", "marker": "s"},
    COPY: {"color": "#98a3ad", "marker": "", "linestyle": (0, (4, 3))},
}

_COLUMNS = (
    ("size", "zarr to zarr, chunks of 4 MB", "size of the variable"),
    ("chunks", "dask array, chunks of 8 kB", "number of chunks"),
)
_ROWS = ((SECONDS, "time"), (MEGABYTES, "peak memory of the process"))


def draw(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw time and memory, each against the size and against the number of chunks."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator

    style: Any = {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#98a3ad",
        "xtick.color": "#4d5b69",
        "ytick.color": "#4d5b69",
        "lines.linewidth": 1.5,
        "lines.markersize": 5,
    }
    with plt.rc_context(style):
        figure, panels = plt.subplots(2, 2, figsize=(9.6, 6.4), sharex="col", layout="constrained")
        for across, (scaling, title, at) in enumerate(_COLUMNS):
            found = sorted((p for p in points if p["scaling"] == scaling), key=lambda p: p["at"])
            for down, (unit, name) in enumerate(_ROWS):
                axes = panels[down, across]
                _lines(axes, found, unit)
                axes.set(xscale="log", yscale="log")
                axes.grid(color="#e3e7eb", linewidth=0.7)
                axes.set_axisbelow(True)
                _at_least_tenfold(axes)
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.yaxis.set_major_formatter(_seconds if unit == SECONDS else _megabytes)
                axes.yaxis.set_minor_formatter("")
                axes.set_title(f"{title}: {name}", loc="left", fontsize=10)
            panels[1, across].set_xlabel(at)
            panels[1, across].xaxis.set_major_formatter(
                _megabytes if scaling == "size" else lambda n, _: f"{n:,.0f}"
            )
        figure.savefig(path, dpi=150)
        plt.close(figure)


def _lines(axes: Any, points: Sequence[Mapping[str, Any]], unit: str) -> None:
    for way, look in _LOOK.items():
        mine = [(p["at"], p["ways"][way][unit]) for p in points if way in p["ways"]]
        if mine:
            axes.plot(*zip(*mine, strict=True), label=way, **look)
    if unit == SECONDS:
        axes.legend(frameon=False, loc="upper left")


def _at_least_tenfold(axes: Any) -> None:
    """Span a factor of ten at least, so that a flat line looks flat."""
    low, high = axes.get_ylim()
    if high < 10 * low:
        middle = (low * high) ** 0.5
        axes.set_ylim(middle / 10**0.5, middle * 10**0.5)


def _seconds(value: float, _: Any) -> str:
    return f"{value:g} s" if value >= 1 else f"{1000 * value:g} ms"


def _megabytes(value: float, _: Any) -> str:
    return f"{value / 1000:g} GB" if value >= 1000 else f"{value:g} MB"
