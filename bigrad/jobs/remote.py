"""Stores over a network: opened by URL, and asked again where an answer failed to come.

Only a server that says so makes an object missing. Every other failure is tried again if it may
pass, and an error if it does not: a chunk that was not read must never pass for fill values.
"""

import asyncio
import errno
import logging
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from zarr.abc.store import ByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import FsspecStore, WrapperStore

__all__ = ["WAITS", "Retrying", "is_over_http", "is_transient", "open_url", "take_retries"]

# Seconds before each new try; every wait is shortened at random, by up to a half, so that many
# workers that were refused together do not come back together.
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)

_LOG = logging.getLogger(__name__)

# Answers of a server that is busy, or that others behind it failed.
_PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})

_PASSING_ERRNOS = frozenset(
    {
        errno.EAGAIN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
    }
)

# By name, since none of these libraries need be installed.
_PASSING_ERRORS = frozenset(
    {
        "aiohttp.ClientConnectionError",
        "aiohttp.ClientPayloadError",
        "botocore.ConnectionError",
        "botocore.HTTPClientError",
        "botocore.IncompleteReadError",
    }
)
_LASTING_ERRORS = frozenset({"aiohttp.ClientSSLError", "botocore.SSLError"})
_LIBRARIES = ("aiohttp.", "azure.", "botocore.", "gcsfs.", "google.")

# Where an object store keeps a listing, it does not see what other processes write.
_LISTING = ("abfs", "abfss", "adl", "az", "gcs", "gs", "s3", "s3a")

_COUNTING = threading.Lock()

T = TypeVar("T")


def open_url(url: str, options: Mapping[str, Any] | None, *, read_only: bool) -> FsspecStore:
    """Open a URL through fsspec, with defaults of bigrad's own for options that are not given.

    Listings are not cached. Connections to S3 leave new tries to `Retrying`. Over HTTP, a
    request fails when nothing came for a minute, however long it takes in all.

    Parameters
    ----------
    url : str
        As fsspec knows them.
    options : mapping or None
        Of the file system, as fsspec's and xarray's ``storage_options``.
    read_only : bool
        Whether writing through the store is refused.

    Returns
    -------
    zarr.storage.FsspecStore
    """
    chosen = _defaults(url.partition("://")[0]) | dict(options or {})
    return FsspecStore.from_url(url, storage_options=chosen, read_only=read_only)


def _defaults(protocol: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if protocol in _LISTING:
        chosen["use_listings_cache"] = False
    if protocol in ("s3", "s3a"):
        chosen["config_kwargs"] = {"retries": {"total_max_attempts": 1}}
    if protocol in ("http", "https"):
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=30, sock_read=60)
        chosen["client_kwargs"] = {"timeout": timeout}
    return chosen


def is_transient(exc: BaseException) -> bool:
    """Whether an error of a store may pass: time-outs, broken connections, busy servers.

    Examples
    --------
    >>> is_transient(TimeoutError()), is_transient(PermissionError())
    (True, False)
    """
    if isinstance(exc, TimeoutError | ConnectionError):
        return True
    names = _names(exc)
    if names & (_PASSING_ERRORS | _LASTING_ERRORS):
        return not names & _LASTING_ERRORS
    status = _status(exc)
    if status is not None:
        return status in _PASSING_STATUSES
    return getattr(exc, "errno", None) in _PASSING_ERRNOS


def _status(exc: BaseException) -> int | None:
    """Return the HTTP status that an error, or what caused it, came with."""
    for error in _causes(exc):
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            status = next(
                (
                    getattr(error, n)
                    for n in ("status", "status_code", "code")
                    if hasattr(error, n)
                ),
                None,
            )
        if isinstance(status, int):
            return status
    return None


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _names(exc: BaseException) -> set[str]:
    return {f"{c.__module__.partition('.')[0]}.{c.__name__}" for c in type(exc).__mro__}


