"""The codecs of a chunk, run in the calling thread: from bytes to values and back.

The common codecs are called directly, into memory that is there already, and check what can
be checked of the bytes they get. Every other codec that zarr knows is run by zarr's own code,
on an event loop that starts no threads.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import google_crc32c
import numpy as np
from numcodecs import Blosc, GZip, Zstd
from zarr.abc.codec import ArrayArrayCodec, ArrayBytesCodec, Codec
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    TransposeCodec,
    ZstdCodec,
)
from zarr.core.array_spec import ArraySpec
from zarr.core.buffer import default_buffer_prototype
from zarr.core.codec_pipeline import BatchedCodecPipeline
from zarr.registry import get_ndbuffer_class

__all__ = ["Chain", "Scratch", "chain_of", "chain_of_version_2", "stored_bytes", "word"]

Array = np.ndarray[Any, Any]

# Kinds of dtypes that are taken from bytes as they are; all others are left to zarr.
_NUMBERS = "biufc"

_CRC_BYTES = 4
_BLOSC_HEADER = 16
_BLOSC_BLOCK = 2**20
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

# Bytes that a codec may need for itself, and how many times its data one takes that is not
# known better.
_STATE = 2**20
_OTHERS = 4

# MiB of zstd's tables up to a level.
_ZSTD_MIB = ((4, 4), (8, 12), (12, 40), (18, 80), (19, 110), (20, 220), (21, 420), (22, 750))


class _Step(Protocol):
    """A codec from bytes to bytes."""

    def rooms(self, size: int) -> tuple[int, int]:
        """Most bytes that decoding to `size` bytes takes, and encoding so many.

        What comes out counts, `out` too; what goes in does not.
        """

    def decode(self, data: Any, out: Array | None) -> Any:
        """Decode into `out` and return it, where that can be done and fills it; else anew."""

    def encode(self, data: Any) -> Any:
        """Encode."""


class _Values(Protocol):
    """The codecs that make bytes of an array."""

    @property
    def nbytes(self) -> int:
        """Of the values of a chunk."""

    @property
    def room(self) -> int:
        """Most bytes that decoding or encoding takes, a scratch included."""

    def scratch(self) -> Array | None:
        """Return memory for the bytes of one chunk; None where it would not be used."""

    def place(self, view: Array) -> Array | None:
        """Return a part of an array as memory for these bytes; None where it is not in line."""

    def decode(self, data: Any) -> Array:
        """Make an array of bytes."""

    def encode(self, values: Array, fill: Any, scratch: "Scratch") -> Any:
        """Make bytes of an array, completed by `fill`."""


@dataclass(frozen=True, eq=False)
class Chain:
    """All codecs of a chunk, from its values to its bytes.

    Attributes
    ----------
    values : _Values
        What makes bytes of values.
    steps : tuple of _Step
        What makes other bytes of these, in the order of encoding.
    """

    values: _Values
    steps: tuple[_Step, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of a chunk's values."""
        return self.values.nbytes

    @property
    def decoding_bytes(self) -> int:
        """Most bytes that decoding a chunk takes besides its bytes and its place."""
        return self._room(0)

    @property
    def encoding_bytes(self) -> int:
        """Most bytes that encoding a chunk takes besides its values; its bytes included."""
        return self.values.nbytes + self._room(1)

    def _room(self, way: int) -> int:
        sizes = [self.nbytes, *[stored_bytes(self.nbytes)] * len(self.steps)]
        steps = zip(self.steps, sizes, strict=False)
        return self.values.room + sum(step.rooms(size)[way] for step, size in steps)

    def decode(self, data: Any, view: Array | None, scratch: "Scratch") -> Array:
        """Decode a chunk.

        Parameters
        ----------
        data : buffer
            Its bytes.
        view : numpy.ndarray or None
            Where its values are wanted, if all of them are.
        scratch : Scratch
            Where to decode it if `view` does not lie as the bytes do.

        Returns
        -------
        numpy.ndarray
            The values: `view` itself, or an array that lasts until the scratch is used again.

        Raises
        ------
        Exception
            Of whatever kind the codecs raise where the bytes are not what they should be.
        """
        place = None if view is None else self.values.place(view)
        for number in reversed(range(len(self.steps))):
            into = None
            if number == 0:
                into = scratch.memory if place is None else place
            data = self.steps[number].decode(data, into)
        if view is not None and place is not None and data is place:
            return view
        return self.values.decode(data)

    def encode(self, values: Array, fill: Any, scratch: "Scratch") -> Any:
        """Encode a chunk; `fill` completes one that reaches beyond the array's end.

        Returns
        -------
        buffer
            Its bytes, which last until the scratch is used or the values change.
        """
        data = self.values.encode(values, fill, scratch)
        for step in self.steps:
            data = step.encode(data)
        return _flat(data)


