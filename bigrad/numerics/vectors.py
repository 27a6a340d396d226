"""Inner loops in explicit vectors, where those that the compiler finds by itself are slower.

It never writes past the caches, and converts and loads again what neighbouring cells share.
Each function sets whole vectors of cells only, and none where these are complex numbers. The
arithmetic of a cell is that of the plain loops, in the same order.
"""

from contextlib import contextmanager

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LINE", "combine_lines", "combine_rows", "difference", "settle", "vectorised"]

# The unit in which processors exchange memory, in bytes.
LINE = 64

# Rows or lines that are combined together.
_TOGETHER = 4


@intrinsic
def vectorised(typing, out):
    """Whether the functions of this module set cells of `out`."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(ir.IntType(1), _real(signature.args[0]))

    return types.boolean(out), generate


@intrinsic
def settle(typing):
    """Let other threads see what was written past the caches."""

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def difference(typing, out, o, f, i, g, j, count, divisor, past):
    """Set `count` cells from `o` on to ``(g - f) / divisor``.

    `count` is in whole lines. They are written past the caches if `past` is set; `o` must begin
    a line then.
    """

    def generate(context, builder, signature, arguments):
        out, o, f, i, g, j, count, divisor, past = arguments
        if not _real(signature.args[0]):
            return context.get_dummy_value()
        cells = _Cells(context, builder, signature.args[0], out, o)
        lower = _Cells(context, builder, signature.args[2], f, i)
        upper = _Cells(context, builder, signature.args[4], g, j)
        lanes = LINE // cells.size
        divisor = _everywhere(builder, divisor, lanes)
        for past_caches in _both(builder, past):
            with _steps(builder, count, lanes) as m:
                x = builder.fsub(upper.load(m, lanes), lower.load(m, lanes))
                x = _converted(builder, x, divisor.type.element)
                cells.store(builder.fdiv(x, divisor), m, past_caches=past_caches)
        return context.get_dummy_value()

    return types.void(out, o, f, i, g, j, count, divisor, past), generate


@intrinsic
def combine_rows(typing, out, o, to, f, i, tf, count, a, b, c, w, past):
    """Set `count` cells from `o` on in each of four rows, which are `to` apart.

    Row 0 becomes ``a[w] * row0 + b[w] * row1 + c[w] * row2``, where row 0 begins at `i` of `f`
    and the others are `tf` apart; row 1 likewise, with the next rows and weights. `count` is in
    whole lines. They are written past the caches if `past` is set; all must begin lines then.
    """

    def generate(context, builder, signature, arguments):
        return _combine(context, builder, signature.args, arguments, _rows)

    return types.void(out, o, to, f, i, tf, count, a, b, c, w, past), generate


@intrinsic
def combine_lines(typing, out, o, to, f, i, tf, count, a, b, c, w, past):
    """Set `count` cells from `o` on in each of four lines, which are `to` apart.

    Cell ``o + m`` becomes ``a[w + m] * f[i + m] + b[w + m] * f[i + m + 1] + c[w + m] *
    f[i + m + 2]``; the other lines likewise, with the same weights, and with cells of `f` that
    are `tf` apart. `count` is in vectors, of as many cells as a line holds weights, and one more
    vector of `f` is read. Written past the caches as by `combine_rows`.
    """

    def generate(context, builder, signature, arguments):
        return _combine(context, builder, signature.args, arguments, _lines)

    return types.void(out, o, to, f, i, tf, count, a, b, c, w, past), generate


class _Cells:
    """Those cells of a flat array that follow one of them."""

    def __init__(self, context, builder, kind, array, first):
        self.builder, self.dtype = builder, kind.dtype
        self.size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        data = cgutils.create_struct_proxy(kind)(context, builder, array).data
        self.pointer = builder.gep(data, [first])

    def _at(self, index, lanes):
        pointer = self.builder.gep(self.pointer, [index])
        vector = ir.VectorType(self.pointer.type.pointee, lanes)
        return self.builder.bitcast(pointer, vector.as_pointer())

    def load(self, index, lanes):
        """Vector of `lanes` cells as they enter the arithmetic: integers as float64."""
        vector = self.builder.load(self._at(index, lanes), align=self.size)
        if isinstance(self.dtype, types.Integer):
            number = ir.VectorType(ir.DoubleType(), lanes)
            convert = self.builder.sitofp if self.dtype.signed else self.builder.uitofp
            return convert(vector, number)
        return vector

    def store(self, vector, index, *, past_caches):
        """Store a vector; past the caches if `index` is where a line begins, or part of one."""
        lanes = vector.type.count
        vector = _converted(self.builder, vector, self.pointer.type.pointee)
        align = self.size * lanes if past_caches else self.size
        stored = self.builder.store(vector, self._at(index, lanes), align=align)
        if past_caches:
            yes = self.builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
            stored.set_metadata("nontemporal", yes)


def _real(array):
    return not isinstance(array.dtype, types.Complex)


def _converted(builder, vector, element):
    if vector.type.element == element:
        return vector
    convert = builder.fpext if isinstance(element, ir.DoubleType) else builder.fptrunc
    return convert(vector, ir.VectorType(element, vector.type.count))


def _everywhere(builder, number, lanes):
    none = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    alone = builder.insert_element(none, number, ir.IntType(32)(0))
    return builder.shuffle_vector(alone, none, _places(0, lanes, 0))


def _places(start, lanes, step):
    kind = ir.VectorType(ir.IntType(32), lanes)
    return ir.Constant(kind, [start + k * step for k in range(lanes)])


def _both(builder, condition):
    """Generate what the body of a loop does for a condition that holds, and one that does not."""
    with builder.if_else(condition) as (then, otherwise):
        for branch, holds in ((then, True), (otherwise, False)):
            with branch:
                yield holds


@contextmanager
def _steps(builder, count, lanes):
    zero, step = count.type(0), count.type(lanes)
    with cgutils.for_range_slice(builder, zero, count, step, count.type) as (m, _):
        yield m


def _combine(context, builder, kinds, arguments, fill):
    """Fill four rows or lines; `fill` is the loop."""
    out, o, to, f, i, tf, count, a, b, c, w, past = arguments
    if not _real(kinds[0]):
        return context.get_dummy_value()

    def apart(kind, array, first, distance, number):
        firsts = (builder.add(first, builder.mul(distance, first.type(k))) for k in range(number))
        return [_Cells(context, builder, kind, array, one) for one in firsts]

    cells = apart(kinds[0], out, o, to, _TOGETHER)
    inputs = apart(kinds[3], f, i, tf, _TOGETHER + 2)
    weights = [_Cells(context, builder, kinds[7], one, w) for one in (a, b, c)]
    for past_caches in _both(builder, past):
        fill(builder, cells, inputs, weights, count, past_caches)
    return context.get_dummy_value()


def _rows(builder, cells, inputs, weights, count, past_caches):
    lanes = LINE // weights[0].size
    real = weights[0].pointer.type.pointee

    def weight(one, k):
        return builder.load(builder.gep(one.pointer, [count.type(k)]))

    weighing = [
        [_everywhere(builder, weight(one, k), lanes) for one in weights] for k in range(_TOGETHER)
    ]
    with _steps(builder, count, lanes) as m:
        rows = [_converted(builder, row.load(m, lanes), real) for row in inputs]
        for k, row in enumerate(cells):
            _store_sum(builder, row, m, weighing[k], rows[k : k + 3], past_caches)


def _lines(builder, cells, inputs, weights, count, past_caches):
    lanes = LINE // weights[0].size
    real = weights[0].pointer.type.pointee
    lines = inputs[:_TOGETHER]
    zero = count.type(0)
    # Neighbours are made of what two vectors hold, the second of which is the next first.
    held = [
        cgutils.alloca_once_value(builder, _converted(builder, line.load(zero, lanes), real))
        for line in lines
    ]
    with _steps(builder, count, lanes) as m:
        weighing = [one.load(m, lanes) for one in weights]
        ahead = builder.add(m, m.type(lanes))
        for row, line, kept in zip(cells, lines, held, strict=True):
            here = builder.load(kept)
            there = _converted(builder, line.load(ahead, lanes), real)
            builder.store(there, kept)
            near = (builder.shuffle_vector(here, there, _places(k, lanes, 1)) for k in (1, 2))
            _store_sum(builder, row, m, weighing, (here, *near), past_caches)


def _store_sum(builder, cells, index, weights, vectors, past_caches):
    x, y, z = map(builder.fmul, weights, vectors)
    cells.store(builder.fadd(builder.fadd(x, y), z), index, past_caches=past_caches)
