import asyncio
import json
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest
import zarr
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)
from zarr.storage import FsspecStore, LocalStore, MemoryStore, WrapperStore, ZipStore

from bigrad.errors import SourceError, TargetError
from bigrad.jobs.chunks import read, reader_of, write, writer_of
from bigrad.jobs.memory import MiB
from tests.jobs.stores import Counting

SHAPE = (7, 9, 11)
CHUNKS = (3, 4, 5)
SHARDS = (6, 8, 10)


def sharding(*codecs: Any, **options: Any) -> dict[str, Any]:
    return {
        "chunks": SHARDS,
        "serializer": ShardingCodec(chunk_shape=CHUNKS, codecs=codecs, **options),
        "compressors": None,
    }


def numcodecs_codec(name: str, **configuration: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that version 3 does not specify it
        return getattr(zarr.codecs.numcodecs, name)(**configuration)


LAYOUTS: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"compressors": None},
    "blosc": {"compressors": BloscCodec(cname="lz4")},
    "gzip": {"compressors": GzipCodec(level=1)},
    "zstd, checksum": {"compressors": [ZstdCodec(level=3, checksum=True), Crc32cCodec()]},
    "crc32c": {"compressors": [Crc32cCodec()]},
    "big endian": {"serializer": BytesCodec(endian="big")},
    "transposed": {"filters": [TransposeCodec(order=(2, 0, 1)), TransposeCodec(order=(0, 2, 1))]},
    "v2 keys": {"chunk_key_encoding": {"name": "v2", "separator": "/"}},
    "float64": {"dtype": "f8", "fill_value": np.nan},
    "int8": {"dtype": "i1"},
    "complex": {"dtype": "c8"},
    "boolean": {"dtype": "?"},
    "zlib of numcodecs": {"compressors": [numcodecs_codec("Zlib", level=1), ZstdCodec()]},
    "delta of numcodecs": {"filters": [numcodecs_codec("Delta", dtype="<f4")]},
    "sharded": {"shards": SHARDS},
    "sharded, one chunk": {"shards": CHUNKS},
    "sharded, none": {"shards": SHARDS, "compressors": None},
    "sharded, index first": sharding(BytesCodec(), ZstdCodec(), index_location="start"),
    "sharded, raw, index first": sharding(BytesCodec(endian="big"), index_location="start"),
    "sharded, bare index": sharding(BytesCodec(), ZstdCodec(), index_codecs=[BytesCodec()]),
    "sharded, transposed": sharding(
        TransposeCodec(order=(1, 2, 0)), BytesCodec(), BloscCodec(), Crc32cCodec()
    ),
    "sharded twice": sharding(
        ShardingCodec(chunk_shape=(1, 2, 5), codecs=[BytesCodec(), ZstdCodec()])
    ),
    "sharded and compressed": sharding(BytesCodec()) | {"compressors": GzipCodec()},
    "version 2": {"zarr_format": 2},
    "version 2, none": {"zarr_format": 2, "compressors": None},
    "version 2, no fill": {"zarr_format": 2, "fill_value": None},
    "version 2, F": {"zarr_format": 2, "order": "F", "compressors": numcodecs.Blosc()},
    "version 2, big endian": {"zarr_format": 2, "dtype": ">f4", "compressors": numcodecs.GZip()},
    "version 2, filters": {
        "zarr_format": 2,
        "order": "F",
        "filters": [numcodecs.Delta("<f4"), numcodecs.Shuffle(4)],
        "compressors": numcodecs.LZ4(),
    },
}


