"""Time and memory against size and against the number of chunks, for the figure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.comparison import SIZES, Measured, Size
from benchmarks.scaling import by_count, by_size

_MEGABYTES = sorted({megabytes for size in SIZES.values() for megabytes in size.sizes})
_CHUNKS = sorted({chunks for size in SIZES.values() for chunks in size.counts})


@pytest.mark.parametrize("megabytes", _MEGABYTES)
def test_size(megabytes: float, size: Size, benchmark: Any, folder: Path) -> None:
    if megabytes not in size.sizes:
        pytest.skip("belongs to another size of the work")
    _keep(benchmark, "size", megabytes, benchmark.pedantic(by_size, (megabytes, folder)))


@pytest.mark.parametrize("chunks", _CHUNKS)
def test_chunks(chunks: int, size: Size, benchmark: Any) -> None:
    if chunks not in size.counts:
        pytest.skip("belongs to another size of the work")
    _keep(benchmark, "chunks", chunks, benchmark.pedantic(by_count, (chunks,)))


def _keep(benchmark: Any, scaling: str, at: float, found: dict[str, Measured]) -> None:
    assert all(np.all(np.array(list(one.values.values())) > 0) for one in found.values())
    ways = {way: dict(measured.values) for way, measured in found.items()}
    benchmark.extra_info |= {"scaling": scaling, "at": at, "ways": ways}
