"""A job that is decided: what it writes, and how it is run or resumed."""

import hashlib
import json
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from zarr.abc.store import Store
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from bigrad.errors import TargetError
from bigrad.jobs import overview
from bigrad.jobs.blocks import BlockGrid
from bigrad.jobs.chunks import Writer, reader_of
from bigrad.jobs.interrupt import deferred_interrupt
from bigrad.jobs.journal import Journal, differences, read_job
from bigrad.jobs.local import run_on_threads
from bigrad.jobs.memory import TaskMemory, peak_memory
from bigrad.jobs.planner import MARGIN, Demand
from bigrad.jobs.pool import Pool
from bigrad.jobs.progress import Kind, telling
from bigrad.jobs.remote import take_retries
from bigrad.jobs.report import Progress, Report
from bigrad.jobs.run import Copy, Input, Stage, Work
from bigrad.jobs.selection import Field, Output, Selection
from bigrad.jobs.source import ObjectKeys, Source, metadata_objects
from bigrad.jobs.storage import describe, is_occupied, located, remove_partial
from bigrad.jobs.tally import Tally
from bigrad.jobs.target import (
    ResultArray,
    begin,
    check_resumable,
    check_target,
    finish,
    with_history,
)
from bigrad.labelled.attributes import derivative_attributes
from bigrad.labelled.axes import Along, along
from bigrad.labelled.coordinates import check_datetime_unit
from bigrad.numerics.operators import Gradient
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.spacing import from_distance
from bigrad.numerics.vector_calculus import VectorOperator

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Part", "Plan"]

# Differences from an unfinished job that an error tells; they come from each other.
_TOLD = 3


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
        of = ", ".join(self.field.variables)
        gradient = " of the gradient" * (self.field.on_grid.operator.kind == "magnitude")
        return f"{labels}{gradient} of {of}"

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
            Continue an unfinished job at the target: blocks that it has written stay, also
            where the plan is to overwrite what was there before. Where there is no such job,
            begin.
        progress : bool, str or callable, optional
            True, or ``"bar"``, shows a bar on standard error, ``"lines"`` a line now and then,
            ``"json"`` a line of JSON on standard output for each task. A callable is called in
            this thread with a `Progress` whenever a task is done, and before the first one where
            blocks are there already.
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
        JobError
            Where workers of the cluster die again and again, or it is lost.
        KeyboardInterrupt
            After Ctrl-C, once the blocks at hand are written; after the last one, once the
            target is finished. A note tells which.
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
                if tally.resumed:
                    tally.tell()
                if client is None:
                    run_on_threads(tally, halt, workers=self.workers)
                else:
                    cluster.run_on_cluster(tally, halt, client, self, journal.lease)
                    # A worker that was killed has left what it was writing.
                    remove_partial(self.target)
                if halt.is_set():
                    raise KeyboardInterrupt
                tally.check()
                journal.flush()
                attributes = with_history(self._group_attributes(), self._what())
                finish(self.target, staged, attributes, self.source.zarr_format)
            except BaseException as exc:
                exc.add_note(
                    f"{describe(self.target)} is not finished; what is done is kept, and "
                    "`resume` (`--resume`) continues it"
                )
                raise
            journal.finish()
        if halt.is_set():
            # Too late to stop this job, and meant for whatever runs it too, as a loop of jobs.
            interrupt = KeyboardInterrupt()
            interrupt.add_note(f"{describe(self.target)} is finished: its last block was written")
            raise interrupt
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
        """Make all that there is to do; coordinates are read.

        Returns
        -------
        list of Stage
            Copies first, then one for each pass.
        """
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
            changes = list(differences(found, identity))
            more = len(changes) - _TOLD
            remedy = (
                "resume it as it was" if self.unfinished else "plan it again, now that it is there"
            )
            msg = (
                f"the unfinished job at `target` {describe(self.target)!r} is another one: "
                f"{'; '.join(changes[:_TOLD])}{f'; and {more} more' * (more > 0)}; {remedy}, or "
                "ask for `overwrite` (`--overwrite`)"
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
            "arrays": {
                key: json.loads(value.to_bytes())
                for name in dict.fromkeys(names)
                for key, value in metadata_objects(name, self.source.array(name)).items()
            },
            "coordinates": {
                name: hashlib.sha256(np.asarray(one.spacing).tobytes()).hexdigest()
                for name, one in coordinates.items()
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
                    needed.packing,
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
        """Say what was computed, with all that was chosen."""
        parts = "; ".join(part.name for part in self.parts)
        plain = asdict(Scheme())
        chosen = [
            f"{key}={value!r}"
            for key, value in asdict(self.scheme).items()
            if key == "edge_order" or value != plain[key]
        ]
        if self.datetime_unit is not None:
            chosen.append(f"datetime_unit={self.datetime_unit!r}")
        chosen += ["regular=True"] * self.regular
        for name, beyond in self.selection.boundaries.items():
            kind = ("fill", beyond.value) if beyond.kind == "fill" else beyond.kind
            chosen.append(f"boundary of {name}={kind!r}")
            if beyond.period is not None:
                chosen.append(f"period of {name}={beyond.period!r}")
        on_grid = self.selection.fields[0].on_grid
        if on_grid is not None and (metric := on_grid.operator.grid.metric) is not None:
            chosen.append(f"metric='sphere', radius={metric.radius!r}")
        options = ", ".join(chosen)
        return f"bigrad {version('bigrad')}: {parts} ({options}) of {self.source.name}"

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
