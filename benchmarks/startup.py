"""What it costs to begin: imports, the first call, the command line."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.comparison import BIGRAD, SECONDS, Case, Comparison, Measured, Size, Target
from benchmarks.fresh import call, command
from benchmarks.jobs import make_store

__all__ = ["BIGRAD_COMMAND", "ROWS", "STARTUP"]

STARTUP = "startup"
PYTHON = "python -c pass"
XARRAY = "import xarray"
NUMPY = "np.gradient"

BIGRAD_COMMAND = Path(sys.executable).with_name("bigrad")

# A store of a few MB; the same for all sizes, since the work is to begin.
_SHAPE = (8, 361, 720)

# An array of 8 MB: for small ones bigrad does not load Numba at once.
_FIRST = (1000, 1000)


def _python(code: str) -> Callable[[], str]:
    return lambda: command(sys.executable, "-c", code)


def _imports(size: Size, folder: Path) -> Case:
    return Case(
        {
            BIGRAD: _python("import bigrad"),
            XARRAY: _python("import xarray"),
            PYTHON: _python("pass"),
        },
        once=size.brief,
    )


def _first_call(size: Size, folder: Path) -> Case:
    return Case(
        {
            BIGRAD: lambda: call("benchmarks.startup:first", BIGRAD).only(SECONDS),
            NUMPY: lambda: call("benchmarks.startup:first", NUMPY).only(SECONDS),
        },
        once=size.brief,
    )


def first(way: str) -> dict[str, float]:
    """Seconds of the first derivative of a process that has NumPy, Numba and bigrad loaded."""
    import numba  # noqa: F401
    import numpy as np

    import bigrad
    import bigrad.arrays

    gradient: Any = {BIGRAD: bigrad.gradient, NUMPY: np.gradient}[way]
    f = np.ones(_FIRST)
    began = time.perf_counter()
    gradient(f, 0.25, axis=1)
    return {SECONDS: time.perf_counter() - began}


def _empty_cache(size: Size, folder: Path) -> Case:
    caches = iter(range(10**6))
    code = f"import numpy, bigrad; bigrad.gradient(numpy.ones({_FIRST}), 0.25, axis=1)"

    def compiled() -> Measured:
        environ = {"NUMBA_CACHE_DIR": os.fspath(folder / str(next(caches)))}
        began = time.perf_counter()
        command(sys.executable, "-c", code, environ=environ)
        return Measured({SECONDS: time.perf_counter() - began})

    return Case({BIGRAD: compiled, "with a cache": _python(code)}, once=size.brief)


def _help(size: Size, folder: Path) -> Case:
    return Case(
        {BIGRAD: lambda: command(BIGRAD_COMMAND, "--help"), PYTHON: _python("pass")}, limit=PYTHON
    )


def _compute(size: Size, folder: Path) -> Case:
    source, target = folder / "source.zarr", folder / "target.zarr"
    make_store(source, _SHAPE, (4, *_SHAPE[1:]))
    code = (
        "import xarray as xr\n"
        f"ds = xr.open_zarr({str(source)!r}, consolidated=False).differentiate('longitude')\n"
        f"ds.to_zarr({str(folder / 'xarray.zarr')!r}, mode='w', consolidated=False)"
    )
    return Case(
        {
            BIGRAD: lambda: command(
                BIGRAD_COMMAND, "compute", source, target, "--coord", "longitude", "--overwrite"
            ),
            "xarray and dask": _python(code),
            PYTHON: _python("pass"),
        },
        limit=PYTHON,
        once=size.brief,
    )


ROWS = (
    Comparison(STARTUP, "import", _imports, (Target("over", 0.05, XARRAY),)),
    Comparison(STARTUP, "first call, warm cache", _first_call, (Target("over", 0.06, NUMPY),)),
    Comparison(STARTUP, "process, empty cache", _empty_cache, (Target("most", 3.0),)),
    Comparison(STARTUP, "bigrad --help", _help, (Target("most", 0.3),)),
    Comparison(STARTUP, "bigrad compute, 8 MB", _compute, (Target("most", 1.5),), 2),
)
