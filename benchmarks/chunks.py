"""Dask arrays, against `dask.array.gradient` and a copy of every chunk."""

import math
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
from dask.base import optimize, persist

import bigrad
from benchmarks.arrays import field
from benchmarks.comparison import BIGRAD, Case, Comparison, Measured, Size, Target
from benchmarks.fresh import call

__all__ = ["ALL_AXES", "GRAPH", "ONE_AXIS", "ROWS", "TASKS", "TRAVEL"]

ONE_AXIS = "dask"
ALL_AXES = "dask all axes"
TASKS = "tasks"
GRAPH = "graph"
TRAVEL = "travel"

DASK = "da.gradient"
COPY = "map_blocks(np.copy)"
FACES = "bytes of the faces"

PER_CHUNK = "tasks per chunk"
MOVED = "MB between workers"

_H = 0.25


def _source(size: Size, chunks: tuple[int, ...]) -> Any:
    return da.from_array(field(size.lazy, np.float32), chunks=chunks)


def _computed(lazy: Any) -> Any:
    """Compute all chunks and leave them where they are, not joined to one array."""
    return persist(*lazy) if isinstance(lazy, tuple | list) else persist(lazy)


def _time(kind: str, axis: int | None) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        x = _source(size, size.chunks[kind])
        results = x.ndim if axis is None else 1
        return Case(
            {
                BIGRAD: lambda: _computed(bigrad.gradient(x, _H, axis=axis)),
                DASK: lambda: _computed(da.gradient(x, _H, axis=axis)),
                # Of one name there would be one copy.
                COPY: lambda: _computed(
                    [x.map_blocks(np.copy, name=f"copy-{k}") for k in range(results)]
                ),
            },
            limit=COPY,
            exact=(DASK,),
            nbytes=(1 + results) * x.nbytes,
        )

    return prepare


def _optimised(lazy: Any) -> dict[Any, Any]:
    """Make the graph that a scheduler gets."""
    collections = lazy if isinstance(lazy, tuple | list) else (lazy,)
    optimised = optimize(*collections)
    return {key: task for one in optimised for key, task in one.__dask_graph__().items()}


def _tasks(kind: str, axis: int | None) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        x = da.zeros(size.lazy, chunks=size.chunks[kind], dtype=np.float32)

        def counted(gradient: Callable[..., Any]) -> Callable[[], Measured]:
            return lambda: Measured(
                {PER_CHUNK: len(_optimised(gradient(x, _H, axis=axis))) / x.npartitions}
            )

        return Case({BIGRAD: counted(bigrad.gradient), DASK: counted(da.gradient)}, once=True)

    return prepare


def _graph(coordinate: bool) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        x = da.zeros(4 * size.graph, chunks=4)
        h = np.cumsum(np.random.default_rng(4).random(x.size)) if coordinate else _H
        return Case(
            {
                BIGRAD: lambda: len(_optimised(bigrad.gradient(x, h))),
                DASK: lambda: len(_optimised(da.gradient(x, h))),
                COPY: lambda: len(_optimised(x.map_blocks(np.copy))),
            },
            limit=COPY,
        )

    return prepare


def _travel(axis: int, owners: bool) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        shape = size.lazy
        chunks = tuple(-(-n // 4) for n in shape)
        boundaries = -(-shape[axis] // chunks[axis]) - 1
        faces = 2 * boundaries * 4 * math.prod(shape) / shape[axis] / 1e6
        arguments = (shape, chunks, axis, owners)
        return Case(
            {
                BIGRAD: lambda: call("benchmarks.chunks:travelled", BIGRAD, *arguments).only(
                    MOVED
                ),
                DASK: lambda: call("benchmarks.chunks:travelled", DASK, *arguments).only(MOVED),
                FACES: lambda: Measured({MOVED: faces}),
            },
            limit=FACES,
            once=True,
        )

    return prepare


def travelled(
    way: str, shape: tuple[int, ...], chunks: tuple[int, ...], axis: int, owners: bool
) -> dict[str, float]:
    """Megabytes that the workers of a local cluster get from each other for one derivative.

    `owners` says whether the scheduler has bigrad's plugin, which has chunks stay.
    """
    from distributed import Client, LocalCluster, wait

    gradient = {BIGRAD: bigrad.gradient, DASK: da.gradient}[way]
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        if owners:
            client.register_plugin(bigrad.OwnerComputes())
        x = client.persist(da.random.default_rng(0).random(shape, chunks=chunks, dtype=np.float32))
        wait(x)
        before = sum(client.run(_received).values())
        wait(client.persist(gradient(x, _H, axis=axis)))
        return {MOVED: (sum(client.run(_received).values()) - before) / 1e6}


def _received(dask_worker: Any) -> int:
    return sum(entry["total"] for entry in dask_worker.transfer_incoming_log)


def _rows() -> Iterator[Comparison]:
    axes = {0: "first", 1: "middle", 2: "last"}
    for kind, axis in product(("8 MB blocks", "33 MB maps", "1 MB blocks"), axes):
        small = kind == "1 MB blocks"
        targets = (
            (Target("faster", 1.0, DASK),)
            if small
            else (Target("faster", 2.2, DASK), Target("times", 2.0, COPY))
        )
        yield Comparison(ONE_AXIS, f"{kind}, {axes[axis]} axis", _time(kind, axis), targets, 2)
    for kind in ("8 MB blocks", "33 MB maps"):
        target = Target("faster", 2.5, DASK)
        yield Comparison(ALL_AXES, kind, _time(kind, None), (target,), 2)
    counted: tuple[tuple[str, int | None, str, int], ...] = (
        ("8 MB blocks", 0, "one axis with several chunks", 7),
        ("33 MB maps", 1, "one axis with one chunk", 2),
        ("8 MB blocks", None, "three axes", 18),
    )
    for kind, along, name, most in counted:
        target = Target("most", most, unit=PER_CHUNK)
        yield Comparison(TASKS, name, _tasks(kind, along), (target,))
    for coordinate in (False, True):
        name = "a coordinate" if coordinate else "one step"
        yield Comparison(GRAPH, name, _graph(coordinate), (Target("times", 1.0, DASK),))
    target = Target("times", 1.1, FACES, unit=MOVED)
    for axis, owners in product(axes, (True, False)):
        name = "with OwnerComputes" if owners else "scheduler as it is"
        aims = (target,) if owners else ()
        prepare, brief = _travel(axis, owners), owners and axis == 1
        yield Comparison(TRAVEL, f"{axes[axis]} axis, {name}", prepare, aims, brief=brief)


ROWS = tuple(_rows())
