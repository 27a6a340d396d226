"""In processes of their own, since what is imported stays imported."""

import subprocess
import sys

import pytest

LOADS_LATE = """
import sys
import numpy as np, bigrad
bigrad.gradient(np.arange(9.0))
assert "numba" not in sys.modules
{use}
assert "numba" in sys.modules
"""

UNWRITABLE = """
import warnings
import numba.core.caching
# As where no folder for the cache can be written to, which the tests, if run as root, cannot
# arrange otherwise.
numba.core.caching.CacheImpl._locator_classes = []
import numpy as np, bigrad
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for dtype in ("f4", "f8"):
        f = np.arange(2**20, dtype=dtype) ** 2
        assert (bigrad.gradient(f) == np.gradient(f)).all()
assert len(said) == 1, said
assert "NUMBA_CACHE_DIR" in str(said[0].message)
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize(
    "use",
    [
        "bigrad.gradient(np.zeros(2**20))",
        "for n in range(200): bigrad.gradient(np.zeros(n + 2))",
    ],
    ids=["large", "many"],
)
def test_numba_loads_when_it_is_worth_it(use: str) -> None:
    run(LOADS_LATE.format(use=use))


@pytest.mark.slow
def test_works_without_a_cache_and_says_so_once() -> None:
    run(UNWRITABLE)
