"""Vector operators as fused loops: each input read once, no temporaries, the GIL released.

Fields reach the loops as flat buffers of ``(maps, rows, columns)`` in C order. A derivative is
a sum of two weighted differences of three cells (see `bigrad.numerics.sphere.Slopes`), along
the columns and along the rows, so that one loop serves even and uneven axes. Nothing is
contracted or reassociated: a cell has the same bits wherever it lies in a block.

What lies beyond a block is brought by its caller: for each row the three cells that its first
and its last column look at (`west`, `east`), and for each map the rows before and after.
"""

import numpy as np

from bigrad.numerics.compiled import loop, part

__all__ = ["advection", "components", "magnitude", "moments", "pair"]

# Unsigned indices need no test for negative ones, which would keep the loops from being
# vectorised.
_U = np.uintp


@part
def _row(i, z, rows, columns, core, before, after):
    """Buffer and first index of row `i` of map `z`, which may lie before or after the core."""
    if i < 0:
        depth = before.size // (core.size // rows)
        return before, (z * depth + depth + i) * columns
    if i >= rows:
        depth = after.size // (core.size // rows)
        return after, (z * depth + i - rows) * columns
    return core, (z * rows + i) * columns


@part
def _nearest(i, rows, first, last):
    """Return the two rows that row `i` looks at besides itself, which it may be at an edge.

    `first` and `last` are 0 inside the axis, else the number of cells that an edge looks at.
    """
    if i == 0 and first:
        return (0, 1) if first == 2 else (2, 1)
    if i == rows - 1 and last:
        return (i - 1, i) if last == 2 else (i - 1, i - 2)
    return i - 1, i + 1


@part
def _even(before, after, m):
    """Return the derivative along x from both neighbours, by equal steps."""
    return m * (after - before)


@part
def _uneven(before, centre, after, m, low, high):
    """Return the derivative along x from a cell and its neighbours."""
    return m * (low * (centre - before) + high * (after - centre))


@part
def _along_y(a, ia, b, ib, c, ic, low, high):
    """Return the derivative along y of a cell of `b`, between those of `a` and `c`."""
    centre = b[_U(ib)]
    return low * (centre - a[_U(ia)]) + high * (c[_U(ic)] - centre)


@part
def _at_end(end, line, columns, p, west, east, m, xl, xh, k):
    """Return the derivative along x at the first (0) or the last (1) cell of a line."""
    if west.size == 0:
        o = line * columns
        i = end * (columns - 1)
        before, centre = p[_U(o + (i - 1 + columns) % columns)], p[_U(o + i)]
        after = p[_U(o + (i + 1) % columns)]
    else:
        s, i = east if end else west, 3 * line
        before, centre, after = s[_U(i)], s[_U(i + 1)], s[_U(i + 2)]
    if xl.size == 0:
        return _even(before, after, m)
    return _uneven(before, centre, after, m, xl[_U(k)], xh[_U(k)])


