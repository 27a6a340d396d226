"""Vector calculus on the sphere, against MetPy, xarray's derivatives, and a sum of two arrays."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.arrays import field, nothing
from benchmarks.comparison import BIGRAD, Array, Case, Comparison, Size, Target, absent
from bigrad.numerics.sphere import sphere
from bigrad.numerics.vector_calculus import vector_operator
from bigrad.vectors import apply

__all__ = ["ROWS", "VECTORS"]

VECTORS = "vectors"
ADD = "np.add"
XARRAY = "differentiate and arithmetic"
METPY = "metpy"

RADIUS = 6_371_229.0

# The others have no rows at the poles, nor anything beyond the ends of longitude.
_INSIDE = (slice(None), slice(2, -2), slice(1, -1))

# Of the largest value, between 45 degrees south and north. MetPy divides by the great circle
# between neighbours, which is shorter than the parallel: on coarse grids, and towards the poles,
# by a lot.
_AGREES = 1e-2


def _winds(shape: tuple[int, ...]) -> xr.Dataset:
    """Winds that are twice as many maps as `shape` has."""
    times, rows, columns = shape
    dims = ("time", "latitude", "longitude")
    u = field((2 * times, rows, columns), np.float32)
    latitude = np.linspace(90, -90, rows)
    longitude = np.arange(columns) * 360 / columns
    return xr.Dataset(
        {"u": (dims, u, {"units": "m/s"}), "v": (dims, u[::-1].copy(), {"units": "m/s"})},
        {
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
    )


def _on_sphere(kind: str) -> Callable[[Size, Path], Case]:
    def prepare(size: Size, folder: Path) -> Case:
        ds = _winds(size.field)
        u, v = ds["u"].values, ds["v"].values
        grid = sphere(ds["longitude"].values, ds["latitude"].values, RADIUS)
        operator = vector_operator(kind, grid, (1, 2), [u.dtype, v.dtype])
        out, added = np.ones_like(u), np.ones_like(u)
        missing = absent(METPY)

        def agree() -> None:
            """Compare one map with MetPy's."""
            if METPY in missing:
                return
            middle = slice(u.shape[1] // 4, -(u.shape[1] // 4))
            ours = apply(operator, [u[:1], v[:1]])[0][:, middle, 1:-1]
            theirs = _metpy(kind, ds.isel(time=[0]))()[:, middle, 1:-1]
            assert np.abs(ours - theirs).max() < _AGREES * np.abs(theirs).max(), METPY

        return Case(
            {
                BIGRAD: lambda: apply(operator, [u, v], [out])[0][_INSIDE],
                ADD: lambda: np.add(u, v, out=added),
                XARRAY: lambda: _xarray(kind, ds).values[_INSIDE],
                METPY: nothing if METPY in missing else _metpy(kind, ds),
            },
            limit=ADD,
            close=(XARRAY,),
            agree=agree,
            absent=missing,
            nbytes=3 * u.nbytes,
        )

    return prepare


def _xarray(kind: str, ds: xr.Dataset) -> xr.DataArray:
    """Return what its users write, in the dtype of the winds."""
    radians = np.deg2rad(ds["latitude"])
    metres = np.float32(RADIUS * np.pi / 180)
    width = (metres * np.cos(radians)).astype(np.float32)
    turning = (np.tan(radians) / RADIUS).astype(np.float32)
    p, q = ("v", "u") if kind == "vorticity" else ("u", "v")
    along = ds[p].differentiate("longitude") / width
    across = ds[q].differentiate("latitude") / metres - ds[q] * turning
    return along - across if kind == "vorticity" else along + across


def _metpy(kind: str, ds: xr.Dataset) -> Callable[[], Any]:
    import metpy.calc

    given = ds.metpy.assign_crs(grid_mapping_name="latitude_longitude", earth_radius=RADIUS)
    u, v = given["u"].metpy.quantify(), given["v"].metpy.quantify()
    of = getattr(metpy.calc, kind)

    def way() -> Array:
        with np.errstate(all="ignore"):  # meridians meet at the poles
            values: Array = of(u, v).metpy.magnitude
        return values

    return way


def _rows() -> Iterator[Comparison]:
    targets = (
        Target("times", 2.0, ADD),
        Target("faster", 60.0, METPY),
        Target("faster", 8.0, XARRAY),
    )
    for kind in ("vorticity", "divergence"):
        yield Comparison(VECTORS, f"{kind}, float32", _on_sphere(kind), targets)


ROWS = tuple(_rows())
