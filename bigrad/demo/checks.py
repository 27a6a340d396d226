"""Results of the demonstration against exact answers, and how far they may be from these.

The bounds are those of Taylor's theorem, and what rounding to float32 adds to them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from bigrad.demo.grid import Grid
from bigrad.demo.waves import Waves, Wind

__all__ = ["Deviation", "slopes", "vorticity"]

EPS = float(np.finfo(np.float32).eps)
STEPS_AT_ONCE = 8


@dataclass(frozen=True)
class Deviation:
    """How far a result is from the exact one, and how far it may be.

    Attributes
    ----------
    where : str
        Of which result, and on which part of the grid.
    found, bound : float
        In `units`.
    units : str
        What both are in.
    """

    where: str
    found: float
    bound: float
    units: str

    @property
    def kept(self) -> bool:
        """Whether the bound holds; not where a value is missing."""
        return self.found <= self.bound

    def __str__(self) -> str:
        return f"{self.found:.1e} of at most {self.bound:.1e} {self.units}"


def slopes(target: Path, name: str, waves: Waves, grid: Grid) -> Iterator[Deviation]:
    """Compare derivatives along both coordinates with the exact ones.

    The bounds are ``h**2 / 6 * max|f'''|`` for centred differences and ``h / 2 * max|f''|`` for
    one-sided ones, and half a unit in the last place for each rounding to float32.
    """
    h = grid.resolution
    rounding = float(np.spacing(np.float32(waves.limit))) / 2
    with xr.open_zarr(target, chunks=None, decode_times=False) as results:
        for axis, coord in enumerate(("latitude", "longitude")):
            exact = waves.along(coord)
            arithmetic = EPS * exact.limit
            errors = _largest(results[f"d{name}_d{coord}"], exact, grid).max(axis=1 - axis)
            yield Deviation(
                f"along {coord}, inside",
                float(errors[1:-1].max()),
                h**2 / 6 * waves.along(coord, times=3).limit + rounding / h + arithmetic,
                "K per degree",
            )
            yield Deviation(
                f"along {coord}, at the ends",
                float(errors[[0, -1]].max()),
                h / 2 * waves.along(coord, times=2).limit + 2 * rounding / h + arithmetic,
                "K per degree",
            )


def vorticity(target: Path, wind: Wind, grid: Grid) -> Iterator[Deviation]:
    """Compare vorticities with the exact ones, relative to the largest of these.

    Away from the poles, the differences of u along latitude and of v along longitude err by
    ``h**2 / 6`` times a third derivative each. At a pole, the mean over a cap of radius h
    stands for its centre. Waves along longitude have no part in it. Of the rest, the sum at two
    opposite points is twice that at the centre but for ``d**2 * max|f''|`` at a distance d, of
    which the mean over the cap is half that at its rim: ``h**2 / 4 * max|f''|`` is left.
    """
    h = grid.resolution
    per_metre = 1 / (np.deg2rad(1.0) * wind.radius)
    parts = ((wind.u, "latitude"), (wind.v_by_cos, "longitude"))
    curved = h**2 / 6 * sum(part.along(coord, times=3).limit for part, coord in parts)
    rounding = EPS / 2 / h * sum(part.limit for part, _ in parts)
    arithmetic = EPS * sum(part.along(coord).limit for part, coord in parts)
    cap = h**2 / 4 * wind.vorticity.zonal_mean.along("latitude", times=2).limit
    with xr.open_zarr(target, chunks=None, decode_times=False) as results:
        errors = _largest(results["vorticity"], wind.vorticity, grid).max(axis=1)
    strongest = float(np.abs(wind.vorticity.values(0.0, grid.latitude, grid.longitude)).max())
    units = "of the strongest vorticity"
    yield Deviation(
        "away from the poles",
        float(errors[1:-1].max()) / strongest,
        (curved + rounding + arithmetic) * per_metre / strongest,
        units,
    )
    yield Deviation(
        "at the poles",
        float(errors[[0, -1]].max()) / strongest,
        (cap + arithmetic * per_metre) / strongest,
        units,
    )


def _largest(computed: xr.DataArray, exact: Waves, grid: Grid) -> np.ndarray:
    """Return the largest error of all steps at each point; NaN where a value is missing."""
    largest = np.zeros(grid.shape[1:])
    for first in range(0, grid.steps, STEPS_AT_ONCE):
        some = computed[first : first + STEPS_AT_ONCE].to_numpy()
        for step, values in enumerate(some, start=first):
            error = np.abs(values - exact.values(step, grid.latitude, grid.longitude))
            np.maximum(largest, error, out=largest)
    return largest
