"""Hypothesis strategies: arrays, spacings and chunkings that `numpy.gradient` may meet."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

__all__ = ["arrays", "chunks", "differentiable", "layouts", "schemed", "spacings"]

FAST = "bBhHiIlLqQfdFD"
PLAIN = "eg"

_SPECIAL = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-40, 1e300]

Draw = Callable[[st.SearchStrategy[Any]], Any]


@st.composite
def arrays(draw: Draw, dtypes: str = FAST + PLAIN, min_size: int = 2, max_ndim: int = 4) -> Any:
    """Arrays of few cells but any rank, dtype and memory layout, not to be written to."""
    dtype: Any = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.lists(st.integers(min_size, 7), min_size=1, max_size=max_ndim).map(tuple))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    wide = tuple(2 * n for n in shape)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, wide, dtype=dtype, endpoint=True)
    else:
        values = rng.normal(size=wide) * 10.0 ** rng.integers(-3, 4, wide)
        if dtype.kind == "c":
            values = values + 1j * rng.normal(size=wide)
        if draw(st.booleans()):
            values[rng.random(wide) < 0.1] = draw(st.sampled_from(_SPECIAL))
        with np.errstate(over="ignore"):
            values = values.astype(dtype)
    values = draw(layouts(values))
    values.setflags(write=False)
    return values


@st.composite
def layouts(draw: Draw, wide: Any) -> Any:
    """Half of `wide` along each axis: contiguous, transposed, reversed, or every second cell."""
    axes = draw(st.permutations(range(wide.ndim)))
    wide = wide.transpose(axes)
    index = tuple(
        draw(
            st.sampled_from(
                [
                    slice(None, n // 2),
                    slice(None, None, 2),
                    slice(n // 2, None),
                    slice(None, None, -2),
                ]
            )
        )
        for n in wide.shape
    )
    values = wide[index]
    return draw(st.sampled_from([values, np.ascontiguousarray(values), np.asfortranarray(values)]))


@st.composite
def spacings(draw: Draw, size: int, *, coordinate: bool = True) -> Any:
    """A step, or the positions of `size` points: even or not, rising or falling."""
    kinds = ["python", "numpy"] + ["even", "uneven"] * coordinate
    kind = draw(st.sampled_from(kinds))
    if kind == "python":
        return draw(st.sampled_from([1, 2, -3, 0.1, 0.25, 1e-3]))
    if kind == "numpy":
        return draw(
            st.sampled_from([np.float32(0.1), np.float64(0.1), np.int16(3), np.array(0.3)])
        )
    dtype = np.dtype(draw(st.sampled_from(["f8", "f4", "i4", "u1", "f2"])))
    if kind == "even":
        values: Any = np.arange(size) * 2
    else:
        steps = draw(st.lists(st.integers(1, 9), min_size=size, max_size=size))
        values = np.cumsum(steps)
        if dtype.kind == "f":
            values = values / 10
    if draw(st.booleans()):
        values = values[::-1]
    return values.astype(dtype)


@st.composite
def differentiable(
    draw: Draw, dtypes: str = FAST + PLAIN
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Valid arguments of `numpy.gradient`: data, spacings, axis and edge order."""
    edge_order = draw(st.sampled_from([1, 2]))
    f = draw(arrays(dtypes, min_size=edge_order + 1))
    which = draw(st.lists(st.integers(0, f.ndim - 1), min_size=1, unique=True))
    signed = [a - f.ndim * draw(st.booleans()) for a in which]
    axis: Any = draw(st.sampled_from([tuple(signed), signed[0] if len(signed) == 1 else None]))
    axes = tuple(range(f.ndim)) if axis is None else which
    kind = draw(st.sampled_from(["none", "one", "each"]))
    varargs: tuple[Any, ...] = ()
    if kind == "one":
        varargs = (draw(spacings(0, coordinate=False)),)
    elif kind == "each":
        varargs = tuple(draw(spacings(f.shape[a])) for a in axes)
    return f, varargs, {"axis": axis, "edge_order": edge_order}


@st.composite
def schemed(draw: Draw) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Valid arguments of `bigrad.gradient` that `numpy.gradient` has not, and data with gaps."""
    accuracy, order = draw(st.sampled_from([(2, 1), (2, 1), (2, 2), (4, 1), (6, 1), (6, 2)]))
    plain = (accuracy, order) == (2, 1)
    options: dict[str, Any] = {"accuracy": accuracy, "order": order}
    if plain:
        options["missing"] = draw(st.sampled_from(["propagate", "shrink"]))
        options["edge_order"] = draw(st.sampled_from([1, 2]))
    ndim = draw(st.integers(1, 3))
    axes = draw(st.lists(st.integers(0, ndim - 1), min_size=1, unique=True).map(tuple))
    kinds = {
        axis: draw(st.sampled_from([None, "periodic", "extend", "reflect", ("fill", 3)]))
        for axis in axes
    }
    least = max(3, accuracy // 2 + 1 if all(kinds.values()) else accuracy + order)
    shape = tuple(draw(st.integers(least, least + 4)) for _ in range(ndim))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    f: Any = rng.normal(size=shape) * 100
    dtype = draw(st.sampled_from("hfdF"))
    if dtype != "h":
        f[rng.random(shape) < draw(st.sampled_from([0, 0.2, 0.6]))] = np.nan
    f = f.astype(dtype)
    spacing: list[Any] = []
    periods = {}
    for axis in axes:
        size = shape[axis]
        if draw(st.booleans()):
            spacing.append(draw(st.sampled_from([1.0, 0.1, np.float32(0.1), -3])))
            continue
        x = np.cumsum(rng.uniform(0.5, 1.5, size)) if draw(st.booleans()) else np.arange(size) / 4
        if kinds[axis] == "periodic":
            periods[axis] = x[-1] - x[0] + draw(st.sampled_from([0.25, 1.5]))
        spacing.append(x[::-1] if draw(st.booleans()) else x)
    return f, tuple(spacing), options | {"axis": axes, "boundary": kinds, "period": periods}


@st.composite
def chunks(draw: Draw, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Any way to cut each axis into chunks, those of 1 and empty ones included."""

    def cut(n: int) -> tuple[int, ...]:
        cuts = sorted(draw(st.lists(st.integers(0, n), max_size=n)))
        return tuple(b - a for a, b in zip([0, *cuts], [*cuts, n], strict=True))

    return tuple(cut(n) for n in shape)
