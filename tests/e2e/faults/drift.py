"""Somebody changed the host behind Pulumi's back, while no deploy ran."""

from __future__ import annotations

from collections.abc import Callable

from rollout.edge import ACTIVE_CONF
from tests.e2e.faults.catalogue import Act, Fault, Hits
from tests.e2e.faults.scene import Scene
from tests.e2e.world import docker, wait_until

GONE = "A container is removed behind Pulumi's back"
RENAMED = "A container is renamed behind Pulumi's back"
FILE = "nginx's upstream file is edited by hand"

INCLUDE = f"/edge/{ACTIVE_CONF}"

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
        docker("rm", "--force", "--volumes", name)
        if outage:
            scene.struck(outage if outage != "live" else scene.colour)

    return blow


def rename(container: Part) -> Act:
    def blow(scene: Scene) -> None:
        name = container(scene)
        docker("rename", name, f"{name}-old")
        scene.afterwards(lambda: docker("rm", "--force", "--volumes", f"{name}-old", check=False))

    return blow


def point_by_hand(scene: Scene) -> None:
    """At a port where nobody is: users get 502 until it is put right."""
    _edit(scene, _include(scene).replace(":8000", ":8001"))
    scene.struck("nginx")


def break_the_file(scene: Scene) -> None:
    """nginx would refuse it and go on with the one before; and would not start again with it."""
    _edit(scene, "upstream app { server ;\n")


def _edit(scene: Scene, text: str) -> None:
    """As somebody with a shell might; then a reload. The switch puts it back by itself."""
    scene.world.write("switch", INCLUDE, text)
    scene.world.reload_edge()
    wait_until(lambda: _include(scene) != text, "the edited file stays", 30)


def _include(scene: Scene) -> str:
    return docker("exec", scene.world.name("switch"), "cat", INCLUDE)


def _removed(id_: str, title: str, container: Part, hits: Hits = "nothing") -> Fault:
    outage = {"nothing": "", "live": "live", "edge": "nginx", "store": id_}[hits]
    return Fault(
        f"remove-{id_}", GONE, title, remove(container, outage), breaks="nothing", hits=hits
    )


FAULTS = (
    _removed("idle", "the idle app", idle),
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
        "rename-postgres", RENAMED, "PostgreSQL (its address stays)", rename(part("postgres")),
        breaks="nothing",
    ),
    Fault(
        "edit-upstream", FILE, "to a port where nobody is", point_by_hand,
        breaks="nothing", hits="edge", bounded=True,
    ),
    Fault("edit-upstream-broken", FILE, "with an error", break_the_file, breaks="nothing"),
)  # fmt: skip
