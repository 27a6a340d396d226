"""The stencil as fused loops: one pass over a block, no temporaries, the GIL released.

A block reaches the loops as flat buffers with strides, seen as ``(outer, n, inner)`` with the
differentiated axis in the middle, so that one compiled loop per dtype serves every shape,
memory layout and axis. Every formula is written in the order of operations of
`numpy.gradient`; nothing is contracted or reassociated, so that the bits are equal.
"""

import warnings
from functools import cache

import numba
import numpy as np
from numba import types
from numba.extending import overload

__all__ = ["differentiate"]


def _number(x):
    """Return a cell as it enters the arithmetic: integers as float64."""
    return _number_typed(numba.typeof(x))(x)


def _over(x, divisor, ratio, scale):
    """Divide `x` as NumPy does: complex numbers by Smith's algorithm.

    `ratio` and `scale` are Smith's intermediate terms for a real divisor.
    """
    return _over_typed(numba.typeof(x), divisor, ratio, scale)(x, divisor, ratio, scale)


def _times(weight, x):
    """Multiply `x` by a real weight as NumPy does: complex numbers by ``weight + 0j``."""
    return _times_typed(weight, numba.typeof(x))(weight, x)


@overload(_number)
def _number_typed(x):
    if isinstance(x, types.Integer):
        return lambda x: np.float64(x)
    return lambda x: x


@overload(_over)
def _over_typed(x, divisor, ratio, scale):
    if isinstance(x, types.Complex):
        return lambda x, divisor, ratio, scale: complex(
            (x.real + x.imag * ratio) * scale, (x.imag - x.real * ratio) * scale
        )
    return lambda x, divisor, ratio, scale: x / divisor


@overload(_times)
def _times_typed(weight, x):
    if isinstance(x, types.Complex):

        def multiply(weight, x):
            zero = weight - weight
            return complex(weight * x.real - zero * x.imag, weight * x.imag + zero * x.real)

        return multiply
    return lambda weight, x: weight * x


