"""Judging a release by what it serves: nginx's log lines, and probes through the edge."""

from __future__ import annotations

import logging
import re
import socket
import threading
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from ops.switch.protocol import Watch
from rollout.edge import LOG_TAG
from rollout.names import ACCESS_LOG_PORT

log = logging.getLogger(__name__)

PROBE_SECONDS = 0.5
REPORT_SECONDS = 5.0
FAILED_ROUNDS = 2  # one failed probe is a packet, two in a row are the release
SERVER_ERROR = 500
SWITCHING_PROTOCOLS = 101
RECEIVE_BYTES = 4 << 20  # a burst waits in the kernel instead of being lost

# serial release status seconds client; see `log_format watch` in rollout/edge.py
_LINE = re.compile(
    rf"{LOG_TAG}: (?P<serial>\d+) (?P<release>\S+) (?P<status>\d{{3}}) (?P<seconds>[\d.]+) "
    r"(?P<client>\S+)"
)


class Served(NamedTuple):
    """One request, as nginx reported it."""

    serial: int
    release: str
    status: int
    seconds: float
    client: str


@dataclass(frozen=True)
class Figures:
    """What was seen so far."""

    requests: int = 0
    errors: int = 0
    p95_ms: float = 0.0
    failed_rounds: int = 0
    probe: str = ""

    def worse_than(self, before: Figures) -> bool:
        """Whether something failed since."""
        return bool(self.failed_rounds) or self.errors > before.errors

    def __str__(self) -> str:
        return f"{self.requests} requests, {self.errors} errors, p95 {self.p95_ms:.0f} ms"


def verdict(figures: Figures, limits: Watch, finished: bool) -> str:
    """Why the release must go, or "" while nothing speaks against it."""
    if figures.failed_rounds >= FAILED_ROUNDS:
        return f"{figures.failed_rounds} probe rounds in a row failed: {figures.probe}"
    enough = figures.requests >= limits.min_requests
    if enough and figures.errors > limits.error_rate * figures.requests:
        rate = figures.errors / figures.requests
        return f"error rate {rate:.2%} is above {limits.error_rate:.2%}"
    if finished and enough and limits.p95_ms is not None and figures.p95_ms > limits.p95_ms:
        return f"p95 {figures.p95_ms:.0f} ms is above {limits.p95_ms:.0f} ms"
    return ""


def parse(line: str) -> Served | None:
    """A syslog line of the edge's, or None."""
    found = _LINE.search(line)
    if found is None:
        return None
    return Served(
        int(found["serial"]),
        found["release"],
        int(found["status"]),
        float(found["seconds"]),
        found["client"],
    )


class Tally:
    """Counts one switch's requests. nginx reports whole milliseconds: so are the bins."""

    def __init__(self, serial: int, release: str, ignored_client: str) -> None:
        self._serial = serial
        self._release = release
        self._ignored = ignored_client
        self._lock = threading.Lock()
        self._milliseconds: Counter[int] = Counter()
        self._requests = 0
        self._errors = 0

    def add(self, served: Served) -> None:
        if (served.serial, served.release) != (self._serial, self._release):
            return
        # Our own probes are judged by themselves; a WebSocket's time is how long it was open.
        if served.client == self._ignored or served.status == SWITCHING_PROTOCOLS:
            return
        with self._lock:
            self._requests += 1
            self._errors += served.status >= SERVER_ERROR
            self._milliseconds[round(1000 * served.seconds)] += 1

    def figures(self, failed_rounds: int = 0, probe: str = "") -> Figures:
        with self._lock:
            return Figures(
                self._requests, self._errors, _p95(self._milliseconds), failed_rounds, probe
            )


class AccessLog:
    """Listens to nginx; hands each request to whoever is watching."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self._socket.bind((address, ACCESS_LOG_PORT))
        self._tally: Tally | None = None

    def follow(self, tally: Tally | None) -> None:
        """Count into `tally` from now on; None stops counting."""
        self._tally = tally

    def run(self) -> None:
        """For ever; meant for a thread."""
        while True:
            line = self._socket.recv(2048).decode(errors="replace")
            tally = self._tally
            if tally is not None and (served := parse(line)):
                tally.add(served)


def _p95(milliseconds: Counter[int]) -> float:
    """The smallest time that 95 % of the requests did not exceed."""
    wanted = 0.95 * milliseconds.total()
    passed = 0
    for value in sorted(milliseconds):
        passed += milliseconds[value]
        if passed >= wanted:
            return float(value)
    return 0.0
