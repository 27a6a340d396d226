"""How fast it warms: the derivative along time of an archive that is chunked by maps.

    python examples/daily_cycle.py cycle.png
    python examples/daily_cycle.py --store era5.zarr --variable t2m cycle.png

Each chunk is one map, and a derivative along time needs its neighbours: a rechunked copy would
do, and takes its time and its disk. The plan, which is printed, has blocks of a few maps, or
strips of many, as memory allows, and says how often a chunk is read. Results go to a store
beside the picture.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

import bigrad


def made_up(hours: int = 96, resolution: float = 1.0) -> xr.DataArray:
    """Return temperatures that follow the sun, more so over two made-up continents."""
    time = np.datetime64("2020-06-20T00", "ns") + np.arange(hours) * np.timedelta64(1, "h")
    latitude = np.arange(90, -90 - resolution / 2, -resolution)
    longitude = np.arange(0, 360, resolution)
    hour = da.arange(hours, chunks=1)[:, None, None]
    y, x = np.meshgrid(np.deg2rad(latitude), np.deg2rad(longitude), indexing="ij")
    coast = np.sin(2 * x) + 0.6 * np.sin(3 * x + 2 * y) + 0.5 * np.sin(4 * y) - 0.2
    daily = (2 + 5 * (1 + np.tanh(6 * coast)) / 2) * np.cos(y) ** 0.7
    sun = hour * 2 * np.pi / 24 + x - np.pi
    fronts = 6 * np.sin(2 * y) ** 2 * np.tanh(3 * np.sin(5 * x + 3 * np.sin(3 * y) - hour / 14))
    kelvin = 300 - 35 * np.sin(y) ** 2 + daily * np.cos(sun - 0.7) + fronts
    return xr.DataArray(
        kelvin.astype("float32"),
        {
            "time": time,
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
        name="t2m",
        attrs={"units": "K", "long_name": "2 metre temperature"},
    )


def warming(store: str | Path, target: Path, variable: str, memory: str) -> xr.DataArray:
    """Differentiate along time from store to store, per hour; the plan is printed first."""
    plan = bigrad.plan(
        store, target, "time", variables=[variable], datetime_unit="h", memory=memory,
        overwrite=True,
    )  # fmt: skip
    print(plan)
    print(plan.run())
    found: xr.DataArray = xr.open_zarr(target)[variable]
    return found


def draw(path: Path, found: xr.DataArray, latitude: float = 45.0) -> None:
    """Write the picture: a map in the middle, and time against longitude at a latitude."""
    now = found.isel(time=found.sizes["time"] // 2).load()
    line = found.sel(latitude=latitude, method="nearest").load()
    when = now["time"].dt.strftime("%d %B, %H:%M UTC").item()
    strongest = float(np.nanquantile(np.abs(now), 0.995))
    looks: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -strongest, "vmax": strongest}
    figure = Figure(figsize=(8.4, 7.6), dpi=128, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 3])
    colours = above.pcolormesh(now["longitude"], now["latitude"], now, rasterized=True, **looks)
    above.axhline(float(line["latitude"]), color="0.2", linewidth=0.8, linestyle=":")
    above.set(ylabel="latitude", title=f"Warming on {when}")
    below.pcolormesh(line["longitude"], line["time"], line, rasterized=True, **looks)
    below.axhline(now["time"].values, color="0.2", linewidth=0.8, linestyle=":")
    below.set(
        xlabel="longitude", title=f"and hour by hour at latitude {float(line['latitude']):g}"
    )
    dates = ConciseDateFormatter(below.yaxis.get_major_locator(), show_offset=False)
    below.yaxis.set_major_formatter(dates)
    bar = figure.colorbar(
        colours, ax=[above, below], label=now.attrs["units"], shrink=0.8, extend="both"
    )
    bar.outline.set_visible(False)
    for ax in (above, below):
        ax.spines[:].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="a zarr store with time, latitude and longitude")
    parser.add_argument("--variable", default="t2m", help="the temperature in the store")
    parser.add_argument("--memory", default="1GiB", help="the most that the process may hold")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    with TemporaryDirectory() as directory:
        store = arguments.store
        if store is None:
            store = f"{directory}/archive.zarr"
            made_up().to_zarr(store, consolidated=False)
        target = arguments.picture.with_suffix(".zarr")
        draw(arguments.picture, warming(store, target, arguments.variable, arguments.memory))
