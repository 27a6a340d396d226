"""Jobs that are killed, interrupted or starved, and go on: nothing is lost, nothing is doubled.

The processes are real ones, and so are their deaths.
"""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

import bigrad
from bigrad.errors import SourceError, TargetError
from bigrad.jobs.job import Plan
from bigrad.jobs.lease import machine
from bigrad.jobs.report import Progress
from bigrad.jobs.target import finish
from tests.jobs.stores import grid, write

MEMORY = "4GiB"
KILLS = 20

# A process of it is made by forking one that has imported all and done nothing.
SPAWN = multiprocessing.get_context("forkserver")
SPAWN.set_forkserver_preload(["tests.jobs.warm"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(grid((12, 10, 12)), tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 4, 5)}})


def job(source: Path, target: Path, **options: Any) -> Plan:
    """A job in blocks of one chunk, in strips and not."""
    planned = bigrad.plan(
        source, target, ["time", "longitude"], memory=MEMORY, workers=2, **options
    )
    if planned.unfinished:
        return planned
    parts = []
    for part in planned.parts:
        blocks = part.demand.grid(part.demand.target.unit)
        parts.append(replace(part, grid=replace(blocks, sweep=min(part.demand.reach), run=2)))
    return replace(planned, parts=tuple(parts))


def contents(target: Path) -> dict[str, bytes]:
    """All files but for the time at which the job was done."""
    found = {}
    for path in sorted(target.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path == target / "zarr.json":
                document = json.loads(data)
                document["attributes"].pop("history")
                data = json.dumps(document).encode()
            found[str(path.relative_to(target))] = data
    return found


@pytest.fixture
def whole(source: Path, tmp_path: Path) -> dict[str, bytes]:
    """What a job that nobody disturbs leaves."""
    job(source, tmp_path / "whole.zarr").run()
    assert not (tmp_path / "whole.zarr.bigrad").exists()
    return contents(tmp_path / "whole.zarr")


def run_and_die(source: str, target: str, at: int, result: Any) -> None:
    """Run or resume; die as the file system is about to be asked for a change for the nth time."""
    seen = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        if event == "open" and not (args[2] or 0) & (os.O_WRONLY | os.O_RDWR):
            return
        if str(args[0]).startswith(target):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    job(Path(source), Path(target)).run(resume=True)
    result.put(seen)


def in_a_process(function: Callable[..., None], *args: Any) -> tuple[int | None, Any]:
    results = SPAWN.SimpleQueue()
    process = SPAWN.Process(target=function, args=(*args, results))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode, None if results.empty() else results.get()


def test_killed_at_any_step_and_resumed_gives_the_same_bytes(
    source: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """Before each of the file system's operations in turn: within a write, and after it, within
    the journal's, and among the last ones that make the target open."""
    code, steps = in_a_process(run_and_die, str(source), str(tmp_path / "count.zarr"), -1)
    assert code == 0
    assert steps > KILLS
    out = tmp_path / "out.zarr"
    killed = 0
    for at in np.linspace(1, steps, KILLS + 6).round().astype(int):
        code, _ = in_a_process(run_and_die, str(source), str(out), int(at))
        # Threads do not always take as many steps; of the last ones some may never come.
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        journal = tmp_path / "out.zarr.bigrad"
        if code and ((journal / "job.json").exists() or not (out / "zarr.json").exists()):
            report = job(source, out).run(resume=True)
            assert report.blocks + report.blocks_resumed == job(source, tmp_path / "x").blocks
            assert not journal.exists()
        assert contents(out) == whole, f"killed at step {at} of {steps}"
        shutil.rmtree(out)
        shutil.rmtree(journal, ignore_errors=True)
    assert killed >= KILLS


def stopped(source: Path, out: Path, after: int = 5) -> None:
    """Leave a job unfinished, as an interrupt does."""
    seen = 0

    def interrupt(_: Progress) -> None:
        nonlocal seen
        seen += 1
        if seen == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        job(source, out).run(progress=interrupt)
    assert "`resume` (`--resume`) continues it" in caught.value.__notes__[0]


def test_what_was_written_is_not_written_again(
    source: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out, after=12)
    seen: list[Progress] = []
    report = job(source, out).run(resume=True, progress=seen.append)
    assert 0 < report.blocks_resumed < job(source, tmp_path / "x").blocks
    assert seen[-1].blocks_done == seen[-1].blocks == report.blocks + report.blocks_resumed
    assert seen[0].blocks_resumed == report.blocks_resumed
    assert contents(out) == whole


def test_a_job_with_nothing_left_to_do_shows_that(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.blocks_done == progress.blocks:
            raise KeyboardInterrupt

    out = tmp_path / "out.zarr"
    with pytest.raises(KeyboardInterrupt):
        job(source, out).run(progress=interrupt)
    shutil.copytree(out, tmp_path / "again.zarr")
    shutil.copytree(tmp_path / "out.zarr.bigrad", tmp_path / "again.zarr.bigrad")
    seen: list[Progress] = []
    report = job(source, out).run(resume=True, progress=seen.append)
    assert report.blocks == 0
    (told,) = seen
    assert told.blocks_done == told.blocks == told.blocks_resumed
    assert told.bytes_done == told.bytes
    job(source, tmp_path / "again.zarr").run(resume=True, progress="bar")
    assert "100%" in capsys.readouterr().err


def test_an_interrupt_as_the_last_documents_are_written_comes_after_them(
    source: Path, tmp_path: Path, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        finish(*args)

    monkeypatch.setattr("bigrad.jobs.job.finish", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            job(source, tmp_path / "out.zarr").run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert "out.zarr is finished" in caught.value.__notes__[0]
    assert contents(tmp_path / "out.zarr") == whole
    assert not (tmp_path / "out.zarr.bigrad").exists()


def test_the_journal_is_lines_of_json(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out, after=12)
    folder = tmp_path / "out.zarr.bigrad"
    assert {path.name for path in folder.iterdir()} == {"job.json", "done.jsonl"}
    lines = [json.loads(line) for line in (folder / "done.jsonl").read_text().splitlines()]
    assert all(first < stop for first, stop in (line["steps"] for line in lines))
    stages = {"pass 0", *(f"copy {c}" for c in ("time", "latitude", "longitude"))}
    assert {line["stage"] for line in lines} <= stages
    assert repr(job(source, out)).count("an unfinished job is there") == 1


def test_an_unfinished_target_says_how_to_go_on(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out)
    with pytest.raises(TargetError, match=r"unfinished job: continue it with `resume`.*overwrite"):
        job(source, out).run()
    job(source, out, overwrite=True).run()
    assert contents(out)
    with pytest.raises(TargetError, match="exists already, and is finished"):
        job(source, out).run(resume=True)


def test_another_job_is_not_resumed(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out)
    with pytest.raises(TargetError, match=r"`operator.edge_order` was 1 and is 2; resume it as"):
        job(source, out, edge_order=2).run(resume=True)
    with pytest.raises(TargetError, match=r"`operator.coord` was \[.*and \d+ more"):
        bigrad.plan(source, out, "time", memory=MEMORY).run(resume=True)
    zarr.open_array(source, path="longitude", mode="r+")[-1] = 1000.0
    with pytest.raises(TargetError, match=r"`coordinates.longitude` was"):
        job(source, out).run(resume=True)


def test_a_plan_of_before_the_job_began_is_to_be_made_again(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zarr"
    early = bigrad.plan(source, out, "time", memory=MEMORY)
    stopped(source, out)
    with pytest.raises(TargetError, match=r"is another one: .*; plan it again"):
        early.run(resume=True)


def test_other_memory_and_workers_go_on_with_the_same_blocks(
    source: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out)
    bigrad.plan(source, out, ["time", "longitude"], memory="8GiB", workers=1).run(resume=True)
    assert contents(out) == whole


def test_without_its_journal_an_unfinished_target_cannot_be_resumed(
    source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out)
    shutil.rmtree(tmp_path / "out.zarr.bigrad")
    with pytest.raises(TargetError, match=r"journal .*out.zarr.bigrad' is not there.*overwrite"):
        job(source, out)


@pytest.mark.parametrize("how", ["removed", "emptied", "replaced"])
def test_a_target_that_is_not_what_the_journal_tells_is_not_resumed(
    source: Path, tmp_path: Path, whole: dict[str, bytes], how: str
) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out, after=12)
    shutil.rmtree(out)
    if how == "replaced":
        shutil.move(tmp_path / "out.zarr.bigrad", tmp_path / "kept")
        job(source, out, edge_order=2).run()
        shutil.move(tmp_path / "kept", tmp_path / "out.zarr.bigrad")
        with pytest.raises(TargetError, match="was removed or replaced since"):
            job(source, out).run(resume=True)
        job(source, out, overwrite=True).run()
    else:
        if how == "emptied":
            out.mkdir()
        report = job(source, out).run(resume=how == "emptied")
        assert report.blocks_resumed == 0
    assert contents(out) == whole


@pytest.mark.parametrize("name", ["job.json", "done.jsonl", "lease.json"])
@pytest.mark.parametrize("text", ["", "null", "[1]", "{}", "\x00\xff", '{"steps": [-5, 3]}'])
def test_a_damaged_journal_is_no_journal(
    source: Path, tmp_path: Path, whole: dict[str, bytes], name: str, text: str
) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out, after=12)
    (tmp_path / "out.zarr.bigrad" / name).write_text(text)
    if name == "lease.json" or (name == "done.jsonl" and not text):
        job(source, out).run(resume=True)
    else:
        with pytest.raises(TargetError, match=r"is damaged .*overwrite"):
            job(source, out).run(resume=True)
        job(source, out, overwrite=True).run()
    assert contents(out) == whole


def test_a_link_to_a_target_is_the_target(source: Path, tmp_path: Path) -> None:
    out, link = tmp_path / "out.zarr", tmp_path / "link.zarr"
    stopped(source, out)
    link.symlink_to(out)
    assert job(source, link).unfinished
    job(source, link).run(resume=True)
    assert not (tmp_path / "out.zarr.bigrad").exists()


def test_names_of_variables_are_no_names_of_stages(tmp_path: Path) -> None:
    x = np.arange(4.0)
    dataset = xr.Dataset(
        {"copy t": ("x", x**2), "pass 0": ("y", np.arange(5.0)), "copy copy t": ("y", np.ones(5))},
        {"x": x},
    )
    source = write(dataset, tmp_path / "in.zarr")
    report = bigrad.plan(source, tmp_path / "out.zarr", "x", memory=MEMORY, workers=1).run()
    assert report.blocks == 1
    np.testing.assert_array_equal(
        xr.open_zarr(tmp_path / "out.zarr")["copy t"], np.gradient(x**2, x)
    )


def test_torn_objects_and_orphans_are_written_anew(
    source: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out)
    for name in [name for name in whole if "/c/" in name and not (out / name).exists()][:7]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(whole[name][: len(whole[name]) // 2])
        (out / name).with_suffix(f".{uuid.uuid4().hex}.partial").write_bytes(b"?")
    job(source, out).run(resume=True)
    assert contents(out) == whole


def test_a_variable_may_be_called_partial(tmp_path: Path) -> None:
    dataset = grid().rename(t="t.partial")
    out = tmp_path / "out.zarr"
    source = write(dataset, tmp_path / "in.zarr", encoding={"t.partial": {"chunks": (2, 4, 5)}})
    stopped(source, out)
    job(source, out).run(resume=True)
    assert set(xr.open_zarr(out)) == {"dt.partial_dtime", "dt.partial_dlongitude"}


def test_torn_shards_are_written_anew(tmp_path: Path) -> None:
    source = write(grid((8, 8, 8)), tmp_path / "in.zarr")
    options: Any = {"chunks": dict.fromkeys(("time", "latitude", "longitude"), 2)}
    options["shards"] = dict.fromkeys(("time", "latitude", "longitude"), 4)
    out = tmp_path / "out.zarr"
    job(source, tmp_path / "whole.zarr", **options).run()
    with pytest.raises(KeyboardInterrupt):
        job(source, out, **options).run(progress=_interrupt)
    torn = contents(tmp_path / "whole.zarr")
    for name in [name for name in torn if "/c/" in name and not (out / name).exists()]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(torn[name][:-5])
    job(source, out, **options).run(resume=True)
    assert contents(out) == torn


def _interrupt(_: Progress) -> None:
    raise KeyboardInterrupt


def test_two_jobs_on_one_target(source: Path, tmp_path: Path, whole: dict[str, bytes]) -> None:
    out = tmp_path / "out.zarr"
    refused = 0

    def another(_: Progress) -> None:
        nonlocal refused
        for options in ({"overwrite": True}, {}):
            with pytest.raises(
                TargetError, match=f"another job writes .*process {os.getpid()} on"
            ):
                job(source, out, **options).run(resume=not options)
            refused += 1

    job(source, out).run(progress=another)
    assert refused > 2
    assert contents(out) == whole


@pytest.mark.parametrize(
    ("holder", "living"),
    [
        ({"machine": "elsewhere"}, True),
        ({"machine": "elsewhere", "renewed": time.time() - 3600}, False),
        ({"machine": machine(), "pid": 1, "started": 0}, False),
        ({"machine": machine(), "pid": 2**22 + 1}, False),
    ],
    ids=["renewed elsewhere", "silent elsewhere", "another process", "no process"],
)
def test_a_lease_lasts_as_long_as_its_holder(
    source: Path, tmp_path: Path, holder: dict[str, Any], living: bool
) -> None:
    out = tmp_path / "out.zarr"
    stopped(source, out)
    lease = tmp_path / "out.zarr.bigrad" / "lease.json"
    lives = {"id": "x", "host": "elsewhere", "pid": 1, "started": 0, "renewed": time.time()}
    lease.write_text(json.dumps({**lives, **holder}))
    if living:
        with pytest.raises(TargetError, match=r"another job writes .* on elsewhere"):
            job(source, out).run(resume=True)
        assert lease.exists()
    else:
        job(source, out).run(resume=True)
        assert not lease.exists()


def test_a_corrupt_source_stops_the_job_and_mended_it_goes_on(
    source: Path, tmp_path: Path, whole: dict[str, bytes]
) -> None:
    out = tmp_path / "out.zarr"
    chunk = source / "t" / "c" / "3" / "1" / "1"
    good = chunk.read_bytes()
    chunk.write_bytes(good[:-3])
    with pytest.raises(SourceError, match=r"'?/?t'?.*c/3/1/1"):
        job(source, out).run()
    chunk.write_bytes(good)
    job(source, out).run(resume=True)
    assert contents(out) == whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_the_job_and_with_room_it_goes_on(
    tmp_path: Path, small_disk: Path
) -> None:
    source = write(
        grid((24, 20, 30)), tmp_path / "in.zarr", encoding={"t": {"chunks": (4, 10, 10)}}
    )
    job(source, tmp_path / "whole.zarr").run()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(560_000))
    out = small_disk / "out.zarr"
    with pytest.raises(TargetError, match="No space left on device"):
        job(source, out).run()
    assert not list(out.rglob("*.partial"))
    ballast.unlink()
    job(source, out).run(resume=True)
    assert contents(out) == contents(tmp_path / "whole.zarr")
