"""Servers on this machine: one that speaks HTTP, with whatever trouble is asked of it, and S3."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

__all__ = ["Web", "object_store", "web"]

# How long a server that hangs does not answer, in seconds.
HANG = 2.0


class Web:
    """A server of the files of a directory.

    Attributes
    ----------
    url : str
        Of the directory.
    troubles : dict of str to list of (int or str)
        For a part of a path: what to answer instead of the next requests for it, one after
        the other: a status, ``"reset"``, ``"close"``, ``"short"`` or ``"hang"``.
    asked : list of str
        The paths of all requests.
    listing : bool
        Whether directories are listed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.troubles: dict[str, list[int | str]] = {}
        self.asked: list[str] = []
        self.listing = True

    def trouble(self, path: str) -> int | str | None:
        """Take the next trouble for a path."""
        self.asked.append(path)
        for part, troubles in self.troubles.items():
            if part in path and troubles:
                return troubles.pop(0)
        return 404 if path.endswith("/") and not self.listing else None


class _Handler(SimpleHTTPRequestHandler):
    """Serves files, after the troubles that its server was told to make."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        trouble = self.server.web.trouble(self.path)
        if trouble is None:
            super().do_GET()
        elif isinstance(trouble, int):
            self._answer(trouble, length=0)
        elif trouble == "short":
            self._answer(200, length=100)
            self.wfile.write(b"too few")
            self._close()
        else:
            if trouble == "hang":
                time.sleep(HANG)
            elif trouble == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._close()

    def _answer(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _close(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    web: Web

    def handle_error(self, *_: Any) -> None:
        """Keep quiet: connections are broken on purpose."""


@contextmanager
def web(directory: Path) -> Iterator[Web]:
    """Serve a directory over HTTP."""
    pytest.importorskip("aiohttp", reason="aiohttp, by which fsspec speaks HTTP, is not here")
    with _Server(("127.0.0.1", 0), partial(_Handler, directory=directory)) as server:
        server.web = Web(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.web
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def object_store(bucket: str) -> Iterator[str]:
    """Run a server that speaks as S3 does, with a bucket in it, and yield its URL."""
    pytest.importorskip("s3fs", reason="s3fs, by which fsspec speaks to S3, is not here")
    moto = pytest.importorskip("moto.server", reason="moto, which stands in for S3, is not here")
    server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        with urlopen(Request(f"{url}/{bucket}", method="PUT")) as answer:
            assert answer.status == 200
        yield url
    finally:
        server.stop()
