"""How long an app keeps an idle connection, asked of a real one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ops import keepalive


@contextmanager
def app(idle_seconds: float | None, version: str = "HTTP/1.1") -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = version
        timeout = idle_seconds

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(port: int, seconds: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, keepalive.__file__, str(port), "localhost", "/health", seconds],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_connection_that_stays_open_is_used_again() -> None:
    with app(None) as port:
        assert ask(port, "0.2") == ["open"]


@pytest.mark.parametrize(("idle", "version"), [(0.05, "HTTP/1.1"), (None, "HTTP/1.0")])
def test_a_connection_that_the_app_closes_is_noticed(idle: float | None, version: str) -> None:
    with app(idle, version) as port:
        assert ask(port, "20")[0] == "closed"
