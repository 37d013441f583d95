"""The switch agent dies while it watches: it undoes what nobody confirmed when it is back."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

from tests.e2e.faults.catalogue import Act, Fault, of_a_rollback
from tests.e2e.faults.moments import ANNOUNCED, CONFIRMED, MID, MOVING, TURNED, Moment
from tests.e2e.faults.scene import Scene
from tests.e2e.world import docker

GROUP = "The switch agent is killed"


def _crash(moment: Moment) -> Act:
    """Docker starts it again."""

    def inject(scene: Scene) -> None:
        agent = docker("inspect", scene.world.name("switch"), "-f", "{{.State.Pid}}")
        with scene.at(moment):
            os.kill(int(agent), signal.SIGKILL)

    return inject


def _killed_by_a_person(scene: Scene) -> None:
    """Docker leaves it so; the run wakes it, or the next one does."""
    with scene.at(MID["switch"]):
        docker("kill", scene.world.name("switch"))


def _crashes(moment: Moment, **ends: Any) -> Fault:
    return Fault(f"kill-agent@{moment.name}", GROUP, moment.words, _crash(moment), **ends)


_CRASH = _crashes(MID["switch"], undone=True)

FAULTS = (
    _CRASH,
    *(_crashes(moment, undone=True) for moment in (ANNOUNCED, MOVING, TURNED)),
    _crashes(CONFIRMED, ends="arrives"),
    *(replace(fault, bounded=True) for fault in of_a_rollback([_CRASH])),
    Fault(
        "docker-kill-agent@switch-mid",
        GROUP,
        "by `docker kill`, after which Docker does not start it again: " + MID["switch"].words,
        _killed_by_a_person,
    ),
)
