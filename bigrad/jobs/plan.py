"""Plan a job: everything about it decided from metadata, before any value is read."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from numbers import Integral
from typing import Any

import numpy as np
import xarray as xr
from dask.utils import format_bytes
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from bigrad.errors import CoordinateError, TargetError
from bigrad.jobs.blocks import BlockGrid
from bigrad.jobs.memory import (
    TaskMemory,
    parse_bytes,
    peak_memory,
    resident_memory,
    settle_allocator,
)
from bigrad.jobs.planner import MARGIN, Demand, choose, task_memory
from bigrad.jobs.report import Progress, Report
from bigrad.jobs.run import Work, copies, copy_tasks, execute
from bigrad.jobs.selection import Field, Selection, select
from bigrad.jobs.source import Source, layout_of, metadata_objects, open_source
from bigrad.jobs.storage import Place, describe
from bigrad.jobs.target import (
    ResultArray,
    begin,
    check_target,
    finish,
    open_result,
    open_target,
    result_array,
    with_history,
)
from bigrad.labelled.attributes import derivative_attributes
from bigrad.labelled.coordinates import coordinate_units, coordinate_values, is_time
from bigrad.numerics import fused  # noqa: F401  (loads Numba, which counts in `_reserved`)
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.spacing import Spacing, from_coordinate
from bigrad.numerics.stencils import Reach, check_edge_order

__all__ = ["Part", "Plan", "plan"]

# Arrays of float64, as long as a coordinate, that its spacing and weights take.
_SPACING_ARRAYS = 12

# Dtypes of data that array expressions differentiate, and the arrays these need besides the
# result; the compiled loops, for all else, need none.
_PLAIN_DTYPES = "eg"
_PLAIN_TEMPORARIES = 4


@dataclass(frozen=True, eq=False)
class Part:
    """One variable of a plan.

    Attributes
    ----------
    field : Field
        The variable and its results.
    demand : Demand
        What the planner knew of it.
    grid : BlockGrid
        Its blocks.
    result : ResultArray
        How each result lies in the target.
    memory : TaskMemory
        What a task on one of its blocks adds to the process, at most.
    """

    field: Field
    demand: Demand
    grid: BlockGrid
    result: ResultArray
    memory: TaskMemory

    @property
    def bytes_read(self) -> int:
        """Bytes of source chunks decoded; a chunk counts each time."""
        return self.grid.read_units(self.demand.source.chunk) * self.demand.chunk_bytes

    @property
    def amplification(self) -> float:
        """How many times each source chunk is decoded, on average."""
        chunks = np.prod(
            [
                -(-n // c)
                for n, c in zip(self.demand.source.shape, self.demand.source.chunk, strict=True)
            ],
            dtype=float,
        )
        return float(self.grid.read_units(self.demand.source.chunk) / max(chunks, 1.0))


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """A job that is decided and not begun; `run` begins it.

    Attributes
    ----------
    source : Source
        The group to read from.
    target : zarr.abc.store.Store
        The place to write to.
    selection : Selection
        The results, and the variables that are copied.
    parts : tuple of Part
        The variables to differentiate, with their blocks.
    workers, concurrency : int
        Tasks at the same time, and chunks that each reads or writes at the same time.
    copied : mapping of str to int
        Bytes of the largest object of each variable that is copied.
    ceiling, reserved : int
        Bytes that the process may hold at most, and what it is taken to hold without tasks.
    edge_order : {1, 2}
        The order of accuracy at the ends.
    datetime_unit : str or None
        The unit of time of derivatives along time; None is the second.
    overwrite : bool
        Whether an existing target is replaced.
    """

    source: Source
    target: Store
    selection: Selection
    parts: tuple[Part, ...]
    workers: int
    concurrency: int
    copied: Mapping[str, int]
    ceiling: int
    reserved: int
    edge_order: int
    datetime_unit: str | None
    overwrite: bool

    @property
    def projected_memory(self) -> int:
        """Bytes that the process will hold at most: ``reserved``, a margin, the tasks' own."""
        tasks = [*self.copied.values(), *(part.memory.total for part in self.parts)]
        return self.reserved + MARGIN + self.workers * max(tasks)

    @property
    def blocks(self) -> int:
        """The number of blocks of all variables."""
        return sum(len(part.grid) for part in self.parts)

    @property
    def bytes_read(self) -> int:
        """Bytes of source chunks that are decoded, uncompressed."""
        return sum(part.bytes_read for part in self.parts)

    @property
    def bytes_written(self) -> int:
        """Bytes of the results, uncompressed."""
        return sum(part.demand.result_bytes for part in self.parts)

    def spacings(self) -> dict[str, Spacing]:
        """Read the coordinates and decide how their points are spaced.

        Returns
        -------
        dict of str to Spacing
            By coordinate.

        Raises
        ------
        CoordinateError
            Where one is not finite or not strictly monotonic.
        """
        return self._coordinates()[1]

    def run(self, progress: Callable[[Progress], None] | None = None) -> Report:
        """Do the job.

        Coordinates are read and checked before anything is written. Until the last result is
        written, the target does not open as a zarr group.

        Parameters
        ----------
        progress : callable, optional
            Called with a `Progress` whenever a task is done, in the calling thread.

        Returns
        -------
        Report

        Raises
        ------
        CoordinateError
            Where a coordinate cannot be the spacing of a derivative; nothing is written then.
        SourceError
            Where a block cannot be read.
        TargetError
            Where the target exists, or cannot be written to.
        """
        began = time.perf_counter()
        loaded, spacings = self._coordinates()
        check_target(self.source.store, self.target, overwrite=self.overwrite)
        staged = self._staged(loaded)
        begin(self.target, staged, self.source.name)
        done = execute(
            [self._work(part, spacings) for part in self.parts],
            copies(self.source, self.target, self.selection.companions),
            tasks=self.blocks + copy_tasks(self.source, self.selection.companions),
            total_bytes=self.bytes_written,
            workers=self.workers,
            concurrency=self.concurrency,
            progress=progress,
        )
        attributes = with_history(self._group_attributes(), self._what())
        finish(self.target, staged, attributes, self.source.zarr_format)
        return Report(
            seconds=time.perf_counter() - began,
            blocks=done.blocks,
            bytes_read=self.bytes_read,
            bytes_written=done.written,
            bytes_copied=done.copied,
            peak_memory=peak_memory(),
        )

    def _coordinates(self) -> tuple[dict[str, xr.Variable], dict[str, Spacing]]:
        loaded = self.source.coordinates(self.selection.coords)
        if self.datetime_unit is not None and not any(map(is_time, loaded.values())):
            found = ", ".join(f"`{name}` of {c.dtype}" for name, c in loaded.items())
            msg = (
                f"`datetime_unit` is for dates and durations, found {self.datetime_unit!r} with "
                f"{found}; leave it out"
            )
            raise CoordinateError(msg)
        return loaded, {
            name: from_coordinate(coordinate_values(name, variable, self.datetime_unit))
            for name, variable in loaded.items()
        }

    def _group_attributes(self) -> dict[str, Any]:
        """Attributes of the root; they name coordinates that no variable taken along names."""
        dataset = self.source.dataset
        taken = [*(field.variable for field in self.selection.fields), *self.selection.companions]
        named = {
            word
            for name in taken
            for word in dataset[name].encoding.get("coordinates", "").split()
        }
        unnamed = [
            name
            for name in self.selection.companions
            if name in dataset.coords and dataset[name].dims != (name,) and name not in named
        ]
        attributes = {k: v for k, v in self.source.group.attrs.items() if k != "coordinates"}
        return attributes | ({"coordinates": " ".join(unnamed)} if unnamed else {})

    def _staged(self, loaded: Mapping[str, xr.Variable]) -> dict[str, Buffer]:
        """Make the metadata documents of all arrays of the target."""
        scratch = MemoryStore()
        staged: dict[str, Buffer] = {}
        for part in self.parts:
            variable = self.source.dataset[part.field.variable].variable
            for output in part.field.outputs:
                per = coordinate_units(loaded[output.coord], self.datetime_unit)
                attributes = derivative_attributes(
                    part.field.variable, variable.attrs, output.coord, per
                )
                if "coordinates" in variable.encoding:
                    attributes["coordinates"] = variable.encoding["coordinates"]
                array = part.result.stage(scratch, output.name, attributes)
                staged |= metadata_objects(output.name, array)
        for name in self.selection.companions:
            staged |= metadata_objects(name, self.source.array(name))
        return staged

    def _work(self, part: Part, spacings: Mapping[str, Spacing]) -> Work:
        return Work(
            part.field.variable,
            self.source.dataset[part.field.variable].variable,
            part.grid,
            tuple(
                Gradient.along(
                    {output.axis: spacings[output.coord]},
                    dtype=part.demand.decoded,
                    edge_order=self.edge_order,
                )
                for output in part.field.outputs
            ),
            tuple(
                open_result(self.target, output.name, self.source.zarr_format)
                for output in part.field.outputs
            ),
        )

    def _what(self) -> str:
        fields = ", ".join(field.variable for field in self.selection.fields)
        return (
            f"bigrad {version('bigrad')}: derivative of {fields} along "
            f"{', '.join(self.selection.coords)} (edge_order={self.edge_order}) "
            f"of {self.source.name}"
        )

    def __repr__(self) -> str:
        rows = [
            ("source", f"{self.source.name} (zarr v{self.source.zarr_format})"),
            ("target", describe(self.target)),
            ("along", ", ".join(self.selection.coords)),
            *(row for part in self.parts for row in _part_rows(part)),
        ]
        if self.copied:
            largest = format_bytes(max(self.copied.values()))
            rows.append(("copied", f"{', '.join(self.copied)}; objects of {largest} at most"))
        rows += [
            (
                "tasks",
                f"{_of(self.blocks, 'block')}, {_of(self.workers, 'worker')}, "
                f"{_of(self.concurrency, 'chunk')} at a time in each",
            ),
            ("reads", f"{format_bytes(self.bytes_read)} decoded"),
            ("writes", f"{format_bytes(self.bytes_written)} uncompressed"),
            (
                "memory",
                f"{format_bytes(self.projected_memory)} projected, "
                f"ceiling {format_bytes(self.ceiling)}",
            ),
            (
                "",
                f"{format_bytes(self.reserved)} process + {format_bytes(MARGIN)} margin + "
                f"{_of(self.workers, 'worker')} x the largest of",
            ),
            *_memory_rows(max((part.memory for part in self.parts), key=lambda m: m.total)),
        ]
        if self.copied:
            rows.append(("", f"  copying: {largest}"))
        width = max(len(name) for name, _ in rows)
        lines = (f"  {name:<{width}}  {text}" for name, text in rows)
        return "\n".join(["<bigrad.Plan>", *lines])


