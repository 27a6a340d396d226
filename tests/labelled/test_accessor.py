from pathlib import Path
from typing import Any

import cftime
import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bigrad  # noqa: F401  (registers the accessor)
from bigrad.errors import CoordinateError
from tests.bits import assert_same_bits
from tests.strategies import arrays

RNG = np.random.default_rng(0)


def forbidden(*_: Any, **__: Any) -> None:
    """Refuse, as a dask scheduler, to compute anything."""
    pytest.fail("something was computed")


@pytest.fixture
def dataset() -> xr.Dataset:
    """Every kind of variable that a dataset may have, numeric ones on dask."""
    shape = (4, 5, 6)
    field = xr.Variable(
        ("time", "lat", "lon"),
        da.from_array(RNG.normal(size=shape).astype("f4"), chunks=(1, 2, -1)),
        {"units": "m s**-1", "standard_name": "eastward_wind"},
        {"scale_factor": 0.1, "dtype": "int16"},
    )
    return xr.Dataset(
        {
            "u": field,
            "count": (("lat", "lon"), RNG.integers(0, 9, shape[1:], "i2")),
            "place": ("lon", list("abcdef")),
            "wet": ("lon", np.arange(6) > 2),
            "when": ("lon", np.arange(6).astype("M8[s]")),
            "level": ("time", [1.0, 2.0, 4.0, 8.0]),
            "lat_bounds": (("lat", "edge"), RNG.normal(size=(5, 2))),
            "constant": 3.0,
        },
        {
            "time": ("time", np.array([0, 6, 12, 18], "M8[h]").astype("M8[ns]")),
            "lat": ("lat", [60.0, 50.0, 30.0, 20.0, 10.0], {"bounds": "lat_bounds"}),
            "lon": ("lon", np.arange(6, dtype="f4") / 10, {"units": "degrees_east"}),
            "x": ("lon", np.arange(6) ** 2, {"units": "m"}),
            "nav_lon": (("lat", "lon"), np.zeros(shape[1:])),
        },
        {"title": "made up"},
    )


def test_one_name_keeps_names_and_passes_the_rest_through(dataset: xr.Dataset) -> None:
    dataset.encoding["unlimited_dims"] = {"time"}
    result = dataset.grad.compute("lon")
    assert list(result.variables) == list(dataset.variables)
    changed = {"u", "count"}
    for name in set(dataset.variables) - changed:
        assert result[name].variable.identical(dataset[name].variable)
    for name in changed:
        expected = np.gradient(dataset[name].values, dataset["lon"].values, axis=-1)
        assert_same_bits(result[name].values, expected)
        assert result[name].dims == dataset[name].dims
        assert not result[name].encoding
    assert result.attrs == dataset.attrs
    assert result.encoding == dataset.encoding
    assert result.xindexes.keys() == dataset.xindexes.keys()
    assert result["u"].attrs == {
        "units": "m s-1 degree-1",
        "long_name": "derivative of eastward_wind along lon",
    }


def test_xarrays_differentiate_agrees(dataset: xr.Dataset) -> None:
    numeric = dataset[["u", "count", "level", "constant"]].compute()
    for name in ("lon", "lat", "x"):
        xr.testing.assert_allclose(
            numeric.grad.compute(name, edge_order=2).drop_attrs(),
            numeric.differentiate(name, edge_order=2).drop_attrs(),
        )


def test_a_list_gives_a_dataset_of_derivatives(dataset: xr.Dataset) -> None:
    result = dataset.grad.compute(["lon", "lat", "time"])
    derived = ["du_dlon", "du_dlat", "du_dtime", "dcount_dlon", "dcount_dlat"]
    others = ["place", "wet", "when", "dlevel_dtime", "lat_bounds", "constant"]
    assert list(result.data_vars) == derived + others
    assert result.coords.to_dataset().identical(dataset.coords.to_dataset())
    assert result.attrs == dataset.attrs
    seconds = 6 * 3600.0 * np.arange(4)
    u = dataset["u"].values
    assert_same_bits(result["du_dlon"].values, np.gradient(u, dataset["lon"].values, axis=2))
    assert_same_bits(result["du_dlat"].values, np.gradient(u, dataset["lat"].values, axis=1))
    assert_same_bits(result["du_dtime"].values, np.gradient(u, seconds, axis=0))
    assert result["du_dtime"].attrs["units"] == "m s-2"
    assert "units" not in result["du_dlat"].attrs


