"""The lease of a job: a document beside the target that names the process which writes to it."""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from typing import Any

from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import StorePath

from bigrad.errors import TargetError
from bigrad.jobs.storage import documents

__all__ = ["Lease"]

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
        if self._read().get("id") == self._holder["id"]:
            sync(self._path.delete())

    def _acquire(self) -> None:
        found = self._read()
        if found and _alive(found):
            msg = (
                f"another job writes to `target` {self._target!r}: process {found.get('pid')} on "
                f"{found.get('host')}, last heard of {time.time() - found['renewed']:.0f} s ago; "
                "wait for it, or stop it first"
            )
            raise TargetError(msg)
        if found:
            sync(self._path.delete())
        sync(self._path.set_if_not_exists(documents(self._document())))
        winner = self._read()
        if winner.get("id") != self._holder["id"]:
            msg = (
                f"another job began to write to `target` {self._target!r} at this moment: process "
                f"{winner.get('pid')} on {winner.get('host')}"
            )
            raise TargetError(msg)

    def _renew(self) -> None:
        while not self._stop.wait(_RENEWED_EVERY):
            # What fails now may do next time, long before the lease ends.
            with suppress(OSError):
                if self._read().get("id") != self._holder["id"]:
                    self._lost = True
                    return
                sync(self._path.set(documents(self._document())))

    def _document(self) -> dict[str, Any]:
        return {**self._holder, "renewed": time.time()}

    def _read(self) -> dict[str, Any]:
        found = sync(self._path.get(default_buffer_prototype()))
        try:
            return {} if found is None else dict(json.loads(found.to_bytes()))
        except ValueError:
            return {}


def _this_process() -> dict[str, Any]:
    import psutil

    return {
        "id": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
    }


def _alive(holder: dict[str, Any]) -> bool:
    import psutil

    if holder.get("host") != socket.gethostname():
        return time.time() - float(holder.get("renewed", 0)) < _DEAD_AFTER
    try:
        process = psutil.Process(int(holder["pid"]))
        # A number may have gone to another process since.
        same = bool(abs(process.create_time() - float(holder["started"])) < 1)
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (KeyError, ValueError, psutil.Error):
        return False
