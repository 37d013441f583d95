"""The switch agent dies while it watches: it undoes what nobody confirmed when it is back."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

from tests.e2e.faults.catalogue import Fault, of_a_rollback
from tests.e2e.faults.moments import MID, MOVING
from tests.e2e.faults.scene import Scene
from tests.e2e.world import docker

GROUP = "The switch agent is killed"


def _crash(scene: Scene) -> None:
    """Docker starts it again."""
    with scene.at(MID["switch"]):
        agent = docker("inspect", scene.world.name("switch"), "-f", "{{.State.Pid}}")
        os.kill(int(agent), signal.SIGKILL)


def _crash_while_it_moves(scene: Scene) -> None:
    with scene.at(MOVING):
        agent = docker("inspect", scene.world.name("switch"), "-f", "{{.State.Pid}}")
        os.kill(int(agent), signal.SIGKILL)


def _killed_by_a_person(scene: Scene) -> None:
    """Docker leaves it so; the run wakes it, or the next one does."""
    with scene.at(MID["switch"]):
        docker("kill", scene.world.name("switch"))


_CRASH = Fault("kill-agent@switch-mid", GROUP, MID["switch"].words, _crash, undone=True)

FAULTS = (
    _CRASH,
    Fault("kill-agent@switch-moving", GROUP, MOVING.words, _crash_while_it_moves, undone=True),
    *(replace(fault, bounded=True) for fault in of_a_rollback([_CRASH])),
    Fault(
        "docker-kill-agent@switch-mid",
        GROUP,
        "by `docker kill`, after which Docker does not start it again: " + MID["switch"].words,
        _killed_by_a_person,
    ),
)
