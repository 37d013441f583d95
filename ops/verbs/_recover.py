"""Before a run: what a fault left behind is found, said, and cleared the way Pulumi clears it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ops.engine import Engine, Recorded
from ops.stackfile import PROJECT
from ops.verbs import _pulumi_lock as lock
from ops.verbs._containers import Seen, seen
from ops.verbs._exit import Refused
from ops.verbs._place import Place

REFRESH = "--refresh"
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


@dataclass(frozen=True)
class Needs:
    """What a run has to see to first: operations that were cut off, what is wrong with containers
    that the state has, and those that it lost: by name, the ids of what runs."""

    pending: list[str]
    drift: list[str]
    lost: dict[str, str]


def needs(place: Place, recorded: Recorded) -> Needs:
    found = seen(place.docker, place.stack)
    return Needs(list(recorded.pending), drift(recorded.containers, found), lost(recorded, found))


def rename_back(place: Place, recorded: Recorded, say: Say) -> None:
    """Everything finds a container by its name; the engine, by its id, would not notice."""
    for name, wanted in sorted(renamed(recorded, seen(place.docker, place.stack)).items()):
        place.docker.call("rename", name, wanted)
        say(f"{name} was {wanted} and was renamed by hand: it is {wanted} again.")


def renamed(recorded: Recorded, found: Mapping[str, Seen]) -> dict[str, str]:
    """Containers by the name that they have now: the one that the state knows, if it is free."""
    known = dict(zip(recorded.ids, recorded.containers, strict=False))
    names = {c.name: known.get(c.id, c.name) for c in found.values()}
    return {n: wanted for n, wanted in names.items() if wanted != n and wanted not in found}


def lost(recorded: Recorded, found: Mapping[str, Seen]) -> dict[str, str]:
    """Containers of releases that run and that the state does not know: its last write was lost,
    or an older one was put back. Those of a run that was cut off are not meant: they are made
    anew, whole."""
    if not recorded.containers or recorded.pending:
        return {}
    unknown = (c for c in found.values() if c.id and c.id not in recorded.ids)
    return {c.name: c.id for c in unknown if c.running and c.release}


def drift(expected: Iterable[str], found: Mapping[str, Seen]) -> list[str]:
    """Containers that the engine believes in and the host does not run."""
    wrong = []
    for name in expected:
        container = found.get(name)
        if container is None:
            wrong.append(f"{name} is gone")
        elif container.state in ("exited", "dead", "created", "paused"):
            wrong.append(f"{name} is {container.state}")
    return wrong
