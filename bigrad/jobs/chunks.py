"""Regions of zarr arrays, read from chunks and written as whole chunks, in the calling thread.

zarr itself hands every chunk from an event loop to a pool of threads and back, and assembles
regions on that one loop. A job has threads of its own, each with its own region: here each
does all of its region's work, and codecs let the others run meanwhile.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import zarr
from zarr.abc.store import RangeByteRequest, Store
from zarr.codecs import ShardingCodec
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import default_buffer_prototype

from bigrad.errors import SourceError, TargetError
from bigrad.jobs.blocks import Region
from bigrad.jobs.codecs import Chain, Scratch, chain_of, chain_of_version_2, stored_bytes
from bigrad.jobs.objects import Bytes, Objects, Pieces, Request, Traffic, objects_of
from bigrad.jobs.parts import Part, cut
from bigrad.jobs.shards import MISSING, RUN, Sharding, runs_of, sharding_of

__all__ = ["Reader", "Writer", "read", "reader_of", "write", "writer_of"]

Array = np.ndarray[Any, Any]

_T = TypeVar("_T")


def read(array: "zarr.Array[Any]", region: Region, out: Array | None = None) -> Array:
    """Read a region of a zarr array as it is stored.

    Parameters
    ----------
    array : zarr.Array
        The array.
    region : tuple of slice
        A slice for each axis, with start and stop inside the array and no step.
    out : numpy.ndarray, optional
        Where to put the values: of the region's shape and the array's dtype, with any strides.

    Returns
    -------
    numpy.ndarray
        `out`, or a new array in C order; equal to ``array[region]``.

    Raises
    ------
    SourceError
        Where a chunk's bytes are not what its codecs made; names the array and the key.

    Examples
    --------
    >>> array = zarr.create_array({}, shape=(3, 4), chunks=(2, 3), dtype="i2", fill_value=7)
    >>> read(array, (slice(1, 3), slice(0, 2)))
    array([[7, 7],
           [7, 7]], dtype=int16)
    """
    return reader_of(array).read(region, out)


def write(array: "zarr.Array[Any]", region: Region, values: Array) -> None:
    """Write a region of a zarr array that consists of whole units of writing.

    What lies in the region is never read, and chunks are stored whatever they hold, those
    that hold nothing but the fill value too.

    Parameters
    ----------
    array : zarr.Array
        The array.
    region : tuple of slice
        A slice for each axis, from a multiple of the shard (the chunk, where there are no
        shards) to another, or to the array's end.
    values : numpy.ndarray
        Of the region's shape and of the array's dtype, with any byte order and strides.

    Raises
    ------
    TargetError
        Where `region` or `values` are not as described.

    Examples
    --------
    >>> array = zarr.create_array({}, shape=(3, 4), chunks=(2, 3), dtype="i2")
    >>> write(array, (slice(2, 3), slice(0, 4)), np.arange(4, dtype="i2")[None])
    >>> array[2]
    array([0, 1, 2, 3], dtype=int16)
    """
    writer_of(array).write(region, values)


@dataclass(frozen=True, eq=False)
class _Layout:
    """All that reading and writing must know of an array, decided once.

    Attributes
    ----------
    array : zarr.Array
        The array.
    objects : Objects
        Of its store.
    dtype : numpy.dtype
        Of its values.
    unit : tuple of int
        What an object of the store holds: a shard, else a chunk.
    chain : Chain
        The codecs of a chunk, inside its shard where there are shards.
    sharding : Sharding or None
        None where there are none.
    fill : scalar
        The value where nothing is stored.
    """

    array: "zarr.Array[Any]"
    objects: Objects
    dtype: np.dtype[Any]
    unit: tuple[int, ...]
    chain: Chain
    sharding: Sharding | None
    fill: Any

    @classmethod
    def of(
        cls, array: "zarr.Array[Any]", concurrency: int | None, store: Store | None = None
    ) -> "_Layout":
        metadata: Any = array.metadata
        config = array.async_array.config
        if metadata.zarr_format == 2:
            config = replace(config, order=metadata.order)
        spec = ArraySpec(
            array.shards or array.chunks,
            metadata.dtype,
            metadata.fill_value,
            config,
            default_buffer_prototype(),
        )
        sharding = None
        if metadata.zarr_format == 2:
            pipeline: Any = array.async_array.codec_pipeline
            (codec,) = pipeline
            chain = chain_of_version_2(codec, metadata.filters or (), metadata.compressor, spec)
        elif len(metadata.codecs) == 1 and type(metadata.codecs[0]) is ShardingCodec:
            (codec,) = metadata.codecs
            sharding = sharding_of(codec, spec)
            chain = chain_of(codec.codecs, replace(spec, shape=tuple(codec.chunk_shape)))
        else:
            chain = chain_of(metadata.codecs, spec)
        fill = spec.dtype.default_scalar() if spec.fill_value is None else spec.fill_value
        return cls(
            array,
            objects_of(array.store if store is None else store, concurrency),
            spec.dtype.to_native_dtype(),
            tuple(spec.shape),
            chain,
            sharding,
            fill,
        )

    def key(self, place: tuple[int, ...]) -> str:
        """Return the key of an object."""
        key = self.array.metadata.encode_chunk_key(place)
        return f"{self.array.path}/{key}" if self.array.path else key


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads regions of an array; from `reader_of`.

    Attributes
    ----------
    traffic : Traffic
        Counts what is read.
    """

    _layout: _Layout
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Of the values as they are stored."""
        return self._layout.dtype

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk, decompressed."""
        return self._layout.chain.nbytes

    @property
    def working_bytes(self) -> int:
        """Most bytes that a call holds besides the values it returns.

        These are the objects, or parts of shards, that are on their way, and what decoding a
        chunk takes. The bound holds for objects no larger than codecs make them of noise
        (`stored_bytes`), and for frames of zstd that tell their size; what zarr writes is so.
        """
        layout, sharding = self._layout, self._layout.sharding
        fetched, books = stored_bytes(layout.chain.nbytes), 0
        if sharding is not None:
            whole = stored_bytes(sharding.nbytes) + sharding.index_bytes
            fetched = whole if sharding.nbytes <= RUN else max(RUN, fetched)
            # The indices of the next shards wait while one is read.
            fetched += sharding.index_bytes
            books = sharding.books
        return layout.objects.in_flight * (fetched + books) + layout.chain.decoding_bytes

    def read(self, region: Region, out: Array | None = None) -> Array:
        """Read a region, as `bigrad.jobs.chunks.read` does."""
        layout = self._layout
        shape = tuple(cells.stop - cells.start for cells in region)
        if out is None:
            out = np.empty(shape, layout.dtype)
        elif out.shape != shape or out.dtype != layout.dtype:
            msg = (
                f"`out` must be of shape {shape} and dtype {layout.dtype}, found {out.shape} and "
                f"{out.dtype}"
            )
            raise SourceError(msg)
        if 0 in shape:
            return out
        call = _Call(layout, self.traffic, Scratch(layout.chain))
        if layout.sharding is None:
            call.chunks(region, out)
        else:
            call.shards(region, out, layout.sharding)
        return out


