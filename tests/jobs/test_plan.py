import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.dirfs import DirFileSystem
from packaging.version import Version
from zarr.storage import (
    FsspecStore,
    LocalStore,
    LoggingStore,
    MemoryStore,
    WrapperStore,
    ZipStore,
)

import bigrad
from bigrad.errors import (
    BigradError,
    CoordinateError,
    MemoryCeilingError,
    SourceError,
    TargetError,
)
from bigrad.jobs.selection import select
from bigrad.jobs.source import open_source
from bigrad.numerics.schemes import Scheme
from tests.jobs.stores import Counting, grid, write

MEMORY = "4GiB"  # The tests' own process holds some hundred MiB.


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 3, 4)}})


def test_planning_reads_metadata_only(source: Path, tmp_path: Path) -> None:
    store = Counting(LocalStore(source))
    job = bigrad.plan(store, tmp_path / "out.zarr", ["time", "latitude"], memory=MEMORY)
    repr(job)
    assert store.keys
    assert {key.rsplit("/", 1)[-1] for key in store.keys} <= {
        "zarr.json",
        ".zarray",
        ".zattrs",
        ".zgroup",
        ".zmetadata",
    }
    assert not (tmp_path / "out.zarr").exists()


def test_planning_opens_each_variable_a_few_times(tmp_path: Path) -> None:
    def asked(count: int) -> int:
        variables = {f"t{number}": ("x", [0.0, 1.0, 4.0]) for number in range(count)}
        ds = xr.Dataset(variables, {"x": [0.0, 1.0, 2.0]})
        store = Counting(LocalStore(write(ds, tmp_path / f"{count}.zarr")))
        bigrad.plan(store, MemoryStore(), "x", memory=MEMORY).stages()
        return len(store.keys)

    assert asked(20) <= 2 * asked(10)


def test_the_order_in_which_a_store_is_listed_is_no_matter(source: Path) -> None:
    ds = grid()
    opened = open_source(write(ds.assign(s=ds["t"], r=ds["t"]), source.with_name("three.zarr")))
    names = reversed([*opened.dataset.variables])
    backwards = replace(opened, dataset=opened.dataset[list(names)])
    assert list(backwards.dataset.variables) != list(opened.dataset.variables)
    one, other = (select(s, "time", None, Scheme(), None, None) for s in (opened, backwards))
    assert one == other


def test_the_job_reads_as_many_chunks_as_planned(source: Path, tmp_path: Path) -> None:
    store = Counting(LocalStore(source))
    job = bigrad.plan(store, tmp_path / "out.zarr", ["time", "longitude"], memory=MEMORY)
    store.keys.clear()
    job.run()
    read = [key for key in store.keys if key.startswith("t/c/")]
    assert len(read) * job.parts[0].demand.inputs[0].layout.chunk_bytes == job.bytes_read


def test_a_store_of_a_petabyte_is_planned_from_metadata() -> None:
    store = MemoryStore()
    shape, chunk = (1_300_000, 37, 721, 1440), (1, 37, 721, 1440)
    names = ("time", "level", "latitude", "longitude")
    zarr.create_array(
        store, name="t", shape=shape, chunks=chunk, dtype="float32", dimension_names=names
    )
    for name, n in zip(names, shape, strict=True):
        zarr.create_array(
            store, name=name, shape=(n,), chunks=(n,), dtype="float64", dimension_names=[name]
        )
    job = bigrad.plan(store, MemoryStore(), "time", memory="4GiB")
    part = job.parts[0]
    assert part.grid.block[1:] == shape[1:]
    assert len(part.grid) == math.ceil(shape[0] / part.grid.block[0])
    assert job.projected_memory <= 4 * 2**30
    assert part.amplification < 1.1
    assert " strips of " in repr(job)


def test_axes_that_are_differentiated_stay_whole_where_they_fit(tmp_path: Path) -> None:
    path = write(grid((16, 16, 16)), tmp_path / "in.zarr", encoding={"t": {"chunks": (4, 4, 4)}})
    for axis, coord in enumerate(("time", "latitude", "longitude")):
        job = bigrad.plan(path, tmp_path / "out.zarr", coord, memory=MEMORY)
        assert job.parts[0].grid.block[axis] == 16
        assert job.parts[0].amplification == 1


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_the_least_memory_named_is_enough(
    source: Path, tmp_path: Path, workers: int | None
) -> None:
    with pytest.raises(MemoryCeilingError, match="cannot be kept") as caught:
        bigrad.plan(source, tmp_path / "out.zarr", "time", memory="1MiB", workers=workers)
    least = str(caught.value).split("would do is ")[1].split()[0]
    job = bigrad.plan(source, tmp_path / "out.zarr", "time", memory=least, workers=workers)
    assert job.projected_memory <= job.ceiling
    assert job.run().blocks


def test_the_plan_tells_what_it_will_do(source: Path, tmp_path: Path) -> None:
    text = repr(bigrad.plan(source, tmp_path / "out.zarr", ["time"], memory=MEMORY))
    for part in (
        "in.zarr",
        "out.zarr",
        "dt_dtime",
        "5 x 7 x 9",
        "block",
        "4.00 GiB",
        "64.00 MiB margin",
    ):
        assert part in text


