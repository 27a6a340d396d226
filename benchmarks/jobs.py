"""From one zarr store to another, in fresh processes, against xarray, cubed and the floor."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
import zarr

from benchmarks.arrays import field
from benchmarks.comparison import BIGRAD, SECONDS, Case, Comparison, Measured, Size, Target
from benchmarks.fresh import MEGABYTES, call

__all__ = ["JOBS", "ROWS", "XARRAY", "converted", "make_store"]

JOBS = "jobs"
XARRAY = "xarray and dask"
CUBED = "cubed"
CODEC = "codec and files alone"

_CEILING = "1GiB"
_WORKERS = 2
_STEP = 0.25
_DIMS = ("time", "latitude", "longitude")

# As many bytes as are encoded in one go, so that the floor is measured in little memory.
_BATCH = 64e6


def make_store(
    path: Path,
    shape: tuple[int, int, int],
    chunks: tuple[int, int, int],
    shards: tuple[int, int, int] | None = None,
) -> None:
    """Write a variable and its coordinates, with zarr's own codec."""
    coords = {dim: _STEP * np.arange(n) for dim, n in zip(_DIMS, shape, strict=True)}
    xr.Dataset(coords=coords).to_zarr(path, consolidated=False)
    variable = zarr.open_group(path, mode="r+").create_array(
        "t", shape=shape, chunks=chunks, shards=shards, dtype=np.float32, dimension_names=_DIMS
    )
    # A pattern that travels, so that a derivative along time is as hard to compress as others.
    # One slab at a time: the whole need not be in memory.
    pattern = np.round(field((1, *shape[1:]), np.float32)[0] * 4) / 4
    thick = (shards or chunks)[0]
    for start in range(0, shape[0], thick):
        steps = range(start, min(start + thick, shape[0]))
        variable[start : steps.stop] = np.stack([np.roll(pattern, 7 * t, axis=1) for t in steps])


def converted(way: str, source: str, target: str, coord: str) -> dict[str, float]:
    """Differentiate one store into another, in a process that has nothing else to do."""
    return {
        BIGRAD: _bigrad,
        XARRAY: _xarray,
        CUBED: _cubed,
        CODEC: _codec,
    }[way](source, target, coord)


def _bigrad(source: str, target: str, coord: str) -> dict[str, float]:
    from bigrad import plan

    began = time.perf_counter()
    plan(source, target, coord, memory=_CEILING, workers=_WORKERS, overwrite=True).run()
    return {SECONDS: time.perf_counter() - began}


def _xarray(source: str, target: str, coord: str) -> dict[str, float]:
    import dask

    began = time.perf_counter()
    with dask.config.set(scheduler="threads", num_workers=_WORKERS):
        ds = xr.open_zarr(source, consolidated=False)
        derivative = ds["t"].differentiate(coord)
        derivative.to_dataset().to_zarr(target, mode="w", consolidated=False)
    return {SECONDS: time.perf_counter() - began}


def _cubed(source: str, target: str, coord: str) -> dict[str, float]:
    import cubed

    axis = _DIMS.index(coord)
    began = time.perf_counter()
    spec = cubed.Spec(
        work_dir=f"{target}-work",
        allowed_mem="1GB",
        executor_name="threads",
        executor_options={"max_workers": _WORKERS},
    )
    x = cubed.from_zarr(source, path="t", spec=spec)
    lazy = cubed.map_overlap(
        _trimmed, x, dtype=x.dtype, chunks=x.chunks, depth={axis: 1}, axis=axis,
        total=x.numblocks[axis],
    )  # fmt: skip
    zarr.open_group(target, mode="w")
    cubed.to_zarr(lazy, target, path="t")
    return {SECONDS: time.perf_counter() - began}


def _trimmed(block: Any, axis: int, total: int, block_id: tuple[int, ...]) -> Any:
    first, last = int(block_id[axis] > 0), int(block_id[axis] < total - 1)
    inside = slice(first, block.shape[axis] - last)
    return np.gradient(block, _STEP, axis=axis)[(slice(None),) * axis + (inside,)]


def _codec(source: str, target: str, coord: str) -> dict[str, float]:
    """Read and decode all chunks of the source, encode and write all of the result; no more."""
    from numcodecs import Zstd

    codec = Zstd(level=0)
    result = zarr.open_array(f"{target}/t", mode="r")
    chunks = list(
        np.ndindex(*(-(-n // c) for n, c in zip(result.shape, result.chunks, strict=True)))
    )
    batch = max(1, round(_BATCH / (4 * np.prod(result.chunks))))
    seconds = 0.0

    def move(number: int, values: Any) -> None:
        codec.decode(Path(source, "t", "c", *map(str, chunks[number])).read_bytes())
        Path(folder, str(number)).write_bytes(codec.encode(values))

    with (
        TemporaryDirectory(dir=Path(target).parent) as folder,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):
        for start in range(0, len(chunks), batch):
            several = range(start, min(start + batch, len(chunks)))
            values = [_whole_chunk(result, chunks[number]) for number in several]
            began = time.perf_counter()
            list(pool.map(move, several, values))
            seconds += time.perf_counter() - began
    return {SECONDS: seconds}


def _whole_chunk(array: Any, place: tuple[int, ...]) -> Any:
    """A chunk as it is stored: those at the end of an axis are as large as the others."""
    values = array.blocks[place]
    return np.pad(values, [(0, c - n) for n, c in zip(values.shape, array.chunks, strict=True)])


def _job(layout: str, coord: str) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        source, chunks = folder / "source.zarr", size.layouts[layout]
        make_store(source, size.stored, chunks)

        def way(name: str, target: str) -> Callable[[], Any]:
            arguments = (name, str(source), str(folder / target), coord)
            if not size.fresh:
                return lambda: Measured(converted(*arguments))
            return lambda: call("benchmarks.jobs:converted", *arguments)

        missing = {} if find_spec("cubed") else {CUBED: "not installed"}
        axis = _DIMS.index(coord)
        length, thick = size.stored[axis], chunks[axis]
        # The last chunk is smaller where the others do not fill the axis.
        if 1 in (thick, length % thick):
            missing[XARRAY] = "raises ValueError: dask.array.gradient needs chunks of 2 or more"
        targets = {BIGRAD: "bigrad.zarr", XARRAY: "xarray.zarr", CUBED: "cubed.zarr"}

        def agree() -> None:
            ours = zarr.open_array(folder / targets[BIGRAD] / "t")
            for name in {XARRAY, CUBED} - set(missing):
                theirs = zarr.open_array(folder / targets[name] / "t")
                for start in range(0, ours.shape[0], ours.chunks[0]):
                    part = slice(start, start + ours.chunks[0])
                    assert np.array_equal(ours[part], theirs[part]), f"{name}: other values"

        ways = {name: way(name, target) for name, target in targets.items()}
        # It reads bigrad's result, which is there from the first round on.
        ways[CODEC] = way(CODEC, targets[BIGRAD])
        return Case(ways, limit=CODEC, agree=agree, absent=missing, once=size.brief)

    return prepare


def _rows() -> Iterator[Comparison]:
    targets = (
        Target("times", 1.35, CODEC),
        Target("faster", 1.6, XARRAY),
        Target("most", 1074, unit=MEGABYTES),
    )
    for layout, coord in product(("maps", "blocks", "time series"), reversed(_DIMS)):
        yield Comparison(
            JOBS,
            f"{layout}, {coord}",
            _job(layout, coord),
            targets,
            _WORKERS,
            brief=(layout, coord) == ("blocks", "time"),
        )


ROWS = tuple(_rows())
