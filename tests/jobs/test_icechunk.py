"""Icechunk repositories as targets and sources."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import bigrad
from bigrad.errors import TargetError
from tests.jobs.stores import grid, write

icechunk = pytest.importorskip("icechunk", reason="icechunk, which is optional, is not here")

MEMORY = "4GiB"


@pytest.fixture
def repository() -> Any:
    return icechunk.Repository.create(icechunk.in_memory_storage())


def slopes(coord: str) -> Any:
    variable = grid()["t"]
    axis = variable.get_axis_num(coord)
    return np.gradient(variable.to_numpy(), variable[coord].to_numpy(), axis=axis)


def found(repository: Any) -> Any:
    store = repository.readonly_session("main").store
    return xr.open_zarr(store, chunks=None)["t"].to_numpy()


def messages(repository: Any) -> list[str]:
    return [snapshot.message for snapshot in repository.ancestry(branch="main")]


def test_a_job_is_one_commit(repository: Any, tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 4, 5)}})
    before = messages(repository)
    bigrad.plan(source, repository, "longitude", memory=MEMORY).run()
    message, *rest = messages(repository)
    assert rest == before
    assert "derivative of t along longitude" in message
    assert found(repository).tobytes() == slopes("longitude").tobytes()
    with pytest.raises(TargetError, match="exists already"):
        bigrad.plan(source, repository, "latitude", memory=MEMORY).run()
    bigrad.plan(source, repository, ["latitude"], memory=MEMORY, overwrite=True).run()
    assert messages(repository)[1:] == [message, *before]
    latest = xr.open_zarr(repository.readonly_session("main").store, chunks=None)
    assert set(latest.data_vars) == {"dt_dlatitude"}
    assert latest["dt_dlatitude"].to_numpy().tobytes() == slopes("latitude").tobytes()


def test_a_job_that_fails_leaves_a_repository_as_it_was(repository: Any, tmp_path: Path) -> None:
    source = write(
        grid(), tmp_path / "in.zarr", encoding={"t": {"chunks": (1, 7, 9), "compressors": None}}
    )
    before = messages(repository)
    chunk = source / "t" / "c" / "3" / "0" / "0"
    whole = chunk.read_bytes()
    chunk.write_bytes(b"torn")
    job = bigrad.plan(source, repository, "longitude", memory=MEMORY)
    with pytest.raises(ValueError, match="corrupted"):
        job.run()
    assert messages(repository) == before
    chunk.write_bytes(whole)
    job.run(resume=True)
    assert found(repository).tobytes() == slopes("longitude").tobytes()


def test_whoever_opened_a_session_commits_it(repository: Any, tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")
    session = repository.writable_session("main")
    bigrad.plan(source, session.store, "longitude", memory=MEMORY).run()
    assert session.has_uncommitted_changes
    session.commit("slopes")
    assert found(repository).tobytes() == slopes("longitude").tobytes()


def test_a_commit_by_others_meanwhile_is_an_error(repository: Any, tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")
    job = bigrad.plan(source, repository, "longitude", memory=MEMORY)
    other = repository.writable_session("main")
    zarr.create_group(other.store)
    other.commit("first")
    with pytest.raises(OSError, match="cannot be committed"):
        job.run()
    assert messages(repository)[0] == "first"


def test_from_a_repository(repository: Any, tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr")
    bigrad.plan(source, repository, "longitude", memory=MEMORY).run()
    bigrad.plan(repository, tmp_path / "out.zarr", "longitude", memory=MEMORY).run()
    result = xr.open_zarr(tmp_path / "out.zarr", chunks=None)["t"].to_numpy()
    longitude = grid()["longitude"].to_numpy()
    assert result.tobytes() == np.gradient(slopes("longitude"), longitude, axis=2).tobytes()


def test_version_2_is_refused(repository: Any, tmp_path: Path) -> None:
    source = write(grid(), tmp_path / "in.zarr", zarr_format=2)
    with pytest.raises(TargetError, match="zarr version 3"):
        bigrad.plan(source, repository, "longitude", memory=MEMORY).run()
