"""Somebody changed the host behind Pulumi's back, while no deploy ran."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rollout.edge import ACTIVE_CONF, RELOAD_TOKEN
from tests.e2e.faults.catalogue import Act, Fault, Hits
from tests.e2e.faults.scene import Scene
from tests.e2e.world import docker, wait_until

GONE = "A container is removed behind Pulumi's back"
RENAMED = "A container is renamed behind Pulumi's back"
FILE = "nginx's upstream file is edited by hand"

Part = Callable[[Scene], str]


def live(scene: Scene) -> str:
    return scene.world.name(scene.world.state()["live"]["colour"])


def idle(scene: Scene) -> str:
    return scene.world.name(scene.world.idle)


def worker(scene: Scene) -> str:
    return _crew(scene, "worker")


def beat(scene: Scene) -> str:
    return _crew(scene, "beat")


def _crew(scene: Scene, part: str) -> str:
    """Of the release that serves."""
    mark = f"-{part}-{scene.before.replace('+', '-')}"
    return next(name for name in scene.world.containers() if mark in name)


def part(name: str) -> Part:
    return lambda scene: scene.world.name(name)


def remove(container: Part, outage: str = "") -> Act:
    """`outage`: what users miss meanwhile; it lasts until the run has made it anew."""

    def blow(scene: Scene) -> None:
        name = container(scene)
        docker("rm", "--force", name)
        if outage:
            scene.struck(outage if outage != "live" else scene.colour)

    return blow


def rename(container: Part, outage: str = "") -> Act:
    def blow(scene: Scene) -> None:
        name = container(scene)
        docker("rename", name, f"{name}-old")
        scene.afterwards(lambda: docker("rm", "--force", f"{name}-old", check=False))

    return blow


def point_by_hand(scene: Scene) -> None:
    """At an address where nobody is: users get 502 until it is put right."""
    world = scene.world
    path = f"/edge/{ACTIVE_CONF}"
    text = docker("exec", world.name("switch"), "cat", path)
    world.write("switch", path, text.replace(":8000", ":8001"))
    world.write("switch", f"/edge/{RELOAD_TOKEN}", "byhand\n")


def break_the_file(scene: Scene) -> None:
    """With a typing error: nginx refuses it and goes on with the one before."""
    world = scene.world
    world.write("switch", f"/edge/{ACTIVE_CONF}", "upstream live { server ;\n")
    world.write("switch", f"/edge/{RELOAD_TOKEN}", "byhand\n")
    wait_until(
        lambda: "emerg" in docker("logs", "--tail", "20", world.name("nginx")), "not read", 5
    )


def _removed(id_: str, title: str, container: Part, hits: Hits = "nothing") -> Fault:
    outage = {"nothing": "", "live": "live", "edge": "nginx", "store": id_}[hits]
    return Fault(
        f"remove-{id_}", GONE, title, remove(container, outage), breaks="nothing", hits=hits
    )


FAULTS = (
    replace(_removed("idle", "the idle app", idle), bounded=True),
    _removed("live", "the live app", live, "live"),
    _removed("worker", "the live release's worker", worker),
    _removed("beat", "the live release's beat", beat),
    _removed("switch", "the switch agent", part("switch")),
    _removed("nginx", "nginx", part("nginx"), "edge"),
    _removed("postgres", "PostgreSQL (its volume stays)", part("postgres"), "store"),
    _removed("redis", "Redis (its volume stays)", part("redis"), "store"),
    Fault("rename-idle", RENAMED, "the idle app", rename(idle), breaks="nothing"),
    Fault("rename-live", RENAMED, "the live app", rename(live), breaks="nothing"),
    Fault("rename-worker", RENAMED, "the live release's worker", rename(worker), breaks="nothing"),
    Fault(
        "rename-postgres", RENAMED, "PostgreSQL", rename(part("postgres"), "postgres"),
        breaks="nothing", hits="store",
    ),
    Fault("edit-upstream-broken", FILE, "with an error", break_the_file, breaks="nothing"),
)  # fmt: skip
