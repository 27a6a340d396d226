"""Derivatives of arrays that do not fit in memory.

``bigrad.gradient`` is `numpy.gradient` for NumPy, dask and zarr arrays,
``ds.grad`` differentiates xarray objects along their coordinates, and
``bigrad.plan`` turns one zarr store into another within a memory ceiling.
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from wrapt import when_imported

if TYPE_CHECKING:
    from bigrad.arrays import gradient
    from bigrad.chunked.owner import OwnerComputes as OwnerComputes
    from bigrad.jobs.plan import plan

__all__ = ["__version__", "gradient", "plan"]

__version__ = "0.1.0"

# The modules behind these names import Numba, dask and zarr: they load on first use.
_LAZY = {"gradient": "bigrad.arrays", "plan": "bigrad.jobs.plan"}

# Of what only some have installed: no part of ``from bigrad import *``.
_OPTIONAL = {"OwnerComputes": ("bigrad.chunked.owner", "distributed")}


@when_imported("xarray")
def _register_accessor(xarray: ModuleType) -> None:
    """Register ``.grad`` once there is an xarray, imported before bigrad or after.

    Whoever has no xarray objects, as ``bigrad --help``, does not wait for it.
    """
    import_module("bigrad.labelled.accessor")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    if name in _OPTIONAL:
        module, package = _OPTIONAL[name]
        if find_spec(package) is not None:
            return getattr(import_module(module), name)
        msg = f"`bigrad.{name}` needs {package}: install it, or bigrad[{package}]"
        raise AttributeError(msg)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted([*__all__, *_OPTIONAL])
