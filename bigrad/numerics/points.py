"""Compiled loops for windows of several points, and for differences beside missing cells.

A block is seen as by the loops of `bigrad.numerics.kernels`: flat buffers with strides, as
``(outer, n, inner)`` with the differentiated axis in the middle. Rows of neighbours in memory are
taken a run at a time; lines along the axis are gathered a run at a time, with their neighbours,
wherever these lie. Every cell has one order of operations, so that neither the cut into blocks
nor the layout of memory changes bits.
"""

import numpy as np

from bigrad.numerics.compiled import loop, part
from bigrad.numerics.rows import row

__all__ = ["RUN", "differences", "sums"]

# So many cells stay in the nearest cache, with their neighbours and their sums.
RUN = 1024

# As in `bigrad.numerics.kernels`: what has unsigned indices can be vectorised.
_U = np.uintp


@part
def _gather(line, at, low, high, o, j, n, f, gf, before, gb, after, ga):
    """Copy the cells ``[low, high)`` of a line of a block to those from `at` on."""
    for i in range(low, min(high, 0)):
        line[at] = before[gb[0] + o * gb[1] + i * gb[2] + j * gb[3]]
        at += 1
    base, step = gf[0] + o * gf[1] + j * gf[3], gf[2]
    first, stop = max(low, 0), min(high, n)
    if step == 1:
        for i in range(stop - first):
            line[_U(at + i)] = f[_U(base + first + i)]
    else:
        for i in range(stop - first):
            line[_U(at + i)] = f[_U(base + (first + i) * step)]
    at += max(stop - first, 0)
    for i in range(max(low, n), high):
        line[at] = after[ga[0] + o * ga[1] + (i - n) * ga[2] + j * ga[3]]
        at += 1


@part
def _add(total, weight, x, i, sx, y, j, sy, count):
    """Add `weight` times what the cells of one row have more than those of another."""
    if sx == 1 and sy == 1:
        for m in range(count):
            total[_U(m)] += weight * (np.float64(x[_U(i + m)]) - np.float64(y[_U(j + m)]))
    else:
        for m in range(count):
            more = np.float64(x[_U(i + m * sx)]) - np.float64(y[_U(j + m * sy)])
            total[_U(m)] += weight * more


@part
def _add_two(total, v, x, i, sx, w, z, k, sz, y, j, sy, count):
    """As `_add` for two rows, one after the other, in one pass."""
    if sx == 1 and sy == 1 and sz == 1:
        for m in range(count):
            cell = np.float64(y[_U(j + m)])
            one = v * (np.float64(x[_U(i + m)]) - cell)
            other = w * (np.float64(z[_U(k + m)]) - cell)
            total[_U(m)] = (total[_U(m)] + one) + other
    else:
        _add(total, v, x, i, sx, y, j, sy, count)
        _add(total, w, z, k, sz, y, j, sy, count)


@part
def _put(out, at, so, total, count):
    if so == 1:
        for m in range(count):
            out[_U(at + m)] = total[_U(m)]
    else:
        for m in range(count):
            out[_U(at + m * so)] = total[_U(m)]


@loop
def sums(
    out, go, f, gf, before, gb, after, ga, n, lines, box, start, size, total, line, weights,
    depth, inside, first, last,
):  # fmt: skip
    """Differentiate a block by weights.

    Parameters
    ----------
    out, f, before, after : 1-d arrays
        Result, core, and the faces just before and after the core.
    go, gf, gb, ga : tuple of int
        Offset and three strides of each.
    n : int
        Cells of the core along the axis.
    lines : bool
        Whether to go along lines rather than along rows.
    box : tuple of int
        First, and behind the last, cell to differentiate: outer, along the axis, inner.
    start, size : int
        Place of the core's first cell along the whole axis, and the number of its cells.
    total, line, weights : 1-d arrays of float64
        Room for `RUN` cells; for as many and twice the cells that one looks at; for these.
    depth : int
        How many cells near an end have weights of their own.
    inside, first, last : 2-d arrays
        As `bigrad.numerics.weights.Table` has them.
    """
    if lines:
        for o in range(box[0], box[1]):
            for j in range(box[4], box[5]):
                for low in range(box[2], box[3], RUN):
                    high = min(low + RUN, box[3])
                    at = go[0] + o * go[1] + low * go[2] + j * go[3]
                    _sums_along(
                        out, at, go[2], total, line, low, high, o, j, n, f, gf, before, gb,
                        after, ga, start, size, depth, inside, first, last,
                    )  # fmt: skip
        return
    width = inside.shape[0]
    ends = first.shape[1]
    even = inside.shape[1] == 1
    for o in range(box[0], box[1]):
        for j in range(box[4], box[5], RUN):
            count = min(RUN, box[5] - j)
            for i in range(box[2], box[3]):
                place = start + i
                near, points = place - depth, width
                if place < depth:
                    near, points = 0, ends
                    for k in range(ends):
                        weights[k] = first[place, k]
                elif place >= size - depth:
                    near, points = size - ends, ends
                    for k in range(ends):
                        weights[k] = last[place - size + depth, k]
                else:
                    for k in range(width):
                        weights[k] = inside[k, 0 if even else place - depth]
                y, b, sy = row(i, o, j, n, f, gf, before, gb, after, ga)
                for m in range(count):
                    total[_U(m)] = 0.0
                waiting = -1
                for k in range(points):
                    if near + k == place:
                        continue
                    if waiting < 0:
                        waiting = k
                        continue
                    x, a, sx = row(near + waiting - start, o, j, n, f, gf, before, gb, after, ga)
                    z, c, sz = row(near + k - start, o, j, n, f, gf, before, gb, after, ga)
                    _add_two(
                        total, weights[waiting], x, a, sx, weights[k], z, c, sz, y, b, sy, count
                    )
                    waiting = -1
                if waiting >= 0:
                    x, a, sx = row(near + waiting - start, o, j, n, f, gf, before, gb, after, ga)
                    _add(total, weights[waiting], x, a, sx, y, b, sy, count)
                at = go[0] + o * go[1] + i * go[2] + j * go[3]
                _put(out, at, go[3], total, count)