Arguments = dict[str, Any]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"coord": "lon"}, CoordinateError, "`lon` was not found.*`longitude`"),
        ({"coord": []}, CoordinateError, "`coord` must name"),
        ({"coord": ["time", "time"]}, CoordinateError, "each once"),
        ({"variables": ["q"]}, SourceError, "'q'.*'t'"),
        ({"variables": []}, SourceError, "nothing"),
        ({"variables": ["t", "longitude"]}, SourceError, "'longitude', a coordinate"),
        ({"chunks": {"time": True}}, TargetError, "above zero, found True"),
        ({"workers": True}, ValueError, "`workers`"),
        ({"target": "file://somewhere/out.zarr"}, TargetError, "no absolute path"),
        ({"target": "file:out.zarr"}, TargetError, "no absolute path"),
        ({"target": "/proc/nope/out.zarr"}, TargetError, "cannot be written to: '/proc'"),
        ({"chunks": {"x": 2}}, TargetError, "`chunks` names 'x'"),
        ({"chunks": {"time": 0}}, TargetError, "above zero"),
        ({"chunks": {"time": 2}, "shards": {"time": 3}}, TargetError, "no multiple"),
        ({"edge_order": 3}, ValueError, "`edge_order` must be 1 or 2"),
        ({"workers": 0}, ValueError, "`workers`"),
        ({"memory": "much"}, ValueError, "`memory` is not a size"),
        ({"source": "nowhere.zarr"}, SourceError, "not a zarr group"),
        ({"source": 5}, SourceError, "found 5"),
        ({"target": "nothing://there"}, TargetError, "cannot be opened"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(
    source: Path, tmp_path: Path, arguments: Arguments, error: type[Exception], match: str
) -> None:
    given: Arguments = {"source": source, "target": tmp_path / "out.zarr", "coord": "time"}
    with pytest.raises(error, match=match):
        bigrad.plan(**{"memory": MEMORY, **given, **arguments})
    assert not (tmp_path / "out.zarr").exists()


def test_short_axes_are_refused(tmp_path: Path) -> None:
    path = write(grid((2, 3, 3)), tmp_path / "in.zarr")
    with pytest.raises(CoordinateError, match="at least 3, found 2"):
        bigrad.plan(path, tmp_path / "out.zarr", "time", edge_order=2, memory=MEMORY)


def test_sharding_needs_version_3(tmp_path: Path) -> None:
    path = write(grid(), tmp_path / "in.zarr", zarr_format=2)
    with pytest.raises(TargetError, match="version 3"):
        bigrad.plan(path, tmp_path / "out.zarr", "time", shards={"time": 4}, memory=MEMORY)


def test_names_that_clash_are_refused(tmp_path: Path) -> None:
    dataset = grid().assign(dt_dtime=("station", [1.0]))
    path = write(dataset, tmp_path / "in.zarr")
    with pytest.raises(TargetError, match="'dt_dtime'"):
        bigrad.plan(path, tmp_path / "out.zarr", ["time"], memory=MEMORY)


def test_numpys_integers_are_numbers_too(source: Path, tmp_path: Path) -> None:
    two: Any = np.int64(2)
    job = bigrad.plan(
        source, tmp_path / "out.zarr", "time", workers=two, chunks={"time": two}, memory=MEMORY
    )
    assert job.workers == job.parts[0].demand.target.chunk[0] == 2


def test_what_is_copied_counts(tmp_path: Path) -> None:
    dataset = grid().assign(table=("entry", np.zeros(2**25)))
    path = write(dataset, tmp_path / "in.zarr", encoding={"table": {"chunks": (2**25,)}})
    job = bigrad.plan(path, tmp_path / "out.zarr", "time", memory=MEMORY, workers=1)
    assert job.projected_memory > job.reserved + 2**28
    assert "256.00 MiB" in repr(job)
    ceiling = job.projected_memory - 2**27
    with pytest.raises(MemoryCeilingError, match=r"copying 'table'.*256.00 MiB.*`variables`"):
        bigrad.plan(path, tmp_path / "out.zarr", "time", memory=ceiling, workers=1)
    bigrad.plan(path, tmp_path / "out.zarr", "time", variables=["t"], memory=ceiling, workers=1)


def test_an_array_without_cells(tmp_path: Path) -> None:
    path = write(grid().isel(latitude=slice(0, 0)), tmp_path / "in.zarr")
    job = bigrad.plan(path, tmp_path / "out.zarr", "time", memory=MEMORY)
    assert "nan" not in repr(job)
    assert job.run().blocks == 0
    assert xr.open_zarr(tmp_path / "out.zarr")["t"].shape == (5, 0, 9)


@pytest.mark.parametrize("mode", ["r", "w"])
def test_zip_files_are_sources_that_are_open_for_reading(
    source: Path, tmp_path: Path, mode: Any
) -> None:
    shutil.make_archive(str(tmp_path / "in"), "zip", source)
    store = ZipStore(tmp_path / "in.zip", mode=mode)
    out = tmp_path / "out.zarr"
    if mode == "r":
        bigrad.plan(store, out, "time", memory=MEMORY).run()
        store.close()
        return
    with pytest.raises(SourceError, match="open it for reading"):
        bigrad.plan(store, out, "time", memory=MEMORY)
    with pytest.raises(TargetError, match="deletes nothing"):
        bigrad.plan(source, store, "time", memory=MEMORY)


def linked(source: Path) -> Path:
    link = source.parent / "link.zarr"
    link.symlink_to(source)
    return link


@pytest.mark.parametrize(
    ("target", "match"),
    [
        (lambda source: source, "is the source"),
        (lambda source: source / ".." / source.name, "is the source"),
        (lambda source: f"file://{source}", "is the source"),
        (linked, "is the source"),
        (lambda source: source / "deep", "lies inside"),
        (lambda source: linked(source) / "deep", "lies inside"),
        (lambda source: source.parent, "contains"),
        (lambda source: f"file:{source}", "is the source"),
        (lambda source: f"simplecache::file://{source}", "is the source"),
        (lambda source: f"simplecache::file://{source}/deep", "lies inside"),
        (LocalStore, "is the source"),
        (lambda source: WrapperStore(LocalStore(source)), "is the source"),
        (lambda source: LoggingStore(WrapperStore(LocalStore(source / "deep"))), "lies inside"),
        (lambda source: ZipStore(source / "deep.zip", mode="r"), "read-only"),
    ],
)
def test_targets_that_would_destroy_the_source_are_refused_always(
    source: Path, target: Callable[[Path], Any], match: str
) -> None:
    with pytest.raises(TargetError, match=match):
        bigrad.plan(source, target(source), "time", overwrite=True, memory=MEMORY)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda source: WrapperStore(LocalStore(source)),
        lambda source: LoggingStore(LocalStore(source)),
        lambda source: f"simplecache::file://{source}",
        lambda source: FsspecStore(_directory(source.parent), path=source.name),
    ],
)
def test_a_source_is_known_whatever_is_around_it(
    source: Path, wrapped: Callable[[Path], Any]
) -> None:
    with pytest.raises(TargetError, match="is the source"):
        bigrad.plan(wrapped(source), source, "time", overwrite=True, memory=MEMORY)
    with pytest.raises(TargetError, match="lies inside"):
        bigrad.plan(wrapped(source), source / "deep", "time", overwrite=True, memory=MEMORY)


