"""Plan a job: everything about it decided from metadata, before any value is read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from numbers import Integral
from typing import Any, Literal, get_args

from bigrad.errors import CoordinateError, TargetError
from bigrad.jobs.demands import demand_of, object_bytes, reserved_memory
from bigrad.jobs.job import Part, Plan
from bigrad.jobs.journal import read_job
from bigrad.jobs.memory import parse_bytes, settle_allocator
from bigrad.jobs.planner import Demand, Pass, choose, task_memory
from bigrad.jobs.selection import Field, Selection, select, select_on_grid
from bigrad.jobs.source import Source, open_source
from bigrad.jobs.storage import Place, options_of_places
from bigrad.jobs.target import CODECS, ResultArray, check_target, open_target, result_array
from bigrad.labelled.conventions import is_latitude, is_longitude
from bigrad.labelled.coordinates import dimension_of
from bigrad.labelled.vectors import check_plain
from bigrad.numerics.operators import Gradient
from bigrad.numerics.schemes import Scheme

__all__ = ["KINDS", "plan"]

Kinds = Literal[
    "gradient", "magnitude", "laplacian", "divergence", "vorticity", "deformation", "advection"
]
KINDS: tuple[Kinds, ...] = get_args(Kinds)


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
        Where `coord`, `x` or `y` do not name coordinates of one dimension, or, on two axes, these
        are not fit to be differentiated along. Others are read, and checked, by `Plan.run`.
    TargetError
        Where the target exists, or is, contains or lies inside the source.
    MemoryCeilingError
        Where `memory` cannot be kept; the message names the least that can.
    ValueError
        Where an option is none of its choices, or has no meaning with another.
    TypeError
        Where an option is of another type, or the data are not what an operator is for.

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
        if operator == "laplacian" and scheme.edge_order != 1:
            msg = (
                "`edge_order` is not for 'laplacian', which looks at the three nearest cells at "
                f"an edge; found {edge_order!r}: leave it out"
            )
            raise ValueError(msg)
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
        demand_of(opened, selection, field, result, scheme, place)
        for field, result in zip(fields, results, strict=True)
    ]
    reserved = reserved_memory(opened, selection, demands, scheme)
    copied = {name: object_bytes(opened, name) for name in selection.companions}
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
