"""How loops are compiled: when they are first called, without the GIL, kept on disk."""

import pickle
import warnings
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

import numba
from numba.core.caching import FunctionCache

__all__ = ["loop", "part"]

# Nothing here owns memory or is called from C: the loops need nothing of Numba at run time.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}


class _Loops(FunctionCache):
    """What was compiled by an earlier process, for one that may have nothing to compile.

    Numba would make its compiler ready before it loads anything, which takes ten times as long
    as to load the loops (it imports SciPy, for one).
    """

    def load_overload(self, sig, target_context):
        with suppress(OSError):
            try:
                return self._load_overload(sig, target_context)
            except (EOFError, pickle.UnpicklingError):
                self.flush()  # damaged, and to be written anew
        return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError:  # a full disk, or a folder that may no longer be written to
            _warn_of_no_cache()

    def _index_key(self, sig, codegen):
        # Numba looks whether the module of a loop has changed; its parts are in others.
        return (*super()._index_key(sig, codegen), _sources())


@cache
def _sources():
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def loop(function):
    """Compile `function` when it is first called, and keep what was compiled on disk."""
    compiled = numba.njit(**_OPTIONS)(function)
    try:
        compiled._cache = _Loops(function)
    except RuntimeError:  # no folder that could hold the cache
        _warn_of_no_cache()
    return compiled


@cache
def _warn_of_no_cache():
    msg = (
        "bigrad's loops are compiled anew in every process, since neither its own folder nor the "
        "user's cache folder, nor NUMBA_CACHE_DIR where that is set, can be written to; set "
        "NUMBA_CACHE_DIR to a folder that can"
    )
    warnings.warn(msg, RuntimeWarning, stacklevel=2)


# What only other loops call is compiled with them, and without a way in from Python.
part = numba.njit(no_cpython_wrapper=True, **_OPTIONS)
