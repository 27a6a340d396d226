"""The stores that the demonstration writes, as ERA5 archives are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from bigrad.demo.grid import Grid
from bigrad.demo.waves import Waves

__all__ = ["TEMPERATURE", "WIND", "create", "fill"]

TEMPERATURE = {
    "t2m": {
        "standard_name": "air_temperature",
        "long_name": "2 metre temperature",
        "units": "K",
    }
}
WIND = {
    "u": {"standard_name": "eastward_wind", "units": "m s-1"},
    "v": {"standard_name": "northward_wind", "units": "m s-1"},
}


def create(path: Path, grid: Grid, variables: Mapping[str, Mapping[str, str]]) -> None:
    """Create a store as an ERA5 archive has it: zarr, one step to a chunk.

    Whatever was at `path` is replaced. The coordinates are in it, the variables are empty.
    """
    import zarr
    from zarr.codecs import BloscCodec

    coords = xr.Dataset(
        coords={
            "time": (
                "time",
                np.arange(grid.steps),
                {"standard_name": "time", "units": "hours since 2020-01-01"},
            ),
            "latitude": (
                "latitude",
                grid.latitude.astype("float32"),
                {"standard_name": "latitude", "units": "degrees_north"},
            ),
            "longitude": (
                "longitude",
                grid.longitude.astype("float32"),
                {"standard_name": "longitude", "units": "degrees_east"},
            ),
        },
        attrs={"Conventions": "CF-1.11", "title": "Plane waves in the shape of ERA5"},
    )
    coords.to_zarr(path, mode="w", zarr_format=3, consolidated=False)
    group = zarr.open_group(path, mode="r+")
    for name, attributes in variables.items():
        group.create_array(
            name,
            shape=grid.shape,
            chunks=(1, *grid.shape[1:]),
            dtype="float32",
            compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"),
            fill_value=np.nan,
            dimension_names=("time", "latitude", "longitude"),
            attributes=dict(attributes),
        )


def fill(path: Path, name: str, waves: Waves, grid: Grid) -> None:
    """Write the values of a variable; no more than a step is in memory."""
    import zarr

    array = zarr.open_array(path / name, mode="r+")
    for step in range(grid.steps):
        array[step] = waves.values(step, grid.latitude, grid.longitude).astype("float32")
