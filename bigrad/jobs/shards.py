"""Shards: where the chunks of an object lie in it, by zarr's ``sharding_indexed``."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from zarr.abc.store import ByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.codecs import ShardingCodec
from zarr.core.array_spec import ArrayConfig, ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.dtype import UInt64

from bigrad.jobs.codecs import Chain, Scratch, chain_of, word
from bigrad.jobs.objects import Bytes

__all__ = ["MISSING", "RUN", "Sharding", "runs_of", "sharding_of"]

Array = np.ndarray[Any, Any]

# Of a shard, chunks that lie together are read together: this many bytes at most (or one
# chunk), and over gaps of no more than that. A shard that is no larger than this is read at
# once where all of its chunks are needed.
RUN = 16 * 2**20
_GAP = 64 * 2**10

MISSING = 2**64 - 1

# Python's objects for each chunk of a shard.
_BOOKKEEPING = 1024


@dataclass(frozen=True, eq=False)
class Sharding:
    """How a shard's chunks lie in it.

    Attributes
    ----------
    counts : tuple of int
        The number of chunks along each axis of a shard.
    chunk : tuple of int
        The shape of one.
    index : Chain
        The codecs of the index, which holds an offset and a length for each chunk.
    index_bytes : int
        Of the index as it is stored.
    leading : bool
        Whether it comes before the chunks; else it comes after them.
    nbytes : int
        Of all values of a shard.
    """

    counts: tuple[int, ...]
    chunk: tuple[int, ...]
    index: Chain
    index_bytes: int
    leading: bool
    nbytes: int

    @property
    def books(self) -> int:
        """Bytes of the index as it is decoded and encoded, and of Python's objects."""
        return math.prod(self.counts) * _BOOKKEEPING + 4 * self.index_bytes

    @property
    def index_range(self) -> ByteRequest:
        """The range of an object where the index lies."""
        if self.leading:
            return RangeByteRequest(0, self.index_bytes)
        return SuffixByteRequest(self.index_bytes)

    def decoded(self, data: Bytes) -> Array:
        """Decode an index."""
        if len(data) != self.index_bytes:
            msg = f"{len(data)} bytes where the index of a shard takes {self.index_bytes}"
            raise ValueError(msg)
        return self.index.decode(data, None, Scratch(self.index))

    def parted(self, whole: Bytes) -> tuple[Bytes, Bytes]:
        """Part a whole shard into its index and what may hold chunks, in its place."""
        if self.leading:
            return whole[: self.index_bytes], whole
        return whole[-self.index_bytes :], whole[: -self.index_bytes]

    def encoded(self, index: Array) -> Any:
        """Encode an index."""
        return self.index.encode(index, MISSING, Scratch(self.index))


def sharding_of(codec: ShardingCodec, spec: ArraySpec) -> Sharding:
    """Read off a codec how the shards of an array, which are like `spec`, are made."""
    chunk = tuple(codec.chunk_shape)
    counts = tuple(size // part for size, part in zip(spec.shape, chunk, strict=True))
    index = ArraySpec(
        shape=(*counts, 2),
        dtype=UInt64(endianness="little"),
        fill_value=MISSING,
        config=ArrayConfig(order="C", write_empty_chunks=True),
        prototype=default_buffer_prototype(),
    )
    return Sharding(
        counts,
        chunk,
        chain_of(codec.index_codecs, index),
        BatchedCodecPipeline.from_codecs(codec.index_codecs).compute_encoded_size(
            16 * math.prod(counts), index
        ),
        word(codec.index_location) == "start",
        math.prod(spec.shape) * spec.dtype.to_native_dtype().itemsize,
    )


def runs_of(places: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[int]]]:
    """Join chunks of a shard to ranges that are read at once.

    Parameters
    ----------
    places : sequence of (int, int)
        For each chunk, where it begins in the object and where it stops; it is missing where
        it begins at `MISSING`.

    Returns
    -------
    list of (int, int, list of int)
        Where a range begins and stops, and the numbers of its chunks.

    Examples
    --------
    >>> runs_of([(100, 200), (MISSING, 0), (0, 90), (2**30, 2**30 + 5)])
    [(0, 200, [2, 0]), (1073741824, 1073741829, [3])]
    """
    runs: list[tuple[int, int, list[int]]] = []
    present = (number for number, (lo, _) in enumerate(places) if lo != MISSING)
    for number in sorted(present, key=places.__getitem__):
        lo, hi = places[number]
        if runs:
            start, stop, numbers = runs[-1]
            if lo - stop <= _GAP and max(hi, stop) - start <= RUN:
                runs[-1] = start, max(hi, stop), [*numbers, number]
                continue
        runs.append((lo, hi, [number]))
    return runs