@dataclass(frozen=True, eq=False)
class _Call:
    """One call of a reader."""

    layout: _Layout
    traffic: Traffic
    scratch: Scratch

    def chunks(self, region: Region, out: Array) -> None:
        """Read chunks that are objects themselves."""
        wanted = (
            ((self.layout.key(part.place), None), part) for part in cut(region, self.layout.unit)
        )
        for (key, _), part, data in self._fetch(wanted):
            self.traffic.add(chunks=1)
            self._decode(key, data, part, out)
            # Not held while the next one is fetched; nor is any other below.
            del data

    def shards(self, region: Region, out: Array, sharding: Sharding) -> None:
        """Read chunks out of shards."""

        def wanted() -> Iterator[tuple[Request, tuple[Part, list[Part]]]]:
            for shard in cut(region, self.layout.unit):
                parts = list(cut(shard.inside[:-1], sharding.chunk))
                at_once = sharding.nbytes <= RUN and len(parts) == self._present(shard, sharding)
                part = None if at_once else sharding.index_range
                yield (self.layout.key(shard.place), part), (shard, parts)

        for (key, part), (shard, parts), data in self._fetch(wanted()):
            self.traffic.add(chunks=len(parts))
            view = out[shard.outside]
            if data is None:
                view[...] = self.layout.fill
            else:
                self._shard(key, data, part is None, parts, view, sharding)
            del data

    def _present(self, shard: Part, sharding: Sharding) -> int:
        """Count the chunks of a shard that begin before the array's end."""
        return math.prod(
            -(-min(unit, size - number * unit) // chunk)
            for unit, size, number, chunk in zip(
                self.layout.unit,
                self.layout.array.shape,
                shard.place,
                sharding.chunk,
                strict=True,
            )
        )

    def _shard(
        self,
        key: str,
        data: Bytes,
        at_once: bool,
        parts: Sequence[Part],
        view: Array,
        sharding: Sharding,
    ) -> None:
        """Decode some chunks of a shard, from all of it or from its index."""
        try:
            index_data, data = sharding.parted(data) if at_once else (data, data)
            index = sharding.decoded(index_data)
        except Exception as exc:
            raise self._corrupted(key, exc) from exc
        needed = tuple(
            slice(first, last + 1)
            for first, last in zip(parts[0].place, parts[-1].place, strict=True)
        )
        places = [(lo, lo + n) for lo, n in index[needed].reshape(-1, 2).tolist()]
        for part, (lo, _) in zip(parts, places, strict=True):
            if lo == MISSING:
                view[part.outside] = self.layout.fill
        if at_once:
            for part, (lo, hi) in zip(parts, places, strict=True):
                if lo != MISSING:
                    self._decode(key, self._within(key, data, lo, hi), part, view)
            return
        runs = runs_of(places)
        fetched = self._fetch(
            ((key, RangeByteRequest(lo, hi)), (lo, numbers)) for lo, hi, numbers in runs
        )
        while True:
            try:
                _, (start, numbers), run = next(fetched)
            except StopIteration:
                return
            except (ValueError, OverflowError, MemoryError) as exc:
                # What a file system says of a range that no object can have.
                raise self._corrupted(key, exc) from exc
            for number in numbers:
                lo, hi = places[number]
                found = self._within(key, run, lo - start, hi - start)
                self._decode(key, found, parts[number], view)
            del run, found

    def _within(self, key: str, data: Bytes | None, lo: int, hi: int) -> Bytes:
        if data is None or hi > len(data):
            msg = "its index points to bytes that are not there"
            raise self._corrupted(key, ValueError(msg))
        return data[lo:hi]

    def _decode(self, key: str, data: Bytes | None, part: Part, out: Array) -> None:
        view = out[part.outside]
        if data is None:
            view[...] = self.layout.fill
            return
        try:
            values = self.layout.chain.decode(data, view if part.whole else None, self.scratch)
        except Exception as exc:
            raise self._corrupted(key, exc) from exc
        if values is not view:
            view[...] = values[part.inside]

    def _fetch(
        self, wanted: Iterable[tuple[Request, _T]]
    ) -> Iterator[tuple[Request, _T, Bytes | None]]:
        """Fetch what is wanted; what stands beside each request is given back with its bytes."""
        waiting: deque[tuple[Request, _T]] = deque()

        def requests() -> Iterator[Request]:
            for request, item in wanted:
                waiting.append((request, item))
                yield request

        for data in self.layout.objects.fetch(requests()):
            self.traffic.add(requests=1, stored=0 if data is None else len(data))
            yield *waiting.popleft(), data
            del data

    def _corrupted(self, key: str, exc: Exception) -> SourceError:
        name = self.layout.array.name
        return SourceError(
            f"array {name!r} is corrupted: the object {key!r} cannot be decoded "
            f"({type(exc).__name__}: {exc}); restore it from another copy of the data"
        )


@dataclass(frozen=True, eq=False)
class Writer:
    """Writes regions of an array; from `writer_of`."""

    _layout: _Layout

    @property
    def working_bytes(self) -> int:
        """Most bytes that a call holds besides the values it writes.

        These are what encoding a chunk takes and, in a store that gets objects in one piece,
        as many of them as are on their way. A directory gets a shard chunk by chunk, unless
        the shard begins with its index.
        """
        layout, sharding = self._layout, self._layout.sharding
        size = layout.chain.encoding_bytes
        whole = stored_bytes(layout.chain.nbytes)
        if sharding is not None:
            whole = math.prod(sharding.counts) * whole + sharding.index_bytes
            size += sharding.books + (whole if sharding.leading else 0)
        # An object that is joined grows by eighths.
        return size + (
            layout.objects.in_flight * (whole + whole // 8) if layout.objects.joins else 0
        )

    def write(self, region: Region, values: Array) -> None:
        """Write a region, as `bigrad.jobs.chunks.write` does."""
        self._check(region, values)
        scratch = Scratch(self._layout.chain)
        self._layout.objects.put(
            (self._layout.key(part.place), self._pieces(values[part.outside], scratch))
            for part in cut(region, self._layout.unit)
        )

    def _pieces(self, values: Array, scratch: Scratch) -> Pieces:
        layout = self._layout
        if layout.sharding is None:
            yield layout.chain.encode(values, layout.fill, scratch)
            return
        sharding = layout.sharding
        index = np.full((*sharding.counts, 2), MISSING, "<u8")
        kept = []
        end = sharding.index_bytes if sharding.leading else 0
        for part in cut(tuple(slice(0, size) for size in values.shape), sharding.chunk):
            data = layout.chain.encode(values[part.outside], layout.fill, scratch)
            index[part.place] = end, len(data)
            end += len(data)
            if sharding.leading:
                # A copy, as the memory may serve for the next chunk, too.
                kept.append(bytes(data))
            else:
                yield data
            del data
        yield sharding.encoded(index)
        yield from kept

    def _check(self, region: Region, values: Array) -> None:
        layout = self._layout
        name = layout.array.name
        whole = all(
            0 <= cells.start <= cells.stop <= size
            and cells.start % unit == 0
            and (cells.stop % unit == 0 or cells.stop == size)
            for cells, size, unit in zip(region, layout.array.shape, layout.unit, strict=True)
        )
        if not whole:
            msg = (
                f"`region` {region} of {name!r} is not made of whole units of {layout.unit} "
                "cells, which are written as one; give a region that is"
            )
            raise TargetError(msg)
        shape = tuple(cells.stop - cells.start for cells in region)
        if values.shape != shape or not np.can_cast(values.dtype, layout.dtype, "equiv"):
            msg = (
                f"`values` for {name!r} must be of shape {shape} and dtype {layout.dtype}, found "
                f"{values.shape} and {values.dtype}"
            )
            raise TargetError(msg)


def reader_of(array: "zarr.Array[Any]", concurrency: int | None = None) -> Reader:
    """Decide how to read an array, for use from any number of threads.

    Parameters
    ----------
    array : zarr.Array
        The array.
    concurrency : int, optional
        How many objects one call asks for at a time where the store is not of this machine;
        by default what zarr's configuration says.
    """
    return Reader(_Layout.of(array, concurrency))


def writer_of(
    array: "zarr.Array[Any]", concurrency: int | None = None, store: Store | None = None
) -> Writer:
    """Decide how to write an array, for use from any number of threads.

    Parameters
    ----------
    array : zarr.Array
        The array.
    concurrency : int, optional
        As for `reader_of`.
    store : zarr.abc.store.Store, optional
        Where the array is to lie, if that is not where its metadata are.
    """
    return Writer(_Layout.of(array, concurrency, store))
