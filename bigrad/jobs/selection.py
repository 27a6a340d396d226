"""Which variables a job differentiates, what the results are called, and what goes along."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bigrad.errors import CoordinateError, SourceError, TargetError
from bigrad.jobs.source import Source
from bigrad.labelled.attributes import (
    derivative_attributes,
    derivative_name,
    describing,
    vector_attributes,
)
from bigrad.labelled.axes import boundaries_by_name, check_size
from bigrad.labelled.coordinates import dimension_of
from bigrad.labelled.sphere import horizontal
from bigrad.labelled.vectors import check_winds, operator_on
from bigrad.numerics.boundaries import Boundary
from bigrad.numerics.schemes import Scheme
from bigrad.numerics.vector_calculus import INPUTS, RESULTS, VectorOperator

__all__ = ["Field", "OnGrid", "Output", "Selection", "select", "select_on_grid"]


@dataclass(frozen=True)
class Output:
    """One result.

    Attributes
    ----------
    name : str
        In the target.
    coord : str
        The coordinate that it is differentiated along; of what is about two of them, what it is
        called, such as "vorticity".
    axis : int
        The axis of that coordinate, or of the one to the north.
    """

    name: str
    coord: str
    axis: int


@dataclass(frozen=True, eq=False)
class OnGrid:
    """What is computed on two axes together.

    Attributes
    ----------
    operator : VectorOperator
        Decided for the variables.
    results : tuple of str or None
        For each result of the operator its name in the target; None where it is not asked for.
    attributes : mapping of str to mapping
        By these names.
    """

    operator: VectorOperator
    results: tuple[str | None, ...]
    attributes: Mapping[str, Mapping[Any, Any]]


@dataclass(frozen=True)
class Field:
    """Variables that are read together, and their results.

    Attributes
    ----------
    variables : tuple of str
        One to differentiate, or those that an operator on two axes takes.
    outputs : tuple of Output
        The results.
    on_grid : OnGrid or None
        Of an operator on two axes.
    """

    variables: tuple[str, ...]
    outputs: tuple[Output, ...]
    on_grid: OnGrid | None = None

    @property
    def variable(self) -> str:
        """The first variable, whose dimensions and chunks the results have."""
        return self.variables[0]

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes to differentiate along, each once."""
        return tuple(dict.fromkeys(output.axis for output in self.outputs))


@dataclass(frozen=True)
class Selection:
    """What a job makes, and what it copies as it is.

    Attributes
    ----------
    coords : dict of str to str
        The coordinates to differentiate along, and their dimensions.
    boundaries : dict of str to Boundary
        Of those coordinates that have one.
    fields : tuple of Field
        The variables to differentiate.
    companions : tuple of str
        The variables to copy.
    """

    coords: Mapping[str, str]
    boundaries: Mapping[str, Boundary]
    fields: tuple[Field, ...]
    companions: tuple[str, ...]


def select(
    source: Source,
    coord: str | Sequence[str],
    variables: Sequence[str] | None,
    scheme: Scheme,
    boundary: Any = None,
    period: Any = None,
) -> Selection:
    """Decide the results and the companions from metadata.

    Parameters
    ----------
    source : Source
        The group to read from.
    coord : str or sequence of str
        One name gives results under the names of the variables; a sequence gives
        ``d<variable>_d<coordinate>``.
    variables : sequence of str or None
        Data variables to take along; None means all.
    scheme : Scheme
        Which formulas serve.
    boundary, period : optional
        What lies beyond the ends, as the accessor takes it.

    Returns
    -------
    Selection

    Raises
    ------
    CoordinateError
        Where `coord` does not name coordinates of one dimension, long enough for `scheme`.
    SourceError
        Where a variable is unknown, or none can be differentiated.
    TargetError
        Where two variables of the target would have one name.
    """
    dataset = source.dataset
    dims = _dimensions(source, coord)
    boundaries = boundaries_by_name(boundary, period, dims)
    for name, dim in dims.items():
        check_size(name, dim, source.dataset.sizes[dim], scheme, boundaries.get(name))
    described = describing(dataset.variables)
    wanted = _wanted(source, variables)
    fields = []
    for name in wanted:
        along = [c for c in dims if dims[c] in dataset[name].dims]
        if not along or name in described or not source.is_numeric(name):
            continue
        outputs = tuple(
            Output(
                name if isinstance(coord, str) else derivative_name(name, c, scheme.order),
                c,
                dataset[name].dims.index(dims[c]),
            )
            for c in along
        )
        fields.append(Field((name,), outputs))
    if not fields:
        what = "no data variable" if variables is None else f"none of {_quoted(wanted)}"
        msg = (
            f"{what} in {source.name} is numeric and has a dimension of `coord` "
            f"({', '.join(f'{c!r} along {d!r}' for c, d in dims.items())}): "
            "there is nothing to differentiate"
        )
        raise SourceError(msg)
    return _selection(source, dims, boundaries, fields, wanted)


