"""How large the benchmarks are, and on which machine they ran."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison import SIZES, Size
from benchmarks.machine import facts


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bench-size", choices=list(SIZES), default="test", help="size of the benchmarks' work"
    )


@pytest.fixture
def size(request: pytest.FixtureRequest) -> Size:
    return SIZES[request.config.getoption("--bench-size")]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for gigabytes, which pytest's own would keep for three runs."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def pytest_benchmark_update_machine_info(
    config: pytest.Config, machine_info: dict[str, Any]
) -> None:
    machine_info["facts"] = {"Size of the work": config.getoption("--bench-size"), **facts()}
