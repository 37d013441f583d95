"""Before a run: what a fault left behind is found, said, and cleared the way Pulumi clears it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from ops.docker import STANDING, Docker
from ops.engine import Engine, Recorded
from ops.stackfile import PROJECT
from ops.verbs import _pulumi_lock as lock
from ops.verbs._containers import Seen, seen
from ops.verbs._exit import Refused
from ops.verbs._place import Place
from rollout.names import STACK_LABEL

REFRESH = "--refresh"
# An engine that was killed keeps the addresses of containers that ended meanwhile, under their
# names: none of that name starts again until they are taken away.
_ENDPOINT = re.compile(r"endpoint with name (\S+) already exists in network (\S+)")
_NOBODYS = "ep-"  # the key of an endpoint without a container, in `docker network inspect`
Say = Callable[[str], None]


def unlock(engine: Engine, say: Say) -> None:
    """Clear the lock of a dead process; raise Refused while another run may be under way."""
    lock.clear_stranded(lock.read(engine.backend, PROJECT, engine.stack) or [], engine, say)


def unlock_as_told(errors: str, engine: Engine, say: Say) -> bool:
    """The same by the CLI's complaint, for backends whose locks can't be read here. True when the
    way is free now."""
    locks = lock.parse(errors)
    if not locks and lock.is_busy(errors):
        raise Refused(
            f"Another run of {engine.stack} is under way, or was killed: {errors.strip()}\n"
            f"Next: wait for it; when it is gone, `pulumi cancel --stack {engine.stack}`."
        )
    lock.clear_stranded(locks, engine, say)
    return bool(locks)


def forget_endpoints(place: Place, words: str, say: Say) -> bool:
    """Where a run failed on one, all endpoints of the stack's networks that are nobody's go, and
    the containers that could not start for them. True when the same may be tried again."""
    told = {(network.strip(".,"), name) for name, network in _ENDPOINT.findall(words)}
    if not told:
        return False
    containers = seen(place.docker, place.stack)
    for network, name in sorted(told | _nobodys(place.docker, place.stack)):
        if name in containers and not containers[name].running:
            place.docker.remove(name)
        place.docker.call("network", "disconnect", "--force", network, name, check=False)
        say(f"{network} kept {name} from before the engine's restart: it is forgotten.")
    return True


def _nobodys(docker: Docker, stack: str) -> set[tuple[str, str]]:
    """Networks and the names in them that no container has."""
    own = ("--filter", f"label={STACK_LABEL}={stack}")
    networks = docker.call("network", "ls", "--quiet", *own).out.split()
    found = json.loads(docker.call("network", "inspect", *networks).out) if networks else []
    return {
        (network["Name"], endpoint["Name"])
        for network in found
        for key, endpoint in (network["Containers"] or {}).items()
        if key.startswith(_NOBODYS)
    }


def take_over(found: Mapping[str, Seen], recorded: Recorded, engine: Engine, say: Say) -> bool:
    """Containers that were made anew and that the state knows as they were before: a write of it
    was lost, or an older one was put back. It gets their ids, so that the engine leaves them."""
    changed = exchanged(recorded, found)
    if not changed:
        return False
    engine.exchange_ids(dict(changed.values()))
    say(
        f"The state knows {', '.join(sorted(changed))} as before a write of it that was lost: it "
        f"takes over what runs, and the engine looks at the host first ({REFRESH})."
    )
    return True


def rename_back(place: Place, recorded: Recorded, say: Say) -> dict[str, Seen]:
    """The containers. Everything finds one by its name; the engine, by its id, would not notice
    that it has another."""
    found = seen(place.docker, place.stack)
    changed = renamed(recorded, found)
    for name, wanted in sorted(changed.items()):
        place.docker.call("rename", name, wanted)
        say(f"{name} was {wanted} and was renamed by hand: it is {wanted} again.")
    return seen(place.docker, place.stack) if changed else found


def renamed(recorded: Recorded, found: Mapping[str, Seen]) -> dict[str, str]:
    """Containers by the name that they have now: the one that the state knows, if it is free."""
    known = dict(zip(recorded.ids, recorded.containers, strict=False))
    names = {c.name: known.get(c.id, c.name) for c in found.values()}
    return {n: wanted for n, wanted in names.items() if wanted != n and wanted not in found}


def exchanged(recorded: Recorded, found: Mapping[str, Seen]) -> dict[str, tuple[str, str]]:
    """By name: the id that the state has, which is nobody's now, and the one of that name."""
    present = {container.id for container in found.values()}
    known = zip(recorded.containers, recorded.ids, strict=False)
    return {
        name: (old, found[name].id)
        for name, old in known
        if name in found and found[name].id and old not in present
    }


def drift(recorded: Recorded, found: Mapping[str, Seen]) -> list[str]:
    """Containers that the engine believes in and the host does not run."""
    wrong = []
    for name in recorded.containers:
        container = found.get(name)
        if container is None:
            wrong.append(f"{name} is gone")
        elif container.state == "paused" or (
            container.state in STANDING and name not in recorded.resting
        ):
            wrong.append(f"{name} is {container.state}")
    return wrong