def stored_bytes(size: int) -> int:
    """Most bytes that codecs make of some: of noise they make a little more than it was."""
    return size + size // 64 + 4096


class Scratch:
    """Memory for one chunk at a time, taken when it is first needed."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    @cached_property
    def memory(self) -> Any:
        """The memory, in the order of the bytes; None where the codecs take none."""
        return self._chain.values.scratch()


def word(option: Any) -> Any:
    """Return an option of a codec: zarr's younger versions have a string, others an enumeration.

    Examples
    --------
    >>> word(BytesCodec(endian="little").endian)
    'little'
    """
    return getattr(option, "value", option)


def chain_of(codecs: Sequence[Codec], spec: ArraySpec) -> Chain:
    """Return the chain of a chunk in zarr version 3.

    Parameters
    ----------
    codecs : sequence of zarr.abc.codec.Codec
        In the order of encoding, fitted to the array.
    spec : zarr.core.array_spec.ArraySpec
        Of the chunk.
    """
    arrays = [codec for codec in codecs if isinstance(codec, ArrayArrayCodec | ArrayBytesCodec)]
    steps = tuple(_step(codec, spec) for codec in codecs if codec not in arrays)
    *before, last = arrays
    dtype = spec.dtype.to_native_dtype()
    order = tuple(range(len(spec.shape)))
    for codec in before:
        if type(codec) is not TransposeCodec:
            return Chain(_Foreign(arrays, spec), steps)
        order = tuple(order[axis] for axis in codec.order)
    if type(last) is not BytesCodec or dtype.kind not in _NUMBERS:
        return Chain(_Foreign(arrays, spec), steps)
    stored = dtype if last.endian is None else dtype.newbyteorder(word(last.endian))
    return Chain(_Numbers(spec.shape, stored, order), steps)


def chain_of_version_2(
    codec: Codec, filters: Sequence[Any], compressor: Any, spec: ArraySpec
) -> Chain:
    """Return the chain of a chunk in zarr version 2.

    Parameters
    ----------
    codec : zarr.abc.codec.Codec
        The one that stands for all.
    filters : sequence of numcodecs.abc.Codec
        In the order of encoding.
    compressor : numcodecs.abc.Codec or None
        Comes after the filters.
    spec : zarr.core.array_spec.ArraySpec
        Of the chunk, with the array's order.
    """
    dtype = spec.dtype.to_native_dtype()
    if dtype.kind not in _NUMBERS:
        return Chain(_Foreign([codec], spec), ())
    axes = tuple(range(len(spec.shape)))
    order = axes if spec.order == "C" else axes[::-1]
    codecs = [*filters, *([] if compressor is None else [compressor])]
    steps = tuple(_KNOWN.get(type(codec), _Numcodec)(codec) for codec in codecs)
    return Chain(_Numbers(spec.shape, dtype, order), steps)


@dataclass(frozen=True, eq=False)
class _Numbers:
    """Numbers one after the other, the axes in some order."""

    shape: tuple[int, ...]
    stored: np.dtype[Any]
    order: tuple[int, ...]

    @cached_property
    def _lying(self) -> tuple[int, ...]:
        return tuple(self.shape[axis] for axis in self.order)

    @cached_property
    def _back(self) -> tuple[int, ...]:
        return tuple(self.order.index(axis) for axis in range(len(self.order)))

    room = 0

    @cached_property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.stored.itemsize

    def scratch(self) -> Array:
        return np.empty(self._lying, self.stored)

    def place(self, view: Array) -> Array | None:
        lying = view.transpose(self.order)
        return lying if lying.flags.c_contiguous and view.dtype == self.stored else None

    def decode(self, data: Any) -> Array:
        flat = _flat(data) if isinstance(data, np.ndarray) else np.frombuffer(data, np.uint8)
        if flat.nbytes != self.nbytes:
            msg = f"{flat.nbytes} bytes where its values take {self.nbytes}"
            raise ValueError(msg)
        return flat.view(self.stored).reshape(self._lying).transpose(self._back)

    def encode(self, values: Array, fill: Any, scratch: Scratch) -> Array:
        lying = values.transpose(self.order)
        whole = lying.shape == self._lying
        if whole and lying.flags.c_contiguous and lying.dtype == self.stored:
            return lying
        memory: Array = scratch.memory
        if not whole:
            memory[...] = fill
        memory[tuple(map(slice, lying.shape))] = lying
        return memory


@dataclass(frozen=True, eq=False)
class _Foreign:
    """Codecs that only zarr knows, to its own rules."""

    codecs: Sequence[Codec]
    spec: ArraySpec

    @cached_property
    def _pipeline(self) -> BatchedCodecPipeline:
        return BatchedCodecPipeline.from_codecs(self.codecs)

    @property
    def nbytes(self) -> int:
        return math.prod(self.spec.shape) * self.spec.dtype.to_native_dtype().itemsize

    @property
    def room(self) -> int:
        # The array, what zarr makes it of, and for a shard in a shard its own chunks.
        return _OTHERS * self.nbytes + _STATE

    def scratch(self) -> None:
        return None

    def place(self, view: Array) -> None:
        return None

    def decode(self, data: Any) -> Array:
        (found,) = _run_here(self._pipeline.decode([(_buffer(data), self.spec)]))
        array: Array = found.as_numpy_array()
        if array.shape != self.spec.shape:
            msg = f"an array of shape {array.shape} where one of {self.spec.shape} belongs"
            raise ValueError(msg)
        return array

    def encode(self, values: Array, fill: Any, scratch: Scratch) -> Array:
        if values.shape != self.spec.shape:
            whole = np.full(self.spec.shape, fill, values.dtype)
            whole[tuple(map(slice, values.shape))] = values
            values = whole
        array = get_ndbuffer_class().from_numpy_array(values)
        (found,) = _run_here(self._pipeline.encode([(array, self.spec)]))
        data: Array = found.as_numpy_array()
        return data


@dataclass(frozen=True, eq=False)
class _Numcodec:
    """A codec of numcodecs that is only asked for new memory."""

    codec: Any

    def rooms(self, size: int) -> tuple[int, int]:
        # Some gather their output in pieces, join these, and copy their input before.
        return (_OTHERS * size + _STATE,) * 2

    def decode(self, data: Any, out: Array | None) -> Any:
        return self.codec.decode(data)

    def encode(self, data: Any) -> Any:
        return self.codec.encode(data)


class _Zstd(_Numcodec):
    """Zstandard; it would leave the end of `out` as it was where the frame is too short."""

    def rooms(self, size: int) -> tuple[int, int]:
        return size + _STATE, stored_bytes(size) + _zstd_state(self.codec.level, size)

    def decode(self, data: Any, out: Array | None) -> Any:
        if out is None or _zstd_content(bytes(data[:18])) != out.nbytes:
            return self.codec.decode(data)
        self.codec.decode(data, out)
        return out


def _zstd_state(level: int, size: int) -> int:
    """Most bytes of the tables in which zstd looks for repetitions.

    Measured, and rounded up; they grow with the level, but not beyond what the data can fill.
    """
    highest = next((mib for last, mib in _ZSTD_MIB if level <= last), _ZSTD_MIB[-1][1])
    return min(highest * 2**20, _STATE + 17 * (1 << size.bit_length()))


def _zstd_content(header: bytes) -> int | None:
    """How many bytes the first frame decodes to, if it says so (RFC 8878, 3.1.1.1)."""
    if len(header) < 5 or header[:4] != _ZSTD_MAGIC:
        return None
    descriptor = header[4]
    single = descriptor >> 5 & 1
    start = 6 - single + (0, 1, 2, 4)[descriptor & 3]
    width = (single, 2, 4, 8)[descriptor >> 6]
    if not width:
        return None
    return int.from_bytes(header[start : start + width], "little") + (256 if width == 2 else 0)


class _Blosc(_Numcodec):
    """Blosc; it decodes half an object to wrong values, so its header is compared first."""

    def rooms(self, size: int) -> tuple[int, int]:
        state = _STATE
        if self.codec.cname == "zstd":
            # Blosc's own levels end at 9. It compresses block by block.
            level = 22 if self.codec.clevel == 9 else 2 * self.codec.clevel
            state += _zstd_state(level, min(size, self.codec.blocksize or _BLOSC_BLOCK))
        # Of each of its own blocks, it holds a shuffled copy.
        return size + 2 * min(size, 4 * _STATE), stored_bytes(size) + size + state

    def decode(self, data: Any, out: Array | None) -> Any:
        header = bytes(data[:_BLOSC_HEADER])
        if len(header) < _BLOSC_HEADER:
            msg = f"{len(header)} bytes, too few for the header of Blosc"
            raise ValueError(msg)
        content, stored = (int.from_bytes(header[i : i + 4], "little") for i in (4, 12))
        if stored != len(data):
            msg = f"{len(data)} bytes where the header of Blosc says {stored}"
            raise ValueError(msg)
        if out is None or content != out.nbytes:
            return self.codec.decode(data)
        self.codec.decode(data, out)
        return out


class _Crc32c:
    """A checksum behind the data, as zarr version 3 writes it."""

    def rooms(self, size: int) -> tuple[int, int]:
        return 0, size + _CRC_BYTES

    def decode(self, data: Any, out: Array | None) -> Any:
        content, found = data[:-_CRC_BYTES], bytes(data[-_CRC_BYTES:])
        expected = _checksum(content)
        if found != expected:
            msg = f"its checksum is {found.hex()!r}, that of its content {expected.hex()!r}"
            raise ValueError(msg)
        return content

    def encode(self, data: Any) -> bytes:
        return b"".join((data, _checksum(data)))


def _checksum(data: Any) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(_CRC_BYTES, "little")


@dataclass(frozen=True, eq=False)
class _Zarrs:
    """A codec from bytes to bytes that only zarr knows."""

    codec: Any
    spec: ArraySpec

    def rooms(self, size: int) -> tuple[int, int]:
        return (_OTHERS * size + _STATE,) * 2

    def decode(self, data: Any, out: Array | None) -> Any:
        (found,) = _run_here(self.codec.decode([(_buffer(data), self.spec)]))
        return found.as_numpy_array()

    def encode(self, data: Any) -> Any:
        (found,) = _run_here(self.codec.encode([(_buffer(data), self.spec)]))
        return found.as_numpy_array()


_KNOWN: dict[type, Callable[[Any], _Step]] = {Zstd: _Zstd, Blosc: _Blosc}


def _step(codec: Any, spec: ArraySpec) -> _Step:
    configuration = codec.to_dict().get("configuration", {})
    # Exactly these: a class derived from one of them, or registered in its place, may differ.
    if type(codec) is ZstdCodec:
        return _Zstd(Zstd(**configuration))
    if type(codec) is BloscCodec:
        shuffle = ("noshuffle", "shuffle", "bitshuffle").index(configuration["shuffle"])
        return _Blosc(Blosc(**{**configuration, "shuffle": shuffle}))
    if type(codec) is GzipCodec:
        return _Numcodec(GZip(**configuration))
    if type(codec) is Crc32cCodec:
        return _Crc32c()
    return _Zarrs(codec, spec)


class _OneThreadLoop(asyncio.SelectorEventLoop):
    """An event loop that runs what is meant for threads in its own."""

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:
            future.set_exception(exc)
        return future


def _run_here(coroutine: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=_OneThreadLoop) as runner:
        return runner.run(coroutine)


def _buffer(data: Any) -> Any:
    return default_buffer_prototype().buffer.from_bytes(_flat(data))


def _flat(data: Any) -> Any:
    """Return the bytes of what lies in line."""
    return data.reshape(-1).view(np.uint8) if isinstance(data, np.ndarray) else data