def test_coordinates_that_share_a_dimension(dataset: xr.Dataset) -> None:
    result = dataset["u"].grad.compute(["lon", "x", "lat"])
    assert list(result.data_vars) == ["du_dlon", "du_dx", "du_dlat"]
    for name, axis in {"lon": 2, "x": 2, "lat": 1}.items():
        expected = np.gradient(dataset["u"].values, dataset[name].values, axis=axis)
        assert_same_bits(result[f"du_d{name}"].values, expected)


@pytest.mark.parametrize("coord", ["time", "lat", "x", ["lon", "lat", "x"]])
def test_lazy_in_lazy_out(dataset: xr.Dataset, coord: Any) -> None:
    with dask.config.set(scheduler=forbidden):
        result = dataset.grad.compute(coord)
        array = dataset["u"].grad.compute(coord)
    fields = [result["u"], array] if isinstance(coord, str) else [*array.data_vars.values()]
    for field in fields:
        assert isinstance(field.data, da.Array)
        assert field.data.chunks == dataset["u"].data.chunks


def test_a_list_reads_the_data_once() -> None:
    reads = []

    def read(block: Any) -> Any:
        reads.append(block.shape)
        return block

    data = da.from_array(RNG.normal(size=(8, 8)), chunks=4).map_blocks(read, meta=np.empty((0, 0)))
    y = xr.DataArray(data, {"a": range(8), "b": range(8)}, name="y")
    y.grad.compute(["a", "b"]).compute(scheduler="single-threaded")
    assert len(reads) == 4


@given(
    arrays(dtypes="bBhHiIlLqQfdFDeg", max_ndim=3),
    st.data(),
    st.sampled_from(["f4", "f8", "i4"]),
    st.booleans(),
)
def test_arrays_equal_numpy(
    values: np.ndarray[Any, Any], data: st.DataObject, dtype: str, falling: bool
) -> None:
    dims = [f"x{k}" for k in range(values.ndim)]
    along = data.draw(st.sampled_from(dims))
    size = values.shape[dims.index(along)]
    steps = data.draw(st.lists(st.integers(1, 9), min_size=size, max_size=size))
    points = np.cumsum(steps).astype(dtype)
    if falling:
        points = points[::-1]
    array = xr.DataArray(values, {along: (along, points)}, dims, name="y")
    with np.errstate(all="ignore"):
        expected = np.gradient(values, points, axis=dims.index(along))
        assert_same_bits(array.grad.compute(along).values, expected)
        assert_same_bits(array.grad.compute([along])[f"dy_d{along}"].values, expected)


@pytest.mark.parametrize("resolution", ["s", "ms", "us", "ns"])
def test_time_derivatives_are_per_second_unless_told_otherwise(resolution: str) -> None:
    hours = np.array([0, 1, 2, 4, 8])
    times = hours.astype("M8[h]").astype(f"M8[{resolution}]")
    y = RNG.normal(size=5)
    array = xr.DataArray(y, {"time": times}, name="y", attrs={"units": "K"})
    per_second = array.grad.compute("time")
    assert_same_bits(per_second.values, np.gradient(y, hours * 3600.0))
    assert per_second.attrs["units"] == "K s-1"
    per_hour = array.grad.compute("time", datetime_unit="h")
    assert_same_bits(per_hour.values, np.gradient(y, hours * 1.0))
    assert per_hour.attrs["units"] == "K h-1"
    lead = xr.DataArray(y, {"lead": times - times[0]}, ["lead"], name="y")
    assert_same_bits(lead.grad.compute("lead").values, per_second.values)


def test_cftime_derivatives() -> None:
    days = np.array([0, 30, 60, 90])
    start = cftime.datetime(2000, 1, 1, calendar="360_day")
    times = xr.date_range("2000-01-01", periods=4, freq="MS", calendar="360_day", use_cftime=True)
    assert times[0] == start
    y = RNG.normal(size=4)
    result = xr.DataArray(y, {"time": times}, name="y").grad.compute("time")
    assert_same_bits(result.values, np.gradient(y, days * 86400.0))


@pytest.mark.parametrize("coord", ["zz", "nav_lon", "place", "edge", [], ["lon", "lon"], ["zz"]])
def test_what_is_no_spacing_is_refused(dataset: xr.Dataset, coord: Any) -> None:
    with pytest.raises(CoordinateError):
        dataset.grad.compute(coord)


