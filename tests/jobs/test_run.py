import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numcodecs import (
    Blosc,
    Delta,
    FixedScaleOffset,
    Shuffle,
    Zlib,
)
from zarr.codecs import BloscCodec, GzipCodec, TransposeCodec
from zarr.storage import LocalStore, MemoryStore

import bigrad
from bigrad.errors import CoordinateError, SourceError, TargetError
from bigrad.jobs.report import Progress
from bigrad.jobs.storage import MARKER
from bigrad.jobs.target import CODECS
from tests.bits import assert_same_bits
from tests.jobs.stores import Counting, grid, write

MEMORY = "4GiB"  # The tests' own process holds some hundred MiB.
DATA = Path(__file__).parents[2] / ".." / "shared" / "data"

PACKED = {"scale_factor": 0.01, "add_offset": 273.0, "_FillValue": -999}


def packed() -> xr.Dataset:
    rng = np.random.default_rng(3)
    dataset = grid()
    values = rng.integers(-3000, 3000, dataset["t"].shape).astype("int16")
    values[rng.random(values.shape) < 0.05] = -999
    dataset["t"] = dataset["t"].dims, values, {**dataset["t"].attrs, **PACKED}
    return dataset


def missing() -> xr.Dataset:
    dataset = grid()
    dataset["t"] = (
        dataset["t"]
        .where(dataset["t"] > 260, 1e20)
        .assign_attrs(units="K", missing_value=np.float32(1e20))
    )
    return dataset


LAYOUTS: dict[str, tuple[xr.Dataset, dict[str, Any]]] = {
    "ones": (grid(), {"encoding": {"t": {"chunks": (1, 1, 1)}}}),
    "ragged": (grid(), {"encoding": {"t": {"chunks": (2, 4, 5)}}}),
    "one chunk": (grid(), {"encoding": {"t": {"chunks": (5, 7, 9)}}}),
    "version 2": (grid(), {"encoding": {"t": {"chunks": (3, 3, 3)}}, "zarr_format": 2}),
    "not consolidated": (grid(), {"consolidated": False, "zarr_format": 2}),
    "sharded": (grid(), {"encoding": {"t": {"chunks": (1, 2, 3), "shards": (2, 4, 6)}}}),
    "packed": (packed(), {"encoding": {"t": {"chunks": (2, 3, 4)}}}),
    "packed, version 2": (packed(), {"encoding": {"t": {"chunks": (2, 3, 4)}}, "zarr_format": 2}),
    "packed, sharded": (packed(), {"encoding": {"t": {"chunks": (1, 7, 9), "shards": (4, 7, 9)}}}),
    "missing": (missing(), {"encoding": {"t": {"chunks": (2, 3, 4)}}}),
    "missing, version 2": (missing(), {"zarr_format": 2}),
    "float64": (grid(dtype="float64"), {}),
    "float16": (grid(dtype="float16"), {"encoding": {"t": {"chunks": (2, 3, 4)}}}),
    "int16": (grid(dtype="int16"), {}),
    "complex": (grid(dtype="complex64"), {}),
    "big endian": (grid(dtype=">f4"), {"zarr_format": 2}),
}

COORDS: list[str | list[str]] = [
    "time",
    "longitude",
    ["latitude", "time"],
    ["time", "latitude", "longitude"],
]


def opened(path: Path) -> xr.Dataset:
    with warnings.catch_warnings():
        # xarray says that it looked for consolidated metadata, which one source has not.
        warnings.simplefilter("ignore", RuntimeWarning)
        dataset: xr.Dataset = xr.open_zarr(path, chunks=None, decode_timedelta=False)
        return dataset


def positions(coordinate: xr.DataArray) -> Any:
    """A coordinate as numpy.gradient takes it, times in seconds."""
    values = coordinate.to_numpy()
    if values.dtype.kind == "O":
        return np.array([(value - values[0]).total_seconds() for value in values])
    if values.dtype.kind == "M":
        return (values - values[0]) / np.timedelta64(1, "s")
    return values


