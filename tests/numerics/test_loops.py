"""In processes of their own, since what is imported stays imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bigrad

LOADS_LATE = """
import sys
import numpy as np, bigrad
bigrad.gradient(np.arange(9.0))
assert "numba" not in sys.modules
{use}
assert "numba" in sys.modules
"""

FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
import warnings
import numpy as np, bigrad
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for _ in range(2):
        f = np.arange(2**20, dtype="f4") ** 2
        assert (bigrad.gradient(f) == np.gradient(f)).all()
assert len(said) == 1, said
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

FROM_THE_CACHE = """
import sys
import numpy as np, bigrad
f = np.arange(2**20.0) ** 2
assert (bigrad.gradient(f) == np.gradient(f)).all()
compiler_is_ready = "numba.np.arraymath" in sys.modules
assert compiler_is_ready is {compiles}
import numba
assert numba.njit(lambda x: x.sum())(np.ones(9)) == 9
"""

A_SMALL_LOOP = """
import sys
import numpy as np
from bigrad.numerics.vector_kernels import moments
out = np.zeros((1, 1))
moments(out, np.ones((1, 3)), np.ones((1, 3)))
assert out == 3
assert ("numba.np.arraymath" in sys.modules) is {compiles}
"""


def run(code: str, folder: Path | None = None, **environ: str) -> None:
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, **environ})


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


def test_works_where_the_disk_is_full_and_where_the_cache_is_damaged(tmp_path: Path) -> None:
    kept = os.fspath(tmp_path)
    run(FULL, NUMBA_CACHE_DIR=kept)
    run(A_SMALL_LOOP.format(compiles=True), NUMBA_CACHE_DIR=kept)
    indices = list(tmp_path.rglob("*.nbi"))
    assert indices
    for index in indices:
        index.write_bytes(index.read_bytes()[:-20])
    for compiles in (True, False):
        run(A_SMALL_LOOP.format(compiles=compiles), NUMBA_CACHE_DIR=kept)


@pytest.mark.slow
def test_loads_what_an_earlier_process_compiled_without_a_compiler(tmp_path: Path) -> None:
    for compiles in (True, False):
        run(FROM_THE_CACHE.format(compiles=compiles), NUMBA_CACHE_DIR=os.fspath(tmp_path))


def test_a_change_of_any_part_of_the_loops_compiles_them_anew(tmp_path: Path) -> None:
    package = tmp_path / "bigrad"
    shutil.copytree(Path(bigrad.__file__).parent, package, ignore=lambda *_: ["__pycache__"])
    environ = {"PYTHONPATH": "", "NUMBA_CACHE_DIR": os.fspath(tmp_path / "kept")}
    for compiles in (True, False):
        run(A_SMALL_LOOP.format(compiles=compiles), tmp_path, **environ)
    with (package / "numerics" / "vectors.py").open("a") as part:
        part.write("# changed\n")
    run(A_SMALL_LOOP.format(compiles=True), tmp_path, **environ)
