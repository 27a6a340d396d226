import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from bigrad.jobs.memory import MiB, parse_bytes

SHAPE = (48, 361, 720)  # 48 MiB of float32, two thirds of which are noise to the codec.


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("2 kB", 2000),
        (".5KiB", 512),
        ("512MiB", 512 * MiB),
        (1e9, 10**9),
        (np.int64(7), 7),
        (np.float32(7), 7),
    ],
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    "wrong", ["", "MiB", "1 MiBit", "-1", ".5b", 0, -5, float("inf"), float("nan")]
)
def test_wrong_sizes(wrong: str | float) -> None:
    with pytest.raises(ValueError, match="`memory`"):
        parse_bytes(wrong)


@pytest.mark.parametrize("wrong", [True, None, 1j])
def test_what_is_no_size_at_all(wrong: Any) -> None:
    with pytest.raises(TypeError, match="`memory`"):
        parse_bytes(wrong)


def store(
    path: Path,
    chunk: tuple[int, int, int],
    shard: tuple[int, int, int] | None,
    dtype: str,
    codecs: int,
) -> Path:
    group = zarr.create_group(path)
    shape = max(SHAPE[0], chunk[0]), *SHAPE[1:]
    packing: dict[str, Any] = (
        {"scale_factor": 0.01, "add_offset": 280.0} if dtype == "int16" else {}
    )
    names = ("time", "latitude", "longitude")
    array = group.create_array(
        "t",
        shape=shape,
        chunks=chunk,
        shards=shard,
        dtype=dtype,
        compressors=[ZstdCodec(level=0)] * codecs,
        dimension_names=names,
        attributes=packing,
    )
    rng = np.random.default_rng(0)
    array[:] = (rng.normal(size=shape) * 1000).astype(dtype)
    for name, size in zip(names, shape, strict=True):
        group.create_array(name, data=np.arange(float(size)), dimension_names=(name,))
    return path


_JOB = """
import json, sys
import bigrad
source, target, coord, memory = json.loads(sys.argv[1])
job = bigrad.plan(source, target, coord, memory=memory)
report = job.run()
print(json.dumps([job.reserved, job.projected_memory, job.ceiling, report.peak_memory]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system tells no peak")
@pytest.mark.parametrize(
    ("chunk", "shard", "dtype", "codecs", "coord", "memory"),
    [
        ((1, 361, 720), None, "float32", 1, "time", "384MiB"),
        ((8, 361, 720), None, "float32", 1, ["longitude", "latitude"], "512MiB"),
        ((48, 61, 60), None, "float32", 1, ["time", "latitude", "longitude"], "384MiB"),
        ((1, 61, 120), (8, 366, 720), "float32", 1, "time", "384MiB"),
        ((4, 181, 360), None, "int16", 1, "longitude", "384MiB"),
        # Chunks larger than the margin, so that it hides no copy that is not counted.
        ((144, 361, 360), None, "float32", 3, "longitude", "4GiB"),
    ],
)
def test_the_peak_stays_under_the_plan_and_the_ceiling(
    tmp_path: Path,
    chunk: tuple[int, int, int],
    shard: tuple[int, int, int] | None,
    dtype: str,
    codecs: int,
    coord: Any,
    memory: str,
) -> None:
    source = store(tmp_path / "in.zarr", chunk, shard, dtype, codecs)
    arguments = json.dumps([str(source), str(tmp_path / "out.zarr"), coord, memory])
    ran = subprocess.run(
        [sys.executable, "-c", _JOB, arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    reserved, projected, ceiling, peak = json.loads(ran.stdout)
    assert reserved < peak + MiB
    assert peak <= projected <= ceiling == parse_bytes(memory)


COMPILED = """
import sys
import bigrad
from bigrad.numerics import kernels, points, vector_kernels

def compiled():
    loops = {**vars(kernels), **vars(points), **vars(vector_kernels)}
    return {name: loop.signatures for name, loop in loops.items() if hasattr(loop, "signatures")}

source, target, operator, coord = sys.argv[1:]
options = {"x": "lon"} if operator == "laplacian" else {"coord": coord}
options |= {"metric": "sphere"} if operator == "laplacian" else {}
job = bigrad.plan(source, target, operator=operator, variables=["t"], **options)
before = compiled()
job.run()
assert any(before.values())
assert before == compiled(), (before, compiled())
"""


@pytest.mark.parametrize("coord", ["lon", "lat", "laplacian"])
def test_all_loops_are_there_when_the_memory_is_planned(tmp_path: Path, coord: str) -> None:
    lat = np.sin(np.linspace(-1, 1, 6)).astype("f4") * np.float32(90)
    lat[[0, -1]] = -90, 90
    coords = {"lat": lat, "lon": np.arange(8, dtype="f4") * 45}
    field = xr.Dataset({"t": (("lat", "lon"), np.ones((6, 8), "f4"))}, coords)
    field.to_zarr(tmp_path / "in.zarr", consolidated=False)
    operator = coord if coord == "laplacian" else "gradient"
    places = [str(tmp_path / name) for name in ("in.zarr", "out.zarr")]
    command = [sys.executable, "-c", COMPILED, *places, operator, coord]
    subprocess.run(command, check=True, timeout=300)
