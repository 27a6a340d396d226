"""Shaded relief of a landscape that is never in memory as a whole.

    python examples/shaded_relief.py --size 16384 relief.png

The heights are a dask array of a gigabyte (16384 x 16384 float32), made block by block. Their
slopes, the light that falls on them and the small picture of it are lazy until the last line.
"""

import argparse
from pathlib import Path

import dask.array as da
import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

import bigrad

SPACING = 10.0  # metres from one point to the next
PICTURE = 1024  # pixels along each side, at most


def landscape(size: int, chunk: int = 1024) -> da.Array:
    """Return heights in metres on a square grid: ridges of many sizes, one upon the other."""
    positions = da.arange(size, chunks=chunk, dtype="float64") * (8.0 / size)
    heights: da.Array = da.blockwise(
        _ridges, "yx", positions, "y", positions, "x", dtype="float32", meta=np.empty((0, 0), "f4")
    )
    return heights


def _ridges(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    height = np.zeros((y.size, x.size))
    for octave in range(9):
        scale = 2.0**octave
        turn = 0.6 * octave
        along = scale * (np.cos(turn) * x[None, :] + np.sin(turn) * y[:, None])
        across = scale * (np.cos(turn) * y[:, None] - np.sin(turn) * x[None, :])
        ridge = 1 - np.abs(_noise(along, across, seed=octave))
        # Valleys stay smooth: detail comes only where there is height.
        height += ridge**2 / scale * np.clip(height, 0.2, 1.5)
    return (1500 * height).astype("float32")


def _noise(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Return smooth random numbers between -1 and 1, a new one at each whole x and y."""
    i, j = np.floor(x), np.floor(y)
    u, v = ((3 - 2 * t) * t**2 for t in (x - i, y - j))

    def corner(di: int, dj: int) -> np.ndarray:
        mixed = np.sin((i + di) * 127.1 + (j + dj) * 311.7 + seed * 74.7) * 43758.5453
        value: np.ndarray = 2 * (mixed - np.floor(mixed)) - 1
        return value

    lower = corner(0, 0) * (1 - u) + corner(1, 0) * u
    upper = corner(0, 1) * (1 - u) + corner(1, 1) * u
    noise: np.ndarray = lower * (1 - v) + upper * v
    return noise


def relief(
    height: da.Array, spacing: float, azimuth: float = 315.0, altitude: float = 40.0
) -> da.Array:
    """Return the light on each point, from 0 to 1.

    Parameters
    ----------
    height : dask.array.Array, shape (y, x)
        In metres; the first row is the northernmost, the first column the westernmost.
    spacing : float
        Metres between neighbours.
    azimuth, altitude : float
        Where the sun stands, in degrees: clockwise from north, and above the horizon.
    """
    southward, eastward = bigrad.gradient(height, spacing)
    sun_azimuth, sun_altitude = np.deg2rad([azimuth, altitude])
    east = np.sin(sun_azimuth) * np.cos(sun_altitude)
    south = -np.cos(sun_azimuth) * np.cos(sun_altitude)
    up = np.sin(sun_altitude)
    # The normal of the surface is (-eastward, -southward, 1), of this length:
    length = np.sqrt(eastward**2 + southward**2 + 1)
    light: da.Array = np.clip((up - east * eastward - south * southward) / length, 0, 1)
    return light


def draw(path: Path, height: da.Array) -> None:
    """Write the picture: heights as colours, slopes as light."""
    step = max(1, height.shape[0] // PICTURE)
    small = [
        da.coarsen(np.mean, whole, {0: step, 1: step}, trim_excess=True)
        for whole in (height, relief(height, SPACING))
    ]
    heights, light = da.compute(*small)
    low, high = np.quantile(heights, [0, 0.998])
    colours = colormaps["gist_earth"](Normalize(low - (high - low) / 3, high)(heights))
    colours[..., :3] *= 0.25 + 0.95 * light[..., None]
    figure = Figure(figsize=(8, 8), dpi=128, layout="constrained")
    ax = figure.subplots()
    side = height.shape[0] * SPACING / 1000
    ax.imshow(np.clip(colours, 0, 1), extent=(0, side, 0, side))
    ax.set_xlabel("kilometres east")
    ax.set_ylabel("kilometres north")
    figure.savefig(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="points along each side")
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    draw(arguments.picture, landscape(arguments.size))
