"""What the tasks of a job do: read blocks, differentiate them, write them whole; copy objects.

A stage is a number of steps, a task some consecutive ones of them. Whoever runs the tasks sees
no more of a stage than that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from zarr.abc.store import Store

from bigrad.errors import SourceError, TargetError
from bigrad.jobs.blocks import BlockGrid, Reads, Region, touched
from bigrad.jobs.chunks import Reader, Writer
from bigrad.jobs.memory import peak_memory
from bigrad.jobs.pool import Pool
from bigrad.jobs.source import ObjectKeys, Packing
from bigrad.jobs.storage import copy_objects
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.vector_calculus import VectorOperator

__all__ = ["Copy", "Done", "Halt", "Input", "Stage", "Task", "Work"]

Array = np.ndarray[Any, Any]

# Objects that one step copies.
_OBJECTS = 100


@dataclass(frozen=True)
class Done:
    """What a task did, or several together.

    Attributes
    ----------
    steps : int
        Steps that are done, the first ones of the task.
    blocks : int
        Blocks of results written.
    read : int
        Bytes of source chunks decoded, uncompressed.
    written : int
        Bytes of results, uncompressed.
    copied : int
        Bytes of objects copied, as they are.
    peak : int
        The most memory that the process held so far, 0 where that is not known.
    """

    steps: int = 0
    blocks: int = 0
    read: int = 0
    written: int = 0
    copied: int = 0
    peak: int = 0

    def __add__(self, other: "Done") -> "Done":
        return Done(
            self.steps + other.steps,
            self.blocks + other.blocks,
            self.read + other.read,
            self.written + other.written,
            self.copied + other.copied,
            max(self.peak, other.peak),
        )


class Halt(Protocol):
    """Tells whether the job was stopped, as a `threading.Event` does."""

    def is_set(self) -> bool:
        """Whether it was."""


@dataclass(frozen=True)
class Task:
    """The steps ``[first, stop)`` of a stage, which is named by its number."""

    stage: int
    first: int
    stop: int


class Stage(Protocol):
    """Steps of one kind, which may be done in any order, and again."""

    @property
    def name(self) -> str:
        """What the journal calls it."""

    @property
    def steps(self) -> int:
        """How many there are."""

    def tasks(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Split the steps ``[first, stop)`` into tasks."""

    def perform(self, first: int, stop: int, halt: Halt) -> Done:
        """Do the steps of one task, or as many as it is until `halt` is set."""


