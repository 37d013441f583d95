"""What only the host knows: the release that a rollback would return to after this deploy, which is
the one that serves now; the history of switches; and what the version's tag means there."""

from __future__ import annotations

from datetime import UTC, datetime

from ops.docker import Docker
from ops.observe import Observation, image_identity
from ops.verbs._containers import Seen, seen
from rollout.evidence import History, Image, Standby
from rollout.names import Names

STARTING = "starting"  # a worker's own check comes once a minute; that it answers was seen before


def standby(docker: Docker, names: Names, observed: Observation) -> Standby:
    live, state = observed.view.edge, observed.view.state
    by, at = f"the switch and Docker on {docker.host}", datetime.now(UTC)
    if live is None:
        return Standby(by=by, at=at, identity="")
    wrong: list[str] = []
    slot = state.slots.get(live.colour)
    if slot is None or slot.identity != live.identity or slot.status != "ready":
        wrong.append("the host has no record that it passed its checks")
    if live.identity in state.withdrawn:
        wrong.append(f"it was withdrawn ({state.withdrawn[live.identity].why})")
    release = state.releases.get(live.identity)
    workers = names.workers(live.identity, release.worker_replicas) if release else ()
    there = seen(docker, names.stack)
    app = names.app(live.colour)
    found = [_ill(there.get(app), app), *(_ill(there.get(w), w, STARTING) for w in workers)]
    wrong += filter(None, found)
    return Standby(by=by, at=at, identity=live.identity, colour=live.colour, wrong=tuple(wrong))


def history(docker: Docker, observed: Observation) -> History:
    return History(by=f"the switch on {docker.host}", at=datetime.now(UTC), events=observed.history)


def image(docker: Docker, tag: str) -> Image:
    found = image_identity(docker, tag)
    return Image(by=f"Docker on {docker.host}", at=datetime.now(UTC), tag=tag, digest=found.digest)


def _ill(found: Seen | None, name: str, *fine: str) -> str:
    if found is None:
        return f"{name} is gone"
    if not found.running:
        return f"{name} is {found.state}"
    return f"{name} is {found.health}" if found.health not in ("", "healthy", *fine) else ""