def check(
    source: Path, target: Path, coord: str | Sequence[str], edge_order: int, names: Sequence[str]
) -> None:
    """Equal to numpy.gradient of the decoded array, bit for bit."""
    before, after = opened(source), opened(target)
    gradient: Any = np.gradient  # its types know edge_order as a literal only
    for name, along in itertools.product(names, [coord] if isinstance(coord, str) else coord):
        variable = before[name]
        expected = gradient(
            variable.to_numpy(),
            positions(before[along]),
            axis=variable.get_axis_num(before[along].dims[0]),
            edge_order=edge_order,
        )
        found = after[name if isinstance(coord, str) else f"d{name}_d{along}"]
        assert found.dims == variable.dims
        assert found.dtype == expected.dtype.newbyteorder("=")
        assert found.to_numpy().tobytes() == expected.astype(found.dtype).tobytes()
    xr.testing.assert_identical(
        after[list(before.coords)],
        before[list(before.coords)].drop_attrs(deep=False).assign_attrs(after.attrs),
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("coord", COORDS, ids=str)
def test_results_equal_numpys_whatever_the_layout(
    tmp_path: Path, layout: str, coord: str | list[str]
) -> None:
    dataset, options = LAYOUTS[layout]
    source = write(dataset, tmp_path / "in.zarr", **options)
    edge_order = 1 + len(layout) % 2
    target = tmp_path / "out.zarr"
    bigrad.plan(source, target, coord, edge_order=edge_order, memory=MEMORY).run()
    check(source, target, coord, edge_order, ["t"])


@given(
    shape=st.tuples(*[st.integers(3, 9)] * 3),
    chunk=st.tuples(*[st.integers(1, 4)] * 3),
    shard=st.none() | st.tuples(*[st.integers(1, 3)] * 3),
    new=st.dictionaries(st.sampled_from(["time", "latitude"]), st.integers(1, 10)),
    coord=st.sampled_from(COORDS),
    edge_order=st.sampled_from([1, 2]),
    workers=st.integers(1, 3),
)
def test_results_do_not_depend_on_chunks_shards_or_workers(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    chunk: tuple[int, int, int],
    shard: tuple[int, int, int] | None,
    new: dict[str, int],
    coord: str | list[str],
    edge_order: int,
    workers: int,
) -> None:
    path = tmp_path_factory.mktemp("job")
    encoding: dict[str, Any] = {"chunks": chunk}
    if shard is not None:
        encoding["shards"] = tuple(c * s for c, s in zip(chunk, shard, strict=True))
        new = {}
    source = write(grid(shape), path / "in.zarr", encoding={"t": encoding})
    job = bigrad.plan(
        source,
        path / "out.zarr",
        coord,
        edge_order=edge_order,
        workers=workers,
        chunks=new,
        memory=MEMORY,
    )
    assert job.run().blocks == job.blocks
    check(source, path / "out.zarr", coord, edge_order, ["t"])


def block_by_block(
    source: Path,
    target: Path,
    coord: str | list[str],
    unit: int,
    sweep: int | None,
    **options: Any,
) -> None:
    """Run with the smallest blocks that there are, as under the tightest ceiling."""
    job = bigrad.plan(
        source,
        target,
        coord,
        chunks=dict.fromkeys(("time", "latitude", "longitude"), unit),
        memory=MEMORY,
        workers=2,
        **options,
    )
    parts = []
    for part in job.parts:
        grid = part.demand.grid(part.demand.target.unit)
        reach = part.demand.reach.get(-1 if sweep is None else sweep)
        # A block of a run holds all that its neighbours look at.
        if reach is not None and unit >= max(reach.depth, reach.ends - 1):
            grid = replace(grid, sweep=sweep, run=3)
        parts.append(replace(part, grid=grid))
    replace(job, parts=tuple(parts)).run()


@pytest.mark.parametrize("sweep", [None, 0, 1, 2])
@pytest.mark.parametrize("unit", [1, 2, 4])
@pytest.mark.parametrize("coord", COORDS, ids=str)
def test_blocks_of_one_write_unit_give_the_same_bits(
    tmp_path: Path, unit: int, coord: str | list[str], sweep: int | None
) -> None:
    source = write(grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 3, 4)}})
    block_by_block(source, tmp_path / "out.zarr", coord, unit, sweep)
    check(source, tmp_path / "out.zarr", coord, 1, ["t"])


