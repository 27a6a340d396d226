"""The facts of the machine and of what is installed, for the head of the report."""

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

__all__ = ["facts"]

_PACKAGES = ("bigrad", "numpy", "numba", "dask", "xarray", "zarr", "findiff", "metpy", "cubed")


def facts() -> dict[str, str]:
    """Return what figures depend on, by name."""
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores, caches {_caches()}",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Versions": ", ".join(
            f"{name} {found}" for name in _PACKAGES if (found := _version(name))
        ),
        "Load when the run began": f"{os.getloadavg()[0]:.1f} of {os.cpu_count()} cores",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.*)", cpuinfo.read_text())):
        return found[1]
    return platform.processor() or platform.machine()


def _caches() -> str:
    levels = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    sizes = (
        f"L{(level / 'level').read_text().strip()} {(level / 'size').read_text().strip()}"
        for level in levels
        if (level / "type").read_text().strip() != "Instruction"
    )
    return ", ".join(sizes) or "unknown"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
