"""The source of a job: a zarr group, seen decoded through xarray and raw through zarr."""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype

from bigrad.errors import BigradError, CoordinateError, SourceError
from bigrad.jobs.storage import Place, describe, is_listed, open_store

__all__ = [
    "Layout",
    "ObjectKeys",
    "Packing",
    "Source",
    "layout_of",
    "metadata_objects",
    "open_source",
    "quiet_zarr",
]

# What xarray moves from a variable's attributes to its encoding when it decodes the values.
_MARKS = ("_FillValue", "missing_value")
_PACKING = ("scale_factor", "add_offset", *_MARKS, "_Unsigned")


@dataclass(frozen=True)
class Layout:
    """How an array lies in its store.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    dtype : numpy.dtype
        Of the values as they are stored.
    chunk : tuple of int
        The unit of reading: the chunk, inside its shard where there are shards.
    shard : tuple of int or None
        The shard.
    codecs : int
        Codecs that a chunk goes through, one after the other: filters and compressors.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunk: tuple[int, ...]
    shard: tuple[int, ...] | None
    codecs: int

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk, decompressed."""
        return math.prod(self.chunk) * self.dtype.itemsize

    @property
    def unit(self) -> tuple[int, ...]:
        """The unit of writing, an object of the store: the shard, or else the chunk."""
        return self.shard or self.chunk


def layout_of(array: "zarr.Array[Any]") -> Layout:
    """Read the layout off an array's metadata."""
    return Layout(
        shape=tuple(array.shape),
        dtype=np.dtype(cast("Any", array.dtype)),
        chunk=tuple(max(1, size) for size in array.chunks),
        shard=None if array.shards is None else tuple(array.shards),
        codecs=len(array.filters or ()) + len(array.compressors or ()),
    )


