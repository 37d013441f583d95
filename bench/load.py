"""The load, as a process of its own: the tool that is measured must not wait for this one's
interpreter, nor this one for the tool.

`python -m bench.load PORT RATE` sends until its input ends, then prints each answer as JSON, one a
line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict

from tests.e2e.load import Answer, Load

# Before everybody else: a late client would be taken for a slow server.
NICE = -5


class ReleaseLoad(Load):
    """Reads which release answered in the answer itself: nginx's header is ours alone."""

    async def _ask(self, path: str) -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        status = int(head.split(maxsplit=2)[1]) if head else 0
        return status, _release(body) if status == 200 else ""


def _release(body: bytes) -> str:
    """Of the status path; the other answers don't say."""
    with suppress(ValueError):
        answer = json.loads(body)
        if isinstance(answer, dict):
            return str(answer.get("version", ""))
    return ""


def parse(lines: str) -> list[Answer]:
    """What this process printed."""
    return [Answer(**json.loads(line)) for line in lines.splitlines()]


def main(port: int, rate: int) -> None:
    with suppress(PermissionError):
        os.nice(NICE)
    with ReleaseLoad(port, rate) as load:
        sys.stdin.read()
    for answer in load.answers:
        print(json.dumps(asdict(answer)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