def _directory(path: Path) -> Any:
    local = fsspec.filesystem("file")
    return AsyncFileSystemWrapper(DirFileSystem(str(path), fs=local), asynchronous=True)


@pytest.mark.skipif(
    Version(fsspec.__version__) < Version("2026.9"),
    reason="fsspec 2026.9 is the first that says what a zip archive lacks as zarr expects it",
)
def test_what_cannot_be_told_from_the_source_is_not_overwritten(
    source: Path, tmp_path: Path
) -> None:
    archive = shutil.make_archive(str(tmp_path / "in"), "zip", source)
    out = tmp_path / "out.zarr"
    bigrad.plan(f"zip::file://{archive}", out, "time", memory=MEMORY).run()
    with pytest.raises(TargetError, match="cannot be told from the source"):
        bigrad.plan(f"zip::file://{archive}", out, "time", overwrite=True, memory=MEMORY)


def test_file_urls_name_files_with_any_letters(source: Path, tmp_path: Path) -> None:
    bigrad.plan(source, f"file://{tmp_path}/a#1?b%20c.zarr", "time", memory=MEMORY).run()
    assert (tmp_path / "a#1?b c.zarr" / "zarr.json").exists()


def test_a_store_in_memory_is_not_its_own_target() -> None:
    store = MemoryStore()
    grid()[["t"]].isel(time=0, drop=True).drop_encoding().to_zarr(
        store,
        consolidated=False,
    )
    with pytest.raises(TargetError, match="is the source"):
        bigrad.plan(store, store.with_read_only(read_only=False), "latitude", memory=MEMORY)


