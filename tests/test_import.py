import json
import subprocess
import sys


def loaded_after(statement: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter has after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    output = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout
    return {name.partition(".")[0] for name in json.loads(output)}


def test_import_costs_that_of_xarray() -> None:
    new = loaded_after("import bigrad") - loaded_after("import xarray")
    assert new == {"bigrad"}


def test_the_accessor_loads_numba_only_when_used_and_pint_only_for_units() -> None:
    y = (
        "import xarray as xr\n"
        "y = xr.DataArray([1.0, 4.0], {'x': ('x', [0.0, 1.0], {'units': 'm'})})\n"
    )
    xarrays = loaded_after(y)
    assert loaded_after(f"import bigrad\n{y}y.grad") - xarrays == {"bigrad"}
    # xarray loads pint itself where it is installed, to know its arrays: not its registry.
    without_units = loaded_after(f"import bigrad\n{y}y.grad.compute('x')")
    assert without_units >= {"numba"}
    assert without_units.isdisjoint({"cf_xarray", "zarr"})
    y += "y.attrs['units'] = 'K'\n"
    assert loaded_after(f"import bigrad\n{y}y.grad.compute('x')") >= {"cf_xarray", "pint"}
