"""Find fronts: where temperature changes most over 100 kilometres.

    python examples/temperature_fronts.py fronts.png
    python examples/temperature_fronts.py --store era5.zarr --variable t850 fronts.png

Without a store, a cold front of known strength is made up. The derivatives come per degree, as
the coordinates are in degrees; how many kilometres a degree is, is for whoever asks to say.
"""

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import bigrad  # noqa: F401  (adds .grad to xarray objects)

KM_PER_DEGREE = 6371.229 * np.pi / 180


def strength(temperature: xr.DataArray) -> xr.DataArray:
    """Return the length of the horizontal gradient, in kelvin per 100 km; lazy for lazy input."""
    slopes = temperature.grad.compute(["longitude", "latitude"])
    eastward = slopes[f"d{temperature.name}_dlongitude"] / np.cos(np.deg2rad(slopes["latitude"]))
    northward = slopes[f"d{temperature.name}_dlatitude"]
    per_100_km: xr.DataArray = 100 / KM_PER_DEGREE * np.hypot(eastward, northward)
    return per_100_km.rename("strength").assign_attrs(
        long_name=f"gradient of {temperature.name}", units="K / 100 km"
    )


def made_up(resolution: float = 0.25) -> xr.DataArray:
    """Return temperatures over the North Atlantic with a wave on a front."""
    latitude = np.arange(70, 30 - resolution / 2, -resolution)
    longitude = np.arange(-70, 10, resolution)
    y, x = np.meshgrid(latitude, longitude, indexing="ij")
    crest = 50 + 6 * np.sin(np.deg2rad(6 * x)) * np.exp(-(((x + 25) / 30) ** 2))
    celsius = 8 - 0.35 * (y - 50) - 5 * np.tanh((y - crest) / 1.2)
    return xr.DataArray(
        celsius.astype("float32"),
        {
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
        name="t850",
        attrs={"units": "degC", "long_name": "temperature at 850 hPa"},
    ).chunk(latitude=50, longitude=100)


def draw(path: Path, temperature: xr.DataArray) -> None:
    """Write the picture: the strength of fronts as colours, temperature as lines."""
    fronts = strength(temperature).load()
    figure = Figure(figsize=(8.4, 5.6), dpi=128, layout="constrained")
    ax = figure.subplots()
    colours = ax.pcolormesh(
        fronts["longitude"], fronts["latitude"], fronts, cmap="magma_r", vmin=0, rasterized=True
    )
    lines = ax.contour(
        temperature["longitude"],
        temperature["latitude"],
        temperature,
        levels=12,
        colors="0.2",
        linewidths=0.6,
    )
    ax.clabel(lines, fontsize=7)
    ax.set_aspect(1 / np.cos(np.deg2rad(float(fronts["latitude"].mean()))))
    ax.set_xlabel("longitude")
    ax.set_ylabel("latitude")
    ax.set_title(f"Strength of fronts, and {temperature.attrs.get('long_name', 'temperature')}")
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(colours, ax=ax, shrink=0.85, label=fronts.attrs["units"])
    bar.outline.set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", help="a zarr store with latitude and longitude")
    parser.add_argument("--variable", default="t850", help="the temperature in the store")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    if arguments.store is None:
        draw(arguments.picture, made_up())
    else:
        variable = xr.open_zarr(arguments.store)[arguments.variable]
        others = set(variable.dims) - {"latitude", "longitude"}
        draw(arguments.picture, variable.isel(dict.fromkeys(others, 0)))
