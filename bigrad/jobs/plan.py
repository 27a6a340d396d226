"""Plan a job: everything about it decided from metadata, before any value is read."""

import hashlib
import json
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from bigrad.errors import CoordinateError, TargetError
from bigrad.jobs import overview
from bigrad.jobs.blocks import BlockGrid
from bigrad.jobs.chunks import Writer, reader_of
from bigrad.jobs.interrupt import deferred_interrupt
from bigrad.jobs.journal import Journal, differences, read_job
from bigrad.jobs.local import run_on_threads
from bigrad.jobs.memory import (
    TaskMemory,
    parse_bytes,
    peak_memory,
    resident_memory,
    settle_allocator,
)
from bigrad.jobs.objects import is_direct
from bigrad.jobs.planner import MARGIN, Demand, Needed, Pass, choose, task_memory
from bigrad.jobs.pool import Pool
from bigrad.jobs.progress import Kind, telling
from bigrad.jobs.remote import take_retries
from bigrad.jobs.report import Progress, Report
from bigrad.jobs.run import Copy, Input, Stage, Work
from bigrad.jobs.selection import Field, Output, Selection, select, select_on_grid
from bigrad.jobs.source import ObjectKeys, Source, layout_of, metadata_objects, open_source
from bigrad.jobs.storage import (
    Place,
    describe,
    is_occupied,
    largest_object,
    located,
    options_of_places,
    remove_partial,
)
from bigrad.jobs.tally import Tally
from bigrad.jobs.target import (
    CODECS,
    ResultArray,
    begin,
    check_resumable,
    check_target,
    finish,
    open_target,
    result_array,
    with_history,
)
from bigrad.labelled.attributes import derivative_attributes
from bigrad.labelled.axes import Along, along
from bigrad.labelled.coordinates import check_datetime_unit, dimension_of
from bigrad.labelled.sphere import is_latitude, is_longitude
from bigrad.labelled.vectors import check_plain
from bigrad.numerics import fused  # noqa: F401  (loads Numba, which counts in `_reserved`)
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.spacing import from_coordinate, from_distance
from bigrad.numerics.sphere import plane
from bigrad.numerics.stencils import Reach
from bigrad.numerics.vector_calculus import VectorOperator, vector_operator

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["KINDS", "Part", "Plan", "plan"]

Kinds = Literal[
    "gradient", "magnitude", "laplacian", "divergence", "vorticity", "deformation", "advection"
]
KINDS: tuple[Kinds, ...] = get_args(Kinds)

# Arrays of float64, as long as a coordinate, that its spacing and weights take.
_SPACING_ARRAYS = 12

# Chunks that a task may fetch from a remote store at the same time.
_CONCURRENCIES = (1, 2, 4, 8, 16)

# Dtypes of data that array expressions differentiate, and the arrays these need besides the
# result; the compiled loops, for all else, need none.
_PLAIN_DTYPES = "eg"
_PLAIN_TEMPORARIES = 4

# Copies that formulas other than NumPy's make of what is no float32 or float64, in units of the
# result; half precision becomes double.
_CONVERTED = 5


