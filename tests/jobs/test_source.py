import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from bigrad.jobs.chunks import reader_of
from bigrad.jobs.source import open_source
from tests.jobs.stores import grid, write

REGION = (slice(1, 4), slice(2, 7), slice(0, 9))

NAN = np.float32("nan")

# What the variable holds, its attributes as they are stored, and whether these change anything.
PACKED: dict[str, tuple[str, dict[str, Any], bool]] = {
    "nothing": ("f4", {}, False),
    "NaN for NaN": ("f4", {"_FillValue": NAN}, False),
    "two marks, both NaN": ("f8", {"_FillValue": np.nan, "missing_value": [np.nan]}, False),
    "a mark": ("f4", {"_FillValue": np.float32(1e20)}, True),
    "another mark": ("f8", {"missing_value": 7.0}, True),
    "two marks": ("f4", {"_FillValue": NAN, "missing_value": np.float32(7)}, True),
    "scale and offset": ("i2", {"scale_factor": 0.01, "add_offset": 273.0}, True),
    "all three": ("i2", {"scale_factor": 0.1, "add_offset": -5.0, "_FillValue": 7}, True),
    "float32 scale": ("i2", {"scale_factor": np.float32(0.1), "_FillValue": 7}, True),
    "a marked integer": ("i2", {"_FillValue": 7}, True),
    "unsigned": ("i1", {"_Unsigned": "true", "_FillValue": -1, "scale_factor": 0.5}, True),
    "scaled float": ("f4", {"scale_factor": 2.0}, True),
    "big endian": (">f4", {}, True),
    "big endian, packed": (">i2", {"scale_factor": 2.0, "_FillValue": 7}, True),
}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", PACKED)
def test_a_raw_region_decodes_to_what_xarray_loads(
    name: str, zarr_format: Any, tmp_path: Path
) -> None:
    dtype, attributes, changes = PACKED[name]
    dataset = grid()
    stored = np.random.default_rng(1).integers(-9, 9, dataset["t"].shape).astype(dtype)
    if stored.dtype.kind == "f":
        stored[::2, 3] = np.nan
        stored[:, ::2, 4] = np.float32(1e20)
    variable = xr.Variable(dataset["t"].dims, stored, attributes)
    chunks = {"t": {"chunks": (2, 3, 4)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an unsigned variable holds signed integers
        path = write(
            dataset.assign(t=variable), tmp_path / "a", encoding=chunks, zarr_format=zarr_format
        )
        source = open_source(path)
        lazy = source.dataset["t"].variable[REGION].to_numpy()
    array = source.array("t")
    raw = reader_of(array).read(REGION)
    packing = source.packing("t")
    decoded = raw if packing is None else packing.decode(raw)
    # Version 3 stores no byte order in the dtype of an array; version 2 masks its fill value.
    unfilled = zarr_format == 3 or array.fill_value is None or np.isnan(array.fill_value)
    if unfilled and not (zarr_format == 3 and dtype == ">f4"):
        assert (packing is not None) == changes
    assert decoded.dtype == lazy.dtype
    assert decoded.tobytes() == lazy.tobytes()


def test_a_fill_value_of_version_2_is_a_mark(tmp_path: Path) -> None:
    path = write(grid(), tmp_path / "a", zarr_format=2)
    array = zarr.open_group(path, mode="r+").create_array(
        "t", shape=(5, 7, 9), chunks=(2, 3, 4), dtype="f4", fill_value=0, overwrite=True,
        attributes={"_ARRAY_DIMENSIONS": ["time", "latitude", "longitude"]},
    )  # fmt: skip
    array[3:] = 1
    zarr.consolidate_metadata(path)
    source = open_source(path)
    packing = source.packing("t")
    assert packing is not None
    decoded = packing.decode(reader_of(source.array("t")).read(REGION))
    assert decoded.tobytes() == source.dataset["t"].variable[REGION].to_numpy().tobytes()
    assert np.isnan(decoded[0]).all()
