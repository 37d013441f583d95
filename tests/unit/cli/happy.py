"""The happy path that the tests of `ytops` break in one place: 1.1.0 serves from green, and 1.0.0
stands ready on blue."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ops.observe import Observation
from ops.verbs._containers import Seen
from ops.verbs._look import Answer, Look
from ops.verbs._place import Place
from rollout.names import Names
from rollout.plan import View
from rollout.shapes import Pointer, Release
from rollout.state import Event, HostState, Slot, Withdrawal, Workers, WorkerState
from tests.unit.rollout.host_model import release

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW = release("1.0.0", "aaaa"), release("1.1.0", "bbbb")
BLUE = Pointer(colour="blue", identity=OLD.identity)
GREEN = Pointer(colour="green", identity=NEW.identity)
NAMES = Names("sandbox")

STACK_FILE = """\
# What the sandbox runs.
encryptionsalt: v1:abc
config:
  # the one key that a deploy changes
  ytempire:version: 1.0.0  # live since Friday
  ytempire:redisPassword:
    secure: v1:xyz
  ytempire:protect: "false"
"""
PROJECT_FILE = """\
name: ytempire
config:
  version: {type: string, default: ""}
  protect: {type: boolean, default: true}
  edgeDomain: {type: string, default: localhost}
  backendSlowPath: {type: string, default: ""}
  bootTimeout: {type: integer, default: 180}
  edgeTls: {type: string, default: self-signed}
  edgeHttpsPort: {type: integer, default: 443}
  dockerHost: {type: string, default: "unix:///var/run/docker.sock"}
"""


def event(kind: Any, source: Release | None, target: Release, **changes: Any) -> Event:
    usual = Event(
        at="2026-11-22T11:00:00+00:00",
        kind=kind,
        serial=2,
        source=source.identity if source else "",
        target=target.identity,
        who="ana@desk",
        seconds=12.0,
    )
    return usual.model_copy(update=changes)


def state(**changes: Any) -> HostState:
    usual = HostState(
        serial=2,
        claim=2,
        live=GREEN,
        slots={
            "blue": Slot(identity=OLD.identity, claim=1, status="ready", was_live=True),
            "green": Slot(identity=NEW.identity, claim=2, status="ready", was_live=True),
        },
        releases={OLD.identity: OLD, NEW.identity: NEW},
        last=event("deploy", OLD, NEW),
    )
    return usual.model_copy(update=changes)


def view(edge: Pointer | None = GREEN, **changes: Any) -> View:
    return View(state(**changes), edge)


def withdrawn(gone: Release, serial: int = 3) -> dict[str, Withdrawal]:
    why = Withdrawal(serial=serial, at="2026-11-22T11:30:00+00:00", why="p95 812 ms")
    return {gone.identity: why}


def workers() -> Workers:
    def worker(gone: Release, index: int, queues: tuple[str, ...], busy: int) -> WorkerState:
        node = f"celery@{NAMES.worker(gone.identity, index)}"
        return WorkerState(node=node, identity=gone.identity, queues=queues, busy=busy)

    heard = [worker(NEW, i, ("celery",), i) for i in (1, 2)]
    heard += [worker(OLD, i, ("hold",), 0) for i in (1, 2)]
    return Workers(at="2026-11-22T11:59:58+00:00", workers={w.node: w for w in heard})


def observation(**changes: Any) -> Observation:
    history = (event("deploy", None, OLD, serial=1), event("deploy", OLD, NEW))
    return Observation(view(**changes), workers=workers(), history=history)


def containers() -> dict[str, Seen]:
    parts = {NAMES.edge: "nginx", NAMES.postgres: "postgres", NAMES.redis: "redis"}
    found = [seen(name, part) for name, part in {**parts, NAMES.switch: "switch"}.items()]
    for pointer in (BLUE, GREEN):
        found.append(seen(NAMES.app(pointer.colour), "app", pointer))
        found.append(seen(NAMES.beat(pointer.identity), "beat", pointer))
        found += [seen(n, "worker", pointer) for n in NAMES.workers(pointer.identity, 2)]
    return {container.name: container for container in found}


def seen(name: str, part: str, pointer: Pointer | None = None) -> Seen:
    release, colour = (pointer.identity, pointer.colour) if pointer else ("", "")
    return Seen(name, "running", "Up 5 minutes (healthy)", part, colour, release)


def stopped(found: dict[str, Seen], name: str) -> dict[str, Seen]:
    return {**found, name: replace(found[name], state="exited", status="Exited (1) 2 minutes ago")}


def look(**changes: Any) -> Look:
    usual = Look(
        stack="sandbox",
        host="unix:///var/run/docker.sock",
        address="https://localhost",
        at=NOW,
        observation=observation(),
        containers=containers(),
        answer=Answer(200, NEW.identity, 12),
        beat=NEW.identity,
    )
    return replace(usual, **changes)


def place(folder: Path, stack_file: str = STACK_FILE) -> Place:
    (folder / "Pulumi.yaml").write_text(PROJECT_FILE)
    (folder / "Pulumi.sandbox.yaml").write_text(stack_file)
    return Place(folder, "sandbox")
