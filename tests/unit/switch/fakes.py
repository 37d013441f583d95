"""Stand-ins at the switch's seams: an edge, workers, a beat, probes and a clock that do as told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ops.switch.config import Clock, SwitchConfig
from ops.switch.edge import EdgeFailed
from ops.switch.probes import Answer, ProbeFailed
from ops.switch.protocol import Begin
from ops.switch.state_store import StateStore
from ops.switch.switch import Switch
from ops.switch.watch import Tally
from rollout.edge import Active
from rollout.names import Colour
from rollout.shapes import Health, Limits, Pointer, Release, Wanted
from rollout.state import HostState, Slot

LIMITS = Limits(memory=512, cpus=1, pids=64)
SUBNET = "127.0.9.0/24"


def release(version: str = "1.0.0", fingerprint: str = "aaaaaaaaaaaa") -> Release:
    return Release(
        version=version,
        fingerprint=fingerprint,
        image="sha256:1",
        tag=f"ytempire/backend:{version}",
        digest="sha256:1",
        environment={},
        port=8000,
        health=Health(path="/health", interval=30, timeout=10, retries=3, start_period=60),
        endpoints=("/health", "/api/v1/status"),
        status_path="/api/v1/status",
        app_command=(),
        worker_command=("celery", "worker"),
        beat_command=("celery", "beat"),
        migrate_command=("true",),
        queues=("celery", "mail"),
        worker_replicas=2,
        worker_stop_seconds=900,
        app_limits=LIMITS,
        worker_limits=LIMITS,
        beat_limits=LIMITS,
        user="10001:10001",
        media_path="/media",
    )


OLD = release("1.0.0", "aaaaaaaaaaaa")
NEW = release("1.1.0", "bbbbbbbbbbbb")
BLUE = Pointer(colour="blue", identity=OLD.identity)
GREEN = Pointer(colour="green", identity=NEW.identity)


def host_state() -> HostState:
    """Blue serves the old release; green is ready with the new one."""
    return HostState(
        serial=4,
        confirmed=4,
        claim=2,
        live=BLUE,
        asked=Wanted(version="1.0.0", fingerprint="aaaaaaaaaaaa"),
        slots={
            "blue": Slot(identity=OLD.identity, claim=1, status="ready", was_live=True),
            "green": Slot(identity=NEW.identity, claim=2, status="ready"),
        },
        releases={OLD.identity: OLD, NEW.identity: NEW},
    )


def begin(**changes: object) -> Begin:
    fields: dict[str, object] = {
        "serial": 5,
        "target": GREEN,
        "claim": 2,
        "asked": Wanted(version="1.1.0", fingerprint="bbbbbbbbbbbb"),
        "kind": "deploy",
        "who": "ann@laptop",
        "source": BLUE,
    }
    return Begin.model_validate({**fields, **changes})


class FakeClock:
    """Time passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0

    def utc(self) -> str:
        start = datetime(2026, 1, 10, 6, tzinfo=UTC)
        return (start + timedelta(seconds=self.passed)).isoformat(timespec="seconds")

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += max(seconds, 0.001)


@dataclass
class FakeCaller:
    """A caller who listens, until `left`."""

    said: list[str] = field(default_factory=list)
    left: bool = False
    leaves_after: str = ""

    def say(self, words: str) -> None:
        self.said.append(words)
        if self.leaves_after and self.leaves_after in words:
            self.left = True

    def gone(self) -> bool:
        return self.left


@dataclass
class FakeHost:
    """Everything that a switch moves, and the order in which it was moved."""

    pointer: Pointer | None = BLUE
    serial: int = 4
    announced: tuple[Pointer | None, Pointer] | None = None
    consumer: str | None = OLD.identity
    beat: str | None = OLD.identity
    story: list[str] = field(default_factory=list)
    silent: dict[str, list[str]] = field(default_factory=dict)
    reload_fails: bool = False
    turn_fails: bool = False
    app_fails: str = ""
    fails_directly: list[ProbeFailed | None] = field(default_factory=list)
    public_fails: list[ProbeFailed | None] = field(default_factory=list)
    tally: Tally | None = None

    # the edge

    def active(self) -> Active:
        before, after = self.announced or (self.pointer, self.pointer)
        return Active(
            serial=self.serial,
            before=before,
            after=after,
            turn="after-x" if self.announced else "",
            load="x",
            turned=self.pointer != before,
        )

    def confirm(self, load: str) -> None:
        if self.reload_fails:
            raise EdgeFailed("nginx did not reload in 5 s")

    def public(self, release: Release) -> None:
        outcome = self.public_fails.pop(0) if self.public_fails else None
        if outcome:
            raise outcome

    def app(self, colour: Colour, release: Release, timeout: float) -> int:
        if self.app_fails:
            raise ProbeFailed(self.app_fails, release_at_fault=True)
        outcome = self.fails_directly.pop(0) if self.fails_directly else None
        if outcome:
            raise outcome
        return 3

    def follow(self, tally: Tally | None) -> None:
        self.tally = tally

    # the workers

    def assign(self, identity: str | None) -> None:
        self.consumer = identity

    def pause(self, release: Release, timeout: float) -> list[str]:
        self.story.append(f"pause {release.version}")
        self.consumer = None
        return self.silent.get(release.version, [])

    def consume(self, release: Release, timeout: float) -> list[str]:
        self.story.append(f"consume {release.version}")
        self.consumer = release.identity
        return self.silent.get(release.version, [])


