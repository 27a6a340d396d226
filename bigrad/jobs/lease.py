"""The lease of a job: a document beside the target that names the process which writes to it."""

import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zarr.core.sync import sync
from zarr.storage import LocalStore, StorePath

from bigrad.errors import TargetError
from bigrad.jobs.storage import documents, read_text

# Windows has no such locks.
_LOCKS = sys.platform != "win32"
if _LOCKS:
    import fcntl

__all__ = ["Lease", "holds", "machine"]

_NAME = "lease.json"

# A holder renews its lease so often; whoever does not for so long is taken for dead, unless it
# runs on the same machine, where its process can be looked for.
_RENEWED_EVERY = 20.0
_DEAD_AFTER = 180.0


class Lease:
    """The right to write to a target, held by one process at a time.

    Parameters
    ----------
    folder : zarr.storage.StorePath
        Where its document lies.
    name : str
        What is leased, for messages.

    Raises
    ------
    TargetError
        Where another living process holds it.
    """

    def __init__(self, folder: StorePath, name: str) -> None:
        self._path = folder / _NAME
        self._target = name
        self._holder = _this_process()
        self._lost = False
        self._stop = threading.Event()
        self._acquire()
        self._renewing = threading.Thread(target=self._renew, name="bigrad-lease", daemon=True)
        self._renewing.start()

    @property
    def path(self) -> StorePath:
        """Where its document lies."""
        return self._path

    @property
    def identity(self) -> str:
        """What tells this holder from any other."""
        return str(self._holder["id"])

    def check(self) -> None:
        """Raise where another process took the lease."""
        if self._lost:
            msg = (
                f"another process took over the job at {self._target!r}, since this one was not "
                f"heard of for {_DEAD_AFTER:.0f} s; it goes on there, and this one stops"
            )
            raise TargetError(msg)

    def release(self) -> None:
        """Give it back; the document is removed."""
        self._stop.set()
        self._renewing.join()
        if holds(self._path, self.identity):
            sync(self._path.delete())

    def _acquire(self) -> None:
        with _exclusive(self._path):
            found = _read(self._path)
            if found and _alive(found):
                msg = (
                    f"another job writes to `target` {self._target!r}: process {found.get('pid')} "
                    f"on {found.get('host')}; wait for it, or stop it first"
                )
                raise TargetError(msg)
            if found is not None:
                sync(self._path.delete())
            sync(self._path.set_if_not_exists(documents(self._document())))
            winner = _read(self._path) or {}
        if winner.get("id") != self.identity:
            msg = (
                f"another job began to write to `target` {self._target!r} at this moment: process "
                f"{winner.get('pid')} on {winner.get('host')}"
            )
            raise TargetError(msg)

    def _renew(self) -> None:
        while not self._stop.wait(_RENEWED_EVERY):
            # What fails now may do next time, long before the lease ends.
            with suppress(Exception):
                if not holds(self._path, self.identity):
                    self._lost = True
                    return
                sync(self._path.set(documents(self._document())))

    def _document(self) -> dict[str, Any]:
        return {**self._holder, "renewed": time.time()}


def holds(path: StorePath, identity: str) -> bool:
    """Whether the lease at `path` is that of a holder."""
    return (_read(path) or {}).get("id") == identity


def _read(path: StorePath) -> dict[str, Any] | None:
    """Return the document, an empty one where it cannot be read, None where there is none."""
    found = read_text(path)
    if found is None:
        return None
    try:
        return dict(json.loads(found))
    except (ValueError, TypeError):
        return {}


@contextmanager
def _exclusive(path: StorePath) -> Iterator[None]:
    """Let no other process of this machine look at a lease; where stores allow it."""
    if not _LOCKS or not isinstance(path.store, LocalStore):
        yield
        return
    folder = path.store.root
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _this_process() -> dict[str, Any]:
    import psutil

    return {
        "id": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "machine": machine(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }


def machine() -> str:
    """Name what numbers of processes belong to: a machine since it booted, or a container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return socket.gethostname()


def _alive(holder: dict[str, Any]) -> bool:
    import psutil

    try:
        if holder["machine"] != machine():
            return time.time() - float(holder["renewed"]) < _DEAD_AFTER
        process = psutil.Process(int(holder["pid"]))
        # A number may have gone to another process since.
        same = bool(abs(process.create_time() - float(holder["started"])) < 1)
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (KeyError, TypeError, ValueError, psutil.Error):
        return False
