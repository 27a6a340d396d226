"""Points of the scaling figure: one way, one size, one fresh process."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np

import bigrad
from benchmarks.chunks import COPY, DASK
from benchmarks.comparison import BIGRAD, SECONDS, Measured
from benchmarks.fresh import call
from benchmarks.jobs import XARRAY, make_store

__all__ = ["COUNT_WAYS", "SIZE_WAYS", "by_count", "by_size", "streamed"]

SIZE_WAYS = (BIGRAD, XARRAY)
COUNT_WAYS = (BIGRAD, DASK, COPY)

_PLANE = (361, 720)  # 1.04 MB of float32
_CELLS = 1000  # of a chunk: 8 kB, so that the time is the scheduler's


def by_size(megabytes: float, folder: Path) -> dict[str, Measured]:
    """Differentiate stores of a size along longitude, in chunks of 4 MB."""
    plane = _PLANE if megabytes >= 1 else (36, 72)
    planes = max(1, round(megabytes * 1e6 / (4 * plane[0] * plane[1])))
    make_store(folder / "source.zarr", (planes, *plane), (min(4, planes), *plane))
    source, target = str(folder / "source.zarr"), str(folder / "target.zarr")
    return {
        way: call("benchmarks.jobs:converted", way, source, target, "longitude")
        for way in SIZE_WAYS
    }


def by_count(chunks: int) -> dict[str, Measured]:
    """Differentiate dask arrays of a number of chunks, and throw the results away."""
    return {way: call("benchmarks.scaling:streamed", way, chunks) for way in COUNT_WAYS}


def streamed(way: str, chunks: int) -> dict[str, float]:
    """Seconds to make the graph of one array and to run it on two threads."""
    make: dict[str, Callable[[Any], Any]] = {
        BIGRAD: lambda x: bigrad.gradient(x, 0.25, axis=0),
        DASK: lambda x: da.gradient(x, 0.25, axis=0),
        COPY: lambda x: x.map_blocks(np.copy),
    }
    x = da.ones(_CELLS * chunks, chunks=_CELLS)
    nowhere: Any = _Nowhere()
    began = time.perf_counter()
    with dask.config.set(scheduler="threads", num_workers=2):
        da.store([make[way](x)], [nowhere], lock=False)
    return {SECONDS: time.perf_counter() - began}


class _Nowhere:
    """Takes results and keeps none."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass
