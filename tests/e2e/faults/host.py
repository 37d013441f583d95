"""The Docker host itself: its engine restarts, its disk is full, an image is gone, and the way to
it is slow, silent or cut. Played on a second host, which is reached by ssh through a proxy."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from tests.e2e.faults.catalogue import Act, Change, Ends, Fault, Hits
from tests.e2e.faults.moments import BEGIN, MID, MOVING, Moment
from tests.e2e.faults.remote import Remote
from tests.e2e.faults.scene import Scene
from tests.e2e.faults.services import after, at
from tests.e2e.world import docker

ENGINE = "The Docker engine restarts (with live-restore)"
DISK = "The disk of Docker's data directory is full"
SLOW = "The network to the host is slow"
STALL = "The network to the host falls silent: connections stay, nothing passes"
CUT = "The ssh connections to the host are cut"
IMAGE = "The image of the releases in both slots is deleted from the host"

LATENCY_MS, KILOBYTES = 100, 500


def on(blow: Callable[[Remote, Scene], None]) -> Act:
    """What is done to the second host."""

    def act(scene: Scene) -> None:
        assert scene.stage.remote
        blow(scene.stage.remote, scene)

    return act


def _restart(remote: Remote, scene: Scene) -> None:
    """Docker writes the rules by which a published port is reached anew."""
    scene.away += remote.host.restart_engine()


def _crash(remote: Remote, scene: Scene) -> None:
    scene.away += remote.host.restart_engine(signal.SIGKILL)


def _fill(remote: Remote, scene: Scene) -> None:
    """The datastores can't write: PostgreSQL may take no new session, Redis answers no ping."""
    begun = time.monotonic()

    def make_room() -> None:
        remote.host.make_room()
        scene.away += time.monotonic() - begun

    scene.heal(make_room)
    remote.host.fill()


def _slow(remote: Remote, scene: Scene) -> None:
    scene.heal(remote.proxy.heal)
    remote.proxy.slow(LATENCY_MS, KILOBYTES)


def _stall(remote: Remote, scene: Scene) -> None:
    scene.heal(remote.proxy.heal)
    remote.proxy.stall()


def _cut(remote: Remote, scene: Scene) -> None:
    remote.proxy.cut()


def _down(remote: Remote, scene: Scene) -> None:
    scene.heal(remote.proxy.heal)
    remote.proxy.down()


def delete_the_image(scene: Scene) -> None:
    """Its name is gone; what runs keeps the layers, until the last container of it is gone."""
    release = scene.world.live_release()
    docker("rmi", "--force", release["tag"])
    scene.afterwards(lambda: docker("tag", release["image"], release["tag"], check=False))


def _nothing(_: Scene) -> None:
    """What breaks is there before the command."""


def _fault(
    id_: str,
    group: str,
    moment: Moment,
    act: Act,
    ends: Ends = "either",
    *,
    hits: Hits = "nothing",
    title: str = "",
    undone: bool = False,
    prepare: Act | None = None,
) -> Fault:
    return Fault(
        f"{id_}@{moment.name}", group, title or moment.words, act,
        ends=ends, hits=hits, undone=undone, prepare=prepare, remote=True,
    )  # fmt: skip


def _image(breaks: Change) -> Fault:
    title = "rollback to the warm release" if breaks == "rollback" else "the next deploy"
    return Fault(
        f"image-deleted+{breaks}", IMAGE, title, _nothing,
        breaks=breaks, prepare=delete_the_image, ends="arrives", remote=True,
    )  # fmt: skip


FAULTS = (
    *(
        _fault("engine-restarts", ENGINE, moment, after(moment, on(_restart)), hits="edge")
        for moment in (MID["migrate"], MID["healthy"], MID["switch"])
    ),
    _fault(
        "engine-killed", ENGINE, MID["switch"], after(MID["switch"], on(_crash)), hits="edge",
        title=f"it is killed (`kill -9`), and started again, {MID['switch'].words}",
    ),
    *(
        _fault("disk-full", DISK, moment, at(moment, on(_fill)), hits="store")
        for moment in (BEGIN["backup"], BEGIN["app"], MOVING)
    ),
    Fault(
        "network-slow", SLOW, f"{2 * LATENCY_MS} ms there and back, {KILOBYTES} kB/s", _nothing,
        prepare=on(_slow), ends="arrives", remote=True,
    ),
    *(
        _fault("network-stalls", STALL, moment, at(moment, on(_stall)), undone=True, ends="fails")
        for moment in (MID["migrate"], MID["switch"])
    ),
    *(
        _fault("ssh-cut", CUT, moment, at(moment, on(_cut)))
        for moment in (MID["migrate"], MID["healthy"], MID["switch"])
    ),
    _fault(
        "ssh-gone", CUT, MID["switch"], at(MID["switch"], on(_down)), "fails", undone=True,
        title=f"and the host can't be reached for the rest of the run, {MID['switch'].words}",
    ),
    _image("rollback"),
    _image("deploy"),
)  # fmt: skip
