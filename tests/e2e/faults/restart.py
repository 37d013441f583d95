"""How long something that was hit takes until it answers again: seen from beside it."""

from __future__ import annotations

import http.client
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing

from tests.e2e.world import World

LONGEST_SECONDS = 180
POLL_SECONDS = 0.1
PROBES: dict[str, tuple[str, ...]] = {
    "postgres": ("pg_isready", "-q", "-h", "127.0.0.1"),
    "redis": ("redis-cli", "PING"),
    "blue": ("curl", "-fsS", "-m", "2", "-H", "Host: localhost", "http://localhost:8000/health"),
    "green": ("curl", "-fsS", "-m", "2", "-H", "Host: localhost", "http://localhost:8000/health"),
}


class Restart:
    """Begins to look at once, in a thread."""

    def __init__(self, world: World, part: str) -> None:
        self._begun = time.monotonic()
        self._part, self._took = part, 0.0
        self._answers = self._probe(world)
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def seconds(self) -> float:
        self._thread.join()
        assert self._took, f"{self._part} did not answer again in {LONGEST_SECONDS} s"
        return self._took

    def _wait(self) -> None:
        while time.monotonic() - self._begun < LONGEST_SECONDS:
            if self._answers():
                self._took = time.monotonic() - self._begun
                return
            time.sleep(POLL_SECONDS)

    def _probe(self, world: World) -> Callable[[], bool]:
        if self._part == "nginx":
            return lambda: _answers_at_all(world)
        command = ["docker", "exec", world.name(self._part), *PROBES[self._part]]
        return lambda: subprocess.run(command, capture_output=True, timeout=30).returncode == 0


def _answers_at_all(world: World) -> bool:
    """Any answer is nginx's. A mere connection may be Docker's proxy, before one that is down."""
    if world.get("edgeTls") == "off":
        connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=2)
    else:
        connection = http.client.HTTPSConnection(
            "127.0.0.1", world.https_port, timeout=2, context=ssl._create_unverified_context()
        )
    with closing(connection):
        try:
            connection.request("GET", "/health")
            return bool(connection.getresponse().status)
        except (OSError, http.client.HTTPException):
            return False
