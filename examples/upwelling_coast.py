"""Sea surface temperature up to the coast, where upwelling makes its gradient strongest.

    python examples/upwelling_coast.py coast.png
    python examples/upwelling_coast.py --store ocean.zarr --variable sst coast.png

Land is missing. By default, as with NumPy, what is beside it is missing too; with
``missing="shrink"`` differences are one-sided there, and the water at the coast counts.
"""

import argparse
from pathlib import Path
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import bigrad  # noqa: F401  (adds .grad to xarray objects)

KM_PER_DEGREE = 6371.229 * np.pi / 180


def slope(
    temperature: xr.DataArray, missing: Literal["propagate", "shrink"] = "shrink"
) -> xr.DataArray:
    """Return the length of the horizontal gradient, in kelvin per 100 km; lazy for lazy input."""
    slopes = temperature.grad.compute(["longitude", "latitude"], missing=missing)
    eastward = slopes[f"d{temperature.name}_dlongitude"] / np.cos(np.deg2rad(slopes["latitude"]))
    northward = slopes[f"d{temperature.name}_dlatitude"]
    per_100_km: xr.DataArray = 100 / KM_PER_DEGREE * np.hypot(eastward, northward)
    return per_100_km.rename("slope").assign_attrs(units="K / 100 km")


def made_up(resolution: float = 0.125) -> xr.DataArray:
    """Return a cold strip of water along a western coast with capes, and islands off it."""
    latitude = np.arange(44, 30 - resolution / 2, -resolution)
    longitude = np.arange(-132, -114, resolution)
    y, x = np.meshgrid(latitude, longitude, indexing="ij")
    coast = -122 + 0.45 * (38 - y) + 0.5 * np.sin(1.6 * y) + 0.25 * np.sin(4.1 * y)
    islands = (np.hypot(x + 127, y - 35) < 0.6) | (np.hypot(x + 125.6, y - 33.6) < 0.3)
    celsius = 19 - 0.4 * (y - 30) - 5 * np.exp((x - coast) / 0.7)
    celsius += 0.3 * np.sin(2 * x + y) * np.exp(-((x - coast + 3) ** 2) / 4)
    return xr.DataArray(
        np.where((x > coast) | islands, np.nan, celsius).astype("float32"),
        {
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
        name="sst",
        attrs={"units": "degC", "long_name": "sea surface temperature"},
    ).chunk(latitude=40, longitude=50)


def draw(path: Path, temperature: xr.DataArray) -> None:
    """Write the picture: the gradient without the coastal cells, and with them."""
    maps = {
        'missing="propagate", as NumPy': slope(temperature, "propagate").load(),
        'missing="shrink"': slope(temperature).load(),
    }
    sea = int(temperature.notnull().sum())
    strongest = float(max(found.max() for found in maps.values()))
    figure = Figure(figsize=(9.6, 4.8), dpi=128, layout="constrained")
    for ax, (title, found) in zip(figure.subplots(1, 2, sharey=True), maps.items(), strict=True):
        ax.set_facecolor("#c9c3b8")
        colours = ax.pcolormesh(
            found["longitude"], found["latitude"], found, cmap="viridis", vmin=0,
            vmax=strongest, rasterized=True,
        )  # fmt: skip
        known = int(found.notnull().sum())
        ax.set_title(f"{title}\n{known} of {sea} cells of sea, at most {float(found.max()):.1f}")
        ax.set_xlabel("longitude")
        ax.set_aspect(1 / np.cos(np.deg2rad(float(found["latitude"].mean()))))
    figure.axes[0].set_ylabel("latitude")
    bar = figure.colorbar(colours, ax=figure.axes, label="K / 100 km", shrink=0.9)
    bar.outline.set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="a zarr store with latitude and longitude")
    parser.add_argument("--variable", default="sst", help="the temperature in the store")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    if arguments.store is None:
        draw(arguments.picture, made_up())
    else:
        variable = xr.open_zarr(arguments.store)[arguments.variable]
        others = set(variable.dims) - {"latitude", "longitude"}
        draw(arguments.picture, variable.isel(dict.fromkeys(others, 0)))
