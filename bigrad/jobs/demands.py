"""What the planner has to know of a job: dtypes, layouts, reach and memory, from metadata."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from zarr.abc.store import Store

from bigrad.errors import CoordinateError
from bigrad.jobs.chunks import reader_of
from bigrad.jobs.memory import resident_memory
from bigrad.jobs.objects import is_direct
from bigrad.jobs.planner import Demand, Needed
from bigrad.jobs.selection import Field, Selection
from bigrad.jobs.source import ObjectKeys, Source, layout_of
from bigrad.jobs.storage import largest_object
from bigrad.jobs.target import ResultArray
from bigrad.labelled.attributes import derivative_attributes
from bigrad.numerics import fused  # noqa: F401  (loads Numba, which counts in `reserved_memory`)
from bigrad.numerics.operators import Block, Gradient
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.spacing import from_coordinate
from bigrad.numerics.sphere import plane, sphere
from bigrad.numerics.stencils import Reach
from bigrad.numerics.vector_calculus import vector_operator
from bigrad.vectors import apply

__all__ = ["demand_of", "object_bytes", "reserved_memory"]

# Arrays of float64, as long as a coordinate, that its spacing and weights take.
_SPACING_ARRAYS = 12

# Chunks that a task may fetch from a remote store at the same time.
_CONCURRENCIES = (1, 2, 4, 8, 16)

# Longitudes and latitudes of a grid that has all that a grid may have: poles, and a seam.
_SMALL = (np.arange(0.0, 360.0, 90.0), np.array([-90.0, 0.0, 90.0]))

# Dtypes of data that array expressions differentiate, and the arrays these need besides the
# result; the compiled loops, for all else, need none.
_PLAIN_DTYPES = "eg"
_PLAIN_TEMPORARIES = 4

# Copies that formulas other than NumPy's make of what is no float32 or float64, in units of the
# result; half precision becomes double.
_CONVERTED = 5


def demand_of(
    source: Source,
    selection: Selection,
    field: Field,
    result: ResultArray,
    scheme: Scheme,
    target: Store,
) -> Demand:
    """Gather what a field and its results ask for.

    Raises
    ------
    CoordinateError
        Where two coordinates of one dimension have different boundaries.
    TypeError
        Where a variable has a dtype that the scheme or the boundary does not serve.
    """
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
        packing=source.packing(name),
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


def _temporaries(dtype: np.dtype[Any], scheme: Scheme) -> int:
    """Count the arrays of the result's size that computing takes besides the result."""
    if scheme.tabulated or scheme.shrinks:
        return 0 if dtype in (np.float32, np.float64) else _CONVERTED
    return _PLAIN_TEMPORARIES if dtype.char in _PLAIN_DTYPES else 0


def reserved_memory(
    source: Source, selection: Selection, demands: Sequence[Demand], scheme: Scheme
) -> int:
    """Bytes that the process will hold without any task."""
    for field, demand in zip(selection.fields, demands, strict=True):
        _warm(source, field, demand, scheme)
        # Loads the parser of units, where there are any.
        derivative_attributes(None, source.dataset[field.variable].attrs, "", "s")
    points = sum(source.dataset[name].size for name in selection.coords)
    return resident_memory() + points * 8 * _SPACING_ARRAYS


def _warm(source: Source, field: Field, demand: Demand, scheme: Scheme) -> None:
    """Compute a little, so that what it takes is part of what the process is seen to hold."""
    for one in demand.inputs:
        if one.packing is not None:
            one.packing.decode(np.zeros(1, one.layout.dtype))
    dtypes = [one.decoded for one in demand.inputs]
    if field.on_grid is not None:
        operator = field.on_grid.operator
        flat = operator.grid.metric is None
        small = plane(*_SMALL) if flat else sphere(*_SMALL, radius=1.0)
        few = vector_operator(operator.kind, small, (0, 1), dtypes)
        apply(few, [np.ones(small.shape, dtype) for dtype in dtypes])
        return
    size = max(scheme.ends, 4)
    shape = (size,) * len(demand.target.shape)
    for output in field.outputs:
        # Loops are compiled for the dtype of the weights. That is double, unless the coordinate is
        # of other floats, and not taken for regular: times are counted in double.
        given = source.dataset[output.coord].dtype
        for dtype in {np.dtype(np.float64), *([given] if given.kind == "f" else [])}:
            for positions in (np.arange(size), np.arange(size) ** 2):
                spacings = {output.axis: from_coordinate(positions.astype(dtype))}
                gradient = Gradient.along(spacings, dtype=dtypes[0], **asdict(scheme))
                gradient.apply(Block(np.ones(shape, dtypes[0]), (0,) * len(shape)))


def object_bytes(source: Source, name: str) -> int:
    """Bytes of the largest object of a variable that is copied, at most."""
    array = source.array(name)
    layout = layout_of(array)
    if layout.dtype.hasobject or layout.dtype.kind == "T":
        # Of texts of any length only the store knows.
        keys = ObjectKeys(name, array)
        return largest_object(source.store, (keys[i] for i in range(len(keys))))
    return int(np.prod(layout.unit, dtype=float)) * layout.dtype.itemsize