@dataclass(frozen=True, eq=False)
class Part:
    """One pass over some variables.

    Attributes
    ----------
    field : Field
        The variables.
    outputs : tuple of Output
        Their results that this pass makes.
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
    outputs: tuple[Output, ...]
    demand: Demand
    grid: BlockGrid
    result: ResultArray
    memory: TaskMemory

    @property
    def name(self) -> str:
        """What people call it."""
        labels = ", ".join(output.coord for output in self.outputs)
        if self.field.on_grid is None or self.field.on_grid.operator.kind == "components":
            return f"derivative of {self.field.variable} along {labels}"
        return f"{labels} of {', '.join(self.field.variables)}"

    @property
    def bytes_read(self) -> int:
        """Bytes of source chunks decoded; a chunk counts each time."""
        return self.demand.bytes_decoded(self.grid)

    @property
    def amplification(self) -> float:
        """How many times each source chunk is decoded, on average."""
        chunks = sum(
            math.prod(-(-n // c) for n, c in zip(one.layout.shape, one.layout.chunk, strict=True))
            for one in self.demand.inputs
        )
        return sum(self.demand.units(self.grid)) / max(chunks, 1)


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
        The passes over the variables to differentiate, with their blocks.
    workers, concurrency : int
        Tasks at the same time, and chunks that each reads or writes at the same time.
    copied : mapping of str to int
        Bytes of the largest object of each variable that is copied.
    ceiling, reserved : int
        Bytes that the process may hold at most, and what it is taken to hold without tasks.
    scheme : Scheme
        Which formulas serve.
    regular : bool
        Whether the coordinates are meant to have one step each.
    datetime_unit : str or None
        The unit of time of derivatives along time; None is the second.
    overwrite : bool
        Whether an existing target is replaced.
    unfinished : bool
        Whether the target holds a job that `run` may resume.
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
    scheme: Scheme
    regular: bool
    datetime_unit: str | None
    overwrite: bool
    unfinished: bool

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

    def coordinates(self) -> dict[str, Along]:
        """Read the coordinates and decide how their points are spaced.

        Returns
        -------
        dict of str to Along
            By name.

        Raises
        ------
        CoordinateError
            Where one is not finite or not strictly monotonic, does not close where it is
            periodic, or is not regular where it is said to be.
        """
        loaded = self.source.coordinates(tuple(self.selection.coords))
        check_datetime_unit(self.datetime_unit, loaded)
        return {
            name: along(
                name,
                self.selection.coords[name],
                variable,
                datetime_unit=self.datetime_unit,
                boundary=self.selection.boundaries.get(name),
                regular=self.regular,
            )
            for name, variable in loaded.items()
        }

    def run(
        self,
        *,
        resume: bool = False,
        progress: bool | Kind | Callable[[Progress], None] = False,
        client: "Client | None" = None,
    ) -> Report:
        """Do the job.

        Coordinates are read and checked before anything is written. Until the last result is
        written, the target does not open as a zarr group, and a journal beside it,
        ``<target>.bigrad``, holds what is done.

        Parameters
        ----------
        resume : bool, optional
            Continue an unfinished job at the target: blocks that it has written stay. Where
            there is none, and no target, begin.
        progress : bool, str or callable, optional
            True, or ``"bar"``, shows a bar on standard error, ``"lines"`` a line now and then,
            ``"json"`` a line of JSON on standard output for each task. A callable is called in
            this thread with a `Progress` whenever a task is done.
        client : distributed.Client, optional
            The cluster to run on; by default the threads of this process.

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
            Where the target exists, holds another job than the one to be resumed, or cannot be
            written to.
        """
        began = time.perf_counter()
        take_retries(self.source.store, self.target)  # those of planning
        if client is not None:
            from bigrad.jobs import cluster

            cluster.check_cluster(client, self)
        coordinates = self.coordinates()
        staged = self._staged(coordinates)
        self._check_target(resume=resume)
        with (
            deferred_interrupt() as halt,
            Journal(self.target) as journal,
            _reporting(progress, self.bytes_written) as report,
        ):
            # Again, since another job may have been at it until the journal was this one's.
            self._check_target(resume=resume)
            stages = self._stages(coordinates)
            identity = self._identity(coordinates, staged)
            self._open(journal, identity, staged, stages, resume=resume)
            sizes = {
                _stage(number): part.demand.result_bytes for number, part in enumerate(self.parts)
            }
            tally = Tally(stages, journal, sizes, self.ceiling, report)
            try:
                if client is None:
                    run_on_threads(tally, halt, workers=self.workers, concurrency=self.concurrency)
                else:
                    cluster.run_on_cluster(tally, halt, client, self, journal.lease)
                if halt.is_set():
                    raise KeyboardInterrupt
            except BaseException as exc:
                exc.add_note(
                    f"{describe(self.target)} is not finished; what is done is kept, and "
                    "`resume` (`--resume`) continues it"
                )
                raise
            tally.check()
            journal.flush()
            attributes = with_history(self._group_attributes(), self._what())
            finish(self.target, staged, attributes, self.source.zarr_format)
            journal.finish()
        return Report(
            seconds=time.perf_counter() - began,
            blocks=tally.done.blocks,
            blocks_resumed=tally.resumed,
            bytes_read=tally.done.read,
            bytes_written=tally.done.written,
            bytes_copied=tally.done.copied,
            peak_memory=tally.done.peak or peak_memory(),
            retries=take_retries(self.source.store, self.target),
        )

    def stages(self) -> list[Stage]:
        """Make all that there is to do; coordinates are read."""
        return self._stages(self.coordinates())

    def _check_target(self, *, resume: bool) -> None:
        check_target(self.source.store, self.target, overwrite=self.overwrite, resume=resume)

    def _open(
        self,
        journal: Journal,
        identity: Mapping[str, Any],
        staged: Mapping[str, Buffer],
        stages: Sequence[Stage],
        *,
        resume: bool,
    ) -> None:
        """Begin the job, or find out what of it is done."""
        # Without its target a job is forgotten.
        found = read_job(self.target) if resume and is_occupied(self.target) else None
        job = uuid.uuid4().hex if found is None else str(found["job"])
        identity = {"job": job, **identity}
        if found is None:
            journal.begin(identity)
        elif found != identity:
            changes = "; ".join(differences(found, identity))
            msg = (
                f"the unfinished job at `target` {describe(self.target)!r} is another one: "
                f"{changes}; resume it as it was, or ask for `overwrite` (`--overwrite`)"
            )
            raise TargetError(msg)
        elif journal.resume({stage.name: stage.steps for stage in stages}):
            left = any(list(journal.done(s.name).missing(s.steps)) for s in stages)
            check_resumable(self.target, job, complete=not left)
            remove_partial(self.target)
            return
        else:
            check_resumable(self.target, job, complete=False)
        begin(self.target, staged, self.source.name, job)
        journal.opened()

    def _stages(self, coordinates: Mapping[str, Along]) -> list[Stage]:
        copies = (
            Copy(
                name,
                self.source.store,
                self.target,
                ObjectKeys(name, self.source.array(name)),
            )
            for name in self.selection.companions
        )
        pool = Pool(self.projected_memory - self.reserved - MARGIN)
        works = (
            self._work(number, part, coordinates, pool) for number, part in enumerate(self.parts)
        )
        return [*copies, *works]

    def _identity(
        self, coordinates: Mapping[str, Along], staged: Mapping[str, Buffer]
    ) -> dict[str, Any]:
        """All that the bytes of the target depend on, as JSON has it, and the grids."""
        names = [
            *(name for part in self.parts for name in part.field.variables),
            *self.selection.companions,
            *coordinates,
        ]
        identity = {
            "bigrad": version("bigrad"),
            "source": located(self.source.store),
            "arrays": {
                key: json.loads(value.to_bytes())
                for name in dict.fromkeys(names)
                for key, value in metadata_objects(name, self.source.array(name)).items()
            },
            "coordinates": {
                name: hashlib.sha256(np.asarray(one.spacing).tobytes()).hexdigest()
                for name, one in coordinates.items()
            },
            "operator": {
                "coord": list(coordinates),
                **asdict(self.scheme),
                "kinds": self._kinds(),
                "regular": self.regular,
                "datetime_unit": self.datetime_unit,
                "boundary": {
                    name: repr(one.boundary) for name, one in coordinates.items() if one.boundary
                },
            },
            "target": {key: json.loads(value.to_bytes()) for key, value in staged.items()},
            "passes": [
                {
                    "variables": list(part.field.variables),
                    "axes": list(part.demand.reach),
                    "block": list(part.grid.block),
                    "sweep": part.grid.sweep,
                    "run": part.grid.run,
                }
                for part in self.parts
            ],
        }
        plain: dict[str, Any] = json.loads(json.dumps(identity))
        return plain

    def _group_attributes(self) -> dict[str, Any]:
        """Attributes of the root; they name coordinates that no variable taken along names."""
        dataset = self.source.dataset
        taken = [
            *(name for field in self.selection.fields for name in field.variables),
            *self.selection.companions,
        ]
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

    def _staged(self, coordinates: Mapping[str, Along]) -> dict[str, Buffer]:
        """Make the metadata documents of all arrays of the target."""
        scratch = MemoryStore()
        staged: dict[str, Buffer] = {}
        for part in self.parts:
            variable = self.source.dataset[part.field.variable].variable
            for output in part.outputs:
                if part.field.on_grid is None:
                    attributes = derivative_attributes(
                        part.field.variable,
                        variable.attrs,
                        output.coord,
                        coordinates[output.coord].units,
                        self.scheme.order,
                    )
                else:
                    attributes = dict(part.field.on_grid.attributes[output.name])
                if "coordinates" in variable.encoding:
                    attributes["coordinates"] = variable.encoding["coordinates"]
                array = part.result.stage(scratch, output.name, attributes)
                staged |= metadata_objects(output.name, array)
        for name in self.selection.companions:
            staged |= metadata_objects(name, self.source.array(name))
        return staged

    def _work(self, number: int, part: Part, coordinates: Mapping[str, Along], pool: Pool) -> Work:
        def writer(name: str | None) -> Writer | None:
            if name is None:
                return None
            return part.result.writer(name, self.target, self.concurrency)

        operators: list[tuple[Gradient | VectorOperator, tuple[Writer | None, ...]]] = (
            [(on_grid.operator, tuple(map(writer, on_grid.results)))]
            if (on_grid := part.field.on_grid)
            else [
                (
                    _operator(part, output, coordinates[output.coord], self.scheme),
                    (writer(output.name),),
                )
                for output in part.outputs
            ]
        )
        return Work(
            name=_stage(number),
            what=part.name,
            dims=tuple(map(str, self.source.dataset[part.field.variable].dims)),
            inputs=tuple(
                Input(
                    reader_of(self.source.array(name), self.concurrency),
                    self.source.packing(name),
                    needed.layout.chunk,
                )
                for name, needed in zip(part.field.variables, part.demand.inputs, strict=True)
            ),
            grid=part.grid,
            operators=tuple(operators),
            pool=pool,
        )

    def _kinds(self) -> list[str]:
        """Say what is computed, field by field, by all that decides it."""
        return [
            "gradient" if field.on_grid is None else _tokens(field.on_grid.operator)
            for field in self.selection.fields
        ]

    def _what(self) -> str:
        parts = "; ".join(part.name for part in self.parts)
        beyond = "".join(
            f", {name} {boundary.kind}" for name, boundary in self.selection.boundaries.items()
        )
        options = ", ".join(f"{key}={value!r}" for key, value in asdict(self.scheme).items())
        return f"bigrad {version('bigrad')}: {parts} ({options}{beyond}) of {self.source.name}"

    def __repr__(self) -> str:
        return overview.text(self)

    def _repr_html_(self) -> str:
        return overview.html(self)


def _stage(number: int) -> str:
    """Name a pass for the journal; no name of a variable can be taken for it."""
    return f"pass {number}"


def _operator(part: Part, output: Output, one: Along, scheme: Scheme) -> Gradient:
    size = part.grid.shape[output.axis]
    return Gradient.along(
        {output.axis: from_distance(one.spacing, size)},
        dtype=part.demand.inputs[0].decoded,
        boundaries={output.axis: one.boundary} if one.boundary else None,
        **asdict(scheme),
    )


def _tokens(operator: VectorOperator) -> str:
    """Return a short text that is another one where an operator on two axes is."""
    digest = hashlib.sha256()
    for term in operator.terms:
        for factor in (term.m, term.t, *term.along_x[:2], *term.along_y[:2]):
            digest.update(np.ascontiguousarray(factor).tobytes())
    return f"{operator.kind} {digest.hexdigest()}"


def _reporting(
    progress: bool | Kind | Callable[[Progress], None], total: int
) -> AbstractContextManager[Callable[[Progress], None] | None]:
    if callable(progress):
        return nullcontext(progress)
    if isinstance(progress, bool):
        return telling("bar" if progress else "none", total)
    return telling(progress, total)


def plan(
    source: Place,
    target: Place,
    coord: str | Sequence[str] | None = None,
    *,
    operator: Kinds = "gradient",
    variables: Sequence[str] | None = None,
    memory: int | float | str = "2GiB",
    workers: int | None = None,
    chunks: Mapping[str, int] | None = None,
    shards: Mapping[str, int] | None = None,
    codec: str | None = None,
    edge_order: int = 1,
    datetime_unit: str | None = None,
    boundary: Any = None,
    period: float | Mapping[str, float] | None = None,
    missing: Literal["propagate", "shrink"] = "propagate",
    accuracy: int = 2,
    order: int = 1,
    regular: bool = False,
    metric: Literal["sphere"] | None = None,
    x: str | None = None,
    y: str | None = None,
    radius: float | None = None,
    overwrite: bool = False,
    storage_options: Mapping[str, Any] | None = None,
    target_options: Mapping[str, Any] | None = None,
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
        variables' names, a sequence gives ``d<variable>_d<coordinate>``. Not for the other
        operators, whose coordinates are `x` and `y`.
    operator : str, optional
        ``"gradient"``; of two components of the wind ``"vorticity"``, ``"divergence"`` or
        ``"deformation"``, of which the results have the names; of something and the wind
        ``"advection"``; of any variables ``"magnitude"`` of their gradient or ``"laplacian"``,
        under their own names.
    variables : sequence of str, optional
        Data variables to take, no coordinates, which go along; by default all. Those without
        the dimension, and those that are not numeric, are copied. Operators of the wind take
        it here, the component to the east before the one to the north, and last.
    memory : int, float or str, optional
        The most that the process may hold, in bytes or as ``"512MiB"``; the interpreter and
        all else that the process holds already are included.
    workers : int, optional
        Blocks worked on at the same time; by default what cores and memory allow.
    chunks, shards : mapping of str to int, optional
        Chunk and shard sizes of the results by dimension; by default the source's.
    codec : {"none", "lz4", "blosc-zstd", "zstd", "gzip"}, optional
        What compresses the results; by default what compresses the source.
    edge_order : {1, 2}, optional
        Order of accuracy at the two ends of a dimension.
    datetime_unit : str, optional
        Unit of time of derivatives along a time coordinate, such as ``"h"``; by default
        they are per second.
    boundary : {"periodic", "extend", "reflect"}, ("fill", value) or mapping, optional
        What lies beyond the ends: one for all coordinates, or a mapping by coordinate or
        dimension.
    period : float or mapping, optional
        Of periodic coordinates, in their units; known of longitudes.
    missing : {"propagate", "shrink"}, optional
        With "shrink", differences are one-sided beside missing values.
    accuracy : {2, 4, 6}, optional
        Order of accuracy inside, and, above 2, at the ends.
    order : {1, 2}, optional
        The first or the second derivative.
    regular : bool, optional
        Say that the coordinates are meant to have one step each, which rounding hides.
    metric : {"sphere"}, optional
        Longitude and latitude are on a sphere, and derivatives per metre.
    x, y : str, optional
        Coordinates to the east and to the north of an operator on two axes; by default those
        that the conventions of CF, or their names, tell.
    radius : float, optional
        Of the sphere, in metres; by default that of the grid mapping, else 6371229.
    overwrite : bool, optional
        Replace an existing zarr hierarchy at `target`.
    storage_options : mapping, optional
        Of the file systems that fsspec opens `source` and `target` with where these are URLs,
        such as ``{"anon": True}``.
    target_options : mapping, optional
        Those of `target`, where they are others than those of `source`.

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
    scheme = Scheme(edge_order, accuracy, order, missing)
    workers = _checked_workers(workers)
    if codec is not None and codec not in CODECS:
        msg = f"`codec` must be one of {', '.join(map(repr, CODECS))}, found {codec!r}"
        raise ValueError(msg)
    if operator not in KINDS:
        msg = f"`operator` must be one of {', '.join(map(repr, KINDS))}, found {operator!r}"
        raise ValueError(msg)
    settle_allocator()
    source_options, target_options = options_of_places(
        source, target, storage_options, target_options
    )
    opened = open_source(source, options=source_options)
    place = open_target(target, options=target_options)
    check_target(opened.store, place, overwrite=overwrite, resume=True)
    if operator == "gradient" and metric is None:
        if radius is not None or x is not None or y is not None:
            msg = "`x`, `y` and `radius` are for other operators, or `metric`; leave them out"
            raise ValueError(msg)
        if coord is None:
            msg = "`coord` is missing: name the coordinates to differentiate along"
            raise CoordinateError(msg)
        selection = select(opened, coord, variables, scheme, boundary, period)
    else:
        options = {key: value for key, value in asdict(scheme).items() if key != "edge_order"}
        options |= {"boundary": boundary, "period": period, "regular": regular}
        check_plain(
            '`metric="sphere"`' if operator == "gradient" else repr(operator),
            {**options, "datetime_unit": datetime_unit},
        )
        if operator == "gradient":
            x, y = _east_and_north(opened, coord)
        elif coord is not None:
            msg = f"`coord` is for gradients, found {coord!r} with {operator!r}; use `x` and `y`"
            raise CoordinateError(msg)
        selection = select_on_grid(
            opened,
            "components" if operator == "gradient" else operator,
            variables,
            metric=metric,
            x=x,
            y=y,
            radius=radius,
            edge_order=scheme.edge_order,
            coords=coord,
        )
    chunks = _sizes(opened, selection, "chunks", chunks or {})
    shards = _sizes(opened, selection, "shards", shards or {})
    fields = selection.fields
    results = [_result(opened, field, chunks, shards, codec) for field in fields]
    demands = [
        _demand(opened, selection, field, result, scheme, place)
        for field, result in zip(fields, results, strict=True)
    ]
    reserved = _reserved(opened, selection, demands, scheme)
    copied = {name: _object_bytes(opened, name) for name in selection.companions}
    unfinished = None if overwrite else read_job(place)
    choice = choose(
        demands,
        ceiling=ceiling,
        reserved=reserved,
        workers=workers,
        copied=copied,
        given=None if unfinished is None else _given(unfinished, fields, demands),
    )
    parts = tuple(
        Part(
            field,
            tuple(output for output in field.outputs if output.axis in one.demand.outputs),
            one.demand,
            one.grid,
            result,
            task_memory(one.demand, one.grid, choice.concurrency),
        )
        for field, passes, result in zip(fields, choice.passes, results, strict=True)
        for one in passes
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
        scheme=scheme,
        regular=regular,
        datetime_unit=datetime_unit,
        overwrite=overwrite,
        unfinished=unfinished is not None,
    )


def _given(
    job: Mapping[str, Any], fields: Sequence[Field], demands: Sequence[Demand]
) -> list[tuple[Pass, ...]] | None:
    """Return the passes of an unfinished job, None where it is about other variables."""
    passes = [
        tuple(
            Pass(
                demand.along(entry["axes"]),
                replace(
                    demand.along(entry["axes"]).grid(tuple(entry["block"])),
                    sweep=entry["sweep"],
                    run=entry["run"],
                ),
            )
            for entry in job["passes"]
            if entry["variables"] == list(field.variables)
            and set(entry["axes"]) <= set(demand.reach)
            and len(entry["block"]) == len(demand.target.shape)
        )
        for field, demand in zip(fields, demands, strict=True)
    ]
    axes = [sorted(axis for one in some for axis in one.demand.reach) for some in passes]
    return passes if axes == [sorted(demand.reach) for demand in demands] else None


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
    source: Source,
    field: Field,
    chunks: Mapping[str, int],
    shards: Mapping[str, int],
    codec: str | None,
) -> ResultArray:
    if field.on_grid is None:
        dtype = Gradient.along({}, dtype=source.dataset[field.variable].dtype).dtype
    else:
        dtype = field.on_grid.operator.dtype
    return result_array(source, field.variable, dtype, chunks, shards, codec)


def _demand(
    source: Source,
    selection: Selection,
    field: Field,
    result: ResultArray,
    scheme: Scheme,
    target: Store,
) -> Demand:
    asked = (1,) if is_direct(source.store) and is_direct(target) else _CONCURRENCIES
    writing = {n: result.writer("", target, n).working_bytes for n in asked}
    if field.on_grid is not None:
        operator = field.on_grid.operator
        return Demand(
            inputs=tuple(
                _needed(source, name, asked, operator.circles(number))
                for number, name in enumerate(field.variables)
            ),
            target=result.layout,
            writing=writing,
            temporaries=len(operator.dtypes) - len(field.outputs),
            reach=operator.reach,
            outputs={operator.axes[0]: len(field.outputs)},
            together=True,
            circle=operator.axes,
        )
    decoded = source.dataset[field.variable].dtype
    scheme.check_dtype(decoded)
    return Demand(
        inputs=(_needed(source, field.variable, asked),),
        target=result.layout,
        writing=writing,
        temporaries=_temporaries(decoded, scheme),
        reach=_reach(result.layout.shape, selection, field, scheme, decoded),
        outputs={
            axis: sum(output.axis == axis for output in field.outputs) for axis in field.axes
        },
    )


def _needed(
    source: Source,
    name: str,
    asked: Sequence[int],
    circles: tuple[tuple[int, int], ...] = (),
) -> Needed:
    array = source.array(name)
    return Needed(
        layout=layout_of(array),
        decoded=source.dataset[name].dtype,
        packed=source.packing(name) is not None,
        reading={n: reader_of(array, n).working_bytes for n in asked},
        circles=circles,
    )


def _reach(
    shape: Sequence[int],
    selection: Selection,
    field: Field,
    scheme: Scheme,
    dtype: np.dtype[Any],
) -> dict[int, Reach]:
    reach: dict[int, Reach] = {}
    for output in field.outputs:
        boundary = selection.boundaries.get(output.coord)
        if boundary is not None:
            boundary.check(dtype)
        found = scheme.reach(shape[output.axis], boundary)
        if reach.setdefault(output.axis, found) != found:
            msg = (
                f"`boundary` of {output.coord!r} is not that of another coordinate along the same "
                "dimension, and one read cannot serve both; give one of them at a time"
            )
            raise CoordinateError(msg)
    return reach


def _east_and_north(
    source: Source, coord: str | Sequence[str] | None
) -> tuple[str | None, str | None]:
    """Which of the coordinates, one or two, is the longitude, and which is the latitude."""
    names = [coord] if isinstance(coord, str) else list(coord or ())
    which: dict[str, str] = {}
    for name in names:
        dimension_of(source.dataset, name)
        variable = source.dataset.coords[name].variable
        for axis, test in (("x", is_longitude), ("y", is_latitude)):
            if test(name, variable):
                which[axis] = name
    if not names or len(which) < len(names):
        msg = (
            f"`coord` must name a longitude, a latitude, or one of each for "
            f'`metric="sphere"`; found {coord!r}'
        )
        raise CoordinateError(msg)
    return which.get("x"), which.get("y")


def _temporaries(dtype: np.dtype[Any], scheme: Scheme) -> int:
    """Count the arrays of the result's size that computing takes besides the result."""
    if scheme.tabulated or scheme.shrinks:
        return 0 if dtype in (np.float32, np.float64) else _CONVERTED
    return _PLAIN_TEMPORARIES if dtype.char in _PLAIN_DTYPES else 0