def test_a_calendar_of_360_days(tmp_path: Path) -> None:
    dataset = grid()
    dataset["time"] = [cftime.Datetime360Day(2001, 2, day) for day in (1, 2, 5, 29, 30)]
    source = write(dataset, tmp_path / "in.zarr", encoding={"t": {"chunks": (1, 7, 9)}})
    bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY).run()
    check(source, tmp_path / "out.zarr", "time", 1, ["t"])
    assert opened(tmp_path / "out.zarr")["t"].attrs["units"] == "K s-1"


def test_times_that_zarr_knows_as_such(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr", consolidated=False)
    times = np.array([0, 1, 4, 9, 16]).astype("datetime64[s]")
    zarr.open_group(source, mode="r+").create_array(
        "time", data=times, dimension_names=["time"], overwrite=True
    )
    bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY).run()
    expected = np.gradient(opened(source)["t"].to_numpy(), times.astype(float), axis=0)
    assert_same_bits(opened(tmp_path / "out.zarr")["t"].to_numpy(), expected)


def test_time_in_other_units(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")
    bigrad.plan(source, tmp_path / "out.zarr", "time", datetime_unit="h", memory=MEMORY).run()
    expected = opened(source).grad.compute("time", datetime_unit="h")
    xr.testing.assert_identical(opened(tmp_path / "out.zarr")["t"], expected["t"])


def test_what_is_not_differentiated_goes_along(tmp_path: Path) -> None:
    dataset = grid().assign(
        name=("time", np.array(["a", "b", "c", "d", "e"], "U1")),
        issued=("time", grid()["time"].to_numpy()),
        land=(("latitude", "longitude"), np.ones((7, 9), bool)),
        orography=(("latitude", "longitude"), np.ones((7, 9))),
        time_bounds=(("time", "bound"), np.ones((5, 2))),
        crs=((), 0),
    )
    dataset["time"].attrs["bounds"] = "time_bounds"
    dataset["t"].attrs["grid_mapping"] = "crs"
    dataset = dataset.assign_coords(hour=("time", np.arange(5.0)), level=850.0)
    source = write(dataset, tmp_path / "in.zarr", encoding={"orography": {"chunks": (2, 2)}})
    bigrad.plan(source, tmp_path / "all.zarr", "time", memory=MEMORY).run()
    before, after = opened(source), opened(tmp_path / "all.zarr")
    assert set(after.variables) == set(before.variables)
    assert set(after.coords) == set(before.coords)
    for name in set(before.variables) - {"t"}:
        xr.testing.assert_identical(after[name].variable, before[name].variable)
    bigrad.plan(source, tmp_path / "one.zarr", "time", variables=["t"], memory=MEMORY).run()
    only = opened(tmp_path / "one.zarr")
    assert set(only.data_vars) == {"t", "time_bounds", "crs"}
    assert set(only.coords) == set(before.coords)


def test_a_coordinate_without_an_index_is_the_spacing(tmp_path: Path) -> None:
    dataset = grid().assign_coords(height=("latitude", [0.0, 1.0, 4.0, 9.0, 16.0, 25.0, 36.0]))
    source = write(dataset, tmp_path / "in.zarr")
    bigrad.plan(source, tmp_path / "out.zarr", ["height", "latitude"], memory=MEMORY).run()
    check(source, tmp_path / "out.zarr", ["height", "latitude"], 1, ["t"])


def test_attributes_tell_what_was_done(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")
    bigrad.plan(source, tmp_path / "out.zarr", ["longitude"], memory=MEMORY).run()
    after = opened(tmp_path / "out.zarr")
    assert after["dt_dlongitude"].attrs["units"] == "K degree-1"
    assert "standard_name" not in after["dt_dlongitude"].attrs
    assert after.attrs["Conventions"] == "CF-1.8"
    newest, oldest = after.attrs["history"].splitlines()
    assert "bigrad" in newest
    assert "t along longitude" in newest
    assert oldest == "2001-01-01: made"


def test_the_target_is_stored_as_the_source_is(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "in.zarr")
    array = group.create_array(
        "t",
        shape=(8, 6),
        chunks=(2, 3),
        shards=(4, 6),
        dtype="int16",
        filters=[TransposeCodec(order=(1, 0))],
        compressors=[BloscCodec(typesize=2, cname="lz4", shuffle="shuffle"), GzipCodec(level=1)],
        chunk_key_encoding={"name": "v2", "separator": "."},
        dimension_names=("x", "y"),
    )
    array[:] = np.arange(48).reshape(8, 6) ** 2
    group.create_array("x", data=np.arange(8.0) ** 2, dimension_names=("x",))
    bigrad.plan(tmp_path / "in.zarr", tmp_path / "out.zarr", "x", memory=MEMORY).run()
    result = zarr.open_group(tmp_path / "out.zarr")["t"]
    assert isinstance(result, zarr.Array)
    assert (result.chunks, result.shards) == (array.chunks, array.shards)
    assert result.filters == array.filters
    blosc = BloscCodec(typesize=8, cname="lz4", shuffle="shuffle")
    assert result.compressors == (blosc, GzipCodec(level=1))
    assert (tmp_path / "out.zarr" / "t" / "0.0").exists()
    assert np.isnan(result.fill_value)
    expected = np.gradient(array[:], np.arange(8.0) ** 2, axis=0)
    np.testing.assert_array_equal(result[:], expected)


def test_filters_that_round_are_left_out(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "in.zarr", zarr_format=2)
    array = group.create_array(
        "t",
        shape=(50,),
        chunks=(7,),
        dtype="float32",
        filters=[
            FixedScaleOffset(offset=0, scale=10, dtype="<f4", astype="<i2"),
            Delta("<i2"),
            Shuffle(elementsize=2),
            Zlib(4),
        ],
        compressors=Blosc(cname="lz4", clevel=5),
        attributes={"_ARRAY_DIMENSIONS": ["x"]},
    )
    array[:] = np.linspace(1, 2, 50)
    group.create_array("x", data=np.arange(1.0, 51.0), attributes={"_ARRAY_DIMENSIONS": ["x"]})
    zarr.consolidate_metadata(tmp_path / "in.zarr")
    bigrad.plan(tmp_path / "in.zarr", tmp_path / "out.zarr", "x", memory=MEMORY).run()
    check(tmp_path / "in.zarr", tmp_path / "out.zarr", "x", 1, ["t"])
    result = zarr.open_group(tmp_path / "out.zarr")["t"]
    assert isinstance(result, zarr.Array)
    assert result.filters == (Shuffle(elementsize=4), Zlib(4))
    assert result.compressors == array.compressors


def test_chunks_of_missing_values_are_written(tmp_path: Path) -> None:
    dataset = grid()
    dataset["t"] = dataset["t"] * np.nan
    source = write(dataset, tmp_path / "in.zarr", encoding={"t": {"chunks": (5, 7, 3)}})
    bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY).run()
    assert (tmp_path / "out.zarr" / "t" / "c" / "0" / "0" / "2").exists()


def test_stores_and_urls(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")
    url = f"memory://{tmp_path.name}/out.zarr"
    bigrad.plan(f"file://{source}", url, "time", memory=MEMORY).run()
    with pytest.raises(TargetError, match="exists already"):
        bigrad.plan(source, url, "time", memory=MEMORY)
    bigrad.plan(url, tmp_path / "out.zarr", "latitude", memory=MEMORY).run()
    store = MemoryStore()
    bigrad.plan(LocalStore(tmp_path / "out.zarr"), store, "latitude", memory=MEMORY).run()
    expected = opened(source).grad.compute("time").grad.compute("latitude")
    expected = expected.grad.compute("latitude")
    found = xr.open_zarr(store, chunks=None)
    np.testing.assert_array_equal(found["t"].to_numpy(), expected["t"].to_numpy())


class _Failing(Counting):
    """A store whose objects cannot be read, from some point on."""

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        if key.startswith("t/c/3"):
            msg = "disk on fire"
            raise OSError(msg)
        return await super().get(key, *args, **kwargs)


def test_a_failed_job_names_the_block_and_leaves_nothing_that_opens(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (1, 7, 9)}})
    out = tmp_path / "out.zarr"
    job = bigrad.plan(_Failing(LocalStore(source)), out, "longitude", memory=MEMORY)
    with pytest.raises(
        SourceError, match=r"block \d of \d, derivative of t along longitude .*disk on fire"
    ):
        job.run()
    assert (out / MARKER).exists()
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(out)
    with pytest.raises(SourceError, match="not a zarr group"):
        bigrad.plan(out, tmp_path / "next.zarr", "longitude", memory=MEMORY)
    with pytest.raises(TargetError, match=r"unfinished.*--resume"):
        bigrad.plan(source, out, "longitude", memory=MEMORY).run()
    bigrad.plan(source, out, "longitude", memory=MEMORY, overwrite=True).run()
    assert not (out / MARKER).exists()
    check(source, out, "longitude", 1, ["t"])