def made(layout: str, store: Any = None, **options: Any) -> "zarr.Array[Any]":
    chosen = {"shape": SHAPE, "chunks": CHUNKS, "dtype": "f4", "fill_value": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of codecs behind a shard, and those of numcodecs
        array = zarr.create_array(
            store=MemoryStore() if store is None else store,
            name="deep/t",
            **{**chosen, **LAYOUTS[layout], **options},
        )
    return array.with_config({"write_empty_chunks": True})


def values(array: "zarr.Array[Any]", seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(-99, 99, array.shape).astype(np.dtype(array.dtype))


def whole(array: "zarr.Array[Any]") -> tuple[slice, ...]:
    return tuple(slice(0, size) for size in array.shape)


def same(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


@pytest.fixture(params=LAYOUTS)
def filled(request: pytest.FixtureRequest) -> Any:
    """As zarr wrote it, with shards missing, and chunks in the others."""
    array = made(request.param)
    array[3:, :4] = values(array)[3:, :4]
    return array


regions = st.tuples(
    *(
        st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted).map(lambda p: slice(*p))
        for n in SHAPE
    )
)


@pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed`")
def test_reads_what_zarr_reads(filled: "zarr.Array[Any]") -> None:
    expected = np.ascontiguousarray(filled[...])
    wide = np.empty([2 * size for size in SHAPE], expected.dtype)
    reader = reader_of(filled)

    @settings(max_examples=15, deadline=None)
    @given(regions)
    def check(region: tuple[slice, ...]) -> None:
        same(reader.read(region), expected[region])
        strided = wide[tuple(slice(2 * cells.start, 2 * cells.stop, 2) for cells in region)]
        assert reader.read(region, strided) is strided
        same(strided, expected[region])

    check()
    found = reader.read(whole(filled))
    assert found.flags.c_contiguous
    same(found, expected)
    lying_otherwise = np.empty(SHAPE, expected.dtype, order="F")
    same(reader.read(whole(filled), lying_otherwise), expected)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["local", "memory"])
@pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed`")
def test_writes_what_zarr_reads(layout: str, kind: str, tmp_path: Path) -> None:
    stores: list[Any] = (
        [LocalStore(tmp_path / "one"), LocalStore(tmp_path / "other")]
        if kind == "local"
        else [MemoryStore(), MemoryStore()]
    )
    ours, theirs = (made(layout, store) for store in stores)
    expected = values(ours)
    expected[:3, :4] = 0
    theirs[...] = expected
    unit = ours.shards or ours.chunks
    if "and compressed" in layout:
        unit = SHARDS
    writer = writer_of(ours)
    for start in range(0, SHAPE[0], unit[0]):
        part = slice(start, min(start + unit[0], SHAPE[0]))
        writer.write((part, *whole(ours)[1:]), np.asfortranarray(expected[part]))
    same(ours[...], expected)
    assert keys(stores[0]) == keys(stores[1])


def keys(store: Any) -> list[str]:
    async def listed() -> list[str]:
        return sorted([key async for key in store.list()])

    return asyncio.run(listed())


@pytest.mark.parametrize(
    "layout",
    ["blosc", "transposed", "sharded, index first", "version 2, filters", "sharded twice"],
)
def test_readers_and_writers_go_to_other_processes(layout: str, tmp_path: Path) -> None:
    array = made(layout, LocalStore(tmp_path))
    reader, writer = reader_of(array), writer_of(array)
    for _ in range(2):  # also after what they keep of their first use
        reader, writer = pickle.loads(pickle.dumps((reader, writer)))
        writer.write(whole(array), values(array))
        same(reader.read(whole(array)), values(array))
    assert reader.traffic.chunks > 0
    assert pickle.loads(pickle.dumps(reader)).traffic.chunks == 0


@pytest.mark.parametrize("options", [{}, {"zarr_format": 2}])
def test_arrays_without_axes_and_without_cells(options: dict[str, Any]) -> None:
    scalar = zarr.create_array({}, shape=(), dtype="f8", fill_value=3.0, **options)
    same(read(scalar, ()), np.array(3.0))
    write(scalar, (), np.array(-0.0))
    same(read(scalar, ()), np.array(-0.0))
    empty = zarr.create_array({}, shape=(0, 3), chunks=(2, 2), dtype="f8", **options)
    assert read(empty, (slice(0, 0), slice(0, 3))).shape == (0, 3)
    write(empty, (slice(0, 0), slice(0, 3)), np.empty((0, 3)))


def test_a_write_neither_reads_nor_leaves_out_anything(tmp_path: Path) -> None:
    counting = Counting(LocalStore(tmp_path / "a"))
    array = made("sharded", counting)
    counting.keys.clear()
    writer_of(array).write(whole(array), np.zeros(SHAPE, "f4"))
    assert not counting.keys
    assert len(list((tmp_path / "a" / "deep" / "t" / "c").rglob("*"))) == 2 + 4 + 8
    with pytest.raises(TargetError, match="whole units"):
        write(array, (slice(0, 3), *whole(array)[1:]), np.zeros((3, *SHAPE[1:]), "f4"))
    with pytest.raises(TargetError, match="dtype float32"):
        write(array, whole(array), np.zeros(SHAPE))


def test_a_failed_write_leaves_the_old_object_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = made("sharded", LocalStore(tmp_path))
    before = values(array)
    write(array, whole(array), before)
    names = sorted(tmp_path.rglob("*"))
    encoded = iter(range(5))

    def failing(self: Any, data: Any) -> Any:
        next(encoded)
        return data

    monkeypatch.setattr("bigrad.jobs.codecs._Zstd.encode", failing)
    with pytest.raises(RuntimeError):
        write(array, whole(array), values(array, 1))
    assert sorted(tmp_path.rglob("*")) == names
    same(array[...], before)


@pytest.mark.parametrize("layout", ["gzip", "zlib of numcodecs", "sharded", "version 2, filters"])
def test_all_happens_in_the_calling_thread(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = made(layout, LocalStore(tmp_path))
    threads = set[str]()

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            threads.add(threading.current_thread().name)
            return function(*args, **kwargs)

        return noted

    monkeypatch.setattr(Path, "open", noting(Path.open))
    monkeypatch.setattr("numcodecs.gzip.GZip.decode", noting(numcodecs.GZip.decode))
    monkeypatch.setattr("numcodecs.zlib.Zlib.decode", noting(numcodecs.Zlib.decode))
    monkeypatch.setattr("numcodecs.zlib.Zlib.encode", noting(numcodecs.Zlib.encode))
    write(array, whole(array), values(array))
    same(read(array, whole(array)), values(array))
    assert threads == {"MainThread"}


class Slow(WrapperStore[Any]):
    """Answers late, and knows how many wait."""

    waiting = 0
    most = 0

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await asyncio.sleep(0.002)
        self.waiting -= 1
        return await super().get(*args, **kwargs)


@pytest.mark.parametrize("layout", ["default", "sharded"])
def test_other_stores_are_asked_for_several_objects_at_a_time(layout: str) -> None:
    plain = made(layout)
    write(plain, whole(plain), values(plain))
    array = zarr.open_array(Slow(plain.store), path="deep/t", mode="r+")
    same(reader_of(array, concurrency=4).read(whole(array)), values(plain))
    assert isinstance(array.store, Slow)
    assert array.store.most == 4


@pytest.mark.parametrize("layout", ["default", "sharded", "version 2"])
@pytest.mark.parametrize("kind", ["fsspec", "zip"])
def test_other_stores(layout: str, kind: str, tmp_path: Path) -> None:
    store: Any
    if kind == "zip":
        store = ZipStore(tmp_path / "a.zip", mode="w")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its file system is not asynchronous
            store = FsspecStore.from_url(f"memory://{tmp_path}")
    array = made(layout, store)
    expected = values(array)
    write(array, whole(array), expected)
    part = (slice(1, 7), slice(3, 5), slice(0, 11))
    same(read(array, part), expected[part])
    same(np.ascontiguousarray(array[...]), expected)
    store.close()
    MemoryFileSystem.store.clear()


def test_counts_what_is_read(tmp_path: Path) -> None:
    for layout, region, requests, chunks in (
        ("default", whole, 27, 27),
        ("sharded", whole, 8, 27),
        ("sharded", lambda array: (slice(0, 1), slice(0, 1), slice(0, 11)), 2 + 2, 3),
    ):
        counting = Counting(LocalStore(tmp_path / layout))
        array = made(layout, counting, overwrite=True)
        write(array, whole(array), values(array))
        reader = reader_of(array)
        counting.keys.clear()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: reader.read(region(array)), range(20)))  # noqa: B023
        assert reader.traffic.requests == len(counting.keys) == 20 * requests
        assert reader.traffic.chunks == 20 * chunks
        stored = sum(
            path.stat().st_size for path in (tmp_path / layout).rglob("c/**/*") if path.is_file()
        )
        assert reader.traffic.stored == 20 * stored or requests == 4


CHECKED = "checked"  # any wrong byte is found
SIZED = "sized"  # a missing or superfluous byte is

CODECS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": (SIZED, {"compressors": None}),
    "zstd": (SIZED, {"compressors": ZstdCodec()}),
    "zstd, checksum": (CHECKED, {"compressors": ZstdCodec(checksum=True)}),
    "blosc": (SIZED, {"compressors": BloscCodec(cname="lz4")}),
    "blosc, crc32c": (CHECKED, {"compressors": [BloscCodec(), Crc32cCodec()]}),
    "gzip": (CHECKED, {"compressors": GzipCodec()}),
    "crc32c": (CHECKED, {"compressors": Crc32cCodec()}),
    "none, version 2": (SIZED, {"zarr_format": 2, "compressors": None}),
    "zstd, version 2": (SIZED, {"zarr_format": 2, "compressors": numcodecs.Zstd()}),
    "blosc, version 2": (SIZED, {"zarr_format": 2, "compressors": numcodecs.Blosc()}),
    "gzip, version 2": (CHECKED, {"zarr_format": 2, "compressors": numcodecs.GZip()}),
    "lz4, version 2": (SIZED, {"zarr_format": 2, "compressors": numcodecs.LZ4()}),
}