@part
def _sums_along(
    out, at, so, total, line, low, high, o, j, n, f, gf, before, gb, after, ga,
    start, size, depth, inside, first, last,
):  # fmt: skip
    """Differentiate the cells ``[low, high)`` of a line."""
    ends = first.shape[1]
    even = inside.shape[1] == 1
    left, right = max(start + low - depth, 0), min(start + high + depth, size)
    if start + low < depth:
        right = max(right, ends)
    if start + high > size - depth:
        left = min(left, size - ends)
    _gather(line, 0, left - start, right - start, o, j, n, f, gf, before, gb, after, ga)
    count = high - low
    for m in range(count):
        total[_U(m)] = 0.0
    # Places of the cells that have a whole window, which ghost cells see to as well.
    begin, stop = max(start + low, depth), min(start + high, size - depth)
    if begin < stop:
        there, x, y, w = begin - start - low, begin - depth - left, begin - left, begin - depth
        for k in range(depth):
            # All cells of the window but the one in the middle, in order, two at a time.
            a, b = 2 * k, 2 * k + 1
            a, b = a + (a >= depth), b + (b >= depth)
            if even:
                v, u = inside[a, 0], inside[b, 0]
                for m in range(stop - begin):
                    cell = line[_U(y + m)]
                    one = v * (line[_U(x + a + m)] - cell)
                    other = u * (line[_U(x + b + m)] - cell)
                    total[_U(there + m)] = (total[_U(there + m)] + one) + other
            else:
                for m in range(stop - begin):
                    cell = line[_U(y + m)]
                    one = inside[a, _U(w + m)] * (line[_U(x + a + m)] - cell)
                    other = inside[b, _U(w + m)] * (line[_U(x + b + m)] - cell)
                    total[_U(there + m)] = (total[_U(there + m)] + one) + other
    for place in range(start + low, min(start + high, depth)):
        for k in range(ends):
            if k != place:
                total[place - start - low] += first[place, k] * (
                    line[k - left] - line[place - left]
                )
    for place in range(max(start + low, size - depth), start + high):
        for k in range(ends):
            near = size - ends + k
            if near != place:
                total[place - start - low] += last[place - size + depth, k] * (
                    line[near - left] - line[place - left]
                )
    _put(out, at, so, total, count)


@part
def _difference(before2, before1, c, after1, after2, second, even, w):
    """Differentiate at a cell `c` by those of its neighbours that are not missing.

    Without branches, which would keep the loops around it from being vectorised: the cells that
    a quotient or a sum takes are chosen first, then the weights that go with them.
    """
    left, right = before1 == before1, after1 == after1
    both = left and right
    # A quotient: of both neighbours, or of one and the cell; of none 0 over nothing.
    high = after1 if right else c
    low = before1 if left else c
    divisor = w[0] if both else (w[3] if right else w[4])
    quotient = (high - low) / divisor
    # A sum: of three cells around, after or before.
    ahead, behind = right and not left, left and not right
    x = before1 if both else (c if ahead else before2)
    y = c if both else (after1 if ahead else before1)
    z = after1 if both else (after2 if ahead else c)
    a = w[0] if both else (w[5] if ahead else w[8])
    b = w[1] if both else (w[6] if ahead else w[9])
    d = w[2] if both else (w[7] if ahead else w[10])
    total = a * x + b * y + d * z
    summed = (
        (both and not even)
        or (second and ahead and after2 == after2)
        or (second and behind and before2 == before2)
    )
    chosen = total if summed else quotient
    there = (left or right) and c == c
    return chosen if there else np.nan


@part
def _numbers(p, q):
    """Return the numbers of one cell as scalars, which no other memory can be taken for."""
    return (
        p[0, q], p[1, q], p[2, q], p[3, q], p[4, q], p[5, q], p[6, q], p[7, q], p[8, q],
        p[9, q], p[10, q],
    )  # fmt: skip