@dataclass(frozen=True, eq=False)
class Copy:
    """The objects of a variable that is copied as it is.

    Attributes
    ----------
    variable : str
        Its name.
    source, target : zarr.abc.store.Store
        From where, and to where.
    keys : ObjectKeys
        Of the objects.
    """

    variable: str
    source: Store
    target: Store
    keys: ObjectKeys

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return f"copy {self.variable}"

    @property
    def steps(self) -> int:
        """How many hundreds of objects there are."""
        return -(-len(self.keys) // _OBJECTS)

    def tasks(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Split the steps ``[first, stop)`` into tasks."""
        return ((step, step + 1) for step in range(first, stop))

    def perform(self, first: int, stop: int, halt: Halt) -> Done:
        """Copy some hundreds of objects."""
        if halt.is_set():
            return Done()
        keys = range(first * _OBJECTS, min(stop * _OBJECTS, len(self.keys)))
        copied = copy_objects(self.source, self.target, (self.keys[i] for i in keys))
        return Done(steps=stop - first, copied=copied, peak=peak_memory() or 0)


@dataclass(frozen=True, eq=False)
class Input:
    """A variable that is read.

    Attributes
    ----------
    reader : Reader
        Reads it as it is stored.
    packing : Packing or None
        Decodes what is stored.
    chunk : tuple of int
        Of its store.
    """

    reader: Reader
    packing: Packing | None
    chunk: tuple[int, ...]

    def load(self, region: Region, pool: Pool) -> Array:
        """Read and decode some cells."""
        shape = tuple(cells.stop - cells.start for cells in region)
        stored = self.reader.read(region, pool.empty(shape, self.reader.dtype))
        return stored if self.packing is None else self.packing.decode(stored)

    def bytes_of(self, region: Region) -> int:
        """Bytes of the chunks that a region touches, decompressed."""
        return touched(region, self.chunk) * self.reader.chunk_bytes


@dataclass(frozen=True, eq=False)
class Work:
    """The blocks of one pass over some variables.

    Attributes
    ----------
    name : str
        What the journal calls it.
    what : str
        What people call it.
    dims : tuple of str
        Of the variables.
    inputs : tuple of Input
        The variables, all of one shape.
    grid : BlockGrid
        Their blocks.
    operators : tuple of (operator, tuple of Writer or None)
        What is computed, one after the other, and where each of its results is written; None
        where it is not.
    pool : Pool
        Memory for blocks.
    """

    name: str
    what: str
    dims: tuple[str, ...]
    inputs: tuple[Input, ...]
    grid: BlockGrid
    operators: tuple[tuple[Gradient | VectorOperator, tuple[Writer | None, ...]], ...]
    pool: Pool

    @property
    def steps(self) -> int:
        """How many blocks there are."""
        return len(self.grid)

    def tasks(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Split the blocks ``[first, stop)`` into runs."""
        return self.grid.runs(first, stop)

    def perform(self, first: int, stop: int, halt: Halt) -> Done:
        """Read, differentiate and write the blocks of one run."""
        done, regions = Done(), self.grid.reads(first, stop)
        blocks = zip(*(self.blocks(one, first, stop) for one in self.inputs), strict=True)
        for number in range(first, stop):
            if halt.is_set():
                break
            done += self._compute(number, next(regions), blocks)
        return done

    def blocks(self, source: Input, first: int, stop: int) -> Iterator[Block]:
        """Read the blocks of one run, each when it is asked for.

        Along the axis that the run follows, a block's neighbours are the blocks before and
        after it: of the one before the slab is kept, the one after is read ahead.
        """
        pieces = (_Piece.read(source, reads, self.pool) for reads in self.grid.reads(first, stop))
        current, kept = next(pieces), None
        for number in range(first, stop):
            following = next(pieces, None)
            yield self._block(number, kept, current, following)
            if following is not None:
                kept = self._kept(number, current)
                current = following

    def _block(
        self, number: int, kept: Array | None, current: "_Piece", following: "_Piece | None"
    ) -> Block:
        region, sweep = self.grid.region(number), self.grid.sweep
        faces = {axis: current.faces(axis) for axis in self.grid.reach}
        if sweep is not None:
            before, after = faces[sweep]
            if following is not None:
                width = self._window(number, sweep)[1] - region[sweep].stop
                after = following.first(sweep, width)
            faces[sweep] = (before if kept is None else kept), after
        return Block(current.core, tuple(cells.start for cells in region), faces)

    def _kept(self, number: int, current: "_Piece") -> Array | None:
        """Return the slab of a block that the next one needs."""
        sweep = self.grid.sweep
        if sweep is None:
            return None
        size = current.core.shape[sweep]
        width = self.grid.region(number)[sweep].stop - self._window(number + 1, sweep)[0]
        # A copy, so that the block need not live as long as its last slab.
        return current.core[_cells(sweep, size - width, size)].copy()

    def _window(self, number: int, axis: int) -> tuple[int, int]:
        cells = self.grid.region(number)[axis]
        return self.grid.reach[axis].window(cells.start, cells.stop)

    def _compute(self, number: int, reads: Reads, several: Iterator[tuple[Block, ...]]) -> Done:
        region = self.grid.region(number)
        read = sum(one.bytes_of(part) for one in self.inputs for part in reads.regions)
        written = 0
        try:
            blocks = next(several)
        except SourceError:
            raise
        except Exception as exc:
            msg = f"reading {self._place(number)} failed: {_said(exc)}"
            raise SourceError(msg) from exc
        for operator, writers in self.operators:
            if isinstance(operator, VectorOperator):
                blocks, more = self._with_extra(operator, blocks)
                read += more
            # Of all operators, the results of only one are held in memory.
            results = [self.pool.empty(blocks[0].core.shape, operator.dtype) for _ in writers]
            operator.apply(blocks if len(blocks) > 1 else blocks[0], results)  # type: ignore[arg-type]
            for writer, values in zip(writers, results, strict=True):
                if writer is None:
                    continue
                try:
                    writer.write(region, values)
                except Exception as exc:
                    msg = f"writing {self._place(number)} failed: {_said(exc)}"
                    raise TargetError(msg) from exc
                written += values.nbytes
            del results, values
        return Done(1, 1, read, written, peak=peak_memory() or 0)

    def _with_extra(
        self, operator: VectorOperator, blocks: tuple[Block, ...]
    ) -> tuple[tuple[Block, ...], int]:
        """Give blocks what the operator wants besides, and count the bytes that this takes."""
        found, read = [], 0
        for number, (source, block) in enumerate(zip(self.inputs, blocks, strict=True)):
            extra = []
            for region in operator.extra(number, block.start, block.core.shape):
                inside = _within(region, block)
                extra.append(
                    source.load(region, self.pool) if inside is None else block.core[inside]
                )
                read += source.bytes_of(region) if inside is None else 0
            found.append(replace(block, extra=tuple(extra)))
        return tuple(found), read

    def _place(self, number: int) -> str:
        cells = ", ".join(
            f"{dim} {cells.start}:{cells.stop}"
            for dim, cells in zip(self.dims, self.grid.region(number), strict=True)
        )
        return f"block {number} of {len(self.grid)}, {self.what} ({cells})"


@dataclass(frozen=True, eq=False)
class _Piece:
    """What was read for one block: its cells, and slabs beside it that may come in parts."""

    data: Array
    inside: Region
    slabs: dict[int, tuple[list[Array], list[Array]]]

    @classmethod
    def read(cls, source: Input, reads: Reads, pool: Pool) -> "_Piece":
        data = source.load(reads.core, pool)
        slabs = {
            axis: ([source.load(r, pool) for r in before], [source.load(r, pool) for r in after])
            for axis, (before, after) in reads.faces.items()
        }
        return cls(data, reads.inside, slabs)

    @property
    def core(self) -> Array:
        return self.data[self.inside]

    def faces(self, axis: int) -> tuple[Array, Array]:
        """Return the cells just before and after the core."""
        cells = self.inside[axis]
        before, after = self.slabs.get(axis, ([], []))
        return (
            _joined([*before, self._beside(axis, 0, cells.start)], axis),
            _joined([self._beside(axis, cells.stop, self.data.shape[axis]), *after], axis),
        )

    def first(self, axis: int, count: int) -> Array:
        """Return the first cells along an axis, from behind the core where that has too few.

        It may have, where it is the last one of a periodic axis.
        """
        cells = self.core[_cells(axis, 0, count)]
        left = count - cells.shape[axis]
        if not left:
            return cells
        return np.concatenate([cells, self.faces(axis)[1][_cells(axis, 0, left)]], axis)

    def _beside(self, axis: int, start: int, stop: int) -> Array:
        return self.data[(*self.inside[:axis], slice(start, stop), *self.inside[axis + 1 :])]


def _within(region: Region, block: Block) -> Region | None:
    """Return where a region lies in the core of a block; None where some of it does not."""
    inside = tuple(
        slice(cells.start - first, cells.stop - first)
        for cells, first in zip(region, block.start, strict=True)
    )
    fits = all(
        cells.start >= 0 and cells.stop <= size
        for cells, size in zip(inside, block.core.shape, strict=True)
    )
    return inside if fits else None


def _joined(slabs: Sequence[Array], axis: int) -> Array:
    some = [slab for slab in slabs if slab.shape[axis]] or slabs[:1]
    return some[0] if len(some) == 1 else np.concatenate(some, axis)


def _cells(axis: int, start: int, stop: int) -> Region:
    return (*(slice(None),) * axis, slice(start, stop))


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"