def damaged(data: bytes, flips: bool) -> Iterator[bytes]:
    yield b""
    yield data[: len(data) // 2]
    yield data[:-1]
    yield data + b"\1"
    yield data + data
    if not flips:
        return
    yield data[1:]
    for place in range(0, len(data), max(1, len(data) // 16)):
        yield data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("codec", "shards"),
    [
        (name, shards)
        for name, (_, options) in CODECS.items()
        for shards in ([None] if "zarr_format" in options else [None, SHARDS])
    ],
)
def test_corruption_is_an_error_that_names_array_and_key(
    codec: str, shards: tuple[int, ...] | None, tmp_path: Path
) -> None:
    found, options = CODECS[codec]
    array = made("default", LocalStore(tmp_path), shards=shards, **options)
    # Noise in chunks large enough that codecs split them, or give up on them.
    expected = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    expected[:2] = 0
    array[...] = expected
    key = f"deep/t/{array.metadata.encode_chunk_key((0, 0, 0))}"
    path = tmp_path / key
    sound = path.read_bytes()
    # All of a shard, and one chunk of it, are read in different ways.
    parts = [whole(array), (slice(0, 1), slice(0, 1), slice(0, 1))]
    read_wrong = 0
    for data in damaged(sound, flips=found is CHECKED):
        path.write_bytes(data)
        for part in parts:
            try:
                same(read(array, part), expected[part])
            except SourceError as exc:
                read_wrong += 1
                assert "'/deep/t'" in str(exc)  # noqa: PT017
                assert repr(key) in str(exc)  # noqa: PT017
    assert read_wrong >= 5 * (2 if shards is None else 1)


def test_half_of_a_blosc_object_is_an_error_however_it_decodes(tmp_path: Path) -> None:
    array = zarr.create_array(
        tmp_path, shape=(2**20,), chunks=(2**20,), dtype="u1", compressors=BloscCodec(cname="lz4")
    )
    array[:] = np.random.default_rng(0).integers(0, 4, 2**20).astype("u1")
    path = tmp_path / "c" / "0"
    data = path.read_bytes()
    for kept in (len(data) - 1, len(data) // 2, 100, 16, 15):
        path.write_bytes(data[:kept])
        with pytest.raises(SourceError, match="Blosc"):
            read(array, (slice(0, 2**20),))


@pytest.mark.parametrize("location", ["start", "end"])
@pytest.mark.parametrize("entry", [(2**40, 8), (0, 2**40), (2**63, 2**63), (2**64 - 2, 1), (8, 0)])
def test_an_index_that_points_outside_its_shard_is_an_error(
    location: Any, entry: tuple[int, int], tmp_path: Path
) -> None:
    array = zarr.create_array(
        tmp_path,
        shape=(8,),
        chunks=(8,),
        dtype="u1",
        serializer=ShardingCodec(chunk_shape=(4,), codecs=[BytesCodec()], index_location=location),
        compressors=None,
        fill_value=0,
    )
    array[:] = np.arange(8)
    index = np.array([*entry, 4 + 36 * (location == "start"), 4], "<u8").tobytes()
    index += int(google_crc32c.value(index)).to_bytes(4, "little")
    path = tmp_path / "c" / "0"
    data = path.read_bytes()
    path.write_bytes(index + data[36:] if location == "start" else data[:-36] + index)
    same(read(array, (slice(4, 8),)), np.arange(4, 8, dtype="u1"))
    for part in (slice(0, 4), slice(0, 8), slice(3, 5)):
        with pytest.raises(SourceError, match="'c/0'"):
            read(array, (part,))


_MEASURED = """
import ctypes, json, sys
from pathlib import Path
import numcodecs, numpy as np, zarr
from zarr.codecs import *
from bigrad.jobs.chunks import reader_of, writer_of
from bigrad.jobs.memory import peak_memory, resident_memory, settle_allocator

settle_allocator()
rng = np.random.default_rng(0)
block = rng.integers(0, 2**32, (12, 512, 1025), "u4").view("f4")[..., :1024]  # not in line
everything = tuple(slice(0, size) for size in block.shape)

def rise(call):
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = resident_memory()
    call()
    return peak_memory() - before

first = BytesCodec(), ZstdCodec()
shards = dict(shards=(12, 512, 1024), chunks=(1, 128, 256))
for name, options in dict(
    none=dict(compressors=None),
    zstd={},
    high=dict(compressors=ZstdCodec(level=15)),
    two=dict(compressors=[ZstdCodec(), GzipCodec(level=1)]),
    blosc=dict(compressors=BloscCodec(cname="zstd", clevel=7)),
    lz4=dict(compressors=BloscCodec(cname="lz4"), chunks=(12, 64, 512)),
    v2=dict(zarr_format=2, compressors=numcodecs.GZip(1), order="F"),
    shards=shards,
    wide=dict(shards=(12, 512, 1024), chunks=(12, 64, 1024)),
    leading=dict(chunks=shards["shards"], compressors=None, serializer=ShardingCodec(
        chunk_shape=shards["chunks"], codecs=first, index_location="start")),
    foreign=dict(chunks=shards["shards"], compressors=GzipCodec(level=1),
        serializer=ShardingCodec(chunk_shape=shards["chunks"], codecs=first)),
).items():
    array = zarr.create_array(
        sys.argv[1], name=name, shape=block.shape, dtype="f4",
        **{"chunks": (6, 512, 1024), **options},
    )
    reader, writer = reader_of(array), writer_of(array)
    for _ in range(2):  # the first loads modules and code
        written = rise(lambda: writer.write(everything, block))
        read = rise(lambda: reader.read(everything, block))
    print(json.dumps([name, read, reader.working_bytes, written, writer.working_bytes]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the system tells no peak")
def test_a_call_holds_no_more_than_it_says(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for name, read_, reading, written, writing in map(json.loads, ran.stdout.splitlines()):
        assert 0 < read_ <= reading, name
        assert 0 < written <= writing, name
        # A bound that is much too high would be of no use.
        assert reading <= 4 * read_ + 8 * MiB, name
        assert writing <= 4 * written + 16 * MiB, name
