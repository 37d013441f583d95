"""A place outside the host, for a while: a network of its own, and somebody who listens there."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from types import TracebackType

from tests.e2e.world import docker

# For documentation only (RFC 5737): no real network is shadowed.
HERE, THERE, PORT = "198.51.100.1", "198.51.100.2", 18999
IMAGE = "ytempire-sandbox/python:3.11"
LISTEN = f"""
import socket
listening = socket.create_server(({THERE!r}, {PORT}))
while True:
    listening.accept()
"""


class Outside:
    """Use as a context manager; `name` is the network namespace's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._near, self._far = f"{name[:12]}-h", f"{name[:12]}-o"

    def __enter__(self) -> Outside:
        # One at a time: the addresses are the same for all, and files of tests run side by side.
        self._turn = open(__file__)
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        self._ip("netns", "add", self.name)
        self._ip("link", "add", self._near, "type", "veth", "peer", self._far)
        self._ip("link", "set", self._far, "netns", self.name)
        self._ip("address", "add", f"{HERE}/30", "dev", self._near)
        self._ip("link", "set", self._near, "up")
        self._ip("-n", self.name, "address", "add", f"{THERE}/30", "dev", self._far)
        self._ip("-n", self.name, "link", "set", self._far, "up")
        self._ip("-n", self.name, "route", "add", "default", "via", HERE)
        self._listening = subprocess.Popen(
            ["ip", "netns", "exec", self.name, sys.executable, "-c", LISTEN]
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.kill()
        self._listening.wait(10)
        self._ip("link", "del", self._near)
        self._ip("netns", "del", self.name)
        self._turn.close()

    def reached_from(self, network: str) -> bool:
        """Whether a container of its own there gets a connection within a few seconds."""
        dial = f"import socket; socket.create_connection(({THERE!r}, {PORT}), 3); print('reached')"
        command = ("run", "--rm", "--network", network, IMAGE, "python3", "-c", dial)
        return "reached" in docker(*command, check=False)

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, timeout=10)
