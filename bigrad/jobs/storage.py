"""Stores: opening them, telling whether two are the same place, and moving whole objects."""

import asyncio
import errno
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, LocalStore, MemoryStore, StorePath, WrapperStore, ZipStore

from bigrad.errors import BigradError, SourceError, TargetError
from bigrad.jobs.icechunk import (
    Repository,
    Transaction,
    is_repository,
    is_session,
    opened_repository,
)
from bigrad.jobs.remote import Retrying, is_over_http, open_url

__all__ = [
    "MARKER",
    "Place",
    "beside",
    "blocked_by",
    "copy_objects",
    "describe",
    "describe_path",
    "documents",
    "in_memory",
    "is_hierarchy",
    "is_listed",
    "is_located",
    "is_occupied",
    "is_unfinished",
    "largest_object",
    "located",
    "mark_of",
    "open_store",
    "options_of_places",
    "put",
    "read_text",
    "relation",
    "remove",
    "remove_folder",
    "remove_partial",
    "replace_contents",
]

Place = str | os.PathLike[str] | Store | Repository

# What a job remembers lies in a folder called like its target with this behind it; inside the
# target where there is nothing beside it, as in memory.
_BESIDE = ".bigrad"
_INSIDE = "bigrad-journal"

# How often the removal of a directory is tried that others still write to.
_ATTEMPTS = 5

# Lies in the target from the first write of a job until after its last one.
MARKER = "bigrad-unfinished.json"

# What an object is called while it is written, by zarr and by this package.
_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")

_ROOT_DOCUMENTS = ("zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs")


def open_store(
    place: Place,
    *,
    read_only: bool,
    error: type[BigradError],
    options: Mapping[str, Any] | None = None,
) -> Store:
    """Open a path, a URL, a store object or a repository, without touching what it names.

    What lies behind a network is asked again where an answer failed to come, as `Retrying` does.

    Parameters
    ----------
    place : str, os.PathLike, zarr.abc.store.Store or icechunk.Repository
        A local path, a URL that fsspec knows (``file://`` among them), a store, or a repository.
    read_only : bool
        Whether writing through the store is refused.
    error : type of BigradError
        What to raise where `place` cannot be opened.
    options : mapping, optional
        Of the file system that fsspec opens a URL with; a path and a store take none.

    Returns
    -------
    zarr.abc.store.Store
    """
    if is_repository(place):
        repository = cast("Repository", place)
        return opened_repository(repository, marker=MARKER, aside=_INSIDE, read_only=read_only)
    if is_session(place) and not read_only:
        return Transaction(cast("Store", place), marker=MARKER, aside=_INSIDE, commits=False)
    if isinstance(place, Store):
        place = _absolute(place)
        return _steady(_read_only(place, error) if read_only and not place.read_only else place)
    if not isinstance(place, str | os.PathLike):
        msg = (
            f"a path, a URL or a zarr store is needed, found {place!r} "
            f"of type {type(place).__name__}"
        )
        raise error(msg)
    text = os.fspath(place)
    if text.startswith(("file:", "local:")) and "::" not in text:
        text = _local_path(text, error)
    if not _is_url(text):
        return _absolute(LocalStore(Path(text).expanduser(), read_only=read_only))
    try:
        store = open_url(text, options, read_only=read_only)
    except (ValueError, TypeError, ImportError, OSError) as exc:
        msg = f"`{text}` cannot be opened: {exc}"
        raise error(msg) from exc
    if is_over_http(store) and not read_only:
        msg = f"`{text}` can be read but not written to; write to a directory or an object store"
        raise error(msg)
    return _steady(store)


def _absolute(store: Store) -> Store:
    """Return a store that stays where it is in other directories, such as a worker's.

    Files of this machine that fsspec serves are a local store, which makes directories.
    """
    if isinstance(store, FsspecStore) and _protocol(store.fs) == "file":
        return LocalStore(_plain(store.fs)._strip_protocol(store.path), read_only=store.read_only)
    here: dict[str, Any] = {}
    if isinstance(store, WrapperStore):
        here["_store"] = _absolute(store._store)
    elif isinstance(store, LocalStore):
        here["root"] = store.root.absolute()
    elif isinstance(store, ZipStore) and store.path is not None:  # but a file that is open
        here["path"] = store.path.absolute()
    if all(getattr(store, name) == value for name, value in here.items()):
        return store
    # Neither made anew, since a derived class may want more than this, nor copied as for
    # another process, since a file that is open stays open.
    other = object.__new__(type(store))
    other.__dict__.update(store.__dict__, **here)
    return other


def _is_url(text: str) -> bool:
    return "://" in text or "::" in text


def _steady(store: Store) -> Store:
    """Have requests over a network tried again."""
    if isinstance(store, FsspecStore) and _protocol(store.fs) not in ("file", "memory"):
        return Retrying(store)
    return store


