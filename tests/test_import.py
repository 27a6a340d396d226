import json
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr


def modules_after(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter has after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    return set(json.loads(output.splitlines()[-1]))


def loaded_after(statement: str) -> set[str]:
    """Top-level names of them."""
    return {name.partition(".")[0] for name in modules_after(statement)}


def test_import_costs_less_than_that_of_xarray() -> None:
    assert loaded_after("import bigrad") - loaded_after("import xarray") == {"bigrad", "wrapt"}
    assert "numpy" not in loaded_after("import bigrad")


@pytest.mark.parametrize("order", [("bigrad", "xarray"), ("xarray", "bigrad")])
def test_the_accessor_is_there_whichever_is_imported_first(order: tuple[str, str]) -> None:
    first, second = order
    loaded_after(f"import {first}\nimport {second}\nimport xarray as xr\nxr.Dataset().grad")


def test_help_loads_nothing_heavy() -> None:
    assert loaded_after("import bigrad.cli.commands").isdisjoint(
        {"numpy", "xarray", "dask", "zarr"}
    )


def test_a_job_loads_no_dask_arrays(tmp_path: Path) -> None:
    ds = xr.Dataset({"t": ("x", [0.0, 1.0, 4.0])}, {"x": [0.0, 1.0, 2.0]})
    ds.to_zarr(tmp_path / "in.zarr", consolidated=False)
    places = f"{str(tmp_path / 'in.zarr')!r}, {str(tmp_path / 'out.zarr')!r}"
    loaded = modules_after(f"import bigrad\nbigrad.plan({places}, 'x').run()")
    assert "zarr" in loaded
    assert loaded.isdisjoint({"dask.array", "scipy.sparse", "matplotlib", "distributed", "pint"})


def test_the_accessor_loads_what_it_needs_and_pint_only_for_units() -> None:
    y = (
        "import xarray as xr\n"
        "y = xr.DataArray([1.0, 4.0], {'x': ('x', [0.0, 1.0], {'units': 'm'})})\n"
    )
    xarrays = loaded_after(y)
    assert loaded_after(f"import bigrad\n{y}y.grad") - xarrays == {"bigrad", "wrapt"}
    # xarray loads pint itself where it is installed, to know its arrays: not its registry.
    without_units = loaded_after(f"import bigrad\n{y}y.grad.compute('x')")
    assert without_units.isdisjoint({"numba", "cf_xarray", "zarr"})
    y += "y.attrs['units'] = 'psu'\n"
    assert loaded_after(f"import bigrad\n{y}y.grad.compute('x')") >= {"cf_xarray", "pint"}


def test_without_distributed_all_else_is_there() -> None:
    without = "import sys\nsys.modules['distributed'] = None\n"
    loaded_after(f"{without}from bigrad import *\ngradient, plan")
    told = "import bigrad, inspect\ninspect.getmembers(bigrad)\nbigrad.OwnerComputes"
    run = subprocess.run([sys.executable, "-c", without + told], capture_output=True, text=True)
    assert "AttributeError: `bigrad.OwnerComputes` needs distributed: install it" in run.stderr