def test_existing_targets_are_refused(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    bigrad.plan(source, out, "time", memory=MEMORY).run()
    with pytest.raises(TargetError, match="exists already"):
        bigrad.plan(source, out, "time", memory=MEMORY)
    bigrad.plan(source, out, "latitude", memory=MEMORY, overwrite=True).run()


def test_what_is_no_zarr_store_is_never_replaced(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.tex").write_text("years of work")
    for target in (out, out / "chapter1.tex"):
        with pytest.raises(TargetError, match="not a zarr hierarchy"):
            bigrad.plan(source, target, "time", memory=MEMORY, overwrite=True)
    assert (out / "chapter1.tex").read_text() == "years of work"


def test_a_target_made_between_plan_and_run_is_refused(source: Path, tmp_path: Path) -> None:
    job = bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY)
    shutil.copytree(source, tmp_path / "out.zarr")
    with pytest.raises(TargetError, match="exists already"):
        job.run()


def test_a_target_that_cannot_be_written_is_refused_with_nothing_read(
    source: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match=r"cannot be written.*'/.*/file'"):
        bigrad.plan(source, tmp_path / "file" / "out.zarr", "time", memory=MEMORY)
    job = bigrad.plan(source, tmp_path / "new" / "out.zarr", "time", memory=MEMORY)
    (tmp_path / "new").write_text("")
    with pytest.raises(TargetError, match="cannot be written"):
        job.run()


@pytest.mark.parametrize(
    ("positions", "match"),
    [([0.0, 1.0, np.nan, 3.0, 4.0], "not finite"), ([0.0, 1.0, 1.0, 2.0, 3.0], "monotonic")],
)
def test_bad_coordinates_are_refused_before_anything_is_written(
    tmp_path: Path, positions: list[float], match: str
) -> None:
    dataset = grid().assign_coords(time=positions)
    path = write(dataset, tmp_path / "in.zarr")
    job = bigrad.plan(path, tmp_path / "out.zarr", "time", memory=MEMORY)
    with pytest.raises(CoordinateError, match=match):
        job.run()
    assert not (tmp_path / "out.zarr").exists()


def test_times_that_cannot_be_decoded_are_named(tmp_path: Path) -> None:
    dataset = grid().assign_coords(
        time=("time", np.arange(5), {"units": "months since 2000-01-01"})
    )
    path = write(dataset, tmp_path / "in.zarr")
    job = bigrad.plan(path, tmp_path / "out.zarr", "time", memory=MEMORY)
    with pytest.raises(CoordinateError, match=r"`time`.*'months since 2000-01-01'"):
        job.coordinates()


def test_every_error_is_one_of_bigrads_and_a_value_error() -> None:
    for error in (CoordinateError, MemoryCeilingError, SourceError, TargetError):
        assert issubclass(error, BigradError)
        assert issubclass(error, ValueError)


def test_a_unit_of_time_needs_a_time(source: Path, tmp_path: Path) -> None:
    job = bigrad.plan(source, tmp_path / "out.zarr", "latitude", datetime_unit="h", memory=MEMORY)
    with pytest.raises(CoordinateError, match="`datetime_unit`"):
        job.run()


def test_unnamed_dimensions_are_refused(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "in.zarr").create_array("t", shape=(4,), dtype="float32")
    with pytest.raises(SourceError, match="cannot be opened by xarray"):
        bigrad.plan(tmp_path / "in.zarr", tmp_path / "out.zarr", "x", memory=MEMORY)


def test_results_are_xarrays(source: Path, tmp_path: Path) -> None:
    bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY).run()
    result = xr.open_zarr(tmp_path / "out.zarr", chunks=None)
    expected = xr.open_zarr(source, chunks=None).grad.compute("time")
    xr.testing.assert_identical(result.drop_attrs(deep=False), expected.drop_attrs(deep=False))


# Shape, chunk and shard of stores that are larger than memory along every axis.
ARCHIVES = {
    "maps": ((8760, 721, 1440), (1, 721, 1440), None),
    "blocks": ((8760, 721, 1440), (64, 91, 180), None),
    "columns": ((8760, 721, 1440), (256, 24, 48), None),
    "cubes": ((8760, 721, 1440), (100, 90, 90), None),
    "months": ((8760, 721, 1440), (744, 24, 48), None),
    "shards": ((8760, 728, 1440), (1, 91, 180), (24, 182, 360)),
    "a year of maps": ((256, 721, 1440), (1, 721, 1440), None),
}


@pytest.mark.parametrize("coord", ["time", "latitude", "longitude"])
@pytest.mark.parametrize("archive", ARCHIVES)
def test_each_chunk_is_decoded_about_once_in_little_memory(
    archive: str, coord: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a process of its own holds, which this one is not.
    monkeypatch.setattr("bigrad.jobs.demands.resident_memory", lambda: 240 * 2**20)
    shape, chunk, shard = ARCHIVES[archive]
    store, names = MemoryStore(), ("time", "latitude", "longitude")
    zarr.create_array(
        store, name="t", shape=shape, chunks=chunk, shards=shard, dtype="f4", dimension_names=names
    )
    for name, n in zip(names, shape, strict=True):
        zarr.create_array(
            store, name=name, shape=(n,), chunks=(n,), dtype="f8", dimension_names=[name]
        )
    job = bigrad.plan(store, MemoryStore(), coord, memory="512MiB")
    assert [part.amplification <= 1.1 for part in job.parts] == [True]
    assert job.projected_memory <= 512 * 2**20


def test_texts_that_are_copied_count_with_their_length(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr", consolidated=False)
    group = zarr.open_group(source)
    texts = np.array(["a" * 5_000_000, "b"], dtype=object)
    array = group.create_array(
        "note", shape=(2,), dtype=str, chunks=(2,), compressors=None, dimension_names=["n"]
    )
    array[:] = texts
    job = bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY)
    assert job.copied["note"] >= 5_000_000
