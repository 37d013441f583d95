"""The engine's state is damaged, or can't be written; clocks go wrong."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.e2e.faults.catalogue import Fault
from tests.e2e.faults.moments import BEGIN, MID, Moment
from tests.e2e.faults.scene import Scene
from tests.e2e.faults.services import at
from tests.e2e.world import docker
from toolchain.packages import faketime

STATE = "The engine's state file is damaged"
FULL = "The disk of the engine's state is full"
CLOCK = "A clock is set back by a day"

SLEEPS = Path(__file__).parent / "yesterday"
YESTERDAY = {"FAKETIME": "-1d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
SPARE_BYTES = 8 << 20  # of the small file system, before it is filled


def state_file(scene: Scene) -> Path:
    world = scene.world
    return world.folder / "state" / ".pulumi" / "stacks" / "ytempire" / f"{world.stack}.json"


def truncate(scene: Scene) -> None:
    """As a full disk or a crash leaves a file that is not written by rename."""
    file = state_file(scene)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def cut_attributes(scene: Scene) -> None:
    """As an engine leaves it that is killed between making the file and writing it."""
    file = state_file(scene)
    file.with_name(f"{file.name}.attrs").touch()


def lose_the_last_write(scene: Scene) -> None:
    """After the deploy the file of before it is back."""
    file = state_file(scene)
    before = file.read_bytes()
    scene.heal(lambda: file.write_bytes(before))


def small_backend(scene: Scene) -> None:
    """The state moves to a small file system, for the time of the scene."""
    folder = scene.world.folder / "state"
    away = folder.with_name("state.away")
    shutil.copytree(folder, away)
    held = sum(file.stat().st_blocks * 512 for file in away.rglob("*"))
    _mount("-t", "tmpfs", "-o", f"size={held + SPARE_BYTES}", "tmpfs", str(folder))
    shutil.copytree(away, folder, dirs_exist_ok=True)
    shutil.rmtree(away)

    def back() -> None:
        shutil.copytree(folder, away)
        subprocess.run(["umount", str(folder)], check=True, timeout=30)
        shutil.rmtree(folder)
        away.rename(folder)

    scene.afterwards(back)


def fill(scene: Scene) -> None:
    ballast = scene.world.folder / "state" / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass  # full
    scene.heal(ballast.unlink)


def deployer_in_the_past(scene: Scene) -> None:
    """The program, the steps and `ytops`: what is Python. The engine is Go and asks the kernel."""
    preload = {"LD_PRELOAD": str(faketime()), "PYTHONPATH": str(SLEEPS)}
    scene.environment |= preload | YESTERDAY


def agent_in_the_past(scene: Scene) -> None:
    """The agent's image with the library in it; it comes back to today before the recovery."""
    world = scene.world
    today = world.get("opsImage") or "ytempire/ops:0.1.0"
    image = f"ytempire/ops:{world.stack}-yesterday"
    made = docker("create", today).strip()
    docker("cp", str(faketime()), f"{made}:/opt/libfaketime.so.1")
    docker("cp", str(SLEEPS / "sitecustomize.py"), f"{made}:/opt/ytempire/")
    variables = {"LD_PRELOAD": "/opt/libfaketime.so.1", **YESTERDAY}
    changes = (w for k, v in variables.items() for w in ("--change", f"ENV {k}={v}"))
    docker("commit", *changes, made, image)
    docker("rm", made)
    before = world.get("opsImage")
    world.set("opsImage", image)
    scene.heal(lambda: world.set("opsImage", before))
    scene.afterwards(lambda: docker("rmi", image, check=False))


def _full(moment: Moment) -> Fault:
    return Fault(
        f"state-full@{moment.name}", FULL, moment.words, at(moment, fill),
        prepare=small_backend, ends="either",
    )  # fmt: skip


def _nothing(_: Scene) -> None:
    """What breaks is there before the command, or comes after it."""


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, timeout=30)


FAULTS = (
    Fault("state-truncated", STATE, "it is cut in half", truncate, breaks="nothing", bounded=True),
    Fault(
        "state-attributes", STATE, "the file of attributes beside it is empty", cut_attributes,
        breaks="nothing", bounded=True,
    ),
    Fault(
        "state-older", STATE, "its last write is lost: the file of before the deploy is back",
        _nothing, prepare=lose_the_last_write, ends="arrives",
    ),
    _full(BEGIN["backup"]),
    _full(MID["app"]),
    _full(MID["switch"]),
    Fault(
        "clock-deployer", CLOCK, "the deployer's", _nothing,
        prepare=deployer_in_the_past, ends="arrives",
    ),
    Fault(
        "clock-agent", CLOCK, "the switch agent's, after it has switched", _nothing,
        prepare=agent_in_the_past, ends="arrives",
    ),
)  # fmt: skip
