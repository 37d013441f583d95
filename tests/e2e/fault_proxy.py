"""A TCP proxy that makes a connection slow, silent or dead: toxiproxy, built from the Go module
proxy, because no Debian package has it and the kernel may have no netem."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from toolchain import places
from toolchain.routes import golang

VERSION = "v2.12.0"
MODULE = "github.com/Shopify/toxiproxy/v2/cmd/server"
BUILD_SECONDS = 600
START_SECONDS = 15
NAME = "fault"


def server() -> Path:
    """The program, built once and cached beside the other tools."""
    folder = places.cache_root() / f"toxiproxy-{VERSION}"
    if not (folder / "server").exists():
        environment = {**os.environ, **golang.ENVIRONMENT, "GOFLAGS": "-mod=mod"}
        subprocess.run(
            [golang.find(), "install", f"{MODULE}@{VERSION}"],
            env={**environment, "GOBIN": str(folder)}, check=True, timeout=BUILD_SECONDS,
        )  # fmt: skip
    return folder / "server"


class FaultProxy:
    """127.0.0.1:`listen` to 127.0.0.1:`upstream`. Use as a context manager; `api` is its own port.

    Each fault lasts as long as its block."""

    def __init__(self, listen: int, upstream: int, api: int) -> None:
        self._listen, self._upstream, self._api = listen, upstream, api
        self._server = server()  # now: where it will run, the network may end

    def __enter__(self) -> FaultProxy:
        self._process = subprocess.Popen(
            [self._server, "-host", "127.0.0.1", "-port", str(self._api)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._await()
        self._ask(
            "POST", "proxies",
            name=NAME, enabled=True,
            listen=f"127.0.0.1:{self._listen}", upstream=f"127.0.0.1:{self._upstream}",
        )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(10)

    def slow(self, latency_ms: int, kilobytes_a_second: int) -> None:
        """Both ways, until `heal`."""
        for stream in ("upstream", "downstream"):
            self._poison("latency", stream, latency=latency_ms, jitter=latency_ms // 4)
            self._poison("bandwidth", stream, rate=kilobytes_a_second)

    def stall(self) -> None:
        """Connections stay open and nothing passes, until `heal`."""
        for stream in ("upstream", "downstream"):
            self._poison("timeout", stream, timeout=0)

    def cut(self) -> None:
        """Close every connection, and take new ones at once."""
        self._ask("POST", f"proxies/{NAME}", enabled=False)
        self._ask("POST", f"proxies/{NAME}", enabled=True)

    def down(self) -> None:
        """Close every connection and take no new one, until `heal`."""
        self._ask("POST", f"proxies/{NAME}", enabled=False)

    def heal(self) -> None:
        self._ask("POST", "reset")

    @contextmanager
    def healed(self) -> Iterator[None]:
        """Whatever the block does to it is over after it."""
        try:
            yield
        finally:
            self.heal()

    def _poison(self, kind: str, stream: str, **attributes: int) -> None:
        self._ask(
            "POST", f"proxies/{NAME}/toxics",
            name=f"{kind}-{stream}", type=kind, stream=stream, toxicity=1.0, attributes=attributes,
        )  # fmt: skip

    def _ask(self, method: str, path: str, **fields: Any) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._api}/{path}",
            method=method,
            data=json.dumps(fields).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def _await(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError):
                self._ask("POST", "reset")
                return
            time.sleep(0.1)
        raise AssertionError("toxiproxy does not come up")