@dataclass(frozen=True, eq=False)
class Packing:
    """How stored values become those that xarray shows; in effect, CF's attributes.

    Attributes
    ----------
    attributes : mapping
        Of the variable as it is stored.

    Examples
    --------
    >>> packing = Packing({"scale_factor": 0.5, "_FillValue": -1})
    >>> packing.decode(np.array([4, -1], "i2"))
    array([ 2., nan])
    """

    attributes: Mapping[Any, Any]

    def decode(self, stored: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Decode a region, as xarray does when it is loaded through a lazy variable."""
        # The names say nothing: one that is a dimension, too, would become an index.
        dims = [f"axis {number}" for number in range(stored.ndim)]
        dataset = xr.Dataset({"stored": (dims, stored, self.attributes)})
        decoded: np.ndarray[Any, Any] = xr.decode_cf(dataset, decode_times=False)[
            "stored"
        ].to_numpy()
        return decoded


@dataclass(frozen=True, eq=False)
class Source:
    """A zarr group to read from.

    Attributes
    ----------
    store : zarr.abc.store.Store
        Where it lies, read-only.
    group : zarr.Group
        Its arrays as they are stored.
    dataset : xarray.Dataset
        Its variables, lazy: packing and missing values are decoded as a region is loaded,
        times are not decoded.
    stored : xarray.Dataset
        The same with nothing decoded.
    """

    store: Store
    group: zarr.Group
    dataset: xr.Dataset
    stored: xr.Dataset

    @property
    def name(self) -> str:
        """Path or URL."""
        return describe(self.store)

    @property
    def zarr_format(self) -> int:
        """2 or 3."""
        return self.group.metadata.zarr_format

    @property
    def consolidated(self) -> bool:
        """Whether the group's metadata are consolidated."""
        return self.group.metadata.consolidated_metadata is not None

    def array(self, name: str) -> "zarr.Array[Any]":
        """Return a variable as it is stored."""
        array = self.group[name]
        if not isinstance(array, zarr.Array):
            msg = f"`{name}` in {self.name} is not an array"
            raise SourceError(msg)
        return array

    def packing(self, name: str) -> Packing | None:
        """Return what decodes a variable; None where its values are those that are stored."""
        stored = self.stored[name].variable
        kept = {key: stored.attrs[key] for key in _PACKING if key in stored.attrs}
        # That NaN stands for NaN, as xarray writes of floats, changes nothing.
        marks = [kept.pop(key) for key in _MARKS if key in kept and stored.dtype.kind == "f"]
        telling = [mark for mark in marks if not np.isnan(np.asarray(mark, float)).all()]
        if not kept and not telling and self.array(name).dtype == self.dataset[name].dtype:
            return None
        return Packing(stored.attrs)

    def is_numeric(self, name: str) -> bool:
        """Whether a variable holds numbers: not times, durations, booleans or text."""
        variable = self.dataset[name]
        timelike = " since " in str(variable.attrs.get("units", "")) or str(
            variable.attrs.get("dtype", "")
        ).startswith("timedelta64")
        return variable.dtype.kind in "iufc" and not timelike

    def coordinates(self, names: tuple[str, ...]) -> dict[str, xr.Variable]:
        """Load coordinates, times decoded: the only values read before a job begins.

        Raises
        ------
        CoordinateError
            Where the times of one cannot be decoded.
        """
        return {name: self._coordinate(name) for name in names}

    def _coordinate(self, name: str) -> xr.Variable:
        others = [other for other in self.dataset.variables if other != name]
        try:
            loaded = _open_dataset(
                self.store, consolidated=self.consolidated, drop_variables=others
            )
            return loaded[name].variable.load()
        except (ValueError, OverflowError) as exc:
            units = self.dataset[name].attrs.get("units")
            msg = (
                f"`{name}` in {self.name} cannot be decoded by xarray: its `units` are "
                f"{units!r} and its `calendar` {self.dataset[name].attrs.get('calendar')!r}; "
                f"correct these, or the values ({exc})"
            )
            raise CoordinateError(msg) from exc


def open_source(
    place: Place,
    *,
    error: type[BigradError] = SourceError,
    options: Mapping[str, Any] | None = None,
) -> Source:
    """Open a zarr group; only metadata are read.

    Parameters
    ----------
    place : str, os.PathLike or zarr.abc.store.Store
        Path, URL or store.
    error : type of BigradError
        What to raise where it cannot be opened.
    options : mapping, optional
        Of the file system that fsspec opens a URL with.

    Raises
    ------
    SourceError
        Where there is no zarr group, or its arrays do not name their dimensions.
    """
    store = open_store(place, read_only=True, error=error, options=options)
    where = describe(store)
    try:
        group = zarr.open_group(store, mode="r")
    except (FileNotFoundError, NotADirectoryError) as exc:
        msg = f"`source` {where!r} is not a zarr group: nothing of that kind was found there"
        raise error(msg) from exc
    except (ValueError, KeyError, OSError) as exc:
        msg = f"`source` {where!r} cannot be read as a zarr group: {exc}"
        raise error(msg) from exc
    consolidated = group.metadata.consolidated_metadata is not None
    try:
        dataset, stored = (
            _open_dataset(
                store,
                consolidated=consolidated,
                decode_times=False,
                mask_and_scale=decoded,
            )
            for decoded in (True, False)
        )
    except (ValueError, KeyError, OSError) as exc:
        msg = f"`source` {where!r} cannot be opened by xarray: {exc}"
        raise error(msg) from exc
    if not (consolidated or dataset.variables or is_listed(store)):
        msg = (
            f"`source` {where!r} does not tell which arrays it holds: its metadata are not "
            "consolidated, and its server lists nothing; run `zarr.consolidate_metadata` on the "
            "original, or read it through another protocol"
        )
        raise error(msg)
    return Source(store, group, dataset, stored)


def _open_dataset(store: Store, **options: Any) -> xr.Dataset:
    return xr.open_dataset(
        cast("Any", store),
        engine="zarr",
        chunks=None,
        cache=False,
        create_default_indexes=False,
        **options,
    )


@contextmanager
def quiet_zarr() -> Iterator[None]:
    """Leave out what zarr warns of as it writes metadata, none of it a user's choice here.

    Version 3 specifies neither consolidated metadata, which xarray writes and reads all the
    same, nor text, which is copied as it was found.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata", UserWarning)
        warnings.filterwarnings("ignore", "The data type .* Zarr V3 spec", FutureWarning)
        yield


class ObjectKeys:
    """The keys of an array's objects, metadata aside; computed, not listed."""

    def __init__(self, name: str, array: "zarr.Array[Any]") -> None:
        layout = layout_of(array)
        self._name = name
        self._encode = array.metadata.encode_chunk_key
        self._counts = tuple(
            -(-size // unit) for size, unit in zip(layout.shape, layout.unit, strict=True)
        )

    def __len__(self) -> int:
        return int(np.prod(self._counts, dtype=object)) if self._counts else 1

    def __getitem__(self, number: int) -> str:
        place = []
        for count in reversed(self._counts):
            number, i = divmod(number, count)
            place.append(i)
        return f"{self._name}/{self._encode(tuple(reversed(place)))}"


def metadata_objects(name: str, array: "zarr.Array[Any]") -> dict[str, Any]:
    """Return an array's metadata documents, by key."""
    with quiet_zarr():
        documents = array.metadata.to_buffer_dict(default_buffer_prototype())
    return {f"{name}/{key}": value for key, value in documents.items()}
