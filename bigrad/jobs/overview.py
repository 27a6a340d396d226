"""What a plan tells of itself, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from dask.utils import format_bytes

from bigrad.jobs.memory import TaskMemory
from bigrad.jobs.planner import MARGIN
from bigrad.jobs.storage import beside, describe, describe_path

if TYPE_CHECKING:
    from bigrad.jobs.job import Part, Plan

__all__ = ["html", "text"]

Row = tuple[str, str]

# A line of the journal, and the object that remembers it, for each range of finished blocks.
_LINE_BYTES = 80
_RANGE_BYTES = 200


def text(plan: Plan) -> str:
    """Lines for a terminal."""
    rows = list(_rows(plan))
    width = max(len(name) for name, _ in rows)
    return "\n".join(["<bigrad.Plan>", *(f"  {name:<{width}}  {what}" for name, what in rows)])


def html(plan: Plan) -> str:
    """Lines as a table for a notebook."""
    cell = '<td style="text-align: left; white-space: pre-wrap">'
    rows = "".join(
        f'<tr><th style="text-align: left">{escape(name)}</th>{cell}{escape(what)}</td></tr>'
        for name, what in _rows(plan)
    )
    return f"<table><caption>bigrad.Plan</caption><tbody>{rows}</tbody></table>"


def _rows(plan: Plan) -> Iterator[Row]:
    yield "source", f"{plan.source.name} (zarr v{plan.source.zarr_format})"
    unfinished = "; an unfinished job is there, to be resumed" if plan.unfinished else ""
    yield "target", describe(plan.target) + unfinished
    for part in plan.parts:
        yield from _part(plan, part)
    if plan.copied:
        largest = format_bytes(max(plan.copied.values()))
        yield "copied", f"{', '.join(plan.copied)}; objects of {largest} at most"
    tasks = sum(part.grid.tasks for part in plan.parts)
    yield (
        "tasks",
        f"{_of(plan.blocks, 'block')} in {_of(tasks, 'task')}, {_of(plan.workers, 'worker')}",
    )
    yield "reads", f"{format_bytes(plan.bytes_read)} decoded"
    yield "writes", f"{format_bytes(plan.bytes_written)} uncompressed"
    ranges = len(plan.parts) + len(plan.copied) + plan.workers
    yield (
        "journal",
        f"{describe_path(beside(plan.target))}; about {format_bytes(ranges * _LINE_BYTES)} for "
        f"{_of(ranges, 'range')} of finished blocks, {format_bytes(ranges * _RANGE_BYTES)} held",
    )
    yield (
        "memory",
        f"{format_bytes(plan.projected_memory)} projected, ceiling {format_bytes(plan.ceiling)}",
    )
    yield (
        "",
        f"{format_bytes(plan.reserved)} process + {format_bytes(MARGIN)} margin + "
        f"{_of(plan.workers, 'worker')} x the largest of",
    )
    yield from _memory(max((part.memory for part in plan.parts), key=lambda m: m.total))
    if plan.copied:
        yield "", f"  copying: {largest}"


def _part(plan: Plan, part: Part) -> Iterator[Row]:
    layout, grid = part.demand.target, part.grid
    decoded = dict.fromkeys(str(one.decoded) for one in part.demand.inputs)
    names = ", ".join(output.name for output in part.outputs)
    yield (
        ", ".join(part.field.variables),
        f"-> {names}; {_size(grid.shape)} {', '.join(decoded)} -> {layout.dtype}",
    )
    yield (
        "",
        f"{_of(len(grid), 'block')} of {_size(grid.block)} "
        f"in {'shards' if layout.shard else 'chunks'} of {_size(layout.unit)}",
    )
    if grid.sweep is not None:
        dim = plan.source.dataset[part.field.variable].dims[grid.sweep]
        yield "", f"{_of(grid.tasks, 'strip')} of up to {_of(grid.run, 'block')} along {dim}"
    yield (
        "",
        f"each source chunk is decoded {part.amplification:.2f} times"
        if len(grid)
        else "nothing to read",
    )


def _memory(memory: TaskMemory) -> Iterator[Row]:
    terms = {name: format_bytes(getattr(memory, name)) for name in memory.__dataclass_fields__}
    if memory.carried:
        yield "", "  carrying: {carried}, and".format(**terms)
    yield "", "  reading: {stored} stored + {reading} chunks".format(**terms)
    if memory.decoded:
        yield "", "  unpacking: {stored} stored + {decoded} decoded".format(**terms)
    yield "", "  writing: {data} data + {result} result + {writing} chunks".format(**terms)


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _of(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