@part
def _differences_along(out, at, so, line, count, second, even, p, place):
    """Differentiate the cells of a line that begins two cells before the first of them."""
    if p.shape[1] == 1 and so == 1:
        w = _numbers(p, _U(0))
        for m in range(count):
            out[_U(at + m)] = _difference(
                line[_U(m)], line[_U(m + 1)], line[_U(m + 2)], line[_U(m + 3)],
                line[_U(m + 4)], second, even, w,
            )  # fmt: skip
        return
    varying = 1 if p.shape[1] > 1 else 0
    # In two passes, since a loop that reads all rows of `p` would not be vectorised.
    for m in range(count):
        q = _U((place + m) * varying)
        none = p[0, q] - p[0, q]
        w = (
            p[0, q], p[1, q], p[2, q], p[3, q], p[4, q], none, none, none, none, none, none,
        )  # fmt: skip
        out[_U(at + m * so)] = _difference(
            line[_U(m)], line[_U(m + 1)], line[_U(m + 2)], line[_U(m + 3)], line[_U(m + 4)],
            False, even, w,
        )  # fmt: skip
    if second:
        for m in range(count):
            q = _U((place + m) * varying)
            none = p[5, q] - p[5, q]
            w = (
                none, none, none, none, none,
                p[5, q], p[6, q], p[7, q], p[8, q], p[9, q], p[10, q],
            )  # fmt: skip
            before1, after1 = line[_U(m + 1)], line[_U(m + 3)]
            before2, after2 = line[_U(m)], line[_U(m + 4)]
            left, right = before1 == before1, after1 == after1
            further = (right and after2 == after2) if not left else (before2 == before2)
            sided = left != right and further
            found = _difference(before2, before1, line[_U(m + 2)], after1, after2, True, even, w)
            first = out[_U(at + m * so)]
            out[_U(at + m * so)] = found if sided else first


@loop
def differences(
    out, go, f, gf, before, gb, after, ga, n, lines, box, start, size, line, absent, second,
    even, p,
):  # fmt: skip
    """Differentiate a block by what is there of each cell's neighbours.

    Parameters
    ----------
    out, go, f, gf, before, gb, after, ga, n, lines, box, start, size
        As for `sums`.
    line : 1-d array
        Room for ``RUN + 4`` cells, of the type of `f`.
    absent : 1-d array
        `RUN` missing values, of the type of `f`: the rows beyond the ends of the axis.
    second : bool
        Whether to take two cells on one side where both are there.
    even : bool
        Whether a central difference is a quotient.
    p : 2-d array
        As `bigrad.numerics.shrink.Shrinking` has it.
    """
    reach = 2 if second else 1
    varying = p.shape[1] > 1
    w = _numbers(p, _U(0))
    if lines:
        for o in range(box[0], box[1]):
            for j in range(box[4], box[5]):
                for low in range(box[2], box[3], RUN):
                    high = min(low + RUN, box[3])
                    left, right = max(start + low - reach, 0), min(start + high + reach, size)
                    for m in range(2):
                        line[m] = line[high - low + 2 + m] = absent[m]
                    there = left - start - low + 2
                    _gather(
                        line, there, left - start, right - start, o, j, n, f, gf, before, gb,
                        after, ga,
                    )  # fmt: skip
                    at, step = go[0] + o * go[1] + low * go[2] + j * go[3], go[2]
                    _differences_along(
                        out, at, step, line, high - low, second, even, p, start + low
                    )
        return
    for o in range(box[0], box[1]):
        for j in range(box[4], box[5], RUN):
            count = min(RUN, box[5] - j)
            for i in range(box[2], box[3]):
                place = start + i
                if varying:
                    w = _numbers(p, _U(place))
                x, b, sx = row(i, o, j, n, f, gf, before, gb, after, ga)
                x1 = x2 = x3 = x4 = absent
                b1 = b2 = b3 = b4 = 0
                s1 = s2 = s3 = s4 = 1
                if second and place > 1:
                    x1, b1, s1 = row(i - 2, o, j, n, f, gf, before, gb, after, ga)
                if place > 0:
                    x2, b2, s2 = row(i - 1, o, j, n, f, gf, before, gb, after, ga)
                if place < size - 1:
                    x3, b3, s3 = row(i + 1, o, j, n, f, gf, before, gb, after, ga)
                if second and place < size - 2:
                    x4, b4, s4 = row(i + 2, o, j, n, f, gf, before, gb, after, ga)
                at, so = go[0] + o * go[1] + i * go[2] + j * go[3], go[3]
                if so == 1 and sx == 1 and s1 == 1 and s2 == 1 and s3 == 1 and s4 == 1:
                    for m in range(count):
                        out[_U(at + m)] = _difference(
                            x1[_U(b1 + m)], x2[_U(b2 + m)], x[_U(b + m)], x3[_U(b3 + m)],
                            x4[_U(b4 + m)], second, even, w,
                        )  # fmt: skip
                else:
                    for m in range(count):
                        out[_U(at + m * so)] = _difference(
                            x1[_U(b1 + m * s1)], x2[_U(b2 + m * s2)], x[_U(b + m * sx)],
                            x3[_U(b3 + m * s3)], x4[_U(b4 + m * s4)], second, even, w,
                        )  # fmt: skip
