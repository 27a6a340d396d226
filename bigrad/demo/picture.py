"""The picture of the demonstration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["Scene", "draw"]


@dataclass(frozen=True)
class Scene:
    """What is drawn.

    Attributes
    ----------
    waves, slopes : Path
        Stores of the temperature and of its derivatives.
    wind, vorticity : Path
        Stores of the wind and of its vorticity.
    notes : tuple of str
        What is said below the temperature's maps, and below the wind's.
    """

    waves: Path
    slopes: Path
    wind: Path
    vorticity: Path
    notes: tuple[str, str]


def draw(path: Path, scene: Scene) -> None:
    """Draw the middle of each store: the temperature, its derivatives, the wind's vorticity."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    temperature = _middle(scene.waves, "t2m")
    slopes = {name: _middle(scene.slopes, f"dt2m_d{name}") for name in ("longitude", "latitude")}
    vorticity = _middle(scene.vorticity, "vorticity")
    wind = [_middle(scene.wind, name) for name in "uv"]

    figure = Figure(figsize=(12, 16), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    parts: Any = figure.subfigures(2, 1, height_ratios=[11, 5])
    above, below = parts

    axes = above.subplot_mosaic(
        [["field", "field"], ["longitude", "latitude"]], height_ratios=[2, 1]
    )
    ax = axes["field"]
    image = _map(ax, temperature, cmap="magma")
    ax.set_title(temperature.attrs["long_name"], loc="left", fontsize=13)
    _bar(above, image, ax, temperature.attrs["units"], shrink=0.45)
    # One scale for both derivatives, so that their colours can be compared.
    strongest = max(float(np.quantile(np.abs(slope), 0.998)) for slope in slopes.values())
    for name, slope in slopes.items():
        ax = axes[name]
        image = _map(ax, slope, cmap="RdBu_r", vmin=-strongest, vmax=strongest)
        ax.set_title(f"its derivative along {name}", loc="left", fontsize=11)
        _bar(above, image, ax, slope.attrs["units"], shrink=0.9, extend="both")
    above.suptitle(f"bigrad: {_when(temperature)}", x=0.01, ha="left", size=15, weight="bold")
    above.supxlabel(scene.notes[0], x=0.01, ha="left", fontsize=9, color="0.35")

    flat, round_ = below.subplots(1, 2, width_ratios=[2, 1])
    scaled = 1e5 * vorticity
    largest = float(np.abs(scaled).max())
    colours: dict[str, Any] = {"cmap": "PuOr_r", "vmin": -largest, "vmax": largest}
    image = _map(flat, scaled, **colours)
    _arrows(flat, *wind)
    flat.set_title("vorticity of a Rossby-Haurwitz wind", loc="left", fontsize=13)
    _globe(round_, scaled, **colours)
    round_.set_title("from above the north pole", loc="left", fontsize=11)
    for ax in (flat, round_):
        ax.set_anchor("N")
    _bar(below, image, flat, f"$10^{{-5}}$ {vorticity.attrs['units']}", shrink=0.67)
    below.supxlabel(scene.notes[1], x=0.01, ha="left", fontsize=9, color="0.35")
    figure.savefig(path, dpi=120)


def _middle(store: Path, name: str) -> xr.DataArray:
    with xr.open_zarr(store, chunks=None, consolidated=False) as dataset:
        field: xr.DataArray = dataset[name]
        return field.isel(time=field.sizes["time"] // 2).load()


def _when(panel: xr.DataArray) -> str:
    return str(panel["time"].dt.strftime("%Y-%m-%d %H:%M").item())


def _map(ax: Any, panel: xr.DataArray, **colours: Any) -> Any:
    image = ax.imshow(panel, extent=_edges(panel), interpolation="nearest", **colours)
    ax.set(xlim=(0, 360), ylim=(-90, 90))
    ax.set_xticks(range(0, 361, 60), [f"{x}°" for x in range(0, 361, 60)])
    ax.set_yticks(range(-90, 91, 45), ["90° S", "45° S", "0°", "45° N", "90° N"])
    ax.tick_params(labelsize=8, length=2)
    ax.spines[:].set_visible(False)
    return image


def _edges(panel: xr.DataArray) -> tuple[float, float, float, float]:
    """Return where the outermost cells end: left, right, bottom, top."""
    latitude, longitude = (panel[name].to_numpy() for name in ("latitude", "longitude"))
    half = float(longitude[1] - longitude[0]) / 2
    return (
        float(longitude[0]) - half,
        float(longitude[-1]) + half,
        float(latitude[-1]) - half,
        float(latitude[0]) + half,
    )


def _arrows(ax: Any, u: xr.DataArray, v: xr.DataArray) -> None:
    """Draw the wind, an arrow to every ten degrees."""
    longitude, latitude = np.meshgrid(np.arange(5, 360, 10), np.arange(-80, 81, 10))
    points = {
        "longitude": xr.DataArray(longitude, dims=("y", "x")),
        "latitude": xr.DataArray(latitude, dims=("y", "x")),
    }
    some = [wind.sel(points, method="nearest") for wind in (u, v)]
    ax.quiver(longitude, latitude, *some, color="0.15", width=0.0014, scale=2600, pivot="mid")


def _globe(ax: Any, panel: xr.DataArray, **colours: Any) -> None:
    """Draw the northern half as it is seen from above the pole."""
    north = panel.where(panel["latitude"] >= 0, drop=True)
    resolution = float(north["longitude"][1] - north["longitude"][0])
    corners = np.linspace(-resolution / 2, 360 - resolution / 2, north.sizes["longitude"] + 1)
    middles = north["latitude"].to_numpy()
    rims = np.concatenate([[90.0], (middles[:-1] + middles[1:]) / 2, [0.0]])
    distance, angle = np.cos(np.deg2rad(rims))[:, None], np.deg2rad(corners)
    ax.pcolormesh(
        distance * np.sin(angle), -distance * np.cos(angle), north, rasterized=True, **colours
    )
    around = np.linspace(0, 2 * np.pi, 361)
    for latitude in (0, 30, 60):
        size = np.cos(np.deg2rad(latitude))
        ax.plot(
            size * np.sin(around), size * np.cos(around), color="0.3", linewidth=0.5, alpha=0.6
        )
    for meridian in np.deg2rad(np.arange(0, 360, 60)):
        ax.plot(
            [0, np.sin(meridian)], [0, -np.cos(meridian)], color="0.3", linewidth=0.5, alpha=0.6
        )
    ax.set_aspect("equal")
    ax.set_axis_off()


def _bar(figure: Any, image: Any, ax: Any, label: str, **looks: Any) -> None:
    bar = figure.colorbar(image, ax=ax, orientation="horizontal", aspect=35, pad=0.02, **looks)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