def test_overwriting_leaves_nothing_of_what_was_there(tmp_path: Path) -> None:
    dataset = grid().assign(u=grid()["t"])
    source = write(dataset, tmp_path / "in.zarr")
    out = tmp_path / "out.zarr"
    bigrad.plan(source, out, "time", memory=MEMORY).run()
    bigrad.plan(source, out, "time", variables=["t"], memory=MEMORY, overwrite=True).run()
    assert not (out / "u").exists()


def test_overwriting_takes_away_links_and_not_what_they_lead_to(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")
    out = write(grid(), tmp_path / "out.zarr")
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.tex").write_text("years of work")
    (out / "linked").symlink_to(kept)
    (out / "dangling").symlink_to(tmp_path / "nowhere")
    bigrad.plan(source, out, "time", memory=MEMORY, overwrite=True).run()
    assert not (out / "linked").is_symlink()
    assert not (out / "dangling").is_symlink()
    assert (kept / "thesis.tex").exists()


def test_ancillary_variables_are_differentiated_like_others(tmp_path: Path) -> None:
    dataset = grid().assign(e=2 * grid()["t"])
    dataset["t"].attrs["ancillary_variables"] = "e"
    source = write(dataset, tmp_path / "in.zarr")
    bigrad.plan(source, tmp_path / "out.zarr", "time", variables=["e"], memory=MEMORY).run()
    check(source, tmp_path / "out.zarr", "time", 1, ["e"])


def test_coordinates_stay_coordinates_and_mappings_go_along(tmp_path: Path) -> None:
    dataset = grid().assign(
        crs=((), 0),
        u=("longitude", np.ones(9), {"coordinates": "place"}),
        place=("longitude", np.arange(9.0)),
    )
    dataset["t"].attrs["grid_mapping"] = "crs: latitude longitude"
    source = write(dataset, tmp_path / "in.zarr")
    assert "place" in opened(source).coords
    bigrad.plan(source, tmp_path / "out.zarr", "time", variables=["t"], memory=MEMORY).run()
    after = opened(tmp_path / "out.zarr")
    assert set(after.data_vars) == {"t", "crs"}
    assert "place" in after.coords


def test_progress_comes_to_its_end(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (1, 7, 9)}})
    seen: list[Progress] = []
    job = bigrad.plan(source, tmp_path / "out.zarr", ["latitude", "longitude"], memory=MEMORY)
    report = job.run(progress=seen.append)
    assert seen[-1].bytes_done == seen[-1].bytes == report.bytes_written == 2 * 5 * 7 * 9 * 4
    assert seen[-1].blocks_done == seen[-1].blocks == job.blocks == report.blocks
    assert seen[-1].bytes_read == report.bytes_read == job.bytes_read
    assert [p.blocks_done for p in seen] == sorted(p.blocks_done for p in seen)


