"""Stores over a network, with servers that misbehave."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from zarr.abc.store import RangeByteRequest
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

import bigrad
from bigrad.errors import SourceError
from bigrad.jobs import remote
from bigrad.jobs.remote import Retrying, open_url, take_retries
from bigrad.jobs.report import Report
from tests.jobs.servers import HANG, Web, web
from tests.jobs.stores import grid, write

MEMORY = "4GiB"
CHUNK = "t/c/1/"

FOR_A_MOMENT: dict[str, list[int | str]] = {
    "busy": [503, 503],
    "too many": [429],
    "failed": [500, 502, 504],
    "reset": ["reset", "reset", "reset"],
    "closed": ["close", "close", "close"],
    "cut short": ["short"],
    "silent": ["hang"],
}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote, "WAITS", (0.01, 0.02, 0.03))
    # A fill value that would be seen: a chunk that is missing is full of it.
    encoding = {"t": {"chunks": (2, 7, 9), "fill_value": np.float32(-5)}}
    write(grid(), tmp_path / "in.zarr", encoding=encoding)
    with web(tmp_path) as server:
        yield server


def options(**timeouts: float) -> dict[str, Any]:
    from aiohttp import ClientTimeout

    return {"client_kwargs": {"timeout": ClientTimeout(**timeouts)}}


def slopes(tmp_path: Path) -> Any:
    values = xr.open_zarr(tmp_path / "in.zarr", chunks=None)["t"]
    return np.gradient(values.to_numpy(), values["longitude"].to_numpy(), axis=2)


def run(
    served: Web, tmp_path: Path, troubles: list[int | str], **timeouts: float
) -> tuple[Any, Report]:
    source = Retrying(open_url(f"{served.url}/in.zarr", options(**timeouts), read_only=True))
    job = bigrad.plan(source, tmp_path / "out.zarr", "longitude", memory=MEMORY)
    served.troubles[CHUNK] = troubles
    report = job.run()
    return xr.open_zarr(tmp_path / "out.zarr", chunks=None)["t"].to_numpy(), report


@pytest.mark.parametrize("troubles", FOR_A_MOMENT.values(), ids=FOR_A_MOMENT)
def test_what_fails_for_a_moment_is_asked_again(
    served: Web, tmp_path: Path, troubles: list[int | str]
) -> None:
    expected = slopes(tmp_path)
    found, report = run(served, tmp_path, list(troubles), total=HANG / 4)
    assert found.tobytes() == expected.tobytes()
    assert not served.troubles[CHUNK]
    # A connection that was kept and broke is tried once more by the client itself.
    assert 1 <= report.retries <= len(troubles)
    assert "made again" in str(report)


@pytest.mark.parametrize("trouble", [503, "reset", "short", "hang"])
def test_what_fails_always_is_an_error_after_so_many_tries(
    served: Web, tmp_path: Path, trouble: int | str
) -> None:
    with pytest.raises(SourceError, match=rf"{CHUNK}0/0 failed 4 times, at last"):
        run(served, tmp_path, [trouble] * 100, total=0.1)
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(tmp_path / "out.zarr")


@pytest.mark.parametrize(("status", "kind"), [(403, "PermissionError"), (400, "OSError")])
def test_what_will_not_pass_is_an_error_at_once(
    served: Web, tmp_path: Path, status: int, kind: str
) -> None:
    with pytest.raises(SourceError, match=rf"{kind}: .*{CHUNK}0/0 cannot be used.* {status}"):
        run(served, tmp_path, [status] * 100)
    assert sum(CHUNK in path for path in served.asked) == 1


def test_only_what_a_server_says_is_missing_is_missing(served: Web, tmp_path: Path) -> None:
    (tmp_path / "in.zarr" / "t" / "c" / "1" / "0" / "0").unlink()
    expected = slopes(tmp_path)
    assert (expected[2:4] == 0).all()  # the chunk is missing, and flat
    found, report = run(served, tmp_path, [503])
    assert found.tobytes() == expected.tobytes()
    assert report.retries == 1


@pytest.mark.parametrize("troubles", [[503, 500], ["close"], ["short"]], ids=str)
def test_s3_is_asked_again(served: Web, troubles: list[int | str]) -> None:
    """To read an object, S3 is asked as any server is."""
    pytest.importorskip("s3fs", reason="s3fs, by which fsspec speaks to S3, is not here")
    options = {"endpoint_url": served.url, "key": "someone", "secret": "something"}
    store = Retrying(open_url("s3://in.zarr", options, read_only=True))
    key, prototype = "t/c/1/0/0", default_buffer_prototype()
    served.troubles[key] = troubles.copy()
    found = sync(store.get(key, prototype))
    assert found is not None
    assert found.to_bytes() == sync(store.get(key, prototype)).to_bytes()  # type: ignore[union-attr]
    # Nobody else asks a busy server again.
    assert take_retries(store) == len(troubles) or isinstance(troubles[0], str)
    served.troubles[key] = [503] * 100
    with pytest.raises(OSError, match=f"s3://in.zarr/{key} failed 4 times, at last"):
        sync(store.get(key, prototype))


def test_every_request_is_asked_again(served: Web) -> None:
    store = Retrying(open_url(f"{served.url}/in.zarr", None, read_only=True))
    for ask in (
        lambda: sync(store.exists("zarr.json")),
        lambda: sync(store.get("zarr.json", default_buffer_prototype())),
        lambda: sync(store.get_partial_values(default_buffer_prototype(), [("zarr.json", None)])),
        lambda: "t" in [name.strip("/") for name in sync(names(store))],
    ):
        served.troubles["in.zarr"] = [503, 429]
        assert ask()
        assert take_retries(store) == 2
    served.troubles["in.zarr"] = [503]
    assert not sync(store.exists("nothing"))


async def names(store: Retrying) -> list[str]:
    return [name async for name in store.list_dir("")]


def test_a_part_of_an_object_is_never_the_whole(served: Web) -> None:
    """Python's own server knows no byte ranges, and sends all."""
    store = Retrying(open_url(f"{served.url}/in.zarr", None, read_only=True))
    with pytest.raises(OSError, match="does not know byte ranges"):
        sync(store.get("zarr.json", default_buffer_prototype(), RangeByteRequest(0, 5)))
