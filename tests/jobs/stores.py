"""Zarr stores for the tests of jobs: written by xarray, small, in every layout."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from zarr.abc.store import Store
from zarr.storage import WrapperStore

__all__ = ["Counting", "grid", "write"]


class Counting(WrapperStore[Store]):
    """A store that keeps the keys of all objects that were read."""

    keys: list[str]

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.keys = []

    def _with_store(self, store: Store) -> "Counting":
        other = type(self)(store)
        other.keys = self.keys
        return other

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.keys.append(key)
        return await super().get(key, *args, **kwargs)


def grid(shape: tuple[int, int, int] = (5, 7, 9), dtype: str = "float32") -> xr.Dataset:
    """A field with CF attributes on time, latitude and longitude, each of another spacing."""
    rng = np.random.default_rng(7)
    time, latitude, longitude = shape
    values = (280 + 20 * rng.normal(size=shape)).astype(dtype)
    return xr.Dataset(
        {
            "t": (
                ("time", "latitude", "longitude"),
                values,
                {"units": "K", "standard_name": "air_temperature", "long_name": "temperature"},
            )
        },
        {
            "time": np.datetime64("2001-01-01", "ns")
            + np.cumsum(rng.integers(1, 9, time)) * np.timedelta64(3600 * 10**9, "ns"),
            "latitude": ("latitude", np.linspace(90, -90, latitude), {"units": "degrees_north"}),
            "longitude": (
                "longitude",
                (np.arange(longitude) * 0.25).astype("float32"),
                {"units": "degrees_east"},
            ),
        },
        {"Conventions": "CF-1.8", "history": "2001-01-01: made"},
    )


def write(dataset: xr.Dataset, path: Path, **options: Any) -> Path:
    """Write a dataset as xarray does, with nothing left of the encoding it came with."""
    with warnings.catch_warnings():
        # zarr warns of consolidated metadata and of text, which version 3 does not specify.
        warnings.simplefilter("ignore")
        dataset.drop_encoding().to_zarr(path, **options)
    return path