def select_on_grid(
    source: Source,
    kind: str,
    variables: Sequence[str] | None,
    *,
    metric: str | None,
    x: str | None,
    y: str | None,
    radius: float | None,
    edge_order: int,
    coords: Sequence[str] | str | None = None,
) -> Selection:
    """Decide the results and the companions of an operator on two axes; coordinates are read.

    Parameters
    ----------
    source : Source
        The group to read from.
    kind : str
        One of `bigrad.numerics.vector_calculus.INPUTS`.
    variables : sequence of str or None
        Those that the operator takes; of operators that take one, any number, and None for all
        that lie on the grid.
    metric, x, y, radius, edge_order
        As the accessor takes them.
    coords : str or sequence of str, optional
        Of "components", along which the derivatives are asked for.

    Returns
    -------
    Selection

    Raises
    ------
    CoordinateError
        Where there is no such grid.
    SourceError
        Where a variable is unknown, or none can be taken.
    TargetError
        Where two variables of the target would have one name.
    """
    dataset, count = source.dataset, INPUTS[kind]
    wanted = _wanted(source, variables)
    if count > 1:
        if variables is None or len(variables) != count:
            msg = (
                f"`variables` of {kind!r} must be {count} names, the components of the wind to "
                f"the east and to the north last; found {_quoted(variables or ())}"
            )
            raise SourceError(msg)
        groups = [tuple(variables)]
    else:
        described = describing(dataset.variables)
        groups = [
            (name,)
            for name in wanted
            if variables is not None
            or (source.is_numeric(name) and name not in described and dataset[name].ndim > 1)
        ]
    options = {"metric": metric, "x": x, "y": y, "radius": radius}
    fields = [_field_on_grid(source, kind, names, coords, edge_order, options) for names in groups]
    if not fields:
        msg = f"nothing in {source.name} is numeric and has two dimensions"
        raise SourceError(msg)
    return _selection(source, {}, {}, fields, wanted)


def _field_on_grid(
    source: Source,
    kind: str,
    names: tuple[str, ...],
    coords: Sequence[str] | str | None,
    edge_order: int,
    options: Mapping[str, Any],
) -> Field:
    dataset = source.dataset
    variables = [dataset[name].variable for name in names]
    for name, variable in zip(names, variables, strict=True):
        if not source.is_numeric(name) or variable.dims != variables[0].dims:
            msg = (
                f"{kind!r} takes numbers on one grid: {name!r} is of {variable.dtype} and has "
                f"the dimensions {variable.dims}, {names[0]!r} {variables[0].dims}"
            )
            raise SourceError(msg)
    if len(names) > 1:
        check_winds(names[-2:], variables[-2:])
    found = horizontal(dataset, variables[0], **options)
    operator = operator_on(kind, found, names, variables, edge_order)
    y, _ = operator.axes
    if kind == "components":
        asked = [coords] if isinstance(coords, str) else list(coords or found.names)
        results = tuple(
            (names[0] if isinstance(coords, str) else derivative_name(names[0], name))
            if name in asked
            else None
            for name in found.names
        )
        attributes = {
            result: derivative_attributes(names[0], variables[0].attrs, name, found.per)
            for result, name in zip(results, found.names, strict=True)
            if result is not None
        }
    else:
        results = made = RESULTS[kind] if len(names) > 1 else names
        attributes = {
            result: vector_attributes(
                called, names, [variable.attrs for variable in variables], found.per
            )
            for result, called in zip(made, RESULTS[kind], strict=True)
        }
    called = found.names if kind == "components" else RESULTS[kind]
    outputs = tuple(
        Output(name, label, y) for name, label in zip(results, called, strict=True) if name
    )
    return Field(names, outputs, OnGrid(operator, results, attributes))


def _selection(
    source: Source,
    dims: Mapping[str, str],
    boundaries: Mapping[str, Boundary],
    fields: Sequence[Field],
    wanted: Sequence[str],
) -> Selection:
    taken = {name for field in fields for name in field.variables}
    companions = _companions(source, wanted, taken)
    names = [output.name for field in fields for output in field.outputs]
    clashes = {name for name in names if names.count(name) > 1 or name in companions}
    if clashes:
        msg = (
            f"two variables of the target would be called {_quoted(sorted(clashes))}; "
            "choose fewer with `variables`"
        )
        raise TargetError(msg)
    return Selection(dims, boundaries, tuple(fields), companions)


def _dimensions(source: Source, coord: str | Sequence[str]) -> dict[str, str]:
    """Find the dimension of each coordinate."""
    names = [coord] if isinstance(coord, str) else list(coord)
    if not names or len(set(names)) < len(names):
        msg = f"`coord` must name one or several coordinates, each once; found {coord!r}"
        raise CoordinateError(msg)
    return {name: dimension_of(source.dataset, name) for name in names}


def _wanted(source: Source, variables: Sequence[str] | None) -> tuple[str, ...]:
    # Without consolidated metadata, zarr names variables in the order that they were read in.
    present = tuple(sorted(map(str, source.dataset.data_vars)))
    if variables is None:
        return present
    if isinstance(variables, str):
        msg = f"`variables` must be a sequence of names, found the text {variables!r}"
        raise TypeError(msg)
    coords = [name for name in variables if name in source.dataset.coords]
    if coords:
        msg = (
            f"`variables` names {_quoted(coords)}, a coordinate: coordinates go along as they "
            f"are; the data variables of {source.name} are {_quoted(present)}"
        )
        raise SourceError(msg)
    unknown = [name for name in variables if name not in present]
    if unknown or not variables:
        msg = (
            f"`variables` names {_quoted(unknown) or 'nothing'}: "
            f"{source.name} has {_quoted(present)}"
        )
        raise SourceError(msg)
    return tuple(dict.fromkeys(variables))


def _companions(source: Source, wanted: Iterable[str], taken: set[str]) -> tuple[str, ...]:
    dataset = source.dataset
    dims = {dim for name in wanted for dim in dataset[name].dims}
    coords = sorted(str(name) for name in dataset.coords if set(dataset[name].dims) <= dims)
    kept = dict.fromkeys([*wanted, *coords])
    # What is left behind has no say in what goes along.
    described = describing(dataset.variables, among=list(kept))
    kept.update(dict.fromkeys(sorted(map(str, described))))
    return tuple(name for name in kept if name not in taken)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
