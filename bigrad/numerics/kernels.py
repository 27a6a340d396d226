"""The stencil as fused loops: one pass over a block, no temporaries, the GIL released.

A block reaches the loops as flat buffers with strides, seen as ``(many, outer, n, inner)`` with
the differentiated axis before the last, so that one compiled loop per dtype serves every shape,
memory layout and axis. Every formula is written in the order of operations of
`numpy.gradient`; nothing is contracted or reassociated, so that the bits are equal.
"""

import numba
import numpy as np
from numba import types
from numba.extending import overload

from bigrad.numerics import vectors
from bigrad.numerics.compiled import loop as _loop
from bigrad.numerics.compiled import part as _part

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


# Unsigned indices need no test for negative ones, which would keep the loops from being
# vectorised.
_U = np.uintp

# Cells of a run of lines, which the second-level cache should hold.
_RUN = 2**14


@_part
def _difference(out, o, so, f, i, sf, g, j, sg, start, stop, divisor, ratio, scale):
    """Set the cells from `start` to before `stop` to ``(g - f) / divisor``."""
    for m in range(start, stop):
        x = _number(g[_U(j + m * sg)]) - _number(f[_U(i + m * sf)])
        out[_U(o + m * so)] = _over(x, divisor, ratio, scale)


@_part
def _whole(out, o, f, i, sf, g, j, sg, count, p, k, past):
    """Set `count` cells, which are whole lines of memory, to differences."""
    vectors.difference(out, o, f, i, sf, g, j, sg, count, p[k], p[k + 1], p[k + 2], past)


@_part
def _combination(out, o, so, f, i, sf, g, j, sg, h, k, sh, start, stop, a, b, c):
    """Set the cells from `start` to before `stop` to ``a * f + b * g + c * h``."""
    for m in range(start, stop):
        out[_U(o + m * so)] = (
            _times(a, _number(f[_U(i + m * sf)]))
            + _times(b, _number(g[_U(j + m * sg)]))
            + _times(c, _number(h[_U(k + m * sh)]))
        )


@_part
def _varying(out, o, so, f, i, sf, start, stop, a, b, c, w):
    """Set the cells from `start` to before `stop`, each with weights of its own."""
    for m in range(start, stop):
        out[_U(o + m * so)] = (
            _times(a[_U(w + m)], _number(f[_U(i + m * sf)]))
            + _times(b[_U(w + m)], _number(f[_U(i + (m + 1) * sf)]))
            + _times(c[_U(w + m)], _number(f[_U(i + (m + 2) * sf)]))
        )


@_part
def _row(i, o, j, n, f, gf, before, gb, after, ga):
    """Buffer, first index and stride of row `i`, which may lie in a face."""
    if i < 0:
        return before, gb[0] + o * gb[1] + i * gb[2] + j * gb[3], gb[3]
    if i >= n:
        return after, ga[0] + o * ga[1] + (i - n) * ga[2] + j * ga[3], ga[3]
    return f, gf[0] + o * gf[1] + i * gf[2] + j * gf[3], gf[3]


@_part
def _slab(geometry, k):
    """Offset and strides of ``(outer, n, inner)``, for one of many."""
    offset, apart, outward, along, inward = geometry
    return offset + k * apart, outward, along, inward


@_loop
def differentiate(
    out, go, f, gf, before, gb, after, ga, shape, tile, first, last, edge_order, p, a, b, c, start,
    line,
):  # fmt: skip
    """Differentiate a block along one axis.

    Every buffer is flat, seen as ``(many, outer, n, inner)`` through ``(offset, *strides)``.

    Parameters
    ----------
    out, f, before, after : 1-d arrays
        Result, core, and the faces just before and after the core.
    go, gf, gb, ga : tuple of int
        Offset and four strides of each; a single inner cell has the stride of the axis.
    shape : tuple of int
        ``(many, outer, n, inner)`` of the core.
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
    line : int
        A cell of `out` with which a line of memory begins, if `out` is to be written past the
        caches; else negative.
    """
    for k in range(shape[0]):
        _differentiate(
            out, _slab(go, k), f, _slab(gf, k), before, _slab(gb, k), after, _slab(ga, k),
            shape[1:], tile, first, last, edge_order, p, a, b, c, start, line,
        )  # fmt: skip
    if line >= 0:
        vectors.settle()


