"""`ytops logs PART`: what a part's containers say, by the part's name instead of Docker's."""

from __future__ import annotations

import subprocess
import threading
from enum import StrEnum
from typing import IO

from ops.docker import Docker, end
from ops.errors import OpsError
from ops.observe import observe
from ops.verbs._containers import Seen, seen
from ops.verbs._paper import say
from ops.verbs._place import Place
from rollout.shapes import Pointer


class Part(StrEnum):
    nginx = "nginx"
    app = "app"
    blue = "blue"
    green = "green"
    postgres = "postgres"
    redis = "redis"
    worker = "worker"
    beat = "beat"
    switch = "switch"
    wal = "wal"
    scheduler = "scheduler"


OF_A_RELEASE = (Part.app, Part.worker, Part.beat)


def logs(place: Place, part: Part, *, follow: bool = False, lines: int = 100) -> None:
    found = seen(place.docker, place.stack)
    live = observe(place.docker, place.names).view.edge if part in OF_A_RELEASE else None
    names = choose(part, found, live)
    if not names:
        here = ", ".join(sorted({c.part for c in found.values()})) or "no containers at all"
        raise OpsError(
            f"There is no {part} of {place.stack} on {place.docker.host}; there are: {here}.\n"
            "Next: `ytops status`"
        )
    options = ["logs", "--tail", str(lines), *(["--follow"] if follow else [])]
    _show(place.docker, options, names)


def choose(part: Part, found: dict[str, Seen], live: Pointer | None) -> list[str]:
    """The containers of a part. Of parts that each release has, the live release's; while none is
    live, all."""
    if part in (Part.blue, Part.green):
        return sorted(c.name for c in found.values() if c.part == "app" and c.colour == part)
    of_part = [c for c in found.values() if c.part == part]
    of_live = [c for c in of_part if live and c.release == live.identity]
    return sorted(c.name for c in (of_live or of_part))


def _show(docker: Docker, options: list[str], names: list[str]) -> None:
    """All at once, each line with its container's name when there are several."""
    running = [(name, docker.spawn([*options, name], False, subprocess.STDOUT)) for name in names]
    width = max(len(name) for name in names)
    readers = [
        threading.Thread(target=_relay, args=(process.stdout, prefix), daemon=True)
        for name, process in running
        for prefix in [f"{name:<{width}} | " if len(names) > 1 else ""]
    ]
    try:
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    except KeyboardInterrupt:
        pass  # how one stops following
    finally:
        for _, process in running:
            end(process)


def _relay(stream: IO[bytes], prefix: str) -> None:
    for line in stream:
        say(prefix + line.decode(errors="replace").rstrip("\n"))
