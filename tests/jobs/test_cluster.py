import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from zarr.storage import MemoryStore

import bigrad
from bigrad.cli.commands import main
from bigrad.errors import JobError, MemoryCeilingError, SourceError, TargetError
from bigrad.jobs.report import Progress
from tests.jobs.stores import grid, write
from tests.jobs.test_resume import contents, job

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")

MEMORY = "4GiB"

# A cluster of one worker, in this process.
TINY: dict[str, Any] = {"n_workers": 1, "processes": False, "dashboard_address": ":0"}


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two processes, of two threads each."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, memory_limit=0, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(grid((48, 10, 12)), tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 4, 5)}})


def test_a_worker_is_killed_and_the_bytes_are_the_same(
    source: Path, tmp_path: Path, client: Any
) -> None:
    job(source, tmp_path / "here.zarr").run()
    seen: list[Progress] = []
    pids = client.run(os.getpid)

    def kill(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 5:
            os.kill(next(iter(pids.values())), signal.SIGKILL)

    report = job(source, tmp_path / "there.zarr").run(client=client, progress=kill)
    assert contents(tmp_path / "there.zarr") == contents(tmp_path / "here.zarr")
    assert report.blocks == job(source, tmp_path / "x").blocks == seen[-1].blocks_done
    assert len(seen) > 10
    client.wait_for_workers(2)
    assert set(client.run(os.getpid).values()) != set(pids.values())


def test_stopped_on_a_cluster_and_resumed_here(source: Path, tmp_path: Path, client: Any) -> None:
    out = tmp_path / "out.zarr"
    seen: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job(source, out).run(client=client, progress=interrupt)
    assert not client.processing() or not any(client.processing().values())
    assert job(source, out).run(resume=True).blocks_resumed > 0
    job(source, tmp_path / "whole.zarr").run()
    assert contents(out) == contents(tmp_path / "whole.zarr")


def test_a_client_that_is_closed_in_the_midst_is_named_and_the_job_goes_on_here(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.zarr"
    seen: list[Progress] = []
    with distributed.Client(**TINY, memory_limit=0) as client:

        def close(progress: Progress) -> None:
            seen.append(progress)
            if len(seen) == 10:
                client.close()

        with pytest.raises(JobError, match=r"`client`, which is closed, .* resumed") as caught:
            job(source, out).run(client=client, progress=close)
    assert caught.value.__cause__ is not None
    assert f"{out} is not finished" in caught.value.__notes__[0]
    report = job(source, out).run(resume=True)
    assert report.blocks_resumed == seen[-1].blocks_done > 0
    job(source, tmp_path / "whole.zarr").run()
    assert contents(out) == contents(tmp_path / "whole.zarr")


def test_a_corrupt_source_stops_a_job_on_a_cluster(
    source: Path, tmp_path: Path, client: Any
) -> None:
    (source / "t" / "c" / "3" / "1" / "1").write_bytes(b"?")
    with pytest.raises(SourceError, match="c/3/1/1"):
        job(source, tmp_path / "out.zarr").run(client=client)


def test_a_cluster_that_cannot_do_it_is_refused(source: Path, tmp_path: Path, client: Any) -> None:
    with pytest.raises(TargetError, match=r"`target`.* in the memory of this process"):
        bigrad.plan(source, MemoryStore(), "time", memory=MEMORY).run(client=client)
    planned = bigrad.plan(source, tmp_path / "out.zarr", "time", memory=MEMORY)
    with (
        distributed.Client(**TINY, memory_limit="100MiB") as client,
        pytest.raises(MemoryCeilingError, match=r"paused at 80% of its limit of 100"),
    ):
        planned.run(client=client)
    assert not (tmp_path / "out.zarr").exists()


def test_the_command_line_takes_the_address_of_a_scheduler(
    source: Path, tmp_path: Path, client: Any
) -> None:
    command = ["compute", str(source), str(tmp_path / "there.zarr"), "-c", "time", "-m", MEMORY]
    result = CliRunner().invoke(main, [*command, "--scheduler", client.scheduler.address])
    assert result.exit_code == 0, result.output
    bigrad.plan(source, tmp_path / "here.zarr", "time", memory=MEMORY).run()
    assert contents(tmp_path / "there.zarr") == contents(tmp_path / "here.zarr")