def _part_rows(part: Part) -> list[tuple[str, str]]:
    layout = part.demand.target
    names = ", ".join(output.name for output in part.field.outputs)
    return [
        (
            part.field.variable,
            f"-> {names}; {_size(part.grid.shape)} {part.demand.decoded} -> {layout.dtype}",
        ),
        (
            "",
            f"{_of(len(part.grid), 'block')} of {_size(part.grid.block)} "
            f"in {'shards' if layout.shard else 'chunks'} of {_size(layout.unit)}",
        ),
        (
            "",
            f"each source chunk is decoded {part.amplification:.2f} times"
            if len(part.grid)
            else "nothing to read",
        ),
    ]


def _memory_rows(memory: TaskMemory) -> list[tuple[str, str]]:
    terms = {name: format_bytes(getattr(memory, name)) for name in memory.__dataclass_fields__}
    return [
        ("", "  reading: {stored} stored + {decoded} decoded + {reading} chunks".format(**terms)),
        ("", "  writing: {data} data + {result} result + {writing} chunks".format(**terms)),
    ]


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _of(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def plan(
    source: Place,
    target: Place,
    coord: str | Sequence[str],
    *,
    variables: Sequence[str] | None = None,
    memory: int | float | str = "2GiB",
    workers: int | None = None,
    chunks: Mapping[str, int] | None = None,
    shards: Mapping[str, int] | None = None,
    edge_order: int = 1,
    datetime_unit: str | None = None,
    overwrite: bool = False,
) -> Plan:
    """Plan the derivatives of the variables of a zarr group, written to another.

    Only metadata are read: a plan for a petabyte takes seconds. `Plan.run` does the work.

    Parameters
    ----------
    source : str, os.PathLike or zarr.abc.store.Store
        Path or URL of a zarr group as xarray writes them (version 2 or 3), or its store.
        Packed variables and missing values are decoded as `xarray.open_zarr` does.
    target : str, os.PathLike or zarr.abc.store.Store
        Where the results go, in the same version of zarr. It must be another place.
    coord : str or sequence of str
        Coordinates to differentiate along; each must have one dimension. One name keeps the
        variables' names, a sequence gives ``d<variable>_d<coordinate>`` from one read.
    variables : sequence of str, optional
        Data variables to take, no coordinates, which go along; by default all. Those without
        the dimension, and those that are not numeric, are copied.
    memory : int, float or str, optional
        The most that the process may hold, in bytes or as ``"512MiB"``; the interpreter and
        all else that the process holds already are included.
    workers : int, optional
        Blocks worked on at the same time; by default what cores and memory allow.
    chunks, shards : mapping of str to int, optional
        Chunk and shard sizes of the results by dimension; by default the source's.
    edge_order : {1, 2}, optional
        Order of accuracy at the two ends of a dimension.
    datetime_unit : str, optional
        Unit of time of derivatives along a time coordinate, such as ``"h"``; by default
        they are per second.
    overwrite : bool, optional
        Replace an existing zarr hierarchy at `target`.

    Returns
    -------
    Plan
        Its repr shows blocks, memory and how often the source is read.

    Raises
    ------
    SourceError
        Where the source is not a zarr group, or holds nothing to differentiate.
    CoordinateError
        Where `coord` does not name coordinates of one dimension.
    TargetError
        Where the target exists, or is, contains or lies inside the source.
    MemoryCeilingError
        Where `memory` cannot be kept; the message names the least that can.

    Examples
    --------
    >>> import tempfile, xarray as xr, zarr
    >>> ds = xr.Dataset({"t": ("x", [0.0, 1.0, 4.0, 9.0])}, {"x": [0.0, 1.0, 2.0, 3.0]})
    >>> directory = tempfile.mkdtemp()
    >>> _ = ds.to_zarr(f"{directory}/in.zarr", consolidated=False)
    >>> job = plan(f"{directory}/in.zarr", f"{directory}/out.zarr", "x")
    >>> job.run().blocks
    1
    >>> xr.open_zarr(f"{directory}/out.zarr")["t"].values
    array([1., 2., 4., 5.])
    """
    ceiling = parse_bytes(memory)
    edge_order = check_edge_order(edge_order)
    workers = _checked_workers(workers)
    settle_allocator()
    opened = open_source(source)
    place = open_target(target)
    check_target(opened.store, place, overwrite=overwrite)
    selection = select(opened, coord, variables, edge_order)
    chunks = _sizes(opened, selection, "chunks", chunks or {})
    shards = _sizes(opened, selection, "shards", shards or {})
    fields = selection.fields
    results = [_result(opened, field, chunks, shards) for field in fields]
    demands = [
        _demand(opened, field, result, edge_order)
        for field, result in zip(fields, results, strict=True)
    ]
    reserved = _reserved(opened, selection, demands)
    copied = {name: _object_bytes(opened, name) for name in selection.companions}
    choice = choose(demands, ceiling=ceiling, reserved=reserved, workers=workers, copied=copied)
    parts = tuple(
        Part(field, demand, grid, result, task_memory(demand, grid, choice.concurrency))
        for field, demand, grid, result in zip(fields, demands, choice.grids, results, strict=True)
    )
    return Plan(
        source=opened,
        target=place,
        selection=selection,
        parts=parts,
        workers=choice.workers,
        concurrency=choice.concurrency,
        copied=copied,
        ceiling=ceiling,
        reserved=reserved,
        edge_order=edge_order,
        datetime_unit=datetime_unit,
        overwrite=overwrite,
    )


def _checked_workers(workers: Any) -> int | None:
    if workers is None:
        return None
    if _is_size(workers):
        return int(workers)
    msg = f"`workers` must be a whole number above zero, found {workers!r}"
    raise ValueError(msg)


def _is_size(number: Any) -> bool:
    return not isinstance(number, bool) and isinstance(number, Integral) and int(number) >= 1


def _sizes(
    source: Source, selection: Selection, argument: str, sizes: Mapping[str, Any]
) -> dict[str, int]:
    dims = {dim for field in selection.fields for dim in source.dataset[field.variable].dims}
    for dim, size in sizes.items():
        if dim not in dims:
            msg = (
                f"`{argument}` names {dim!r}, which is no dimension of the results; "
                f"these have {', '.join(sorted(map(repr, dims)))}"
            )
            raise TargetError(msg)
        if not _is_size(size):
            msg = f"`{argument}` along {dim!r} must be a whole number above zero, found {size!r}"
            raise TargetError(msg)
    if sizes and argument == "shards" and source.zarr_format == 2:
        msg = "`shards` need zarr version 3, and the target has the source's version, 2"
        raise TargetError(msg)
    return {dim: int(size) for dim, size in sizes.items()}


def _result(
    source: Source, field: Field, chunks: Mapping[str, int], shards: Mapping[str, int]
) -> ResultArray:
    dtype = Gradient.along({}, dtype=source.dataset[field.variable].dtype).dtype
    return result_array(source, field.variable, dtype, chunks, shards)


def _demand(source: Source, field: Field, result: ResultArray, edge_order: int) -> Demand:
    decoded = source.dataset[field.variable].dtype
    return Demand(
        source=layout_of(source.array(field.variable)),
        target=result.layout,
        decoded=decoded,
        packed=source.is_packed(field.variable),
        temporaries=_PLAIN_TEMPORARIES if decoded.char in _PLAIN_DTYPES else 0,
        reach={axis: Reach(result.layout.shape[axis], ends=edge_order + 1) for axis in field.axes},
        outputs=len(field.outputs),
    )


def _reserved(source: Source, selection: Selection, demands: Sequence[Demand]) -> int:
    """Bytes that the process will hold without any task."""
    for field, demand in zip(selection.fields, demands, strict=True):
        _warm(demand)
        # Loads the parser of units, where there are any.
        derivative_attributes(None, source.dataset[field.variable].attrs, "", "s")
    points = sum(source.dataset[name].size for name in selection.coords)
    return resident_memory() + points * 8 * _SPACING_ARRAYS


def _warm(demand: Demand) -> None:
    """Compute a little, so that what it takes is part of what the process is seen to hold."""
    shape = (4,) * len(demand.target.shape)
    for positions in ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 3.0, 4.0]):
        for axis in demand.reach:
            spacings = {axis: from_coordinate(np.array(positions))}
            operator = Gradient.along(spacings, dtype=demand.decoded)
            operator.apply(Block(np.ones(shape, demand.decoded), (0,) * len(shape)))


def _object_bytes(source: Source, name: str) -> int:
    layout = layout_of(source.array(name))
    return int(np.prod(layout.unit, dtype=float)) * layout.dtype.itemsize
