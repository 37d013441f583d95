"""A constant load on the edge: open loop, a new connection a request, every answer written down."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

REQUEST_SECONDS = 15


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent, what came back. `status` 0 is no answer at all."""

    at: float
    seconds: float
    status: int
    release: str
    error: str = ""

    @property
    def failed(self) -> bool:
        return self.status != 200


@dataclass
class Load:
    """Sends `rate` requests a second to 127.0.0.1:`port`, in turn over `paths`, until stopped.

    Use as a context manager. At most `most` requests: a forgotten load ends by itself. At most
    `abreast` are under way: what would be one more is not sent, and counted in `held_back`.
    """

    port: int
    rate: float = 50
    paths: tuple[str, ...] = ("/api/v1/status", "/api/v1/channels", "/health")
    tls: bool = False
    most: int = 60_000
    abreast: int = 500
    held_back: int = 0
    answers: list[Answer] = field(default_factory=list)

    def __enter__(self) -> Load:
        # One for all: making it costs more than a handshake.
        self._context = ssl._create_unverified_context() if self.tls else None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send_all()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(REQUEST_SECONDS + 5)

    @property
    def failures(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.failed]

    def take(self) -> list[Answer]:
        """Those that have come since this was last asked, and forget them."""
        taken, self.answers = self.answers, []
        return taken

    def summary(self) -> str:
        causes = Counter(a.error or str(a.status) for a in self.failures)
        return f"{len(self.failures)} of {len(self.answers)} failed: {dict(causes)}"

    def releases(self) -> list[str]:
        """Which releases answered, in turn."""
        return turns((a.at, a.at + a.seconds, a.release) for a in self.answers if a.release)

    async def _send_all(self) -> None:
        started, running = time.monotonic(), set[asyncio.Task[None]]()
        for number in range(self.most):
            if self._stop.is_set():
                break
            await asyncio.sleep(max(0.0, started + number / self.rate - time.monotonic()))
            if len(running) >= self.abreast:
                self.held_back += 1
                continue
            task = asyncio.create_task(self._send(self.paths[number % len(self.paths)]))
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running, timeout=REQUEST_SECONDS)

    async def _send(self, path: str) -> None:
        at = time.monotonic()
        status, release, error = 0, "", ""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                status, release = await self._ask(path)
        except (OSError, TimeoutError, EOFError, ValueError) as problem:
            error = f"{type(problem).__name__} {problem}".strip()
        self.answers.append(Answer(at, time.monotonic() - at, status, release, error))

    async def _ask(self, path: str) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self._context)
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            await reader.read()
        finally:
            writer.close()
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:])}
        return int(head[0].split()[1]), headers.get("x-release", "")


def turns(answers: Iterable[tuple[float, float, str]]) -> list[str]:
    """Which releases answered, of (sent, came, release), in order of sending, repetitions taken
    together. What is under way at the same time has no order: a release counts as answering again
    when it answers what was sent after another's answer had come."""
    seen: list[str] = []
    since = 0.0
    ordered = sorted(answers)
    for number, (sent, _, release) in enumerate(ordered):
        if release in seen and (release == seen[-1] or sent <= since):
            continue
        seen.append(release)
        since = min(came for _, came, same in ordered[number:] if same == release)
    return seen
