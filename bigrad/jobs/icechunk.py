"""Icechunk repositories as places: read at a snapshot, written to in one transaction.

Nothing here imports icechunk: what it made is known by where its class comes from. What a job
remembers while it runs is no part of the data, and icechunk holds nothing else: it stays in the
memory of the process. A job that is stopped leaves the repository as it was.
"""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype
from zarr.storage import MemoryStore, WrapperStore

__all__ = ["Repository", "Transaction", "is_repository", "is_session", "opened_repository"]

# The branch that a repository is read and written at.
_BRANCH = "main"

_VERSION_2 = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata"})


class Repository(Protocol):
    """What is needed of an icechunk repository."""

    def readonly_session(self, branch: str) -> Any:
        """Return a session on the last snapshot of a branch."""

    def writable_session(self, branch: str) -> Any:
        """Return a session whose commit becomes the last snapshot of a branch."""


def is_repository(place: object) -> bool:
    """Whether something is an icechunk repository."""
    return _is(place, "Repository")


def is_session(store: object) -> bool:
    """Whether something is the store of an icechunk session.

    Examples
    --------
    >>> is_session(MemoryStore())
    False
    """
    return _is(store, "IcechunkStore")


def _is(thing: object, name: str) -> bool:
    return any(
        kind.__name__ == name and kind.__module__.partition(".")[0] == "icechunk"
        for kind in type(thing).__mro__
    )


def opened_repository(
    repository: Repository, *, marker: str, aside: str, read_only: bool
) -> Store:
    """Open a repository's main branch: its last snapshot to read, or a transaction to write.

    Parameters
    ----------
    repository : icechunk.Repository
        The repository.
    marker : str
        The key whose deletion ends a job: then everything is committed.
    aside : str
        The folder of what a job remembers.
    read_only : bool
        Whether it is only read from.

    Returns
    -------
    zarr.abc.store.Store
    """
    if read_only:
        snapshot: Store = repository.readonly_session(_BRANCH).store
        return snapshot
    store = repository.writable_session(_BRANCH).store
    return Transaction(store, marker=marker, aside=aside, commits=True)


class Transaction(WrapperStore[Store]):
    """The store of a writable session, and beside it, in memory, what is not zarr's.

    Parameters
    ----------
    store : icechunk.IcechunkStore
        Of the session.
    marker : str
        The key of the mark that a job leaves while it runs.
    aside : str
        The folder of what it remembers.
    commits : bool
        Whether all is committed when the mark is taken away, with the first line of the
        history that the root then has; else whoever opened the session commits it.
    """

    def __init__(self, store: Store, *, marker: str, aside: str, commits: bool) -> None:
        super().__init__(store)
        self.commits = commits
        self._marker = marker
        self._aside = aside
        self._memory = MemoryStore()

    def __str__(self) -> str:
        """Name what is written to."""
        session: Any = self._store
        return f"icechunk branch {session.session.branch!r}"

    def _of(self, key: str) -> Store:
        """Return the store that a key belongs to."""
        aside = key.partition("/")[0] in (self._marker, self._aside)
        return self._memory if aside else self._store

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read an object; None where there is none, as of zarr's version 2 always."""
        if _is_of_version_2(key):
            return None
        return await self._of(key).get(key, prototype, byte_range)

    async def get_partial_values(
        self,
        prototype: BufferPrototype,
        key_ranges: Iterable[tuple[str, ByteRequest | None]],
    ) -> list[Buffer | None]:
        """Read parts of objects."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def _get_many(self, requests: Any) -> Any:
        async for item in Store._get_many(self, requests):
            yield item

    async def exists(self, key: str) -> bool:
        """Whether there is an object."""
        return await self.get(key, default_buffer_prototype()) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Write an object."""
        if _is_of_version_2(key):
            msg = "icechunk holds zarr version 3, and the source is of version 2; convert it first"
            raise OSError(msg)
        await self._of(key).set(key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write an object unless there is one."""
        await self._of(key).set_if_not_exists(key, value)

    async def _set_many(self, values: Iterable[tuple[str, Buffer]]) -> None:
        await Store._set_many(self, values)

    async def delete(self, key: str) -> None:
        """Delete an object; with the mark of a job, the job is committed."""
        if key == self._marker and self.commits:
            await self._commit()
        if not _is_of_version_2(key):
            await self._of(key).delete(key)

    async def delete_dir(self, prefix: str) -> None:
        """Delete all objects below a prefix."""
        await self._of(prefix).delete_dir(prefix)

    async def list(self) -> AsyncIterator[str]:
        """Yield all keys."""
        for store in (self._store, self._memory):
            async for key in store.list():
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names next below a prefix."""
        for store in (self._store, self._memory):
            async for name in store.list_dir(prefix):
                yield name

    async def _commit(self) -> None:
        root = await self._store.get("zarr.json", default_buffer_prototype())
        if root is None:
            msg = "icechunk commits a job with its root, which is not there"
            raise OSError(msg)
        history = str(json.loads(root.to_bytes())["attributes"]["history"])
        session: Any = self._store
        try:
            await session.session.commit_async(history.partition("\n")[0])
        except Exception as exc:
            msg = f"{self} cannot be committed to: {exc}"
            raise OSError(msg) from exc


def _is_of_version_2(key: str) -> bool:
    return key.rpartition("/")[2] in _VERSION_2
