"""A checkout of one's own, in real git, and a web server for it to talk to."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ops.verbs._place import Place
from rollout.state import Record

ROOT = Path(__file__).parents[2]
NOWHERE = "unix:///nowhere/docker.sock"
AUTHOR = "Author <author@example.com>"


@dataclass(frozen=True)
class Checkout:
    root: Path

    @classmethod
    def make(cls, root: Path, **configuration: str) -> Checkout:
        """The project's real Pulumi.yaml, a stack whose host does not answer, and one commit."""
        (root / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
        values = {"dockerHost": NOWHERE, "opsImage": "ytempire/ops:0.1.0", **configuration}
        lines = "".join(f"  ytempire:{key}: {value}\n" for key, value in values.items())
        (root / "Pulumi.sandbox.yaml").write_text(f"config:\n{lines}")
        checkout = cls(root)
        checkout.git("init", "--quiet", "--initial-branch", "main")
        checkout.git("config", "user.name", "Deployer")
        checkout.git("config", "user.email", "deployer@example.com")
        checkout.commit("begin")
        return checkout

    @property
    def place(self) -> Place:
        return Place(self.root, "sandbox")

    def git(self, *arguments: str) -> str:
        # Neither the machine's settings nor another repository's: these tests run inside one.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        environment = {**clean, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-C", str(self.root), *arguments],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def record(self, path: str, values: Record | dict[str, Any]) -> None:
        """As JSON, which is YAML too."""
        found = values.model_dump(mode="json") if isinstance(values, Record) else values
        self.write(path, json.dumps(found, indent=1))

    def commit(self, message: str = "more", author: str = AUTHOR) -> str:
        """Everything; its commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message, "--author", author)
        return self.git("rev-parse", "HEAD")


@dataclass
class Site:
    """A server on the loopback that answers from `pages` and notes what it was sent."""

    url: str = ""
    pages: dict[str, Any] = field(default_factory=dict)
    """Path (with its query, or without) to what it answers: JSON, text, or a status."""
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, bytes]:
        found = self.pages.get(path, self.pages.get(path.partition("?")[0], 404))
        if isinstance(found, int):
            return found, b"{}"
        return 200, (found if isinstance(found, str) else json.dumps(found)).encode()


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            site.heard.append((self.path, dict(self.headers), self.rfile.read(size)))
            status, body = site.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_POST = do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
