"""Every row of the table, measured in paired rounds; with timing off, its results compared."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask
import pytest

from benchmarks.comparison import BIGRAD, Case, Comparison, Size, check
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
    if not row.brief and (size.brief or (row.lasting and not size.fresh)):
        pytest.skip("takes too long for work of this size")
    monkeypatch.setenv("BIGRAD_NUM_THREADS", str(row.threads))
    with dask.config.set(scheduler="threads", num_workers=row.threads):
        prepared = row.prepare(size, folder)
        ways = {name: way for name, way in prepared.ways.items() if name not in prepared.absent}
        case = replace(prepared, ways=ways)
        recorder = Recorder(case)
        began = time.perf_counter()
        if case.once or not benchmark.enabled:
            benchmark.pedantic(_compare, (case, recorder))
        else:
            _compare(case, Recorder(case))
            rounds = rounds_for(size, time.perf_counter() - began)
            benchmark.pedantic(recorder.run, (BIGRAD,), setup=recorder.others, rounds=rounds)
    if not benchmark.enabled:
        return
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
                "met": bool(t.met(figure)),
            }
            for t in row.targets
            if t.way not in case.absent
        ],
    }


def _compare(case: Case, recorder: Recorder) -> None:
    check(case, {name: recorder.run(name) for name in case.ways})
