"""Draw the vorticity of ERA-Interim's winds, on a map and around both poles.

    python examples/era_interim_vorticity.py --level 200 --month 7 vorticity.png
    python examples/era_interim_vorticity.py --winds winds.nc vorticity.png

The grid is found to be global: differences go around it, and the rows at the poles, where a
longitude has no direction, have the circulation around them. So there is no seam and no hole.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

import bigrad  # noqa: F401  (adds .grad to xarray objects)

WINDS = Path(__file__).resolve().parents[2] / "shared" / "data" / "eraint_uvz.nc"
POLAR = 45  # degrees of latitude that the views of the poles reach to


def vorticity(winds: xr.Dataset) -> xr.DataArray:
    """Return the relative vorticity of `u` and `v`, per second; lazy for lazy input."""
    found: xr.DataArray = winds.grad.vorticity("u", "v")
    return found


def draw(path: Path, winds: xr.Dataset) -> None:
    """Write the picture: the vorticity as colours, the wind as lines along it.

    Parameters
    ----------
    path : pathlib.Path
        Of the picture.
    winds : xarray.Dataset
        One map of `u` and `v`.
    """
    winds = winds.sortby("latitude").load()
    found = vorticity(winds) * 1e5
    strongest = float(np.quantile(np.abs(found.values), 0.998))
    shades = {"cmap": "RdBu_r", "vmin": -strongest, "vmax": strongest, "rasterized": True}
    figure = Figure(figsize=(9.6, 9.2), dpi=128, layout="constrained")
    parts: dict[str, Any] = figure.subplot_mosaic(
        [["map", "map"], ["north", "south"]],
        per_subplot_kw={("north", "south"): {"projection": "polar"}},
        height_ratios=[1.05, 1],
    )
    whole = parts["map"]
    colours = whole.pcolormesh(found["longitude"], found["latitude"], found, **shades)
    whole.streamplot(
        winds["longitude"].values,
        winds["latitude"].values,
        winds["u"].values,
        winds["v"].values,
        density=1.6,
        linewidth=0.4,
        arrowsize=0.6,
        color="0.25",
    )
    whole.set(aspect=1, xlabel="longitude", ylabel="latitude", ylim=(-90, 90))
    _around_pole(parts["north"], found, 1, shades)
    _around_pole(parts["south"], found, -1, shades)
    bar = figure.colorbar(colours, ax=whole, label="1e-5 s-1", shrink=0.8, extend="both")
    bar.outline.set_visible(False)
    named = [f"{name} {winds[name].item()}" for name in ("month", "level") if name in winds]
    figure.suptitle(", ".join(["Relative vorticity", *named]))
    figure.savefig(path)


def _around_pole(ax: Any, found: xr.DataArray, sign: int, shades: dict[str, Any]) -> None:
    cap = found.where(sign * found["latitude"] >= POLAR, drop=True)
    ax.pcolormesh(np.deg2rad(cap["longitude"]), 90 - sign * cap["latitude"], cap, **shades)
    ax.set_theta_zero_location("S" if sign > 0 else "N")
    ax.set_theta_direction(sign)
    ax.set_rlim(0, 90 - POLAR)
    ax.set_yticks([15, 30], [f"{75 * sign}°", f"{60 * sign}°"])
    ax.set_title("around the north pole" if sign > 0 else "around the south pole")
    ax.grid(color="0.4", linewidth=0.3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--winds", type=Path, default=WINDS, help="a NetCDF file with u and v")
    parser.add_argument("--month", type=int, default=1)
    parser.add_argument("--level", type=int, default=500, help="in hPa")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    if not arguments.winds.exists():
        sys.exit(f"{arguments.winds} is not there: give --winds, a file with u and v")
    with xr.open_dataset(arguments.winds, chunks={}) as dataset:
        draw(arguments.picture, dataset.sel(month=arguments.month, level=arguments.level))
