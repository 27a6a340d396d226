"""Labelled arrays, against xarray."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from dask.base import persist

import bigrad  # noqa: F401  (registers ``.grad``)
from benchmarks.arrays import field, positions
from benchmarks.comparison import BIGRAD, Case, Comparison, Size

__all__ = ["LABELLED", "ROWS"]

LABELLED = "xarray"
XARRAY = "differentiate"


def _dataset(shape: tuple[int, ...]) -> xr.Dataset:
    time, latitude, longitude = shape
    return xr.Dataset(
        {"t": (("time", "latitude", "longitude"), field(shape, np.float32), {"units": "K"})},
        {
            "time": np.datetime64("2026-01-01", "ns") + np.arange(time) * np.timedelta64(1, "h"),
            "latitude": ("latitude", -positions(latitude), {"units": "degrees_north"}),
            "longitude": ("longitude", 0.25 * np.arange(longitude), {"units": "degrees_east"}),
        },
    )


def _labelled(coord: str, chunks: str) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        ds = _dataset(size.lazy if chunks else size.field)
        if chunks:
            ds = ds.chunk(dict(zip(ds["t"].dims, size.chunks[chunks], strict=True)))
        unit: Any = "s" if coord == "time" else None
        return Case(
            {
                BIGRAD: lambda: persist(ds["t"].grad.compute(coord).data),
                XARRAY: lambda: persist(ds["t"].differentiate(coord, datetime_unit=unit).data),
            },
            exact=(XARRAY,),
            nbytes=2 * ds["t"].nbytes,
        )

    return prepare


def _rows() -> Iterator[Comparison]:
    for coord in ("time", "latitude", "longitude"):
        yield Comparison(LABELLED, f"in memory, {coord}", _labelled(coord, ""), threads=2)
    for coord in ("time", "latitude", "longitude"):
        name = f"dask, 8 MB blocks, {coord}"
        yield Comparison(LABELLED, name, _labelled(coord, "8 MB blocks"), threads=2)


ROWS = tuple(_rows())
