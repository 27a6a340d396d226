"""The objects of a store: whole ones or ranges of them read, whole ones written.

What lies on this machine is read and written in the calling thread, one object after the
other: whoever wants more at a time calls from more threads. Any other store is asked for
several at a time, on zarr's event loop.
"""

import asyncio
import os
import uuid
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import numpy as np
import zarr
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import LocalStore, MemoryStore

__all__ = ["Bytes", "Objects", "Pieces", "Request", "Traffic", "is_direct", "objects_of"]

# The bytes of an object, as an array of one axis.
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

# A key, and the range of the object to read, or None for all of it.
Request = tuple[str, ByteRequest | None]

# The bytes of an object to write, in order. Each piece is done with when the next is asked for.
Pieces = Iterable[Any]


@dataclass(eq=False)
class Traffic:
    """What was read so far, counted by all threads together.

    Each process counts for itself: where one is sent to, it begins at zero.

    Attributes
    ----------
    requests : int
        Objects and ranges of objects that a store was asked for, missing ones included.
    stored : int
        Bytes that it gave.
    chunks : int
        Chunks that were needed, each as often as it was, missing ones included.
    """

    requests: int = 0
    stored: int = 0
    chunks: int = 0
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __reduce__(self) -> tuple[type["Traffic"], tuple[()]]:
        return Traffic, ()

    def add(self, *, requests: int = 0, stored: int = 0, chunks: int = 0) -> None:
        """Count more."""
        with self._lock:
            self.requests += requests
            self.stored += stored
            self.chunks += chunks


class Objects(Protocol):
    """The objects of a store."""

    @property
    def in_flight(self) -> int:
        """How many objects, or ranges of them, one call holds at a time."""

    @property
    def joins(self) -> bool:
        """Whether all of an object is in memory before any of it is written."""

    def fetch(self, requests: Iterable[Request]) -> Iterator[Bytes | None]:
        """Read one after the other, in order; None stands for what is missing."""

    def put(self, contents: Iterable[tuple[str, Pieces]]) -> None:
        """Write whole objects; a reader finds the old one or the new one, never a part."""


def objects_of(store: Store, concurrency: int | None = None) -> Objects:
    """Return the objects of a store.

    Parameters
    ----------
    store : zarr.abc.store.Store
        The store.
    concurrency : int, optional
        How many objects one call reads or writes at a time where the store is not of this
        machine; by default what zarr's configuration says (``async.concurrency``).
    """
    if is_direct(store):
        return _Files(store) if isinstance(store, LocalStore) else _Direct(store)
    return _Looped(store, concurrency or zarr.config.get("async.concurrency"))


def is_direct(store: Store) -> bool:
    """Whether a store answers in the calling thread.

    A class derived from those that do may read and write in ways of its own, which are
    asynchronous.
    """
    return type(store) in (LocalStore, MemoryStore)


@dataclass(frozen=True, eq=False)
class _Direct:
    """A store that answers in the calling thread."""

    store: Any
    in_flight = 1
    joins = True

    def fetch(self, requests: Iterable[Request]) -> Iterator[Bytes | None]:
        prototype = default_buffer_prototype()
        for key, part in requests:
            yield _bytes(self.store.get_sync(key, prototype=prototype, byte_range=part))

    def put(self, contents: Iterable[tuple[str, Pieces]]) -> None:
        for key, pieces in contents:
            self.store.set_sync(key, _joined(pieces))


@dataclass(frozen=True, eq=False)
class _Files(_Direct):
    """A directory: an object grows piece by piece beside its place, then takes it."""

    joins = False

    def put(self, contents: Iterable[tuple[str, Pieces]]) -> None:
        for key, pieces in contents:
            path = self.store.root / key
            # Named as zarr names what it has not finished.
            part = path.with_suffix(f".{uuid.uuid4().hex}.partial")
            try:
                with _created(part) as file:
                    for piece in pieces:
                        file.write(piece)
                        # Not held while the next one is made.
                        del piece
                os.replace(part, path)
            except BaseException:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise


def _created(path: Any) -> Any:
    try:
        return path.open("wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")


@dataclass(frozen=True, eq=False)
class _Looped:
    """Any other store, on zarr's event loop."""

    store: Store
    in_flight: int
    joins = True

    def fetch(self, requests: Iterable[Request]) -> Iterator[Bytes | None]:
        prototype = default_buffer_prototype()
        return map(
            _bytes, self._run(self.store.get(key, prototype, part) for key, part in requests)
        )

    def put(self, contents: Iterable[tuple[str, Pieces]]) -> None:
        for _ in self._run(self.store.set(key, _joined(pieces)) for key, pieces in contents):
            pass

    def _run(self, coroutines: Iterable[Coroutine[Any, Any, Any]]) -> Iterator[Any]:
        """Results in order, while the next few are on their way."""
        loop = sync(_running_loop())
        waiting: deque[Any] = deque()
        try:
            for coroutine in coroutines:
                waiting.append(asyncio.run_coroutine_threadsafe(coroutine, loop))
                if len(waiting) >= self.in_flight:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


async def _running_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _bytes(found: Buffer | None) -> Bytes | None:
    return None if found is None else found.as_numpy_array()


def _joined(pieces: Pieces) -> Buffer:
    joined = bytearray()
    for piece in pieces:
        joined += memoryview(piece)
        del piece
    return default_buffer_prototype().buffer.from_bytes(joined)