def test_an_error_of_the_caller_stops_the_job(tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")

    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY).run(progress=interrupt)
    assert (tmp_path / "out.zarr" / MARKER).exists()


def from_netcdf(name: str, **options: Any) -> xr.Dataset:
    if not (DATA / name).exists():
        pytest.skip(f"the data of the real world are not here: {name} is not in {DATA}")
    with xr.open_dataset(DATA / name, decode_timedelta=False, **options) as dataset:
        return dataset.load()


REAL: dict[str, dict[str, Any]] = {
    "ones": {"chunks": (1, 1, 100, 480)},
    "ragged": {"chunks": (2, 2, 91, 77)},
    "sharded": {"chunks": (1, 1, 61, 60), "shards": (1, 3, 122, 240)},
}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("layout", [*REAL, "packed"])
def test_era_interim(tmp_path: Path, layout: str, zarr_format: int) -> None:
    if layout == "sharded" and zarr_format == 2:
        pytest.skip("zarr version 2 has no shards")
    names = ["u", "v"]
    dataset = from_netcdf("eraint_uvz.nc", mask_and_scale=False)[names]
    for name in names:  # integers that cannot be its fill value, NaN
        del dataset[name].attrs["_FillValue"]
    if layout != "packed":
        dataset = xr.decode_cf(dataset)
    encoding = {} if layout == "packed" else dict.fromkeys(names, REAL[layout])
    source = write(dataset, tmp_path / "in.zarr", encoding=encoding, zarr_format=zarr_format)
    for coord in ("longitude", "latitude"):
        job = bigrad.plan(source, tmp_path / "out.zarr", coord, memory=MEMORY, overwrite=True)
        job.run()
        check(source, tmp_path / "out.zarr", coord, 1, names)
    assert opened(tmp_path / "out.zarr")["u"].attrs["units"] == "m s-1 degree-1"