class FakeEdge:
    """The edge's and the beat's `point` differ; this is the edge's."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self.active = host.active
        self.confirm = host.confirm

    def point(self, pointer: Pointer | None, release: Release | None, serial: int) -> str:
        self._host.story.append(f"web {release.version if release else 'none'}")
        self._host.pointer, self._host.serial, self._host.announced = pointer, serial, None
        return "load"

    def announce(
        self,
        before: Pointer | None,
        after: Pointer,
        releases: Mapping[str, Release],
        serial: int,
    ) -> str:
        self._host.story.append(f"announce {releases[after.identity].version}")
        assert self._host.pointer == before
        self._host.serial, self._host.announced = serial, (before, after)
        return "load"

    def turn(self) -> None:
        assert self._host.announced
        self._host.story.append("turn")
        self._host.pointer = self._host.announced[1]
        if self._host.turn_fails:
            raise EdgeFailed("expected nginx to turn, got no answer")

    def turn_back(self) -> None:
        assert self._host.announced
        if self._host.active().turned:
            self._host.story.append("turn back")
            self._host.pointer = self._host.announced[0]


class FakeBeat:
    """The live pointer."""

    def __init__(self, host: FakeHost) -> None:
        self._host = host

    def point(self, identity: str | None) -> None:
        self._host.story.append(f"beat {identity.split('+')[0] if identity else 'none'}")
        self._host.beat = identity


def config(folder: Path, **changes: object) -> SwitchConfig:
    for name in ("control", "live", "edge"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return SwitchConfig.model_validate(
        {
            "stack": "test",
            "app_subnet": SUBNET,
            "domain": "ytempire.test",
            "control": str(folder / "control"),
            "live": str(folder / "live"),
            "edge": str(folder / "edge"),
            "socket": str(folder / "switch.sock"),
            **changes,
        }
    )


@dataclass
class World:
    """A switch over a fake host, with a real store."""

    switch: Switch
    store: StateStore
    host: FakeHost
    clock: Clock

    @property
    def state(self) -> HostState:
        return self.store.state


def world(folder: Path, state: HostState | None = None, clock: Clock | None = None) -> World:
    clock, host, settings = clock or FakeClock(), FakeHost(), config(folder, lease_seconds=1)
    store = StateStore(settings.control_path, clock)
    store.save(state or host_state())
    switch = Switch(
        settings,
        store,
        clock,
        edge=FakeEdge(host),
        workers=host,
        beat=FakeBeat(host),
        probes=host,
        access_log=host,
    )
    return World(switch, store, host, clock)


@dataclass
class FakeControl:
    """Celery workers by node name, each with the queues that it consumes."""

    workers: dict[str, set[str]] = field(default_factory=dict)
    busy: dict[str, int | None] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)
    down: Exception | None = None
    sent: list[str] = field(default_factory=list)

    def queues(self, nodes: Sequence[str] | None, timeout: float) -> dict[str, set[str]]:
        self._check()
        return {
            node: set(queues)
            for node, queues in self.workers.items()
            if node not in self.deaf and (nodes is None or node in nodes)
        }

    def jobs(self, nodes: Sequence[str], timeout: float) -> dict[str, int | None]:
        self._check()
        return {node: self.busy.get(node, 0) for node in nodes}

    def add(self, node: str, queue: str) -> None:
        self._send("add", node, queue)
        if node in self.workers and node not in self.deaf:
            self.workers[node].add(queue)

    def cancel(self, node: str, queue: str) -> None:
        self._send("cancel", node, queue)
        if node in self.workers and node not in self.deaf:
            self.workers[node].discard(queue)

    def _send(self, command: str, node: str, queue: str) -> None:
        self._check()
        self.sent.append(f"{command} {node} {queue}")

    def _check(self) -> None:
        if self.down:
            raise self.down


class FakeStatus:
    """nginx's status port, answering what the files say once they are 'loaded'."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.down = False

    def status(self, path: str) -> Answer:
        if self.down:
            raise ConnectionRefusedError
        return Answer(200, {}, self.answers.get(path, ""))