@part
def _split(out, o, columns):
    """Return where to split a line, but for its ends, so that most of it begins a cache line.

    A vector of cells that lies in two lines of the cache takes twice as long to store.
    """
    cells = 64 // out.itemsize
    skew = (out.ctypes.data // out.itemsize + o + 1) % cells
    split = min(1 + (cells - skew) % cells, columns - 1)
    return (1, split), (split, columns - 1)


@part
def _pair(out, o, p, a, ia, q, c, ic, n0, n1, m, yl, yh, t, xl, xh, k):
    if xl.size == 0:
        for n in range(n0, n1):
            y = _along_y(a, ia + n, q, o + n, c, ic + n, yl, yh)
            out[_U(o + n)] = (_even(p[_U(o + n - 1)], p[_U(o + n + 1)], m) + y) + t * q[_U(o + n)]
    else:
        for n in range(n0, n1):
            y = _along_y(a, ia + n, q, o + n, c, ic + n, yl, yh)
            before, after = p[_U(o + n - 1)], p[_U(o + n + 1)]
            x = _uneven(before, p[_U(o + n)], after, m, xl[_U(k + n)], xh[_U(k + n)])
            out[_U(o + n)] = (x + y) + t * q[_U(o + n)]


@loop
def pair(
    out, p, west, east, q, before, after, shape, span, edges, m, t, yl, yh, row, xl, xh, column
):
    """Set ``out = m * Dx(p) + Dy(q) + t * q``.

    Parameters
    ----------
    out, p, q : 1-d arrays
        Result and fields.
    west, east : 1-d arrays
        For each row the three cells of `p` that its first, and its last, column looks at;
        empty where all columns are there, and close.
    before, after : 1-d arrays
        For each map the rows of `q` before and after the core.
    shape : tuple of int
        Maps, rows and columns.
    span : tuple of int
        First map and the one after the last, first row and the one after the last, to set.
    edges : tuple of int
        Whether the first, and the last, row is an edge: 0, else how many rows it looks at.
    m, t, yl, yh : 1-d arrays
        Factors and weights by row of the whole grid.
    row : int
        Place of the first row in the whole grid.
    xl, xh : 1-d arrays
        Weights by column of the whole grid; empty where all steps are equal and no column is an
        edge: then `m` makes a derivative of the difference of both neighbours.
    column : int
        Place of the first column in the whole grid.
    """
    _, rows, columns = shape
    for z in range(span[0], span[1]):
        for i in range(span[2], span[3]):
            line = z * rows + i
            o = line * columns
            before_it, after_it = _nearest(i, rows, edges[0], edges[1])
            a, ia = _row(before_it, z, rows, columns, q, before, after)
            c, ic = _row(after_it, z, rows, columns, q, before, after)
            w = _U(row + i)
            mi, ti, low, high = m[w], t[w], yl[w], yh[w]
            for n0, n1 in _split(out, o, columns):
                _pair(out, o, p, a, ia, q, c, ic, n0, n1, mi, low, high, ti, xl, xh, column)
            for end in range(min(columns, 2)):
                n = end * (columns - 1)
                x = _at_end(end, line, columns, p, west, east, mi, xl, xh, column + n)
                y = _along_y(a, ia + n, q, o + n, c, ic + n, low, high)
                out[_U(o + n)] = (x + y) + ti * q[_U(o + n)]


@part
def _components(out, out2, o, f, a, ia, c, ic, n0, n1, m, yl, yh, xl, xh, k):
    if xl.size == 0:
        for n in range(n0, n1):
            out[_U(o + n)] = _even(f[_U(o + n - 1)], f[_U(o + n + 1)], m)
    else:
        for n in range(n0, n1):
            before, after = f[_U(o + n - 1)], f[_U(o + n + 1)]
            out[_U(o + n)] = _uneven(before, f[_U(o + n)], after, m, xl[_U(k + n)], xh[_U(k + n)])
    for n in range(n0, n1):
        out2[_U(o + n)] = _along_y(a, ia + n, f, o + n, c, ic + n, yl, yh)


@loop
def components(
    out, out2, f, west, east, before, after, shape, span, edges, m, yl, yh, row, xl, xh, column
):
    """Set ``out = m * Dx(f)`` and ``out2 = Dy(f)``; see `pair` for the parameters."""
    _, rows, columns = shape
    for z in range(span[0], span[1]):
        for i in range(span[2], span[3]):
            line = z * rows + i
            o = line * columns
            before_it, after_it = _nearest(i, rows, edges[0], edges[1])
            a, ia = _row(before_it, z, rows, columns, f, before, after)
            c, ic = _row(after_it, z, rows, columns, f, before, after)
            w = _U(row + i)
            mi, low, high = m[w], yl[w], yh[w]
            for n0, n1 in _split(out, o, columns):
                _components(out, out2, o, f, a, ia, c, ic, n0, n1, mi, low, high, xl, xh, column)
            for end in range(min(columns, 2)):
                n = end * (columns - 1)
                out[_U(o + n)] = _at_end(end, line, columns, f, west, east, mi, xl, xh, column + n)
                out2[_U(o + n)] = _along_y(a, ia + n, f, o + n, c, ic + n, low, high)


@part
def _length(x, y):
    # In double precision, since the squares of small gradients underflow.
    x2, y2 = np.float64(x), np.float64(y)
    return np.sqrt(x2 * x2 + y2 * y2)


@part
def _magnitude(out, o, f, a, ia, c, ic, n0, n1, m, yl, yh, xl, xh, k):
    if xl.size == 0:
        for n in range(n0, n1):
            y = _along_y(a, ia + n, f, o + n, c, ic + n, yl, yh)
            out[_U(o + n)] = _length(_even(f[_U(o + n - 1)], f[_U(o + n + 1)], m), y)
    else:
        for n in range(n0, n1):
            y = _along_y(a, ia + n, f, o + n, c, ic + n, yl, yh)
            before, after = f[_U(o + n - 1)], f[_U(o + n + 1)]
            x = _uneven(before, f[_U(o + n)], after, m, xl[_U(k + n)], xh[_U(k + n)])
            out[_U(o + n)] = _length(x, y)


@loop
def magnitude(
    out, f, west, east, before, after, shape, span, edges, m, yl, yh, row, xl, xh, column
):
    """Set ``out`` to the length of ``(m * Dx(f), Dy(f))``; see `pair` for the parameters."""
    _, rows, columns = shape
    for z in range(span[0], span[1]):
        for i in range(span[2], span[3]):
            line = z * rows + i
            o = line * columns
            before_it, after_it = _nearest(i, rows, edges[0], edges[1])
            a, ia = _row(before_it, z, rows, columns, f, before, after)
            c, ic = _row(after_it, z, rows, columns, f, before, after)
            w = _U(row + i)
            mi, low, high = m[w], yl[w], yh[w]
            for n0, n1 in _split(out, o, columns):
                _magnitude(out, o, f, a, ia, c, ic, n0, n1, mi, low, high, xl, xh, column)
            for end in range(min(columns, 2)):
                n = end * (columns - 1)
                x = _at_end(end, line, columns, f, west, east, mi, xl, xh, column + n)
                out[_U(o + n)] = _length(x, _along_y(a, ia + n, f, o + n, c, ic + n, low, high))


@part
def _advection(out, o, u, v, f, a, ia, c, ic, n0, n1, m, yl, yh, xl, xh, k):
    if xl.size == 0:
        for n in range(n0, n1):
            y = _along_y(a, ia + n, f, o + n, c, ic + n, yl, yh)
            out[_U(o + n)] = -(
                u[_U(o + n)] * _even(f[_U(o + n - 1)], f[_U(o + n + 1)], m) + v[_U(o + n)] * y
            )
    else:
        for n in range(n0, n1):
            y = _along_y(a, ia + n, f, o + n, c, ic + n, yl, yh)
            before, after = f[_U(o + n - 1)], f[_U(o + n + 1)]
            x = _uneven(before, f[_U(o + n)], after, m, xl[_U(k + n)], xh[_U(k + n)])
            out[_U(o + n)] = -(u[_U(o + n)] * x + v[_U(o + n)] * y)


@loop
def advection(
    out, f, u, v, west, east, before, after, shape, span, edges, m, yl, yh, row, xl, xh, column
):
    """Set ``out = -(u * m * Dx(f) + v * Dy(f))``; see `pair` for the parameters."""
    _, rows, columns = shape
    for z in range(span[0], span[1]):
        for i in range(span[2], span[3]):
            line = z * rows + i
            o = line * columns
            before_it, after_it = _nearest(i, rows, edges[0], edges[1])
            a, ia = _row(before_it, z, rows, columns, f, before, after)
            c, ic = _row(after_it, z, rows, columns, f, before, after)
            w = _U(row + i)
            mi, low, high = m[w], yl[w], yh[w]
            for n0, n1 in _split(out, o, columns):
                _advection(out, o, u, v, f, a, ia, c, ic, n0, n1, mi, low, high, xl, xh, column)
            for end in range(min(columns, 2)):
                n = end * (columns - 1)
                x = _at_end(end, line, columns, f, west, east, mi, xl, xh, column + n)
                y = _along_y(a, ia + n, f, o + n, c, ic + n, low, high)
                out[_U(o + n)] = -(u[_U(o + n)] * x + v[_U(o + n)] * y)


@loop
def moments(out, ring, waves):
    """Set each ``out[k, z]`` to the sum of ``waves[k] * ring[z]``, always in one order."""
    for k in range(waves.shape[0]):
        for z in range(ring.shape[0]):
            total = 0.0
            for n in range(ring.shape[1]):
                total += waves[k, n] * ring[z, n]
            out[k, z] = total
