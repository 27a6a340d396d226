"""What jobs hold at most, in fresh processes, under each ceiling they may be given."""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import zarr

from benchmarks.comparison import BIGRAD, Case, Comparison, Measured, Size, Target
from benchmarks.fresh import MEGABYTES, call
from benchmarks.jobs import make_store
from bigrad.jobs.memory import MiB, parse_bytes

__all__ = ["PEAKS", "ROWS"]

PEAKS = "peaks"

_COORDS = {
    "time": ["time"],
    "longitude": ["longitude"],
    "all axes": ["time", "latitude", "longitude"],
}
_CEILINGS = ("384MiB", "512MiB", "1GiB", "4GiB")
_WORKERS = (1, 2)
_BRIEF = ("blocks", "all axes", 2)


def _unit(ceiling: str) -> str:
    return f"MiB of {parse_bytes(ceiling) // MiB}"


def derived(
    source: str, target: str, coords: list[str], ceiling: str, workers: int
) -> dict[str, float]:
    """Differentiate a store into another; the peak is what the caller asks for."""
    from bigrad import plan

    coord = coords[0] if len(coords) == 1 else coords
    plan(source, target, coord, memory=ceiling, workers=workers, overwrite=True).run()
    return {}


def _under(layout: str, along: str, workers: int) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        source, target = folder / "source.zarr", folder / "target.zarr"
        stored = size.held[layout]
        make_store(source, stored.shape, stored.chunks, stored.shards)

        def peaks() -> Measured:
            found = {}
            for ceiling in size.ceilings:
                arguments = (str(source), str(target), _COORDS[along], ceiling, workers)
                measured = call("benchmarks.ceilings:derived", *arguments)
                found[_unit(ceiling)] = measured.values[MEGABYTES] * 1e6 / MiB
            return Measured(found)

        def agree() -> None:
            _agree(source, target, _COORDS[along])

        return Case({BIGRAD: peaks}, agree=agree, once=True)

    return prepare


def _agree(source: Path, target: Path, coords: list[str]) -> None:
    values = zarr.open_array(source / "t", mode="r")
    name = "t" if len(coords) == 1 else f"dt_d{coords[0]}"
    result = zarr.open_array(target / name, mode="r")
    axis = ("time", "latitude", "longitude").index(coords[0])
    points = zarr.open_array(source / coords[0], mode="r")[:]
    # Of each other axis, its last point; of this one, all.
    line = tuple(slice(None) if a == axis else -1 for a in range(values.ndim))
    expected = np.gradient(np.asarray(values[line]), np.asarray(points))
    assert np.array_equal(result[line], expected), f"{name}: other values"


def _rows() -> Iterator[Comparison]:
    layouts = ("maps", "blocks", "columns", "months", "shards")
    for layout, along, workers in product(layouts, _COORDS, _WORKERS):
        yield Comparison(
            PEAKS,
            f"{layout}, {along}, {workers} worker{'s' * (workers > 1)}",
            _under(layout, along, workers),
            tuple(
                Target("most", parse_bytes(ceiling) // MiB, unit=_unit(ceiling))
                for ceiling in _CEILINGS
            ),
            workers,
            brief=(layout, along, workers) == _BRIEF,
            lasting=True,
        )


ROWS = tuple(_rows())
