"""Which variables a job differentiates, what the results are called, and what goes along."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from bigrad.errors import CoordinateError, SourceError, TargetError
from bigrad.jobs.source import Source
from bigrad.labelled.attributes import derivative_name, describing
from bigrad.labelled.axes import boundaries_by_name
from bigrad.labelled.coordinates import dimension_of
from bigrad.numerics.boundaries import Boundary
from bigrad.numerics.schemes import Scheme

__all__ = ["Field", "Output", "Selection", "select"]


@dataclass(frozen=True)
class Output:
    """One result.

    Attributes
    ----------
    name : str
        In the target.
    coord : str
        The coordinate that it is differentiated along.
    axis : int
        The axis of that coordinate.
    """

    name: str
    coord: str
    axis: int


@dataclass(frozen=True)
class Field:
    """A variable to differentiate, and its results."""

    variable: str
    outputs: tuple[Output, ...]

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
    _check_sizes(source, dims, boundaries, scheme)
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
        fields.append(Field(name, outputs))
    if not fields:
        what = "no data variable" if variables is None else f"none of {_quoted(wanted)}"
        msg = (
            f"{what} in {source.name} is numeric and has a dimension of `coord` "
            f"({', '.join(f'{c!r} along {d!r}' for c, d in dims.items())}): "
            "there is nothing to differentiate"
        )
        raise SourceError(msg)
    taken = {field.variable for field in fields}
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


def _check_sizes(
    source: Source,
    dims: Mapping[str, str],
    boundaries: Mapping[str, Boundary],
    scheme: Scheme,
) -> None:
    for name, dim in dims.items():
        boundary = boundaries.get(name)
        size, least = source.dataset.sizes[dim], scheme.least(boundary)
        if size < least:
            msg = (
                f"`{name}` has too few points along `{dim}`: {scheme.needs(boundary)} needs at "
                f"least {least}, found {size}"
            )
            raise CoordinateError(msg)


def _wanted(source: Source, variables: Sequence[str] | None) -> tuple[str, ...]:
    present = tuple(map(str, source.dataset.data_vars))
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
    coords = [str(name) for name in dataset.coords if set(dataset[name].dims) <= dims]
    kept = dict.fromkeys([*wanted, *coords])
    # What is left behind has no say in what goes along.
    silent = xr.Variable((), 0)
    described = describing(
        {name: v if name in kept else silent for name, v in dataset.variables.items()}
    )
    kept.update(dict.fromkeys(sorted(map(str, described))))
    return tuple(name for name in kept if name not in taken)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