class Retrying(WrapperStore[FsspecStore]):
    """A store over a network whose requests are tried again where the failure may pass.

    All that a server or a connection does wrong is an `OSError` in the end; an object is
    missing only where the store says that it is.

    Parameters
    ----------
    store : zarr.storage.FsspecStore
        The store itself.

    Attributes
    ----------
    retries : int
        How often a request was made again, in this process, since they were last taken.
    """

    retries: int

    def __init__(self, store: FsspecStore) -> None:
        super().__init__(store)
        self.retries = 0

    def __getstate__(self) -> dict[str, Any]:
        """Leave the count behind: each process counts its own."""
        return {**self.__dict__, "retries": 0}

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read an object, or some bytes of it; None where there is none."""

        async def ask() -> Buffer | None:
            return await self._store.get(key, prototype, byte_range)

        found = await self._asked(key, ask)
        if found is not None and len(found) > _longest(byte_range):
            msg = (
                f"{self._place(key)} was sent whole where a part was asked for: the server does "
                "not know byte ranges, which shards are read by; use another, or copy the source"
            )
            raise OSError(msg)
        return found

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Read parts of objects."""
        return list(
            await asyncio.gather(
                *(self.get(key, prototype, byte_range) for key, byte_range in key_ranges)
            )
        )

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> Any:
        async for item in Store._get_many(self, requests):
            yield item

    async def exists(self, key: str) -> bool:
        """Whether there is an object."""
        if is_over_http(self._store):
            # Its file system takes every error for a no.
            return await self.get(key, default_buffer_prototype()) is not None
        return await self._asked(key, lambda: self._store.exists(key))

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object."""
        await self._asked(key, lambda: self._store.set(key, value))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write an object unless there is one."""
        if not await self.exists(key):
            await self.set(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await Store._set_many(self, values)

    async def delete(self, key: str) -> None:
        """Delete an object."""
        await self._asked(key, lambda: self._store.delete(key))

    async def delete_dir(self, prefix: str) -> None:
        """Delete all objects below a prefix."""
        await self._asked(prefix, lambda: self._store.delete_dir(prefix))

    async def clear(self) -> None:
        """Delete everything."""
        await self._asked("", self._store.clear)

    async def is_empty(self, prefix: str) -> bool:
        """Whether nothing lies below a prefix."""
        async for _ in self.list_prefix(prefix):
            return False
        return True

    async def list(self) -> AsyncIterator[str]:
        """Yield all keys."""
        for key in await self._asked("", lambda: _collected(self._store.list())):
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys below a prefix."""
        for key in await self._asked(prefix, lambda: _collected(self._store.list_prefix(prefix))):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names next below a prefix."""
        for name in await self._asked(prefix, lambda: _collected(self._store.list_dir(prefix))):
            yield name

    async def _asked(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        tries = 1
        while True:
            try:
                return await ask()
            except Exception as exc:
                if not is_transient(exc):
                    if not _of_a_library(exc):
                        raise
                    kind = PermissionError if _status(exc) in (401, 403) else OSError
                    msg = f"{self._place(key)} cannot be used: {_said(exc)}"
                    raise kind(msg) from exc
                if tries > len(WAITS):
                    msg = f"{self._place(key)} failed {tries} times, at last: {_said(exc)}"
                    raise OSError(msg) from exc
                said = _said(exc)
            _LOG.info("trying %s again after: %s", self._place(key), said)
            with _COUNTING:
                self.retries += 1
            await asyncio.sleep(WAITS[tries - 1] * random.uniform(0.5, 1.0))
            tries += 1

    def _place(self, key: str) -> str:
        path = "/".join(part for part in (self._store.path.rstrip("/"), key) if part)
        return str(self._store.fs.unstrip_protocol(path))


async def _collected(names: AsyncIterator[str]) -> list[str]:
    return [name async for name in names]


def _longest(byte_range: ByteRequest | None) -> float:
    """Return how many bytes an answer may have."""
    if isinstance(byte_range, RangeByteRequest):
        return byte_range.end - byte_range.start
    if isinstance(byte_range, SuffixByteRequest):
        return byte_range.suffix
    return float("inf")


def is_over_http(store: FsspecStore) -> bool:
    """Whether a store is read by HTTP alone, which knows neither writing nor listing."""
    return "http" in store.fs.protocol


def _of_a_library(exc: Exception) -> bool:
    """Whether an error comes from the library of a protocol, or from options that it has not."""
    if isinstance(exc, OSError):
        return False
    return isinstance(exc, TypeError) or any(n.startswith(_LIBRARIES) for n in _names(exc))


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__


def take_retries(*stores: Store) -> int:
    """Return how often requests of some stores were made again, and begin again at zero."""
    taken = 0
    with _COUNTING:
        for store in stores:
            if isinstance(store, Retrying):
                taken += store.retries
                store.retries = 0
    return taken
