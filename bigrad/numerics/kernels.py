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
from bigrad.numerics.rows import row as _row

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

# How many rows, and lines, before its turn one that follows no other in memory is fetched, and so
# many bytes of it: further on the processor has found the pattern.
_ROWS_AHEAD, _LINES_AHEAD = 2, 4
_FETCHED = 4096


@_part
def _difference(out, o, so, f, i, sf, g, j, sg, start, stop, divisor, ratio, scale):
    """Set the cells from `start` to before `stop` to ``(g - f) / divisor``."""
    for m in range(start, stop):
        x = _number(g[_U(j + m * sg)]) - _number(f[_U(i + m * sf)])
        out[_U(o + m * so)] = _over(x, divisor, ratio, scale)


@_part
def _whole(out, o, f, i, sf, g, j, sg, count, divisor, ratio, scale, past, apart):
    """Set `count` cells, which are whole lines of memory, to differences."""
    vectors.difference(out, o, f, i, sf, g, j, sg, count, divisor, ratio, scale, past, apart)


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
def _anticipate(f, i, count):
    """Fetch the beginning of a row, or a line, of `count` cells that will be read soon."""
    cells = vectors.LINE // f.itemsize
    for m in range(0, min(count, _FETCHED // f.itemsize) + cells - 1, cells):
        vectors.anticipate(f, i + m)


@_part
def _slab(geometry, k):
    """Offset and strides of ``(outer, n, inner)``, for one of many."""
    offset, apart, outward, along, inward = geometry
    return offset + k * apart, outward, along, inward


@_loop
def differentiate(
    out, po, f, pf, before, pb, after, pa, shape, tile, first, last, edge_order, p, weights,
    start, line, apart,
):  # fmt: skip
    """Differentiate a block along one axis.

    Every buffer is flat, seen as ``(many, outer, n, inner)`` through ``(offset, *strides)``.

    Parameters
    ----------
    out, f, before, after : 1-d arrays
        Result, core, and the faces just before and after the core.
    po, pf, pb, pa : tuple of int
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
    weights : tuple of three 1-d arrays, or None
        For each cell of the whole axis that has two neighbours; None where the axis has one
        step, which is compiled for itself.
    start : int
        Place of the first cell of the core along the whole axis.
    line : int
        A cell of `out` with which a line of memory begins, if `out` is to be written past the
        caches; else negative.
    apart : bool or None
        Whether cells that are neighbours in `out` may be apart in the other buffers; None where
        they are not, which is compiled for itself.
    """
    _, outer, n, inner = shape
    if weights is not None:
        a, b, c = weights
    cells, lanes = vectors.LINE // out.itemsize, vectors.lanes(out, p)
    past = line >= 0
    for slab in range(shape[0]):
        go, gf = _slab(po, slab), _slab(pf, slab)
        gb, ga = _slab(pb, slab), _slab(pa, slab)
        unit, sf = go[3] == 1, gf[3]
        # Rows that follow each other in memory are one run, unless weights differ between them.
        follow = inner <= tile and go[2] == inner * go[3] and gf[2] == inner * sf
        alone = sf == 1 and not follow
        # Rows of a plane before those of the next, if these are further away and the cells in use
        # stay in the cache.
        planes = alone and weights is None and 0 < gf[1] < gf[2] and outer * inner <= tile
        depth, onward = (1, gf[1]) if planes else (n, gf[2])
        across, done, begun, ended = False, 0, 0, 0
        if weights is None:
            # Lines that follow each other are one run too, at first: across their ends, which
            # are set afterwards, while they are in the cache.
            across = unit and follow and inner == 1 and n > 2 and go[1] == n and gf[1] == n * sf
        else:
            follow = follow and inner == 1
            # Lines are taken four at a time, which begin alike in memory.
            turns = 1
            while past and turns * go[1] % cells != 0:
                turns *= 2
            together = 4 * turns if unit and follow and n >= 3 * cells else outer + 1
        for turn in range(outer * n if planes else outer):
            o, low = turn % outer, turn // outer
            if weights is None:
                if across and o == done:
                    done = min(o + 1 + _RUN // n, outer)
                    shift = gf[0] - (go[0] + 1) * sf
                    begun, ended = go[0] + o * n + 1, go[0] + done * n - 1
                    # Past the caches except around the ends, which would have to be read again;
                    # they are fetched ahead, since all writing waits for a line that is not there.
                    except_ends = past and n >= 4 * cells
                    if except_ends:
                        begun += (line - begun) & (cells - 1)
                    ended -= (ended - begun) % cells
                    at, next_line, beyond = begun, go[0] + o * n, except_ends
                    while at < ended:
                        stop = ended
                        if beyond:
                            next_line += n
                            stop = next_line - 1 - ((next_line - 1 - line) & (cells - 1))
                            vectors.expect(out, next_line - 1)
                            vectors.expect(out, next_line)
                        elif except_ends:
                            stop = next_line + 1 + ((line - next_line - 1) & (cells - 1))
                        stop = min(stop, ended)
                        q = at * sf + shift
                        _whole(
                            out, at, f, q, sf, f, q + 2 * sf, sf, stop - at, p[0], p[1], p[2],
                            beyond, apart,
                        )  # fmt: skip
                        at, beyond = stop, except_ends and not beyond
            elif o == done and o + together <= outer:
                done += together
                for k in range(o, o + turns):
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
                            out, at + begin, turns * go[1], f, r + begin * sf, turns * gf[1], sf,
                            end - begin, a, b, c, start + begin, beyond, apart,
                        )  # fmt: skip
            if sf == 1 and inner == 1 and n >= 2 * cells and not across and o >= done:
                _anticipate(f, gf[0] + (o + _LINES_AHEAD) * gf[1], n)
            for j in range(0, inner, tile):
                width = min(tile, inner - j)
                i = low
                while i < low + depth:
                    near, order, k = i - 1, 2, 0
                    if first and i == 0:
                        near, order, k = 0, edge_order, 3
                    elif last and i == n - 1:
                        near, order, k = i - edge_order, edge_order, 6
                    inside = 0 < i < n - 1
                    weighs = order == 2 and k > 0
                    if weights is not None:
                        weighs = order == 2
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
                            if weights is not None and k == 0:
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
                            if alone and 2 * width >= cells:
                                _anticipate(r2, b2 + _ROWS_AHEAD * onward, width)
                                if planes:
                                    _anticipate(r0, b0 + _ROWS_AHEAD * onward, width)
                            ahead = min((line - at) & (cells - 1), count) if past else 0
                            whole = (count - ahead) // cells * cells
                            _whole(
                                out, at + ahead, r0, b0 + ahead * s0, s0, r2, b2 + ahead * s2, s2,
                                whole, p[k], p[k + 1], p[k + 2], past, apart,
                            )  # fmt: skip
                    elif weights is not None:
                        if follow and inside:
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
                                a, b, c, w, alike, apart,
                            )  # fmt: skip
                    for run in range(runs):
                        wa, wb, wc = p[k], p[k + 1], p[k + 2]
                        if weights is not None and weighs and k == 0:
                            wa, wb, wc = a[_U(w + run)], b[_U(w + run)], c[_U(w + run)]
                        u, v = at + run * go[2], run * gf[2]
                        for begin, end in ((0, ahead), (ahead + whole, count)):
                            if not weighs:
                                _difference(
                                    out, u, go[3], r0, b0, s0, r2, b2, s2, begin, end, wa, wb, wc
                                )
                            elif weights is not None and follow and inside:
                                _varying(out, u, go[3], f, b0, s0, begin, end, a, b, c, w)
                            else:
                                _combination(
                                    out, u, go[3], r0, b0 + v, s0, r1, b1 + v, s1, r2, b2 + v, s2,
                                    begin, end, wa, wb, wc,
                                )  # fmt: skip
                    i += rows
    if past:
        vectors.settle()
