"""Every row of the table, measured in paired rounds; with timing off, its results compared."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import pytest

from benchmarks.comparison import BIGRAD, Comparison, Size, check
from benchmarks.paired import Recorder, rounds_for
from benchmarks.table import TABLE


@pytest.mark.parametrize("row", [pytest.param(c, id=f"{c.group}: {c.name}") for c in TABLE])
def test_compare(
    row: Comparison,
    size: Size,
    benchmark: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if row.threads > (os.cpu_count() or 1):
        pytest.skip(f"takes {row.threads} cores")
    if size.brief and not row.brief:
        pytest.skip("takes too long for a quick run")
    monkeypatch.setenv("BIGRAD_NUM_THREADS", str(row.threads))
    with dask.config.set(scheduler="threads", num_workers=row.threads):
        prepared = row.prepare(size, folder)
        ways = {name: way for name, way in prepared.ways.items() if name not in prepared.absent}
        case = replace(prepared, ways=ways)
        first = Recorder(case)
        began = time.perf_counter()
        if not benchmark.enabled:
            benchmark.pedantic(lambda: check(case, {name: first.run(name) for name in ways}))
            return
        check(case, {name: first.run(name) for name in ways})
        rounds = 1 if case.counts else rounds_for(size, time.perf_counter() - began)

        recorder = Recorder(case)
        benchmark.pedantic(recorder.run, (BIGRAD,), setup=recorder.others, rounds=rounds)
    benchmark.extra_info |= {
        "group": row.group,
        "name": row.name,
        "rounds": recorder.rounds,
        "limit": case.limit,
        "absent": dict(case.absent),
        "nbytes": case.nbytes,
        "targets": [
            {
                "text": str(t),
                "reached": (figure := t.reached(recorder.rounds)),
                "met": t.met(figure),
            }
            for t in row.targets
            if t.way not in case.absent
        ],
    }
