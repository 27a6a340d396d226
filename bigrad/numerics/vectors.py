"""Inner loops in explicit vectors, where those that the compiler finds by itself are slower.

It never writes past the caches, and converts and loads again what neighbouring cells share.
Each function sets whole vectors of cells that follow each other, out of cells that are any
distance apart; complex numbers are pairs in them. The arithmetic of a cell is that of the plain
loops, in the same order.
"""

from contextlib import contextmanager
from functools import reduce

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["LINE", "combine_lines", "combine_rows", "difference", "expect", "lanes", "settle"]

# The unit in which processors exchange memory, in bytes.
LINE = 64

# Rows or lines that are combined together, and vectors of differences.
_TOGETHER = 4


@intrinsic
def lanes(typing, out, weights):
    """How many cells of `out` are combined with such weights at a time."""

    def generate(context, builder, signature, arguments):
        return ir.Constant(ir.IntType(64), _lanes(context, *signature.args))

    return types.intp(out, weights), generate


@intrinsic
def settle(typing):
    """Let other threads see what was written past the caches."""

    def generate(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def expect(typing, out, o):
    """Fetch the line of memory with cell `o`, which is going to be written."""

    def generate(context, builder, signature, arguments):
        return _fetch(context, builder, signature.args[0], arguments, write=1)

    return types.void(out, o), generate


@intrinsic
def anticipate(typing, f, i):
    """Fetch the line of memory with cell `i`, if there is one, which is going to be read."""

    def generate(context, builder, signature, arguments):
        return _fetch(context, builder, signature.args[0], arguments, write=0)

    return types.void(f, i), generate


@intrinsic
def difference(typing, out, o, f, i, sf, g, j, sg, count, divisor, ratio, scale, past, apart):
    """Set `count` cells from `o` on to ``(g - f) / divisor``.

    Cells of `f` and `g` are `sf` and `sg` apart; `ratio` and `scale` are Smith's intermediate
    terms for complex numbers. `count` is in whole lines. They are written past the caches if
    `past` is set; `o` must begin a line then. `apart` is None, by type, where `sf` and `sg` are 1.
    """

    def generate(context, builder, signature, arguments):
        out, o, f, i, sf, g, j, sg, count, divisor, ratio, scale, past, _ = arguments
        kinds = signature.args
        # The function around it has the loops once; a copy wherever it is called takes long to
        # compile.
        builder.function.attributes.add("noinline")
        cells = _Cells(context, builder, kinds[0], out, o)
        lanes = LINE // cells.size
        numbers = [_everywhere(builder, x, lanes * cells.parts) for x in (divisor, ratio, scale)]
        over = _over_complex if cells.parts == 2 else _over

        def quotient(lower, upper, at):
            x = builder.fsub(upper.load(at, lanes), lower.load(at, lanes))
            return over(builder, _converted(builder, x, divisor.type), *numbers)

        # Loads wait for a store of just before if the last twelve bits of their addresses are
        # alike: several loads before several stores seldom do, wherever the arrays lie.
        grouped = builder.and_(count, count.type(-_TOGETHER * lanes))
        groups = ((count.type(0), grouped, _TOGETHER), (grouped, count, 1))
        for steps in _ways(builder, kinds[-1], sf, sg):
            lower = _Cells(context, builder, kinds[2], f, i, steps[0])
            upper = _Cells(context, builder, kinds[5], g, j, steps[1])
            for past_caches in _both(builder, past):
                for start, stop, vectors in groups:
                    with _steps(builder, stop, vectors * lanes, start) as m:
                        places = [builder.add(m, m.type(k * lanes)) for k in range(vectors)]
                        found = [quotient(lower, upper, at) for at in places]
                        for x, at in zip(found, places, strict=True):
                            cells.store(x, at, past_caches=past_caches)
        return context.get_dummy_value()

    arguments = (out, o, f, i, sf, g, j, sg, count, divisor, ratio, scale, past, apart)
    return types.void(*arguments), generate


@intrinsic
def combine_rows(typing, out, o, to, f, i, tf, sf, count, a, b, c, w, past, apart):
    """Set `count` cells from `o` on in each of four rows, which are `to` apart.

    Row 0 becomes ``a[w] * row0 + b[w] * row1 + c[w] * row2``, where row 0 begins at `i` of `f`
    and the others are `tf` apart, and their cells `sf`; row 1 likewise, with the next rows and
    weights. `count` is in whole lines. They are written past the caches if `past` is set; all
    must begin lines then.
    """

    def generate(context, builder, signature, arguments):
        return _combine(context, builder, signature.args, arguments, _rows)

    return types.void(out, o, to, f, i, tf, sf, count, a, b, c, w, past, apart), generate


@intrinsic
def combine_lines(typing, out, o, to, f, i, tf, sf, count, a, b, c, w, past, apart):
    """Set `count` cells from `o` on in each of four lines, which are `to` apart.

    Cell ``o + m`` becomes ``a[w + m] * f0 + b[w + m] * f1 + c[w + m] * f2``, where f0 is cell
    ``i + m * sf`` of `f` and the others are `sf` apart; the other lines likewise, with the same
    weights, and with cells of `f` that are `tf` apart. `count` is in vectors of `lanes`, and one
    more vector of `f` is read. Written past the caches as by `combine_rows`.
    """

    def generate(context, builder, signature, arguments):
        return _combine(context, builder, signature.args, arguments, _lines)

    return types.void(out, o, to, f, i, tf, sf, count, a, b, c, w, past, apart), generate


def _fetch(context, builder, kind, arguments, write):
    place = _Cells(context, builder, kind, *arguments).pointer
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    fetch = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    keep, data = word(3), word(1)
    builder.call(fetch, [builder.bitcast(place, byte), word(write), keep, data])
    return context.get_dummy_value()


class _Cells:
    """Those cells of a flat array that follow one of them.

    They are `step` apart, which is None where they follow each other, -1 or 2 where that is known
    when this is compiled, else a number of the loop's.
    """

    def __init__(self, context, builder, kind, array, first, step=None):
        self.builder, self.dtype, self.step = builder, kind.dtype, step
        self.parts = _parts(kind)
        self.size = _size(context, kind)
        data = cgutils.create_struct_proxy(kind)(context, builder, array).data
        number = getattr(kind.dtype, "underlying_float", kind.dtype)
        self.number = context.get_data_type(number)
        self.pointer = builder.bitcast(builder.gep(data, [first]), self.number.as_pointer())
        self.align = self.size // self.parts

    def _at(self, index, part=0):
        index = self.builder.mul(index, index.type(self.parts))
        return self.builder.gep(self.pointer, [self.builder.add(index, index.type(part))])

    def _whole(self, index, count):
        return self.builder.bitcast(
            self._at(index), ir.VectorType(self.number, count).as_pointer()
        )

    def _gathered(self, index, lanes):
        vector = ir.Constant(ir.VectorType(self.number, lanes * self.parts), ir.Undefined)
        for place in range(lanes * self.parts):
            k, part = divmod(place, self.parts)
            at = self.builder.mul(self.builder.add(index, index.type(k)), self.step)
            number = self.builder.load(self._at(at, part), align=self.align)
            vector = self.builder.insert_element(vector, number, ir.IntType(32)(place))
        return vector

    def _backwards(self, index, lanes):
        at = self.builder.sub(self.builder.neg(index), index.type(lanes - 1))
        return self._selected([at], reversed(range(lanes)), lanes)

    def _every_second(self, index, lanes):
        # The last cell is the last that is loaded: there may be no memory after it.
        at = self.builder.add(index, index)
        loads = [at, self.builder.add(at, at.type(lanes - 1))]
        return self._selected(loads, [2 * k + (2 * k >= lanes) for k in range(lanes)], lanes)

    def _selected(self, loads, cells, lanes):
        vectors = (
            self.builder.load(self._whole(at, lanes * self.parts), align=self.align)
            for at in loads
        )
        places = [cell * self.parts + part for cell in cells for part in range(self.parts)]
        first, *others = vectors
        return _placed(self.builder, first, places, *others)

    def load(self, index, lanes):
        """Vector of `lanes` cells as they enter the arithmetic: integers as float64."""
        if self.step is None:
            at = self._whole(index, lanes * self.parts)
            vector = self.builder.load(at, align=self.align)
        elif self.step == -1:
            vector = self._backwards(index, lanes)
        elif self.step == 2:
            vector = self._every_second(index, lanes)
        else:
            vector = self._gathered(index, lanes)
        if isinstance(self.dtype, types.Integer):
            number = ir.VectorType(ir.DoubleType(), lanes)
            convert = self.builder.sitofp if self.dtype.signed else self.builder.uitofp
            return convert(vector, number)
        return vector

    def store(self, vector, index, *, past_caches):
        """Store a vector; past the caches if `index` is where a line begins, or part of one."""
        count = vector.type.count
        vector = _converted(self.builder, vector, self.number)
        align = self.align * count if past_caches else self.align
        stored = self.builder.store(vector, self._whole(index, count), align=align)
        if past_caches:
            yes = self.builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
            stored.set_metadata("nontemporal", yes)


def _parts(kind):
    return 2 if isinstance(kind.dtype, types.Complex) else 1


def _size(context, kind):
    return context.get_abi_sizeof(context.get_data_type(kind.dtype))


def _lanes(context, out, weights):
    return LINE // (_size(context, weights) * _parts(out))


def _converted(builder, vector, element):
    if vector.type.element == element:
        return vector
    convert = builder.fpext if isinstance(element, ir.DoubleType) else builder.fptrunc
    return convert(vector, ir.VectorType(element, vector.type.count))


def _everywhere(builder, number, lanes):
    none = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    alone = builder.insert_element(none, number, ir.IntType(32)(0))
    return _placed(builder, alone, [0] * lanes)


def _placed(builder, vector, places, other=None):
    """Elements of a vector, or of two that follow each other, by their places."""
    kind = ir.VectorType(ir.IntType(32), len(places))
    return builder.shuffle_vector(vector, other or vector, ir.Constant(kind, places))


def _after(builder, vector, following, shift):
    return _placed(builder, vector, [k + shift for k in range(vector.type.count)], following)


def _exchanged(builder, vector):
    """Real parts in the place of imaginary ones, and the other way round."""
    return _placed(builder, vector, [k ^ 1 for k in range(vector.type.count)])


def _signed(builder, vector, real, imaginary):
    """Multiply real and imaginary parts by 1 or -1, which is to subtract what is added then."""
    count = vector.type.count // 2
    return builder.fmul(vector, ir.Constant(vector.type, [real, imaginary] * count))


def _over(builder, x, divisor, ratio, scale):
    return builder.fdiv(x, divisor)


def _over_complex(builder, x, divisor, ratio, scale):
    crossed = builder.fmul(_exchanged(builder, x), _signed(builder, ratio, 1, -1))
    return builder.fmul(builder.fadd(x, crossed), scale)


def _times_complex(builder, weight, x):
    zero = _signed(builder, builder.fsub(weight, weight), -1, 1)
    crossed = builder.fmul(zero, _exchanged(builder, x))
    return builder.fadd(builder.fmul(weight, x), crossed)


def _ways(builder, apart, *steps):
    """Generate what a loop does for each way in which cells lie.

    They follow each other where the type of `apart` says so; else they go backwards, or are every
    second ones, which are loaded whole, or any number of steps apart.
    """
    if apart == types.none:
        yield [None] * len(steps)
        return
    backwards, second = (
        reduce(builder.and_, [builder.icmp_signed("==", one, one.type(step)) for one in steps])
        for step in (-1, 2)
    )
    for turned in _both(builder, backwards):
        if turned:
            yield [-1] * len(steps)
            continue
        for skips in _both(builder, second):
            yield [2] * len(steps) if skips else steps


def _both(builder, condition):
    """Generate what the body of a loop does for a condition that holds, and one that does not."""
    with builder.if_else(condition) as (then, otherwise):
        for branch, holds in ((then, True), (otherwise, False)):
            with branch:
                yield holds


@contextmanager
def _steps(builder, stop, lanes, start=None):
    start, step = start or stop.type(0), stop.type(lanes)
    with cgutils.for_range_slice(builder, start, stop, step, stop.type) as (m, _):
        yield m


def _combine(context, builder, kinds, arguments, fill):
    """Fill four rows or lines; `fill` is the loop."""
    out, o, to, f, i, tf, sf, count, a, b, c, w, past, _ = arguments

    def several(kind, array, first, distance, number, step=None):
        firsts = (builder.add(first, builder.mul(distance, first.type(k))) for k in range(number))
        return [_Cells(context, builder, kind, array, one, step) for one in firsts]

    lanes = _lanes(context, kinds[0], kinds[8])
    cells = several(kinds[0], out, o, to, _TOGETHER)
    weights = [_Cells(context, builder, kinds[8], one, w) for one in (a, b, c)]
    for (step,) in _ways(builder, kinds[-1], sf):
        inputs = several(kinds[3], f, i, tf, _TOGETHER + 2, step)
        for past_caches in _both(builder, past):
            fill(builder, cells, inputs, weights, count, lanes, past_caches)
    return context.get_dummy_value()


def _rows(builder, cells, inputs, weights, count, lanes, past_caches):
    real, wide = weights[0].number, lanes * cells[0].parts

    def weight(one, k):
        return builder.load(builder.gep(one.pointer, [count.type(k)]))

    weighing = [
        [_everywhere(builder, weight(one, k), wide) for one in weights] for k in range(_TOGETHER)
    ]
    with _steps(builder, count, lanes) as m:
        rows = [_converted(builder, row.load(m, lanes), real) for row in inputs]
        for k, row in enumerate(cells):
            _store_sum(builder, row, m, weighing[k], rows[k : k + 3], past_caches)


def _lines(builder, cells, inputs, weights, count, lanes, past_caches):
    real, parts = weights[0].number, cells[0].parts
    each = [k // parts for k in range(lanes * parts)]
    lines = inputs[:_TOGETHER]
    zero = count.type(0)
    # Neighbours are made of what two vectors hold, the second of which is the next first.
    held = [
        cgutils.alloca_once_value(builder, _converted(builder, line.load(zero, lanes), real))
        for line in lines
    ]
    with _steps(builder, count, lanes) as m:
        weighing = [_placed(builder, one.load(m, lanes), each) for one in weights]
        ahead = builder.add(m, m.type(lanes))
        for row, line, kept in zip(cells, lines, held, strict=True):
            here = builder.load(kept)
            there = _converted(builder, line.load(ahead, lanes), real)
            builder.store(there, kept)
            near = (_after(builder, here, there, k * parts) for k in (1, 2))
            _store_sum(builder, row, m, weighing, (here, *near), past_caches)


def _store_sum(builder, cells, index, weights, vectors, past_caches):
    times = _times_complex if cells.parts == 2 else ir.IRBuilder.fmul
    x, y, z = (times(builder, *pair) for pair in zip(weights, vectors, strict=True))
    cells.store(builder.fadd(builder.fadd(x, y), z), index, past_caches=past_caches)