def options_of_places(
    source: Place,
    target: Place,
    storage_options: Mapping[str, Any] | None,
    target_options: Mapping[str, Any] | None,
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Decide the options of the source's file system and of the target's.

    Parameters
    ----------
    source, target : str, os.PathLike or zarr.abc.store.Store
        The two places.
    storage_options : mapping or None
        For the source, and for the target unless it has its own.
    target_options : mapping or None
        For the target.

    Returns
    -------
    tuple of two mappings, or None

    Raises
    ------
    SourceError, TargetError
        Where options are given for what is no URL.

    Examples
    --------
    >>> options_of_places("in.zarr", "s3://bucket/out.zarr", {"anon": False}, None)
    (None, {'anon': False})
    """
    takes_source, takes_target = map(_takes_options, (source, target))
    if target_options is not None and not takes_target:
        msg = f"`target_options` are for a URL, and `target` is {target!r}; leave them out"
        raise TargetError(msg)
    if storage_options is not None and not (takes_source or takes_target):
        msg = (
            "`storage_options` are for URLs of other places than this machine, and neither "
            "`source` nor `target` is one; leave them out"
        )
        raise SourceError(msg)
    return (
        storage_options if takes_source else None,
        (storage_options if target_options is None else target_options) if takes_target else None,
    )


def _takes_options(place: Place) -> bool:
    return (
        isinstance(place, str | os.PathLike)
        and _is_url(os.fspath(place))
        and not os.fspath(place).startswith(("file:", "local:", "memory:"))
    )


def _read_only(store: Store, error: type[BigradError]) -> Store:
    try:
        return store.with_read_only(True)
    except NotImplementedError as exc:
        msg = f"{store} is open for writing, and cannot be made read-only; open it for reading"
        raise error(msg) from exc


def _local_path(url: str, error: type[BigradError]) -> str:
    """Return the path that a ``file:`` or ``local:`` URL names; ``?`` and ``#`` are letters."""
    rest = url.removeprefix("file:").removeprefix("local:")
    if rest.startswith("//"):
        host, slash, rest = rest.removeprefix("//").partition("/")
        rest = slash + rest if host in ("", "localhost") else ""
    if not rest.startswith("/"):
        msg = f"`{url}` names no absolute path of this machine; write file:///directory/name.zarr"
        raise error(msg)
    return unquote(rest)


def describe(store: Store) -> str:
    """Name a store as its user would: the path of a local one, the URL of another.

    Examples
    --------
    >>> describe(LocalStore("data/in.zarr"))
    'data/in.zarr'
    """
    store = _unwrapped(store)
    if isinstance(store, LocalStore):
        return os.fspath(store.root)
    if isinstance(store, FsspecStore):
        protocol = _protocol(store.fs)
        path = store.path if protocol == "file" else store.path.lstrip("/")
        return path if "://" in path else f"{protocol}://{path}"
    if is_session(store):
        session: Any = store
        return f"icechunk snapshot {session.session.snapshot_id}"
    return str(store)


def describe_path(path: StorePath) -> str:
    """Name a place within a store as its user would."""
    return "/".join(part for part in (describe(path.store), path.path) if part)


def relation(one: Store, other: Store) -> str | None:
    """How `one` lies to `other`: ``"is"``, ``"lies inside"``, ``"contains"`` or None.

    Wrappers are looked through: stores around stores, and file systems that cache others. Local
    paths are compared after symbolic links and ``..`` are resolved. None says that there is no
    relation only where both stores are located, as `is_located` tells.

    Examples
    --------
    >>> relation(LocalStore("in.zarr/deep/.."), LocalStore("in.zarr"))
    'is'
    >>> relation(LocalStore("in.zarr/u"), LocalStore("in.zarr"))
    'lies inside'
    """
    one, other = _unwrapped(one), _unwrapped(other)
    root, parts = _location(one)
    other_root, other_parts = _location(other)
    if root is None or root != other_root:
        return "is" if one == other else None
    if parts == other_parts:
        return "is"
    if parts[: len(other_parts)] == other_parts:
        return "lies inside"
    if other_parts[: len(parts)] == parts:
        return "contains"
    return None


def is_located(store: Store) -> bool:
    """Whether it is known where the objects of a store lie, so that `relation` can tell.

    Examples
    --------
    >>> is_located(LocalStore("in.zarr"))
    True
    """
    return _location(_unwrapped(store))[0] is not None


def in_memory(store: Store) -> bool:
    """Whether the objects of a store lie in the memory of this process.

    Examples
    --------
    >>> in_memory(MemoryStore())
    True
    """
    store = _unwrapped(store)
    if isinstance(store, FsspecStore):
        return _protocol(store.fs) == "memory"
    return isinstance(store, MemoryStore | Transaction)


def located(store: Store) -> str:
    """Name the place of a store, the same whichever path leads there."""
    root, parts = _location(_unwrapped(store))
    return describe(store) if root is None else f"{root}:{'/'.join(parts)}"


def _unwrapped(store: Store) -> Store:
    while isinstance(store, WrapperStore) and not isinstance(store, Transaction):
        store = store._store
    return store


def _location(store: Store) -> tuple[str | None, tuple[str, ...]]:
    if isinstance(store, Transaction) and store.commits:
        # Begun for this job alone: whatever else is read, it is read from a snapshot.
        return f"icechunk transaction {id(store)}", ()
    if isinstance(store, MemoryStore):
        return f"memory of {id(store._store_dict)}", ()
    if isinstance(store, LocalStore):
        return "file", Path(os.path.realpath(store.root)).parts
    if isinstance(store, ZipStore) and store.path is not None:
        return "file", Path(os.path.realpath(store.path)).parts
    if isinstance(store, FsspecStore):
        return _location_within(store.fs, store.path)
    return None, ()


def _location_within(fs: Any, path: str) -> tuple[str | None, tuple[str, ...]]:
    from fsspec import AbstractFileSystem
    from fsspec.archive import AbstractArchiveFileSystem
    from fsspec.implementations.cached import CachingFileSystem
    from fsspec.implementations.dirfs import DirFileSystem
    from fsspec.implementations.reference import ReferenceFileSystem

    fs = _plain(fs)
    if isinstance(fs, CachingFileSystem):
        return _location_within(fs.fs, path)
    if isinstance(fs, DirFileSystem):
        return _location_within(fs.fs, fs._join(path))
    if isinstance(fs, AbstractArchiveFileSystem | ReferenceFileSystem) or isinstance(
        getattr(fs, "fs", None), AbstractFileSystem
    ):
        return None, ()
    protocol = _protocol(fs)
    if protocol == "file":
        return protocol, Path(os.path.realpath(path)).parts
    return protocol, tuple(part for part in path.split("/") if part)


def _plain(fs: Any) -> Any:
    while hasattr(fs, "sync_fs"):  # an asynchronous wrapper around a plain file system
        fs = fs.sync_fs
    return fs


def _protocol(fs: Any) -> str:
    fs = _plain(fs)
    names = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
    return "file" if "file" in names else str(names[0])


def blocked_by(store: Store) -> Path | None:
    """Return what keeps a local store from being made: a file, or a directory that is locked.

    Nothing is written to find out. None is no promise: a disk may be full.
    """
    store = _unwrapped(store)
    if not isinstance(store, LocalStore):
        return None
    root = Path(os.path.realpath(store.root))
    nearest = next(path for path in (root, *root.parents) if os.path.lexists(path))
    # Root may write anywhere, the system says, even where it can make nothing: in /proc.
    locked = not nearest.stat().st_mode & 0o222 or not os.access(nearest, os.W_OK | os.X_OK)
    return nearest if locked or not nearest.is_dir() else None


def is_hierarchy(store: Store) -> bool:
    """Whether the root of `store` is a zarr group or array, finished or not."""
    return any(_exists(store, key) for key in (*_ROOT_DOCUMENTS, MARKER))


def is_listed(store: Store) -> bool:
    """Whether a store is sure to know what it holds: not over HTTP, where a server may tell."""
    store = _unwrapped(store)
    return not (isinstance(store, FsspecStore) and is_over_http(store))


def is_unfinished(store: Store) -> bool:
    """Whether a job began to write to `store` and has not come to its end."""
    return _exists(store, MARKER)


def is_occupied(store: Store) -> bool:
    """Whether anything lies in `store` besides what a job there remembers."""
    local = _unwrapped(store)
    if isinstance(local, LocalStore):
        root = Path(local.root)
        return root.exists() and (not root.is_dir() or any(root.iterdir()))
    return sync(_holds_any(store))


async def _holds_any(store: Store) -> bool:
    async for name in store.list_dir(""):
        if name.strip("/") != _INSIDE:
            return True
    return False


def _exists(store: Store, key: str) -> bool:
    try:
        return sync(store.exists(key))
    except NotADirectoryError:
        return False


def put(store: Store, objects: Iterable[tuple[str, Buffer]]) -> None:
    """Write whole objects, one after the other."""
    for key, value in objects:
        sync(store.set(key, value))


def documents(contents: dict[str, Any]) -> Buffer:
    """JSON as an object to store."""
    return default_buffer_prototype().buffer.from_bytes(json.dumps(contents, indent=2).encode())


def read_text(path: StorePath) -> str | None:
    """Return what an object says; None where there is none."""
    # A local store that is not there is no place to find nothing in, it says.
    with suppress(FileNotFoundError, NotADirectoryError):
        found = sync(path.get(default_buffer_prototype()))
        return None if found is None else found.to_bytes().decode(errors="replace")
    return None


def remove(store: Store, key: str) -> None:
    """Delete one object."""
    sync(store.delete(key))


def beside(target: Store, *, read_only: bool = True) -> StorePath:
    """Return the place of what a job remembers while it writes to `target`.

    Unless it is `read_only`, asking for what is there may make a directory.

    Examples
    --------
    >>> beside(LocalStore("/data/out.zarr"))
    StorePath(LocalStore, 'file:///data/out.zarr.bigrad')
    """
    store = _unwrapped(target)
    if isinstance(store, LocalStore):
        path = f"{os.path.realpath(store.root)}{_BESIDE}"
        return StorePath(LocalStore(path, read_only=read_only))
    # The last part of a bucket's path may be its name, beside which are other people's buckets.
    if isinstance(store, FsspecStore) and "/" in store.path.strip("/"):
        path = store.path.rstrip("/") + _BESIDE
        return StorePath(FsspecStore(store.fs, path=path, read_only=read_only))
    return StorePath(target, _INSIDE)


def replace_contents(store: Store, marker: Buffer) -> None:
    """Mark `store` as unfinished and delete everything else in it but what the job remembers.

    The marker is written first: whenever the deletion is cut short, what is left neither
    opens as a finished target nor passes for a stranger's directory.
    """
    put(store, [(MARKER, marker)])
    sync(_delete_all_but(store, (MARKER, _INSIDE)))


async def _delete_all_but(store: Store, kept: Sequence[str]) -> None:
    # A worker of a job that was killed may still finish the block that it is at.
    for attempt in range(_ATTEMPTS):
        try:
            await _delete_once(store, kept)
            break
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY or attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(1)


async def _delete_once(store: Store, kept: Sequence[str]) -> None:
    # Asked first: without a root, icechunk names nothing.
    names = [name async for name in store.list_dir("")]
    for key in _ROOT_DOCUMENTS:
        await store.delete(key)
    local = _unwrapped(store)
    for name in names:
        if name.strip("/") in (*kept, *_ROOT_DOCUMENTS):
            continue
        if isinstance(local, LocalStore) and (local.root / name).is_symlink():
            # What it leads to is not the target's.
            (local.root / name).unlink()
        elif isinstance(local, FsspecStore | Transaction):
            # Deletes an object, too. To fsspec a folder exists, to icechunk its name is no key.
            await store.delete_dir(name)
        elif await store.exists(name):
            await store.delete(name)
        else:
            await store.delete_dir(name)


def mark_of(store: Store) -> str | None:
    """Return the identity of the job that began to write to `store`; None where none did."""
    found = read_text(StorePath(store, MARKER))
    if found is None:
        return None
    try:
        return str(json.loads(found).get("job"))
    except (ValueError, AttributeError):
        return ""


def remove_folder(folder: StorePath) -> None:
    """Remove the directory of a local store, if it is there and empty."""
    if isinstance(folder.store, LocalStore):
        with suppress(OSError):
            (folder.store.root / folder.path).rmdir()


def remove_partial(target: Store) -> None:
    """Remove what a killed process left of objects that it was writing."""
    store = _unwrapped(target)
    if isinstance(store, LocalStore):
        for path in Path(store.root).rglob("*.partial"):
            if _PARTIAL.search(path.name):
                path.unlink(missing_ok=True)


def largest_object(store: Store, keys: Iterable[str]) -> int:
    """Bytes of the largest of some objects, as they are stored; 0 where there are none."""
    return max((sync(_size(store, key)) for key in keys), default=0)


async def _size(store: Store, key: str) -> int:
    try:
        return await store.getsize(key)
    except FileNotFoundError:
        return 0


def copy_objects(source: Store, target: Store, keys: Iterable[str]) -> int:
    """Copy objects one at a time, byte for byte; those that are missing stay missing.

    Returns
    -------
    int
        The number of bytes copied.

    Raises
    ------
    SourceError, TargetError
        Where one cannot be read, or not written.
    """
    return sync(_copy(source, target, keys))


async def _copy(source: Store, target: Store, keys: Iterable[str]) -> int:
    copied = 0
    for key in keys:
        try:
            value = await source.get(key, default_buffer_prototype())
        except Exception as exc:
            msg = f"copying {key} from {describe(source)!r} failed: {type(exc).__name__}: {exc}"
            raise SourceError(msg) from exc
        if value is None:
            continue
        try:
            await target.set(key, value)
        except Exception as exc:
            msg = f"copying {key} to {describe(target)!r} failed: {type(exc).__name__}: {exc}"
            raise TargetError(msg) from exc
        copied += len(value)
    return copied
