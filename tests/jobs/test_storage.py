"""Jobs on places of every kind, and what moves objects there: S3 and HTTP are real servers."""

import json
import multiprocessing
import pickle
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
from click.testing import CliRunner, Result
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, ObjectStore, WrapperStore, ZipStore

import bigrad
from bigrad.cli.commands import main
from bigrad.errors import SourceError, TargetError
from bigrad.jobs.storage import (
    MARKER,
    copy_objects,
    documents,
    is_located,
    is_occupied,
    open_store,
    options_of_places,
    put,
    relation,
    replace_contents,
)
from tests.jobs.servers import object_store, web
from tests.jobs.stores import Counting, grid, write

MEMORY = "4GiB"
BUCKET = "archive"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The storage options of a bucket."""
    with object_store(BUCKET) as url:
        yield {"endpoint_url": url, "key": "someone", "secret": "something"}


def opened(url: str, options: dict[str, Any] | None, *, read_only: bool = False) -> Store:
    return open_store(url, read_only=read_only, error=SourceError, options=options)


def written(store: Store, *, read_only: bool = False) -> Store:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of consolidated metadata, which version 3 has not
        grid().drop_encoding().to_zarr(
            store,
            encoding={"t": {"chunks": (2, 4, 5)}},
        )
    return store


def slopes() -> Any:
    variable = grid()["t"]
    return np.gradient(variable.to_numpy(), variable["longitude"].to_numpy(), axis=2)


def found(store: Store) -> Any:
    return xr.open_zarr(store, chunks=None)["t"].to_numpy()


def test_a_job_on_s3(s3: dict[str, Any]) -> None:
    source = written(opened(f"s3://{BUCKET}/job/in.zarr", s3))
    target = opened(f"s3://{BUCKET}/job/out.zarr", s3)
    bigrad.plan(source, target, "longitude", memory=MEMORY).run()
    assert found(target).tobytes() == slopes().tobytes()
    with pytest.raises(TargetError, match=f"'s3://{BUCKET}/job/out.zarr' exists already"):
        bigrad.plan(source, target, "longitude", memory=MEMORY).run()
    bigrad.plan(source, target, ["longitude"], memory=MEMORY, overwrite=True).run()
    assert "t" not in xr.open_zarr(target, chunks=None).data_vars
    assert not any(key.startswith("t/") for key in keys(target))
    assert {key.partition("/")[0] for key in keys(opened(f"s3://{BUCKET}/job", s3))} == {
        "in.zarr",
        "out.zarr",
    }


def test_a_job_on_s3_through_obstore(s3: dict[str, Any]) -> None:
    pytest.importorskip("obstore", reason="obstore, whose stores zarr takes, is not here")
    from obstore.store import S3Store

    def place(name: str) -> Store:
        store = S3Store(
            BUCKET,
            prefix=f"obstore/{name}",
            endpoint=s3["endpoint_url"],
            access_key_id=s3["key"],
            secret_access_key=s3["secret"],
            client_options={"allow_http": True},
        )
        return ObjectStore(store)

    target = place("out.zarr")
    bigrad.plan(written(place("in.zarr")), target, "longitude", memory=MEMORY).run()
    assert found(target).tobytes() == slopes().tobytes()
    assert is_occupied(opened(f"s3://{BUCKET}/obstore/out.zarr", s3))


def keys(store: Store) -> list[str]:
    async def listed() -> list[str]:
        return [key async for key in store.list()]

    return sync(listed())


def test_options_reach_the_places(s3: dict[str, Any], tmp_path: Path) -> None:
    write(grid(), tmp_path / "in.zarr")
    url = f"s3://{BUCKET}/options"
    bigrad.plan(
        tmp_path / "in.zarr", f"{url}/one.zarr", "latitude", memory=MEMORY, storage_options=s3
    ).run()
    with web(tmp_path) as server:
        again = compute(f"{server.url}/in.zarr", f"{url}/two.zarr", "--target-options", s3)
    assert again.exit_code == 0, again.output
    assert found(opened(f"{url}/two.zarr", s3)).tobytes() == slopes().tobytes()
    third = compute(f"{url}/one.zarr", f"{url}/three.zarr", "--storage-options", s3)
    assert third.exit_code == 0, third.output
    refused = compute(tmp_path / "in.zarr", tmp_path / "out.zarr", "--storage-options", s3)
    assert refused.exit_code == 1
    assert "neither `source` nor `target`" in refused.output


def compute(source: Path | str, target: Path | str, name: str, options: dict[str, Any]) -> Result:
    arguments = ["compute", str(source), str(target), "--coord", "longitude", "-m", MEMORY]
    return CliRunner().invoke(main, [*arguments, name, json.dumps(options)])


def test_from_http_to_s3(s3: dict[str, Any], tmp_path: Path) -> None:
    write(grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (1, 4, 9)}}, zarr_format=2)
    target = opened(f"s3://{BUCKET}/from-http.zarr", s3)
    with web(tmp_path) as server:
        server.listing = False
        bigrad.plan(f"{server.url}/in.zarr", target, "longitude", memory=MEMORY).run()
    assert found(target).tobytes() == slopes().tobytes()


def test_http_without_consolidated_metadata(tmp_path: Path) -> None:
    write(grid(), tmp_path / "in.zarr", consolidated=False)
    with web(tmp_path) as server:
        bigrad.plan(
            f"{server.url}/in.zarr", tmp_path / "out.zarr", "longitude", memory=MEMORY
        ).run()
        server.listing = False
        message = rf"'{server.url}/in\.zarr' does not tell .* `zarr\.consolidate_metadata`"
        with pytest.raises(SourceError, match=message):
            bigrad.plan(f"{server.url}/in.zarr", tmp_path / "new.zarr", "longitude", memory=MEMORY)
    assert found(LocalStore(tmp_path / "out.zarr")).tobytes() == slopes().tobytes()


def test_http_is_not_written_to(tmp_path: Path) -> None:
    write(grid(), tmp_path / "in.zarr")
    with web(tmp_path) as server, pytest.raises(TargetError, match="can be read but not written"):
        bigrad.plan(tmp_path / "in.zarr", f"{server.url}/out.zarr", "longitude", memory=MEMORY)


def test_replacing_contents_on_s3_leaves_nothing_and_touches_nothing_else(
    s3: dict[str, Any],
) -> None:
    store = written(opened(f"s3://{BUCKET}/replaced", s3))
    beside = written(opened(f"s3://{BUCKET}/replaced-not", s3))
    before = keys(beside)
    put(store, [("t2/c/0", documents({}))])
    assert is_occupied(store)
    replace_contents(store, documents({}))
    assert keys(store) == [MARKER]
    assert keys(beside) == before
    assert not is_occupied(opened(f"s3://{BUCKET}/nothing", s3))


def test_what_others_write_is_seen(s3: dict[str, Any]) -> None:
    """A list of what was there before is not asked instead of the store."""
    url = f"s3://{BUCKET}/seen/out.zarr"
    mine, other = opened(url, s3), opened(url, {**s3, "default_block_size": 2**20})
    put(mine, [("c", documents({}))])
    assert keys(mine) == ["c"]
    put(other, [("d", documents({}))])
    assert sorted(keys(mine)) == ["c", "d"]
    assert sync(mine.exists("d"))


def test_options_that_a_file_system_does_not_know_are_an_error(s3: dict[str, Any]) -> None:
    with pytest.raises(OSError, match=r"s3://archive/in\.zarr cannot .*argument 'no_such_thing'"):
        is_occupied(opened(f"s3://{BUCKET}/in.zarr", {**s3, "no_such_thing": 1}))


def test_copying_to_s3(s3: dict[str, Any], tmp_path: Path) -> None:
    local = LocalStore(write(grid(), tmp_path / "in.zarr"))
    target = opened(f"s3://{BUCKET}/copied", s3)
    names = ["zarr.json", "t/zarr.json", "t/c/7/7/7", "t/c/0/0/0"]
    copied = copy_objects(local, target, names)
    for name in names:
        values = [sync(store.get(name, default_buffer_prototype())) for store in (local, target)]
        assert len({None if value is None else value.to_bytes() for value in values}) == 1
        copied -= 0 if values[0] is None else len(values[0])
    assert copied == 0


class _Broken(WrapperStore[Store]):
    """A store that is neither read nor written."""

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        msg = "disk on fire"
        raise OSError(msg)

    set = get


def test_copying_that_fails_names_the_place_that_is_at_fault(tmp_path: Path) -> None:
    good, broken = LocalStore(tmp_path / "good"), _Broken(LocalStore(tmp_path / "broken"))
    put(good, [("x/c/0", documents({}))])
    with pytest.raises(SourceError, match=r"x/c/0 from '.*broken' failed: OSError: disk on fire"):
        copy_objects(broken, good, ["x/c/0"])
    with pytest.raises(TargetError, match=r"x/c/0 to '.*broken' failed: OSError: disk on fire"):
        copy_objects(good, broken, ["x/c/0"])


def test_relations_on_s3(s3: dict[str, Any]) -> None:
    store = opened(f"s3://{BUCKET}/a/b", s3)
    assert is_located(store)
    for other, how in (
        (f"s3://{BUCKET}/a/b/", "is"),
        (f"s3a://{BUCKET}/a/b", "is"),
        (f"s3://{BUCKET}/a", "lies inside"),
        (f"s3://{BUCKET}", "lies inside"),
        (f"s3://{BUCKET}/a/b/c", "contains"),
        (f"s3://{BUCKET}/a/bc", None),
        ("memory://archive/a/b", None),
    ):
        options = s3 if other.startswith("s3") else None
        assert relation(store, opened(other, options, read_only=True)) == how


def total(store: Store) -> float:
    return float(np.sum(np.asarray(zarr.open_array(store, path="t", mode="r")[:])))


def total_at(url: str, options: dict[str, Any] | None) -> float:
    return total(opened(url, options, read_only=True))


def test_stores_go_to_other_processes(s3: dict[str, Any], tmp_path: Path) -> None:
    write(grid(), tmp_path / "in.zarr")
    url = f"s3://{BUCKET}/sent.zarr"
    expected = total(written(opened(url, s3)))
    spawn = multiprocessing.get_context("spawn")
    with web(tmp_path) as server, ProcessPoolExecutor(1, mp_context=spawn) as pool:
        remote = f"{server.url}/in.zarr"
        results = [
            pool.submit(total, opened(url, s3)),
            pool.submit(total_at, url, s3),
            pool.submit(total, opened(remote, None, read_only=True)),
            pool.submit(total_at, remote, None),
        ]
        assert [result.result() for result in results] == [expected] * 4


def test_a_source_that_was_open_for_writing_is_not(tmp_path: Path) -> None:
    store = open_store(LocalStore(tmp_path), read_only=True, error=SourceError)
    with pytest.raises(ValueError, match="read-only"):
        put(store, [("c", documents({}))])


def on_disk(path: str) -> Store:
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
    from fsspec.implementations.local import LocalFileSystem

    return FsspecStore(AsyncFileSystemWrapper(LocalFileSystem(), asynchronous=True), path=path)


@pytest.mark.parametrize(
    "place",
    [str, LocalStore, on_disk, lambda path: Counting(LocalStore(path))],
    ids=["path", "store", "fsspec", "wrapped"],
)
def test_places_stay_where_they_are_in_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any
) -> None:
    """As a worker of a cluster is in one, or this process when the job is run."""
    write(grid(), tmp_path / "in.zarr")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    job = bigrad.plan(place("in.zarr"), place("out.zarr"), "longitude", memory=MEMORY)
    monkeypatch.chdir("elsewhere")
    job = pickle.loads(pickle.dumps(job))
    job.run()
    assert np.array_equal(found(LocalStore(tmp_path / "out.zarr")), slopes())
    assert not list(Path().iterdir())


def test_a_zip_file_stays_where_it_is_and_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.make_archive(str(tmp_path / "in"), "zip", write(grid(), tmp_path / "in.zarr"))
    monkeypatch.chdir(tmp_path)
    with closing(ZipStore("in.zip")) as zipped:
        expected = found(zipped)
        store = open_store(zipped, read_only=True, error=SourceError)
        monkeypatch.chdir("/")
        with closing(pickle.loads(pickle.dumps(store))) as sent:
            assert np.array_equal(found(sent), expected)
        assert np.array_equal(found(store), expected)


def test_options_that_no_place_takes_are_refused(tmp_path: Path) -> None:
    options = {"anon": True}
    assert options_of_places("s3://a/b", "s3://a/c", options, None) == (options, options)
    assert options_of_places("s3://a/b", "gs://a/c", options, {}) == (options, {})
    with pytest.raises(SourceError, match="neither `source` nor `target`"):
        options_of_places(tmp_path, "memory://out.zarr", options, None)
    with pytest.raises(TargetError, match="`target_options` are for a URL"):
        options_of_places("s3://a/b", tmp_path, None, options)
