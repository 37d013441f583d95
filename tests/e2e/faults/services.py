"""A part of the running system dies, restarts or hangs: nginx, an app, PostgreSQL, Redis."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from rollout.names import Colour, other
from tests.e2e.faults.catalogue import Act, Fault
from tests.e2e.faults.moments import MID, Moment
from tests.e2e.faults.scene import Scene
from tests.e2e.world import docker, wait_until

NGINX = "nginx's container is killed"
APP = "An app is killed"
STORE = "A datastore restarts"
HUNG = "2.0.6-hung-health"
# Takes memory until the kernel says no.
HOG = "taken = []\nwhile True: taken.append(bytes([1]) * (1 << 22))"
FIRST_CHOICE = "1000"  # of the kernel, when it looks for somebody to kill


def main_process(scene: Scene, part: str) -> int:
    return int(docker("inspect", scene.world.name(part), "-f", "{{.State.Pid}}"))


def at(moment: Moment, blow: Act) -> Act:
    """`blow`, with that moment held while it falls."""

    def inject(scene: Scene) -> None:
        with scene.at(moment):
            blow(scene)

    return inject


def after(moment: Moment, blow: Act) -> Act:
    """`blow`, once that moment has come: one that takes its time must not hold the run."""

    def inject(scene: Scene) -> None:
        with scene.at(moment):
            pass
        blow(scene)

    return inject


def crash(part: Callable[[Scene], str]) -> Act:
    """Its main process is killed, and Docker starts it again."""

    def blow(scene: Scene) -> None:
        os.kill(main_process(scene, part(scene)), signal.SIGKILL)
        scene.struck(part(scene))

    return blow


def restart(part: str) -> Act:
    def blow(scene: Scene) -> None:
        docker("stop", scene.world.name(part))
        scene.struck(part)
        docker("start", scene.world.name(part))

    return blow


def nginx(_: Scene) -> str:
    return "nginx"


def live(scene: Scene) -> Colour:
    """Where users are, a switch that is not confirmed included."""
    state = scene.world.state()
    serving = state["pending"]["target"] if state["pending"] else state["live"]
    colour: Colour = serving["colour"]
    return colour


def idle(scene: Scene) -> Colour:
    return other(live(scene))


def run_out_of_memory(scene: Scene) -> None:
    """The limit of the live app's container is reached, and the kernel ends the app."""
    colour = live(scene)
    app = scene.world.name(colour)
    before = _starts(app)
    for process in docker("top", app, "-o", "pid").split()[1:]:
        Path(f"/proc/{process}/oom_score_adj").write_text(FIRST_CHOICE)
    docker("exec", app, "python3", "-c", HOG, check=False)
    scene.struck(colour)
    wait_until(lambda: _starts(app) > before, f"{app} outlived it")


def _starts(app: str) -> int:
    return int(docker("inspect", app, "-f", "{{.RestartCount}}"))


def ask_for_the_hung_one(scene: Scene) -> None:
    version = scene.world.get("version")
    scene.world.set("version", HUNG)
    scene.heal(lambda: scene.world.set("version", version))


FAULTS = (
    Fault(
        "kill-nginx@healthy-mid", NGINX, MID["healthy"].words, at(MID["healthy"], crash(nginx)),
        hits="edge", ends="arrives", bounded=True,
    ),
    Fault(
        "kill-nginx@switch-mid", NGINX, MID["switch"].words, at(MID["switch"], crash(nginx)),
        hits="edge", ends="either",
    ),
    Fault(
        "kill-idle-app@healthy-mid", APP, f"the idle one, {MID['healthy'].words}",
        at(MID["healthy"], crash(idle)), ends="arrives",
    ),
    Fault(
        "kill-live-app@healthy-mid", APP, f"the live one, {MID['healthy'].words}",
        at(MID["healthy"], crash(live)), hits="live", ends="arrives", bounded=True,
    ),
    Fault(
        "kill-live-app@switch-mid", APP, f"the new one, {MID['switch'].words}",
        at(MID["switch"], crash(live)), hits="live", ends="either",
    ),
    Fault(
        "oom-live-app@healthy-mid", APP, f"the live one, out of memory, {MID['healthy'].words}",
        after(MID["healthy"], run_out_of_memory), hits="live", ends="arrives",
    ),
    Fault(
        "hung-health", APP, "no: the new release's health endpoint never answers",
        lambda scene: None, prepare=ask_for_the_hung_one, undone=True,
    ),
    Fault(
        "restart-redis@healthy-mid", STORE, f"Redis, {MID['healthy'].words}",
        after(MID["healthy"], restart("redis")), hits="store", ends="arrives",
    ),
    Fault(
        "restart-redis@switch-mid", STORE, f"Redis, {MID['switch'].words}",
        after(MID["switch"], restart("redis")), hits="store", ends="either",
    ),
    Fault(
        "restart-postgres@backup-mid", STORE, f"PostgreSQL, {MID['backup'].words}",
        after(MID["backup"], restart("postgres")), hits="store", ends="either",
    ),
    Fault(
        "restart-postgres@migrate-mid", STORE, f"PostgreSQL, {MID['migrate'].words}",
        after(MID["migrate"], restart("postgres")), hits="store", ends="either", bounded=True,
    ),
    Fault(
        "restart-postgres@switch-mid", STORE, f"PostgreSQL, {MID['switch'].words}",
        after(MID["switch"], restart("postgres")), hits="store", ends="either",
    ),
    Fault(
        "crash-postgres@switch-mid", STORE, f"PostgreSQL, by a crash, {MID['switch'].words}",
        after(MID["switch"], crash(lambda scene: "postgres")), hits="store", ends="either",
    ),
)  # fmt: skip
