"""When to load the compiled loops: importing Numba takes longer than many a small script.

The array expressions give the same bits, so a few small arrays do without.
"""

import sys
from itertools import count

__all__ = ["worthwhile"]

# NumPy differentiates an array of this size in about a hundredth of the time that Numba takes
# to load; and so many small ones.
_LARGE = 2**20
_MANY = 100

_small = count(1)


def worthwhile(nbytes: int) -> bool:
    """Whether to differentiate an array of `nbytes` bytes by the compiled loops.

    So it is for a large array, for any once there have been many small ones, and where Numba is
    loaded already.
    """
    return nbytes >= _LARGE or "numba" in sys.modules or next(_small) > _MANY
