"""Arrays in memory, against NumPy and a copy of the same bytes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

import bigrad
from benchmarks.comparison import BIGRAD, Array, Case, Comparison, Size, Target, absent
from bigrad.numerics.fresh import prefaulted

__all__ = [
    "ALL_AXES",
    "FILLED",
    "FRESH",
    "KINDS",
    "PEERS",
    "ROWS",
    "SMALL",
    "field",
    "nothing",
    "positions",
]

FILLED = "filled"
FRESH = "fresh"
ALL_AXES = "all axes"
KINDS = "kinds"
SMALL = "small"
PEERS = "peers"

NUMPY = "np.gradient"
COPYTO = "np.copyto"
COPY = "copy into a fresh array"
COPIED = "np.copy"
STREAMS = "copy of one read and three writes"
CONTIGUOUS = "contiguous float64"

_AXES = {0: "first", 1: "middle", 2: "last"}

# Small enough for the second-level cache, large enough that Python's share of a copy is small.
_TILE = 2**15


def field(shape: tuple[int, ...], dtype: Any) -> Array:
    """Smooth data with noise, in whole numbers where `dtype` wants them."""
    rng = np.random.default_rng(20)
    waves = sum(
        np.sin(np.linspace(0, 3 + axis, size)).reshape([-1 if a == axis else 1 for a in range(3)])
        for axis, size in enumerate(shape)
    )
    values = 1000 * waves + rng.random(shape, np.float32)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * values[::-1]
    return np.asarray(values).astype(dtype)


def positions(size: int) -> Array:
    """A coordinate whose points are nowhere evenly spaced."""
    return np.cumsum(np.random.default_rng(size).uniform(0.5, 1.5, size))


def _spacing(uniform: bool, size: int) -> Any:
    return 0.25 if uniform else positions(size)


def _filled(dtype: str, axis: int, uniform: bool) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        f = field(size.field, dtype)
        h = _spacing(uniform, f.shape[axis])
        out, copied = np.ones_like(f), np.ones_like(f)
        return Case(
            {
                BIGRAD: lambda: bigrad.gradient(f, h, axis=axis, out=out),
                NUMPY: lambda: np.gradient(f, h, axis=axis),
                COPYTO: lambda: np.copyto(copied, f),
            },
            limit=COPYTO,
            exact=(NUMPY,),
            nbytes=2 * f.nbytes,
        )

    return prepare


def _fresh(dtype: str, axis: int, uniform: bool, threads: int) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        f = field(size.field, dtype)
        h = _spacing(uniform, f.shape[axis])
        return Case(
            {
                BIGRAD: lambda: bigrad.gradient(f, h, axis=axis),
                NUMPY: lambda: np.gradient(f, h, axis=axis),
                COPIED: lambda: np.copy(f),
                COPY: lambda: _copy(f, threads),
            },
            limit=COPY,
            exact=(NUMPY,),
            nbytes=2 * f.nbytes,
        )

    return prepare


def _copy(f: Array, threads: int) -> Array:
    """Copy into a fresh array, which comes from the system as bigrad has it come."""
    fresh = prefaulted(np.empty_like(f), threads)
    cuts = np.linspace(0, len(f), threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        for start, stop in pairwise(cuts):
            pool.submit(np.copyto, fresh[start:stop], f[start:stop])
    return fresh


def _all_axes(dtype: str) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        f = field(size.field, dtype)
        out, copied = (tuple(np.ones_like(f) for _ in range(3)) for _ in range(2))
        return Case(
            {
                BIGRAD: lambda: bigrad.gradient(f, 0.25, out=out),
                NUMPY: lambda: np.gradient(f, 0.25),
                STREAMS: lambda: _streams(f, copied),
            },
            limit=STREAMS,
            exact=(NUMPY,),
            nbytes=4 * f.nbytes,
        )

    return prepare


def _streams(f: Array, out: tuple[Array, ...]) -> None:
    cells, results = f.reshape(-1), [one.reshape(-1) for one in out]
    for start in range(0, f.size, _TILE):
        tile = slice(start, start + _TILE)
        for result in results:
            np.copyto(result[tile], cells[tile])


def _kind(
    dtype: str,
    view: Callable[[tuple[int, ...], Any], Array],
    axis: int = 1,
    uniform: bool = True,
) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        f = view(size.field, dtype)
        result = np.result_type(f.dtype, np.float64 if f.dtype.kind in "iu" else f.dtype)
        per_cell = f.itemsize + result.itemsize
        # As many bytes to read and write, so that times compare as times per byte do.
        planes = round(size.field[0] * per_cell / 16)
        contiguous = field((planes, *size.field[1:]), np.float64)
        h, same = _spacing(uniform, f.shape[axis]), _spacing(uniform, contiguous.shape[axis])
        out, other = np.ones_like(f, result), np.ones_like(contiguous)
        return Case(
            {
                BIGRAD: lambda: bigrad.gradient(f, h, axis=axis, out=out),
                NUMPY: lambda: np.gradient(f, h, axis=axis),
                CONTIGUOUS: lambda: bigrad.gradient(contiguous, same, axis=axis, out=other),
            },
            limit=CONTIGUOUS,
            exact=(NUMPY,),
            nbytes=f.size * per_cell,
        )

    return prepare


def _transposed(shape: tuple[int, ...], dtype: Any) -> Array:
    return field(shape, dtype).transpose(2, 0, 1)


def _every_second(shape: tuple[int, ...], dtype: Any) -> Array:
    return field((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]


def _backwards(shape: tuple[int, ...], dtype: Any) -> Array:
    return field(shape, dtype)[..., ::-1]


def _inside_halo(shape: tuple[int, ...], dtype: Any) -> Array:
    return field(tuple(n + 2 for n in shape), dtype)[1:-1, 1:-1, 1:-1]


def _small(size: int, uniform: bool) -> Callable[[Size, Path], Case]:
    def prepare(_: Size, folder: Path) -> Case:
        f = np.sin(np.arange(size))
        h = _spacing(uniform, size)
        return Case(
            {BIGRAD: lambda: bigrad.gradient(f, h), NUMPY: lambda: np.gradient(f, h)},
            exact=(NUMPY,),
            repeat=500,
        )

    return prepare


def _peers(axis: int, uniform: bool) -> Callable[[Size, Path], Case]:
    """Second order at the ends too, as the peers have it; each with its own objects made ready."""

    def prepare(size: Size, folder: Path) -> Case:
        f = field(size.field, np.float64)
        h = _spacing(uniform, f.shape[axis])
        missing = absent("findiff", "metpy")
        return Case(
            {
                BIGRAD: lambda: bigrad.gradient(f, h, axis=axis, edge_order=2),
                NUMPY: lambda: np.gradient(f, h, axis=axis, edge_order=2),
                "findiff": nothing if "findiff" in missing else _findiff(f, h, axis),
                "metpy": nothing if "metpy" in missing else _metpy(f, h, axis),
            },
            exact=(NUMPY,),
            close=("findiff", "metpy"),
            absent=missing,
            nbytes=2 * f.nbytes,
        )

    return prepare


def nothing() -> None:
    """Stand for a way that is absent."""


def _findiff(f: Array, h: Any, axis: int) -> Callable[[], Any]:
    from findiff import Diff

    derivative = Diff(axis, h, acc=2)
    return lambda: derivative(f)


def _metpy(f: Array, h: Any, axis: int) -> Callable[[], Any]:
    import pint
    from metpy.calc import first_derivative

    units = pint.get_application_registry()
    data = units.Quantity(f, "K")
    if isinstance(h, float):
        h = {"delta": units.Quantity(np.full(f.shape[axis] - 1, h), "m")}
    else:
        h = {"x": units.Quantity(h, "m")}
    return lambda: first_derivative(data, axis=axis, **h).magnitude


def _rows() -> Iterator[Comparison]:
    for dtype, axis, uniform in product(("float64", "float32"), _AXES, (True, False)):
        name = f"{dtype}, {_AXES[axis]} axis, {'one step' if uniform else 'coordinate'}"
        limit = Target("times", 1.35 if uniform else 1.6, COPYTO)
        yield Comparison(FILLED, name, _filled(dtype, axis, uniform), (limit,))
        for threads, bounds in ((1, (2.6, 4.0)), (2, (3.5, 7.0))):
            yield Comparison(
                FRESH,
                f"{name}, {threads} thread{'s' if threads > 1 else ''}",
                _fresh(dtype, axis, uniform, threads),
                (Target("faster", bounds[0] if uniform else bounds[1], NUMPY),),
                threads,
            )
    for dtype in ("float64", "float32"):
        yield Comparison(ALL_AXES, dtype, _all_axes(dtype), (Target("times", 1.4, STREAMS),))
    for dtype in ("int16", "int32", "int64", "complex64", "complex128"):
        yield Comparison(KINDS, dtype, _kind(dtype, field), (Target("times", 2.5, CONTIGUOUS),))
    for name, view in {
        "transposed": _transposed,
        "every second element": _every_second,
        "backwards": _backwards,
        "inside of an array with a halo": _inside_halo,
    }.items():
        target = Target("times", 2.5, CONTIGUOUS)
        yield Comparison(KINDS, f"float64, {name}", _kind("float64", view), (target,))
    for axis, (name, dtype, seen) in product(
        _AXES,
        (
            ("complex64", "complex64", field),
            ("float64, every second element", "float64", _every_second),
        ),
    ):
        target = Target("times", 2.5, CONTIGUOUS)
        case = _kind(dtype, seen, axis, uniform=False)
        yield Comparison(KINDS, f"{name}, {_AXES[axis]} axis, coordinate", case, (target,))
    for n, uniform in product((10, 100, 1000, 10000), (True, False)):
        name = f"{n} elements, {'one step' if uniform else 'coordinate'}"
        yield Comparison(SMALL, name, _small(n, uniform), (Target("faster", 1.0, NUMPY),))
    for axis, uniform in product((0, 2), (True, False)):
        name = f"float64, {_AXES[axis]} axis, {'one step' if uniform else 'coordinate'}"
        yield Comparison(PEERS, name, _peers(axis, uniform))


ROWS = tuple(_rows())
