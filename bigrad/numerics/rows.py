"""Where a row of a block lies, for the loops that look at neighbours along an axis."""

from bigrad.numerics.compiled import part

__all__ = ["row"]


@part
def row(i, o, j, n, f, gf, before, gb, after, ga):
    """Buffer, first index and stride of row `i`, which may lie in a face."""
    if i < 0:
        return before, gb[0] + o * gb[1] + i * gb[2] + j * gb[3], gb[3]
    if i >= n:
        return after, ga[0] + o * ga[1] + (i - n) * ga[2] + j * ga[3], ga[3]
    return f, gf[0] + o * gf[1] + i * gf[2] + j * gf[3], gf[3]