def test_north_america_along_its_360_day_calendar(tmp_path: Path) -> None:
    dataset = from_netcdf("A1B_north_america.nc")
    source = write(
        dataset, tmp_path / "in.zarr", encoding={"air_temperature": {"chunks": (7, 37, 49)}}
    )
    bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY).run()
    check(source, tmp_path / "out.zarr", "time", 1, ["air_temperature"])


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("codec", CODECS)
def test_codecs_by_name(tmp_path: Path, codec: str, zarr_format: Any) -> None:
    source = write(grid(), tmp_path / "in.zarr", zarr_format=zarr_format, consolidated=False)
    out = tmp_path / "out.zarr"
    bigrad.plan(source, out, "longitude", memory=MEMORY, codec=codec).run()
    check(source, out, "longitude", 1, ["t"])
    found = zarr.open_array(out, path="t", mode="r").compressors
    assert [type(one).__name__.removesuffix("Codec").lower() for one in found] == {
        "none": [],
        "lz4": ["blosc"],
        "blosc-zstd": ["blosc"],
    }.get(codec, [codec])


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`codec` must be one of 'none', .*, found 'zip'"):
        bigrad.plan(tmp_path / "in.zarr", tmp_path / "out.zarr", "longitude", codec="zip")


@pytest.mark.parametrize(
    "options",
    [
        {"boundary": {"longitude": "periodic"}},
        {"boundary": {"longitude": "periodic"}, "accuracy": 4},
        {"boundary": {"longitude": "periodic", "latitude": "reflect"}, "missing": "shrink"},
        {"boundary": ("fill", 0.0), "order": 2},
        {"missing": "shrink", "edge_order": 2},
        {"accuracy": 6},
        {"order": 2, "accuracy": 4, "boundary": "extend"},
        {"regular": True, "boundary": {"longitude": "periodic"}},
    ],
    ids=str,
)
@pytest.mark.parametrize(("unit", "sweep"), [(1, None), (3, 0), (3, 1), (5, 0)])
def test_every_scheme_and_boundary_gives_the_bits_of_the_array(
    tmp_path: Path, options: dict[str, Any], unit: int, sweep: int | None
) -> None:
    dataset = grid((4, 13, 12))
    dataset["longitude"] = dataset["longitude"].copy(data=np.arange(0, 360, 30).astype("f4"))
    values = dataset["t"].to_numpy()
    values[np.random.default_rng(3).random(values.shape) < 0.1] = np.nan
    source = write(dataset, tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 3, 5)}})
    out = tmp_path / "out.zarr"
    coords = ["latitude", "longitude"]
    block_by_block(source, out, coords, unit, None if sweep is None else sweep + 1, **options)
    expected = dataset["t"].grad.compute(coords, **options)
    with xr.open_zarr(out) as found:
        assert set(found.data_vars) == set(expected.data_vars)
        for name, derivative in expected.data_vars.items():
            assert_same_bits(found[name].to_numpy(), derivative.to_numpy())
            assert found[name].attrs["units"] == derivative.attrs["units"]


def test_two_boundaries_along_one_dimension_are_refused(tmp_path: Path) -> None:
    dataset = grid().assign_coords(metres=("longitude", np.arange(9.0), {"units": "m"}))
    source = write(dataset, tmp_path / "in.zarr")
    with pytest.raises(CoordinateError, match="one read cannot serve both"):
        bigrad.plan(
            source, tmp_path / "out.zarr", ["longitude", "metres"], memory=MEMORY,
            boundary={"metres": "periodic"}, period={"metres": 9},
        )  # fmt: skip