def _loop(function):
    """Compile `function` when it is first called, and keep what was compiled on disk."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that could hold the cache
        _warn_of_no_cache()
        return numba.njit(**options)(function)


@cache
def _warn_of_no_cache():
    msg = (
        "bigrad's loops are compiled anew in every process, since neither its own folder nor the "
        "user's cache folder can be written to; set NUMBA_CACHE_DIR to one that can"
    )
    warnings.warn(msg, RuntimeWarning, stacklevel=2)


# Unsigned indices need no test for negative ones, which would keep the loops from being
# vectorised; unit strides are loops of their own for the same reason.
_U = np.uintp


@_loop
def _difference(out, o, so, upper, u, su, lower, w, sw, count, p, k):
    """Set `count` cells to ``(upper - lower) / p[k]``."""
    divisor, ratio, scale = p[k], p[k + 1], p[k + 2]
    if so == 1 and su == 1 and sw == 1:
        for j in range(count):
            x = _number(upper[_U(u + j)]) - _number(lower[_U(w + j)])
            out[_U(o + j)] = _over(x, divisor, ratio, scale)
    else:
        for j in range(count):
            x = _number(upper[_U(u + j * su)]) - _number(lower[_U(w + j * sw)])
            out[_U(o + j * so)] = _over(x, divisor, ratio, scale)


@_loop
def _combination(out, o, so, f, i, sf, g, j, sg, h, k, sh, count, a, b, c):
    """Set `count` cells to ``a * f + b * g + c * h``."""
    if so == 1 and sf == 1 and sg == 1 and sh == 1:
        for m in range(count):
            out[_U(o + m)] = (
                _times(a, _number(f[_U(i + m)]))
                + _times(b, _number(g[_U(j + m)]))
                + _times(c, _number(h[_U(k + m)]))
            )
    else:
        for m in range(count):
            out[_U(o + m * so)] = (
                _times(a, _number(f[_U(i + m * sf)]))
                + _times(b, _number(g[_U(j + m * sg)]))
                + _times(c, _number(h[_U(k + m * sh)]))
            )


@_loop
def _varying(out, o, so, f, i, sf, count, a, b, c, w):
    """Set `count` consecutive cells, each with weights of its own from `w` on."""
    if so == 1 and sf == 1:
        for m in range(count):
            out[_U(o + m)] = (
                _times(a[_U(w + m)], _number(f[_U(i + m - 1)]))
                + _times(b[_U(w + m)], _number(f[_U(i + m)]))
                + _times(c[_U(w + m)], _number(f[_U(i + m + 1)]))
            )
    else:
        for m in range(count):
            out[_U(o + m * so)] = (
                _times(a[_U(w + m)], _number(f[_U(i + (m - 1) * sf)]))
                + _times(b[_U(w + m)], _number(f[_U(i + m * sf)]))
                + _times(c[_U(w + m)], _number(f[_U(i + (m + 1) * sf)]))
            )


@_loop
def _varying4(out, o, to, so, f, i, tf, sf, count, a, b, c, w):
    """Set four lines of cells, `to` and `tf` apart, as `_varying` does each."""
    if so == 1 and sf == 1:
        for m in range(count):
            wa, wb, wc = a[_U(w + m)], b[_U(w + m)], c[_U(w + m)]
            for k in range(4):
                at, r = o + k * to + m, i + k * tf + m
                out[_U(at)] = (
                    _times(wa, _number(f[_U(r - 1)]))
                    + _times(wb, _number(f[_U(r)]))
                    + _times(wc, _number(f[_U(r + 1)]))
                )
    else:
        for k in range(4):
            _varying(out, o + k * to, so, f, i + k * tf, sf, count, a, b, c, w)


@_loop
def _row(i, o, j, n, f, gf, before, gb, after, ga):
    """Buffer, first index and stride of row `i`, which may lie in a face."""
    if i < 0:
        return before, gb[0] + o * gb[1] + i * gb[2] + j * gb[3], gb[3]
    if i >= n:
        return after, ga[0] + o * ga[1] + (i - n) * ga[2] + j * ga[3], ga[3]
    return f, gf[0] + o * gf[1] + i * gf[2] + j * gf[3], gf[3]


@_loop
def _cell(i, o, n, f, gf, before, gb, after, ga):
    """Cell `i` of line `o`, which may lie in a face, as it enters the arithmetic."""
    if i < 0:
        return _number(before[_U(gb[0] + o * gb[1] + i * gb[2])])
    if i >= n:
        return _number(after[_U(ga[0] + o * ga[1] + (i - n) * ga[2])])
    return _number(f[_U(gf[0] + o * gf[1] + i * gf[2])])


@_loop
def differentiate(
    out, go, f, gf, before, gb, after, ga, shape, tile, first, last, edge_order, p, a, b, c, start
):
    """Differentiate a block along one axis.

    Every buffer is flat, seen as ``(outer, n, inner)`` through ``(offset, *strides)``.

    Parameters
    ----------
    out, f, before, after : 1-d arrays
        Result, core, and the faces just before and after the core.
    go, gf, gb, ga : tuple of int
        Offset and three strides of each.
    shape : tuple of int
        ``(outer, n, inner)`` of the core.
    tile : int
        How many inner cells to take at a time, so that the rows in use stay in the cache.
    first, last : bool
        Whether the core holds the first, and the last, cell of the whole axis.
    edge_order : int
        1 or 2.
    p : 1-d array of 9
        Divisor, and Smith's ratio and scale, inside; the same or three weights at the
        first and at the last cell.
    a, b, c : 1-d arrays
        Weights for each cell of the whole axis that has two neighbours; empty where the
        axis has one step.
    start : int
        Place of the first cell of the core along the whole axis.
    """
    if shape[2] == 1:
        _contiguous_axis(
            out,
            go,
            f,
            gf,
            before,
            gb,
            after,
            ga,
            shape,
            first,
            last,
            edge_order,
            p,
            a,
            b,
            c,
            start,
        )
    else:
        _other_axis(
            out, go, f, gf, before, gb, after, ga, shape, tile, first, last, edge_order,
            p, a, b, c, start,
        )  # fmt: skip


@_loop
def _other_axis(
    out, go, f, gf, before, gb, after, ga, shape, tile, first, last, edge_order, p, a, b, c, start
):
    """Differentiate row by row, each of cells that are neighbours in memory."""
    outer, n, inner = shape
    even = a.size == 0
    for o in range(outer):
        for j in range(0, inner, tile):
            count = min(tile, inner - j)
            for i in range(n):
                at = go[0] + o * go[1] + i * go[2] + j * go[3]
                if 0 < i < n - 1:
                    # Most rows are these, and need not be asked for which buffer they are in.
                    r, up, s = gf[0] + o * gf[1] + i * gf[2] + j * gf[3], gf[2], gf[3]
                    if even:
                        _difference(out, at, go[3], f, r + up, s, f, r - up, s, count, p, 0)
                    else:
                        w = _U(start + i - 1)
                        _combination(
                            out, at, go[3], f, r - up, s, f, r, s, f, r + up, s,
                            count, a[w], b[w], c[w],
                        )  # fmt: skip
                    continue
                if (first and i == 0) or (last and i == n - 1):
                    near, k = (0, 3) if first and i == 0 else (i - edge_order, 6)
                    r0, b0, s0 = _row(near, o, j, n, f, gf, before, gb, after, ga)
                    r1, b1, s1 = _row(near + 1, o, j, n, f, gf, before, gb, after, ga)
                    if edge_order == 1:
                        _difference(out, at, go[3], r1, b1, s1, r0, b0, s0, count, p, k)
                        continue
                    r2, b2, s2 = _row(near + 2, o, j, n, f, gf, before, gb, after, ga)
                    wa, wb, wc = p[k], p[k + 1], p[k + 2]
                else:
                    r0, b0, s0 = _row(i - 1, o, j, n, f, gf, before, gb, after, ga)
                    r2, b2, s2 = _row(i + 1, o, j, n, f, gf, before, gb, after, ga)
                    if even:
                        _difference(out, at, go[3], r2, b2, s2, r0, b0, s0, count, p, 0)
                        continue
                    r1, b1, s1 = _row(i, o, j, n, f, gf, before, gb, after, ga)
                    w = _U(start + i - 1)
                    wa, wb, wc = a[w], b[w], c[w]
                _combination(out, at, go[3], r0, b0, s0, r1, b1, s1, r2, b2, s2, count, wa, wb, wc)


@_loop
def _contiguous_axis(
    out, go, f, gf, before, gb, after, ga, shape, first, last, edge_order, p, a, b, c, start
):
    """Differentiate line by line, each along the axis; at its ends cell by cell."""
    outer, n, _ = shape
    even = a.size == 0
    for o in range(outer):
        for end in range(min(n, 2)):
            i = end * (n - 1)
            at = _U(go[0] + o * go[1] + i * go[2])
            if (first and i == 0) or (last and i == n - 1):
                near, k = (0, 3) if first and i == 0 else (i - edge_order, 6)
                x0 = _cell(near, o, n, f, gf, before, gb, after, ga)
                x1 = _cell(near + 1, o, n, f, gf, before, gb, after, ga)
                if edge_order == 1:
                    out[at] = _over(x1 - x0, p[k], p[k + 1], p[k + 2])
                    continue
                x2 = _cell(near + 2, o, n, f, gf, before, gb, after, ga)
                wa, wb, wc = p[k], p[k + 1], p[k + 2]
            else:
                x0 = _cell(i - 1, o, n, f, gf, before, gb, after, ga)
                x2 = _cell(i + 1, o, n, f, gf, before, gb, after, ga)
                if even:
                    out[at] = _over(x2 - x0, p[0], p[1], p[2])
                    continue
                x1 = _cell(i, o, n, f, gf, before, gb, after, ga)
                w = _U(start + i - 1)
                wa, wb, wc = a[w], b[w], c[w]
            out[at] = _times(wa, x0) + _times(wb, x1) + _times(wc, x2)
        if even and n > 2:
            at = go[0] + o * go[1] + go[2]
            r = gf[0] + o * gf[1] + gf[2]
            _difference(out, at, go[2], f, r + gf[2], gf[2], f, r - gf[2], gf[2], n - 2, p, 0)
    if not even and n > 2:
        # Four lines at a time share the loads of the weights, which are what bounds this loop.
        for o in range(0, outer - outer % 4, 4):
            at = go[0] + o * go[1] + go[2]
            r = gf[0] + o * gf[1] + gf[2]
            _varying4(out, at, go[1], go[2], f, r, gf[1], gf[2], n - 2, a, b, c, start)
        for o in range(outer - outer % 4, outer):
            at = go[0] + o * go[1] + go[2]
            r = gf[0] + o * gf[1] + gf[2]
            _varying(out, at, go[2], f, r, gf[2], n - 2, a, b, c, start)
