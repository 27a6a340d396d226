"""What the codecs that ``--codec`` offers cost and save, against that of the source."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import zarr

from benchmarks.comparison import BIGRAD, SECONDS, Case, Comparison, Measured, Size
from benchmarks.fresh import call
from benchmarks.jobs import make_store
from bigrad.jobs.target import CODECS

__all__ = ["GROUP", "ROWS"]

GROUP = "codecs"
SOURCES = "the codec of the source"
STORED = "MB stored"

_CEILING = "1GiB"
_WORKERS = 2
_COORD = "longitude"


def encoded(source: str, target: str, codec: str | None) -> dict[str, float]:
    """Differentiate a store into another with some codec; its seconds, and what it stores."""
    from bigrad import plan

    job = plan(
        source, target, _COORD, memory=_CEILING, workers=_WORKERS, codec=codec, overwrite=True
    )
    report = job.run()
    objects = (path for path in Path(target, "t").rglob("*") if path.is_file())
    return {
        SECONDS: report.seconds,
        STORED: sum(path.stat().st_size for path in objects) / 1e6,
    }


def _codec(name: str) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        source = folder / "source.zarr"
        make_store(source, size.stored, size.layouts["maps"])
        targets = {BIGRAD: folder / "named.zarr", SOURCES: folder / "default.zarr"}

        def way(target: str, codec: str | None) -> Callable[[], Measured]:
            arguments = (str(source), str(targets[target]), codec)
            if not size.fresh:
                return lambda: Measured(encoded(*arguments))
            return lambda: _figures(call("benchmarks.codecs:encoded", *arguments))

        def agree() -> None:
            named, default = (zarr.open_array(path / "t", mode="r") for path in targets.values())
            for start in range(0, named.shape[0], named.chunks[0]):
                part = slice(start, start + named.chunks[0])
                assert np.array_equal(named[part], default[part]), f"{name}: other values"

        ways = {BIGRAD: way(BIGRAD, name), SOURCES: way(SOURCES, None)}
        return Case(ways, agree=agree, nbytes=8 * int(np.prod(size.stored)), once=size.brief)

    return prepare


def _figures(measured: Measured) -> Measured:
    return Measured({unit: measured.values[unit] for unit in (SECONDS, STORED)})


ROWS = tuple(
    Comparison(GROUP, name, _codec(name), threads=_WORKERS, brief=name == "lz4") for name in CODECS
)
