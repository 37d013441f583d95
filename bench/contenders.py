"""Who is compared: scripts, as the users of each tool write them, and ours. All run the whole
product from the same images: nginx, app, worker, beat, PostgreSQL, Redis."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.tool import Task
from tests.e2e.world import World

BENCH = Path(__file__).parent
FIRST = "1.0.0"  # serves before each deploy, and after each rollback
FIRST_NUMBER = 1 + int(os.environ.get("YTEMPIRE_E2E_OFFSET", "0"))
DEFAULT_WATCH_SECONDS = 30  # Pulumi.yaml's


class Contender(Protocol):
    """`label` marks its containers; `port` is nginx's."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def port(self) -> int: ...
    def set_up(self) -> list[Task]:
        """What brings the first release up."""
        ...

    def deploy(self, version: str) -> Task: ...
    def rollback(self) -> Task: ...


@dataclass(frozen=True)
class Script:
    """bench/NAME.sh."""

    name: str
    port: int
    folder: Path
    prepares: bool = False  # `up` makes the stores only, and the first release is a deploy

    @property
    def label(self) -> str:
        return f"ytempire.bench={self._stack}"

    @property
    def _stack(self) -> str:
        return f"ytbench-{self.name}"

    def set_up(self) -> list[Task]:
        if self.prepares:
            return [self._task("up"), self.deploy(FIRST)]
        return [self._task("up", FIRST)]

    def deploy(self, version: str) -> Task:
        return self._task("deploy", version)

    def rollback(self) -> Task:
        return self._task("rollback", FIRST)

    def _task(self, *arguments: str) -> Task:
        environment = {
            "BENCH_NAME": self._stack,
            "BENCH_PORT": str(self.port),
            "BENCH_FOLDER": str(self.folder),
        }
        return Task(["sh", str(BENCH / f"{self.name}.sh"), *arguments], self.folder, environment)


@dataclass(frozen=True)
class Ytops:
    """`ytops up` and `ytops rollback`, with this many seconds of watch."""

    world: World
    name: str = "ytops"
    watch: int = 0

    @property
    def label(self) -> str:
        return f"ytempire.stack={self.world.stack}"

    @property
    def port(self) -> int:
        return self.world.port

    def set_up(self) -> list[Task]:
        self.world.create()
        return [self.task("ytops", "up", FIRST)]

    def deploy(self, version: str) -> Task:
        self._ask_anew()
        return self.task("ytops", "up", version)

    def rollback(self) -> Task:
        return self.task("ytops", "rollback")

    def task(self, *command: str) -> Task:
        return Task(command, self.world.folder, self.world.environment)

    def _ask_anew(self) -> None:
        """Each deploy is of a release that is in no slot: otherwise only traffic would move."""
        self.world.set("watchSeconds", self.watch)
        self.world.change()


@dataclass(frozen=True)
class Watched(Ytops):
    """The same stack, with the watch that users have unless they say otherwise."""

    name: str = "watched"
    watch: int = DEFAULT_WATCH_SECONDS

    def set_up(self) -> list[Task]:
        return []


@dataclass(frozen=True)
class Pulumi(Ytops):
    """Plain `pulumi up`, the version written to the stack file first."""

    name: str = "pulumi"

    def deploy(self, version: str) -> Task:
        self._ask_anew()
        self.world.set("version", version)
        return self._up

    def rollback(self) -> Task:
        self.world.ask_for_the_idle()
        return self._up

    @property
    def _up(self) -> Task:
        return self.task("pulumi", "up", "--yes", "--skip-preview", "--color=never")


def world(stack: str, turn: int, folder: Path, docker_host: str) -> World:
    """A stack of ours on the bench's engine. It doesn't watch, and is patient: what takes long
    shall be measured, not fail."""
    settings = {
        "dockerHost": docker_host,
        "watchSeconds": 0,
        "bootTimeout": 300,
        "healthStartPeriod": 240,
    }
    return World(stack, folder / stack, FIRST_NUMBER + turn, settings)


def contenders(folder: Path, docker_host: str) -> list[Contender]:
    """All of them, the floor first."""
    ports = 18_000 + FIRST_NUMBER
    ours = world("bench", 10, folder, docker_host)
    return [
        Script("floor", ports, folder, prepares=True),
        Ytops(ours),
        Pulumi(world("benchplain", 11, folder, docker_host)),
        Script("manual", ports + 1, folder),
        Script("rollout", ports + 2, folder),
        Script("swarm", ports + 3, folder),
        Watched(ours),
    ]