def test_refusals_say_what_to_do(dataset: xr.Dataset) -> None:
    with pytest.raises(CoordinateError, match=r"`lon`.*`edge_order` 2 needs at least 3, found 2"):
        dataset.isel(lon=slice(2)).grad.compute("lon", edge_order=2)
    with pytest.raises(ValueError, match="`edge_order` must be 1 or 2, found 3"):
        dataset.grad.compute("lon", edge_order=3)
    with pytest.raises(CoordinateError, match=r"`datetime_unit` is for dates.*`lon` of float32"):
        dataset.grad.compute("lon", datetime_unit="s")
    with pytest.raises(TypeError, match="bool cannot be differentiated"):
        dataset["wet"].grad.compute("lon")
    with pytest.raises(ValueError, match=r"no name.*\.rename"):
        dataset["u"].rename(None).grad.compute(["lon"])


def test_an_array_without_a_name_stays_without() -> None:
    result = xr.DataArray([1.0, 4.0], {"x": [0.0, 2.0]}).grad.compute("x")
    assert result.name is None
    assert result.attrs == {"long_name": "derivative along x"}


def test_two_results_of_one_name_are_refused() -> None:
    y = ("x", [1.0, 2.0])
    for other in ({"dy_dx": ("x", ["a", "b"])}, {"y_dx": y, "y": y}):
        ds = xr.Dataset({"y": y} | other, {"x": [0, 1], "x_dx": ("x", [0, 1])})
        coords = ["x"] if "dy_dx" in other else ["x", "x_dx"]
        with pytest.raises(ValueError, match="two variables of the result would be called"):
            ds.grad.compute(coords)


def test_pint_quantities_are_refused() -> None:
    pint = pytest.importorskip("pint")
    quantity = pint.UnitRegistry(force_ndarray_like=True).Quantity(np.arange(3.0), "K")
    array = xr.DataArray(quantity, {"x": [0, 1, 2]}, ["x"], name="t")
    with pytest.raises(TypeError, match=r"`t` is a pint quantity.*\.pint\.dequantify"):
        array.grad.compute("x")


def test_nothing_is_changed_in_place(dataset: xr.Dataset) -> None:
    before = dataset.copy(deep=True)
    dataset.grad.compute("lon")
    dataset.grad.compute(["lon", "lat"])
    dataset["u"].grad.compute("lon")
    assert dataset.identical(before)
    assert dataset["u"].encoding == before["u"].encoding


DATA = Path(__file__).parents[3] / "shared" / "data"


def real(name: str, **options: Any) -> xr.Dataset:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is kept outside of the project, and is not here")
    pytest.importorskip("netCDF4")
    # Which of the numbers are durations, older versions of xarray want to be told.
    with xr.open_dataset(DATA / name, decode_timedelta=False, **options) as opened:
        return opened.load()


@pytest.mark.filterwarnings("ignore:variable .* has non-conforming '_FillValue'")
def test_winds_of_era_interim() -> None:
    ds = real("eraint_uvz.nc")
    lazy = ds.chunk(level=1, latitude=50, longitude=-1)
    slopes = lazy.grad.compute(["longitude", "latitude"])
    for name, axis in {"longitude": 3, "latitude": 2}.items():
        for field in "uvz":
            expected = np.gradient(ds[field].values, ds[name].values, axis=axis)
            assert_same_bits(slopes[f"d{field}_d{name}"].values, expected)
    assert slopes["du_dlongitude"].attrs == {
        "units": "m s-1 degree-1",
        "long_name": "derivative of U component of wind along longitude",
    }
    assert ds.grad.compute("level")["z"].attrs["units"] == "m2 s-2 mbar-1"


def test_months_of_a_360_day_calendar() -> None:
    ds = real("A1B_north_america.nc", decode_times=xr.coders.CFDatetimeCoder(use_cftime=True))
    raw = real("A1B_north_america.nc", decode_times=False)
    hours = raw["time"].values
    expected = np.gradient(ds["air_temperature"].values, (hours - hours[0]) * 3600.0, axis=0)
    trend = ds.grad.compute("time")
    assert_same_bits(trend["air_temperature"].values, expected)
    assert trend["air_temperature"].attrs["units"] == "K s-1"
    assert trend["time_bnds"].identical(ds["time_bnds"])
    undecoded = raw.grad.compute("time")["air_temperature"]
    assert undecoded.attrs["units"] == "K h-1"


def test_along_the_lines_of_a_curvilinear_ocean() -> None:
    ds = real("nemo_1m_20150101-20150201_grid-T.nc", decode_times=False)
    with pytest.raises(CoordinateError, match=r"`\.assign_coords\(x=range\(360\)\)`"):
        ds.grad.compute("x")
    along = ds.assign_coords(x=range(360)).grad.compute("x")["tos"]
    expected = np.gradient(ds["tos"].values, np.arange(360), axis=2)
    assert_same_bits(along.values, expected)
