"""What a comparison is: a piece of work, the ways to do it, the limit, and what is aimed at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Literal

import numpy as np

__all__ = [
    "BIGRAD",
    "SECONDS",
    "SIZES",
    "Array",
    "Case",
    "Comparison",
    "Measured",
    "Rounds",
    "Size",
    "Stored",
    "Target",
    "absent",
    "check",
]

BIGRAD = "bigrad"
SECONDS = "s"

Array = np.ndarray[Any, Any]

# By way and unit, what each round gave; the rounds of all ways belong together.
Rounds = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True)
class Stored:
    """How a variable lies in a zarr store.

    Attributes
    ----------
    shape, chunks : tuple of int
        Of the variable.
    shards : tuple of int, optional
        What holds its chunks, where not each has an object of its own.
    """

    shape: tuple[int, int, int]
    chunks: tuple[int, int, int]
    shards: tuple[int, int, int] | None = None


@dataclass(frozen=True)
class Size:
    """How large the work is: ``test`` shows that it is right, ``full`` how fast it is.

    Attributes
    ----------
    field : tuple of int
        Shape of an array in memory.
    lazy : tuple of int
        Shape of a dask array.
    chunks : mapping of str to tuple of int
        Of dask arrays, by what the tables call them.
    graph : int
        Chunks of an array of which only the graph is made.
    stored : tuple of int
        Shape of a variable in a zarr store.
    layouts : mapping of str to tuple of int
        Chunks of that variable, by what the tables call them.
    sizes : tuple of int
        MB of the stores that scaling is measured with.
    counts : tuple of int
        Chunks of the dask arrays that scaling is measured with.
    winds : tuple of int
        Shape of each component of a wind in files.
    held : mapping of str to Stored
        Variables that jobs read under a ceiling, by what the tables call their layouts.
    ceilings : tuple of str
        Of the memory of these jobs.
    seconds : float
        To spend on the rounds of a comparison, roughly.
    rounds : tuple of int
        How many there are at least and at most.
    fresh : bool
        Whether work on stores is measured in a process of its own.
    brief : bool
        Whether to leave away what takes long.
    """

    field: tuple[int, int, int]
    lazy: tuple[int, int, int]
    chunks: Mapping[str, tuple[int, int, int]]
    graph: int
    stored: tuple[int, int, int]
    layouts: Mapping[str, tuple[int, int, int]]
    sizes: tuple[float, ...]
    counts: tuple[int, ...]
    winds: tuple[int, int, int]
    held: Mapping[str, Stored]
    ceilings: tuple[str, ...]
    seconds: float
    rounds: tuple[int, int]
    fresh: bool = True
    brief: bool = False


_ALL_CEILINGS = ("384MiB", "512MiB", "1GiB", "4GiB")

_CHUNKS = {
    "8 MB blocks": (32, 181, 360),
    "33 MB maps": (8, 721, 1440),
    "1 MB blocks": (16, 91, 180),
}

SIZES = {
    "test": Size(
        field=(6, 50, 60),
        lazy=(12, 20, 30),
        chunks={"8 MB blocks": (8, 7, 10), "33 MB maps": (3, 20, 30), "1 MB blocks": (4, 5, 6)},
        graph=50,
        stored=(8, 12, 16),
        layouts={"maps": (1, 12, 16), "blocks": (4, 5, 6), "time series": (8, 3, 4)},
        sizes=(0.01,),
        counts=(3,),
        winds=(3, 19, 36),
        held={"blocks": Stored((8, 12, 16), (4, 5, 6))},
        ceilings=("512MiB",),
        seconds=0.0,
        rounds=(1, 1),
        fresh=False,
    ),
    "quick": Size(
        field=(16, 361, 1440),
        lazy=(64, 361, 720),
        chunks=_CHUNKS,
        graph=2_000,
        stored=(32, 181, 360),
        layouts={"maps": (1, 181, 360), "blocks": (16, 91, 180), "time series": (32, 24, 48)},
        sizes=(1, 8, 64),
        counts=(10, 100),
        winds=(32, 361, 720),
        held={"blocks": Stored((64, 361, 720), (16, 91, 180))},
        ceilings=_ALL_CEILINGS,
        seconds=0.1,
        rounds=(1, 7),
        brief=True,
    ),
    "full": Size(
        field=(32, 721, 1440),
        lazy=(256, 721, 1440),
        chunks=_CHUNKS,
        graph=100_000,
        stored=(256, 721, 1440),
        layouts={"maps": (1, 721, 1440), "blocks": (64, 91, 180), "time series": (256, 24, 48)},
        sizes=(1, 4, 16, 64, 256, 1024, 4096),
        counts=(10, 100, 1_000, 10_000, 100_000),
        winds=(256, 721, 1440),
        held={
            "maps": Stored((256, 721, 1440), (1, 721, 1440)),
            "blocks": Stored((256, 721, 1440), (64, 91, 180)),
            "columns": Stored((256, 721, 1440), (256, 24, 48)),
            "months": Stored((744, 361, 720), (744, 24, 48)),
            "shards": Stored((240, 728, 1440), (1, 91, 180), (24, 182, 360)),
        },
        ceilings=_ALL_CEILINGS,
        seconds=6.0,
        rounds=(3, 15),
    ),
}


@dataclass(frozen=True)
class Target:
    """What is aimed at.

    Attributes
    ----------
    kind : {"times", "faster", "over", "most"}
        How bigrad's figure is to lie: at most `value` times that of another way, at least
        `value` times below it, at most `value` over it, or at most `value`.
    value : float
        The bound.
    way : str
        The other way; empty for ``most``.
    unit : str
        Of the figures.
    """

    kind: Literal["times", "faster", "over", "most"]
    value: float
    way: str = ""
    unit: str = SECONDS

    def __str__(self) -> str:
        bound = f"{self.value:g}"
        with_unit = f"{bound} {self.unit}"
        return {
            "times": f"at most {bound} times {self.way}",
            "faster": f"at least {bound} times as fast as {self.way}",
            "over": f"at most {with_unit} over {self.way}",
            "most": f"at most {with_unit}",
        }[self.kind]

    def reached(self, rounds: Rounds) -> float:
        """Return the figure to hold against the bound: the median over the rounds."""
        ours = rounds[BIGRAD][self.unit]
        if self.kind == "most":
            return median(ours)
        pairs = list(zip(ours, rounds[self.way][self.unit], strict=True))
        if self.kind == "times":
            return median(mine / theirs for mine, theirs in pairs)
        if self.kind == "faster":
            return median(theirs / mine for mine, theirs in pairs)
        return median(mine - theirs for mine, theirs in pairs)

    def met(self, reached: float) -> bool:
        """Whether a figure keeps to the bound."""
        return reached >= self.value if self.kind == "faster" else reached <= self.value


@dataclass(frozen=True)
class Measured:
    """What a way says of itself, where its time as seen from outside is not what counts.

    Attributes
    ----------
    values : mapping of str to float
        By unit.
    """

    values: Mapping[str, float]

    def only(self, unit: str) -> "Measured":
        """Return the figure of one unit."""
        return Measured({unit: self.values[unit]})


@dataclass(frozen=True, eq=False)
class Case:
    """A comparison made ready: its data are there, and the ways can be run.

    Attributes
    ----------
    ways : mapping of str to callable
        By name; ``bigrad`` is one. They return their results, or `Measured`.
    limit : str
        The way that is no way to do the work, but the least that any could take.
    exact, close : tuple of str
        Ways whose results are to equal bigrad's to the last bit, or but for rounding.
    agree : callable, optional
        Raises AssertionError where results disagree that no way returns.
    absent : mapping of str to str
        Ways that cannot be run here, and why.
    nbytes : int
        What any way has to read and write at least; 0 where that bounds nothing.
    repeat : int
        How many times a way runs for one figure.
    once : bool
        Whether the round that compares the results is enough: for counts, and for fresh
        processes where time is short.
    """

    ways: Mapping[str, Callable[[], Any]]
    limit: str = ""
    exact: tuple[str, ...] = ()
    close: tuple[str, ...] = ()
    agree: Callable[[], None] | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    nbytes: int = 0
    repeat: int = 1
    once: bool = False


@dataclass(frozen=True, eq=False)
class Comparison:
    """A row of the table.

    Attributes
    ----------
    group, name : str
        The table in the report, and the row in it.
    prepare : callable
        Makes the case, given the size and a folder for files.
    targets : tuple of Target
        What is aimed at.
    threads : int
        That bigrad and dask may use.
    brief : bool
        Whether it is part of a quick run.
    lasting : bool
        Whether it takes long on work of any size, so that ``test`` has only what is brief.
    """

    group: str
    name: str
    prepare: Callable[[Size, Path], Case]
    targets: tuple[Target, ...] = ()
    threads: int = 1
    brief: bool = True
    lasting: bool = False


def absent(*packages: str) -> dict[str, str]:
    """Return those of some packages that are not installed, and why they are absent."""
    return {name: "not installed" for name in packages if find_spec(name) is None}


def check(case: Case, results: Mapping[str, Any]) -> None:
    """Compare what the ways returned, and raise AssertionError where it differs."""
    if case.agree is not None:
        case.agree()
    for way in (*case.exact, *case.close):
        if way in case.absent:
            continue
        pairs = zip(_arrays(results[BIGRAD]), _arrays(results[way]), strict=True)
        for ours, theirs in pairs:
            if way in case.exact:
                assert ours.dtype == theirs.dtype, f"{way}: {theirs.dtype}, not {ours.dtype}"
                assert np.array_equal(_bits(ours), _bits(theirs)), f"{way}: other bits"
            else:
                scale = np.abs(theirs).max()
                np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * scale)


def _arrays(result: Any) -> list[Array]:
    if isinstance(result, list | tuple):
        return [array for one in result for array in _arrays(one)]
    return [np.asarray(result)]


def _bits(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