def _reserved(
    source: Source, selection: Selection, demands: Sequence[Demand], scheme: Scheme
) -> int:
    """Bytes that the process will hold without any task."""
    for field, demand in zip(selection.fields, demands, strict=True):
        _warm(field, demand, scheme)
        # Loads the parser of units, where there are any.
        derivative_attributes(None, source.dataset[field.variable].attrs, "", "s")
    points = sum(source.dataset[name].size for name in selection.coords)
    return resident_memory() + points * 8 * _SPACING_ARRAYS


def _warm(field: Field, demand: Demand, scheme: Scheme) -> None:
    """Compute a little, so that what it takes is part of what the process is seen to hold."""
    dtypes = [one.decoded for one in demand.inputs]
    if field.on_grid is not None:
        small = plane(np.arange(3.0), np.arange(3.0))
        operator = vector_operator(field.on_grid.operator.kind, small, (0, 1), dtypes)
        operator.apply([Block(np.ones((3, 3), dtype), (0, 0)) for dtype in dtypes])
        return
    size = max(scheme.ends, 4)
    shape = (size,) * len(demand.target.shape)
    for positions in (np.arange(size), np.arange(size) ** 2):
        for axis in demand.reach:
            spacings = {axis: from_coordinate(positions)}
            gradient = Gradient.along(spacings, dtype=dtypes[0], **asdict(scheme))
            gradient.apply(Block(np.ones(shape, dtypes[0]), (0,) * len(shape)))


def _object_bytes(source: Source, name: str) -> int:
    """Bytes of the largest object of a variable that is copied, at most."""
    array = source.array(name)
    layout = layout_of(array)
    if layout.dtype.hasobject or layout.dtype.kind == "T":
        # Of texts of any length only the store knows.
        keys = ObjectKeys(name, array)
        return largest_object(source.store, (keys[i] for i in range(len(keys))))
    return int(np.prod(layout.unit, dtype=float)) * layout.dtype.itemsize
