"""The bench's own Docker engine: Swarm changes the engine that it runs on, and all contenders shall
have the same one. It is removed with everything in it, whatever happened on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figures import AFTER_SECONDS, STEADY_SECONDS, WARM_UP_SECONDS
from tests.e2e.second_host import SecondHost

NAME = "ytbench"
DISK_MB = 12_000
IMAGES = (
    "ytempire/backend:1.0.0", "ytempire/backend:1.1.0", "ytempire/backend:1.2.0",
    "ytempire/ops:0.1.0", "ytempire-sandbox/postgres:15", "ytempire-sandbox/redis:7",
    "ytempire-sandbox/nginx:1.22", "ytempire-sandbox/base:bookworm",
)  # fmt: skip
SETTLE_SECONDS = 2.0  # after a pause, gunicorn may find its workers silent and replace them


class Engine(SecondHost):
    """Live-restore is off: Swarm refuses to run with it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(NAME, folder.resolve(), disk_mb=DISK_MB, live_restore=False)

    @contextmanager
    def alone(self, label: str) -> Iterator[None]:
        """The containers with this label have the machine for themselves: the others are paused."""
        mine = set(self._running("--filter", f"label={label}"))
        others = [name for name in self._running() if name not in mine]
        # Unchecked: one of them may just be restarting.
        if others:
            self.docker("pause", *others, check=False)
        try:
            time.sleep(SETTLE_SECONDS)
            yield
        finally:
            if others:
                self.docker("unpause", *others, check=False)

    @contextmanager
    def load(self, port: int, rate: int) -> Iterator[Load]:
        """A constant load on a port of this engine, some seconds before and after."""
        load = Load([*self.inside, "python", "-m", "bench.load", str(port), str(rate)])
        try:
            time.sleep(WARM_UP_SECONDS + STEADY_SECONDS)
            yield load
            time.sleep(AFTER_SECONDS)
        finally:
            load.end()

    def _running(self, *only: str) -> list[str]:
        return self.docker("ps", "--quiet", *only).split()


class Load:
    """The load's process. `answers` are there once it has ended."""

    def __init__(self, command: list[str]) -> None:
        self.lines = ""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).resolve().parents[1], start_new_session=True,
        )  # fmt: skip

    def end(self) -> None:
        self.lines, _ = self._process.communicate()


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """It, with the images, and known to every `docker` that is run from here."""
    install_compose()
    made = Engine(folder)
    with made:
        made.load_images(*IMAGES)
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = made.docker_host
        try:
            yield made
        finally:
            os.environ.pop("DOCKER_HOST")
            if before is not None:
                os.environ["DOCKER_HOST"] = before


def install_compose() -> None:
    """Debian's, which two of the contenders are."""
    if shutil.which("docker-compose"):
        return
    print("installing Debian's docker-compose", flush=True)
    for command in (
        ["apt-get", "update"],
        ["apt-get", "install", "-y", "--no-install-recommends", "docker-compose"],
    ):
        subprocess.run(
            command, check=True, capture_output=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
