"""Operators on two axes, from store to store: the same bits as from the accessor."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import bigrad
from bigrad.errors import CoordinateError, SourceError
from bigrad.jobs.job import Plan
from tests.bits import assert_same_bits
from tests.jobs.stores import write

MEMORY = "4GiB"
DATA = Path(__file__).parents[2].parent / "shared" / "data"

WINDS: dict[str, tuple[str, ...]] = {
    "vorticity": ("u", "v"),
    "divergence": ("u", "v"),
    "deformation": ("u", "v"),
    "advection": ("t", "u", "v"),
}


def winds(rows: int = 9, columns: int = 12, poles: bool = True) -> xr.Dataset:
    """Random winds and a temperature on the globe."""
    rng = np.random.default_rng(5)
    edge = 90.0 if poles else 90.0 - 90.0 / rows
    coords: dict[str, Any] = {
        "time": np.arange(3),
        "lat": ("lat", np.linspace(edge, -edge, rows), {"units": "degrees_north"}),
        "lon": ("lon", np.arange(columns) * 360.0 / columns, {"units": "degrees_east"}),
    }
    shape = (3, rows, columns)

    def field(name: str, units: str) -> Any:
        values = rng.normal(size=shape).astype("f4")
        return ("time", "lat", "lon"), values, {"standard_name": name, "units": units}

    return xr.Dataset(
        {
            "t": field("air_temperature", "K"),
            "u": field("eastward_wind", "m s**-1"),
            "v": field("northward_wind", "m s**-1"),
        },
        coords,
    )


def in_blocks(job: Plan, sweep: int | None) -> Plan:
    """The same job in blocks of one chunk."""
    parts = []
    for part in job.parts:
        grid = part.demand.grid(part.demand.target.unit)
        if sweep is not None and grid.counts[sweep] > 1 and grid.block[sweep] > 1:
            grid = replace(grid, sweep=sweep, run=2)
        parts.append(replace(part, grid=grid))
    return replace(job, parts=tuple(parts))


@pytest.mark.parametrize("poles", [True, False])
@pytest.mark.parametrize("chunks", [(1, 9, 12), (2, 3, 5), (3, 1, 1), (1, 2, 12)], ids=str)
@pytest.mark.parametrize("sweep", [None, 1, 2])
def test_winds_on_the_globe_have_the_bits_of_the_accessor(
    tmp_path: Path, chunks: tuple[int, ...], sweep: int | None, poles: bool
) -> None:
    dataset = winds(poles=poles)
    encoding = {name: {"chunks": chunks} for name in dataset.data_vars}
    source = write(dataset, tmp_path / "in.zarr", encoding=encoding)
    kind: Any
    for kind, names in WINDS.items():
        out = tmp_path / f"{kind}.zarr"
        job = bigrad.plan(
            source, out, operator=kind, variables=names, metric="sphere", memory=MEMORY
        )
        job = in_blocks(job, sweep)
        report = job.run()
        assert report.bytes_read == job.bytes_read
        expected = getattr(dataset.grad, kind)(*names)
        expected = expected if isinstance(expected, xr.Dataset) else expected.to_dataset()
        found = xr.open_zarr(out)
        assert set(found.data_vars) == set(expected.data_vars)
        for name, values in expected.data_vars.items():
            assert_same_bits(found[name].to_numpy(), values.to_numpy())
            assert found[name].attrs == values.attrs


def test_a_wind_may_carry_itself_and_the_history_tells_what_was_chosen(tmp_path: Path) -> None:
    dataset = winds()
    source, out = write(dataset, tmp_path / "in.zarr"), tmp_path / "out.zarr"
    names, options = ["u", "u", "v"], {"radius": 6.4e6, "edge_order": 2}
    bigrad.plan(
        source,
        out,
        operator="advection",
        variables=names,
        metric="sphere",
        memory=MEMORY,
        **options,  # type: ignore[arg-type]
    ).run()
    found = xr.open_zarr(out)
    expected = dataset.grad.advection(*names, **options)
    assert_same_bits(found["advection"].to_numpy(), expected.to_numpy())
    history = found.attrs["history"]
    assert "(edge_order=2, metric='sphere', radius=6400000.0)" in history
    again = tmp_path / "again.zarr"
    bigrad.plan(
        source,
        again,
        "lat",
        boundary=("fill", 7.0),
        accuracy=4,
        regular=True,
        variables=["t"],
        memory=MEMORY,
    ).run()
    history = xr.open_zarr(again).attrs["history"]
    assert "accuracy=4, regular=True, boundary of lat=('fill', 7.0)" in history


@pytest.mark.parametrize("kind", ["magnitude", "laplacian"])
@pytest.mark.parametrize("metric", ["sphere", None])
def test_scalars_keep_their_names(tmp_path: Path, kind: Any, metric: Any) -> None:
    dataset = winds().drop_vars(["u", "v"])
    if metric is None:
        dataset = dataset.assign_coords(
            {name: dataset[name].drop_attrs() for name in ("lat", "lon")}
        )
    source = write(dataset, tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 4, 5)}})
    out = tmp_path / "out.zarr"
    options: Any = {"metric": metric} | ({} if metric else {"x": "lon", "y": "lat"})
    job = bigrad.plan(source, out, operator=kind, memory=MEMORY, **options)
    in_blocks(job, 1).run()
    coords = ["lon", "lat"]
    expected = getattr(dataset["t"].grad, kind)(coords, metric=metric)
    assert_same_bits(xr.open_zarr(out)["t"].to_numpy(), expected.to_numpy())


@pytest.mark.parametrize("coord", ["lon", "lat", ["lat", "lon"]], ids=str)
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_gradients_per_metre(tmp_path: Path, coord: Any, dtype: str) -> None:
    dataset = winds().astype(dtype)
    source = write(dataset, tmp_path / "in.zarr", encoding={"t": {"chunks": (2, 4, 5)}})
    out = tmp_path / "out.zarr"
    in_blocks(bigrad.plan(source, out, coord, metric="sphere", memory=MEMORY), 2).run()
    expected = dataset.astype("f4").grad.compute(coord, metric="sphere")
    found = xr.open_zarr(out)
    assert set(found.data_vars) == set(expected.data_vars)
    for name, values in expected.data_vars.items():
        assert_same_bits(found[name].to_numpy(), values.to_numpy())
        assert found[name].attrs == values.attrs


def test_what_is_no_grid_is_refused(tmp_path: Path) -> None:
    source = write(winds(), tmp_path / "in.zarr")
    out = tmp_path / "out.zarr"
    with pytest.raises(SourceError, match=r"`variables` of 'vorticity' must be 2 names"):
        bigrad.plan(source, out, operator="vorticity", memory=MEMORY)
    with pytest.raises(ValueError, match="the component to the east comes first"):
        bigrad.plan(source, out, operator="vorticity", variables=["v", "u"], memory=MEMORY)
    with pytest.raises(CoordinateError, match="`boundary` is not for 'laplacian'"):
        bigrad.plan(source, out, operator="laplacian", boundary="periodic", memory=MEMORY)
    with pytest.raises(ValueError, match="`edge_order` is not for 'laplacian'"):
        bigrad.plan(source, out, operator="laplacian", edge_order=2, memory=MEMORY)
    with pytest.raises(CoordinateError, match="`coord` is for gradients"):
        bigrad.plan(source, out, "lon", operator="laplacian", memory=MEMORY)
    with pytest.raises(CoordinateError, match="`coord` must name a longitude, a latitude"):
        bigrad.plan(source, out, "time", metric="sphere", memory=MEMORY)
    with pytest.raises(ValueError, match="`operator` must be one of 'gradient', "):
        bigrad.plan(source, out, operator="curl", memory=MEMORY)  # type: ignore[arg-type]
    assert not out.exists()


# Of the file: a mark of missing values that its integers cannot hold.
@pytest.mark.filterwarnings("ignore:.*non-conforming:xarray.coding.common.SerializationWarning")
def test_era_interim_winds(tmp_path: Path) -> None:
    path = DATA / "eraint_uvz.nc"
    if not path.exists():
        pytest.skip(f"the data of the real world are not here: eraint_uvz.nc is not in {DATA}")
    with xr.open_dataset(path, drop_variables="z") as opened:
        dataset = opened.load()
    source = write(dataset, tmp_path / "in.zarr")
    out = tmp_path / "out.zarr"
    bigrad.plan(
        source, out, operator="vorticity", variables=("u", "v"), metric="sphere", memory=MEMORY
    ).run()
    found = xr.open_zarr(out)["vorticity"]
    assert_same_bits(found.to_numpy(), dataset.grad.vorticity("u", "v").to_numpy())
    assert found.attrs["units"] == "s-1"
    assert found.attrs["standard_name"] == "atmosphere_relative_vorticity"