@_part
def _differentiate(
    out, go, f, gf, before, gb, after, ga, shape, tile, first, last, edge_order, p, a, b, c, start,
    line,
):  # fmt: skip
    """Differentiate ``(outer, n, inner)`` cells."""
    outer, n, inner = shape
    even = a.size == 0
    cells, lanes = vectors.LINE // out.itemsize, vectors.lanes(out, p)
    past = line >= 0
    unit, sf = go[3] == 1, gf[3]
    # Rows that follow each other in memory are one run, unless weights differ between them.
    follow = inner <= tile and go[2] == inner * go[3] and gf[2] == inner * sf
    follow = follow and (even or inner == 1)
    # Lines with one step that follow each other are one run too, at first: across their ends,
    # which are set afterwards, while they are in the cache.
    across = unit and inner == 1 and even and n > 2 and go[1] == n and gf[1] == n * sf
    begun, ended = 0, 0
    # Lines with weights that vary are taken four at a time, which begin alike in memory.
    apart = 1
    while past and apart * go[1] % cells != 0:
        apart *= 2
    together = 4 * apart if unit and inner == 1 and not even and n >= 3 * cells else outer + 1
    done = 0
    for o in range(outer):
        if across and o == done:
            lines = min(1 + _RUN // n, outer - o)
            shift = gf[0] - (go[0] + 1) * sf
            begun = go[0] + o * n + 1
            ended = begun + lines * n - 2
            if past and n >= 4 * cells:
                # Past the caches except around the ends, which would have to be read again.
                begun += (line - begun) & (cells - 1)
                ended = begun
                for k in range(o, o + lines):
                    end = go[0] + (k + 1) * n - 1
                    end -= (end - line) & (cells - 1)
                    q = ended * sf + shift
                    _whole(out, ended, f, q, sf, f, q + 2 * sf, sf, end - ended, p, 0, True)
                    ended = end
                    if k + 1 < o + lines:
                        ended = go[0] + (k + 1) * n + 1
                        ended += (line - ended) & (cells - 1)
                        q = end * sf + shift
                        _whole(out, end, f, q, sf, f, q + 2 * sf, sf, ended - end, p, 0, False)
            else:
                ended -= (ended - begun) % cells
                q = begun * sf + shift
                _whole(out, begun, f, q, sf, f, q + 2 * sf, sf, ended - begun, p, 0, False)
            done += lines
        elif o == done and o + together <= outer:
            for k in range(o, o + apart):
                at, r = go[0] + k * go[1] + go[2], gf[0] + k * gf[1]
                ahead = (line - at) & (cells - 1) if past else 0
                begun = ahead % lanes
                ended = begun + (n - lanes - begun) // lanes * lanes
                whole = (ended - ahead) // cells * cells
                # Past the caches are whole lines of memory alone.
                for begin, end, beyond in (
                    (begun, ahead, False),
                    (ahead, ahead + whole, past),
                    (ahead + whole, ended, False),
                ):
                    vectors.combine_lines(
                        out, at + begin, apart * go[1], f, r + begin * sf, apart * gf[1], sf,
                        end - begin, a, b, c, start + begin, beyond,
                    )  # fmt: skip
            done += together
        for j in range(0, inner, tile):
            width = min(tile, inner - j)
            i = 0
            while i < n:
                near, order, k = i - 1, 2, 0
                if first and i == 0:
                    near, order, k = 0, edge_order, 3
                elif last and i == n - 1:
                    near, order, k = i - edge_order, edge_order, 6
                inside = 0 < i < n - 1
                weighs = order == 2 and (k > 0 or not even)
                w = start + i - 1
                r0, b0, s0 = _row(near, o, j, n, f, gf, before, gb, after, ga)
                r1, b1, s1 = _row(near + 1, o, j, n, f, gf, before, gb, after, ga)
                r2, b2, s2 = _row(near + order, o, j, n, f, gf, before, gb, after, ga)
                at = go[0] + o * go[1] + i * go[2] + j * go[3]
                if width == 1 and not inside:
                    # The end of a line takes less time than to begin a loop.
                    x, z = _number(r0[_U(b0)]), _number(r2[_U(b2)])
                    if not weighs:
                        out[_U(at)] = _over(z - x, p[k], p[k + 1], p[k + 2])
                    else:
                        y = _number(r1[_U(b1)])
                        wa, wb, wc = p[k], p[k + 1], p[k + 2]
                        if k == 0:
                            wa, wb, wc = a[_U(w)], b[_U(w)], c[_U(w)]
                        out[_U(at)] = _times(wa, x) + _times(wb, y) + _times(wc, z)
                    i += 1
                    continue
                rows, runs, count = 1, 1, width
                ahead, whole = 0, 0
                if follow and inside:
                    rows, count = n - 2, (n - 2) * width
                if across and inside:
                    ahead = min(max(begun - at, 0), count)
                    whole = min(max(ended - at, 0), count) - ahead
                elif not weighs:
                    if unit:
                        ahead = min((line - at) & (cells - 1), count) if past else 0
                        whole = (count - ahead) // cells * cells
                        _whole(
                            out, at + ahead, r0, b0 + ahead * s0, s0, r2, b2 + ahead * s2, s2,
                            whole, p, k, past,
                        )  # fmt: skip
                elif follow and inside:
                    if o < done:
                        ahead = ((line - at) & (cells - 1)) % lanes if past else 0
                        whole = (n - lanes - ahead) // lanes * lanes
                elif unit and inside and i + 4 < n:
                    rows, runs = 4, 4
                    alike = past and go[2] % cells == 0
                    ahead = min((line - at) & (cells - 1), count) if alike else 0
                    whole = (count - ahead) // cells * cells
                    vectors.combine_rows(
                        out, at + ahead, go[2], f, b0 + ahead * sf, gf[2], sf, whole,
                        a, b, c, w, alike,
                    )  # fmt: skip
                for run in range(runs):
                    wa, wb, wc = p[k], p[k + 1], p[k + 2]
                    if weighs and k == 0:
                        wa, wb, wc = a[_U(w + run)], b[_U(w + run)], c[_U(w + run)]
                    u, v = at + run * go[2], run * gf[2]
                    for begin, end in ((0, ahead), (ahead + whole, count)):
                        if not weighs:
                            _difference(
                                out, u, go[3], r0, b0, s0, r2, b2, s2, begin, end, wa, wb, wc
                            )
                        elif follow and inside:
                            _varying(out, u, go[3], f, b0, s0, begin, end, a, b, c, w)
                        else:
                            _combination(
                                out, u, go[3], r0, b0 + v, s0, r1, b1 + v, s1, r2, b2 + v, s2,
                                begin, end, wa, wb, wc,
                            )  # fmt: skip
                i += rows
