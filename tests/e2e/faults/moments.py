"""The moments of a change at which something can break: the boundaries of its steps, and their
middles.

A boundary is where the engine says that a step begins. A middle is seen in what the step does: the
command that it has running, the container that it has made, the first answer of the new release
through nginx. Whoever works there is stopped (SIGSTOP) until the blow has fallen: most steps last a
fraction of a second.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.agent import CLIENT
from tests.e2e.faults.processes import Process, below, frozen
from tests.e2e.world import docker

if TYPE_CHECKING:
    from tests.e2e.faults.scene import Scene

SECONDS = 400  # a slow machine
POLL_SECONDS = 0.01

# None: not yet. Else who is to be stopped while the blow falls.
Seen = Callable[["Scene"], list[int] | None]


@dataclass(frozen=True)
class Moment:
    """`name` for ids, `words` for people."""

    name: str
    words: str
    seen: Seen


@contextmanager
def reached(moment: Moment, scene: Scene) -> Iterator[None]:
    """Waits for it, and holds it while the block runs."""
    deadline = time.monotonic() + SECONDS
    while (held := moment.seen(scene)) is None:
        over = scene.run.process.poll() is not None
        assert not over, f"it ended before {moment.name} was reached:\n{scene.run.text}"
        assert time.monotonic() < deadline, f"{moment.name} was not reached:\n{scene.run.text}"
        time.sleep(POLL_SECONDS)
    with frozen(held):
        yield


def begins(resource: str) -> Seen:
    """The engine says that it begins with it; `SLOT` stands for the slot's colour."""

    def seen(scene: Scene) -> list[int] | None:
        name = resource.replace("SLOT", scene.colour)
        return [] if scene.run.said(rf"\b{name}\S* creating") else None

    return seen


def runs(verb: str, child: str = "") -> Seen:
    """The step's process is there, and has a command under way that matches."""

    def seen(scene: Scene) -> list[int] | None:
        found = below(scene.run.process.pid)
        step = next((p for p in found if p.is_step(verb)), None)
        if step is None or not (not child or _has_child(found, step, child)):
            return None
        return [step.pid]

    return seen


def _has_child(found: list[Process], step: Process, pattern: str) -> bool:
    children = (" ".join(p.words) for p in found if p.parent == step.pid)
    return any(re.search(pattern, words) for words in children)


def makes(part: str) -> Seen:
    """The container is there and the plugin has not told the engine: it is stopped."""

    def seen(scene: Scene) -> list[int] | None:
        label = f"label=ytempire.part={part}"
        own = f"label=ytempire.stack={scene.world.stack}"
        made = docker("ps", "-aq", "--no-trunc", "--filter", own, "--filter", label).split()
        if not set(made) - scene.containers:
            return None
        return [p.pid for p in below(scene.run.process.pid) if p.program == DOCKER_PLUGIN]

    return seen


def answers(scene: Scene) -> list[int] | None:
    """The new release answers users, and nobody has confirmed it."""
    last = scene.load.answers[-1:]
    if not last or last[0].release in ("", scene.before):
        return None
    return runs("switch")(scene)


DOCKER_PLUGIN = "pulumi-resource-docker"
AGENT = f"exec .*{re.escape(CLIENT[-1])}"

# The steps of a deploy: name, resource, in the middle of …, and how that is seen.
_STEPS: tuple[tuple[str, str, str, Seen], ...] = (
    ("gate", "gate", "the gate", runs("gate")),
    ("claim", "SLOT-claim", "the claim of the slot", runs("claim", AGENT)),
    ("backup", "SLOT-backup", "the dump of the database", runs("backup", "start --attach")),
    ("image", "SLOT-image", "the look at the image", runs("image")),
    ("migrate", "SLOT-migrate", "the migrations", runs("migrate", "start --attach")),
    ("app", "SLOT-app", "making the app's container", makes("app")),
    ("healthy", "SLOT-healthy", "the boot of the app", runs("healthy")),
    ("worker", "worker-", "making the worker's container", makes("worker")),
    ("beat", "beat-", "making the beat's container", makes("beat")),
    ("workers", "SLOT-workers", "waiting for the workers", runs("workers-answer", AGENT)),
    ("verify", "SLOT-verify", "checking the idle slot", runs("verify", AGENT)),
    ("switch", "switch", "the watch: traffic has moved, nobody has confirmed it", answers),
    ("cache", "cache", "flushing the cache", runs("cache")),
    ("notify", "notify", "telling the webhook", runs("notify")),
)

STEPS = tuple(name for name, *_ in _STEPS)
ROLLBACK_STEPS = ("gate", "switch", "cache", "notify")
BEGIN = {
    name: Moment(f"{name}-begin", f"as `{resource.replace('SLOT-', '').rstrip('-')}` begins", seen)
    for name, resource, _, _ in _STEPS
    for seen in [begins(resource)]
}
MID = {
    name: Moment(f"{name}-mid", f"in the middle of {words}", seen)
    for name, _, words, seen in _STEPS
}


def is_before_the_switch(moment: Moment) -> bool:
    """Nothing has moved yet."""
    return STEPS.index(moment.name.rpartition("-")[0]) < STEPS.index("switch")


def says(words: str) -> Seen:
    return lambda scene: [] if scene.run.said(words) else None


# Of the switch, as the agent tells of it.
ANNOUNCED = Moment(
    "switch-announced",
    "when it has announced a switch to nginx, and nothing has moved",
    says("pausing the live workers"),
)
MOVING = Moment("switch-moving", "while traffic is being moved", says("moving traffic"))
TURNED = Moment(
    "switch-turned",
    "when traffic has turned, and it looks through nginx whether it did",
    says("checking through the edge"),
)
CONFIRMED = Moment(
    "switch-confirmed",
    "when the switch is confirmed, and nginx has not been told that it is over",
    says("serves, after"),
)
