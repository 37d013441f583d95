"""What a rollback can go to: a pure choice from what the host remembers."""

from __future__ import annotations

from dataclasses import dataclass

from ops.verbs._exit import Refused
from rollout.names import Colour, other
from rollout.plan import View


@dataclass(frozen=True)
class Candidate:
    """A release that stands warm and has served before: only traffic has to move. `name` asks for
    it: its version, or its identity where the live release is of the same version."""

    version: str
    identity: str
    colour: Colour
    name: str


@dataclass(frozen=True)
class Nothing:
    """Nothing to go back to at once, and why."""

    why: str
    next: str = (
        "Next: `ytops releases` lists what has served; `ytops up VERSION` deploys one again."
    )


def at_once(view: View) -> Candidate | Nothing:
    """The other slot's release, when it can take over as it stands."""
    if view.edge is None:
        return Nothing("no release serves", "Next: `ytops up VERSION`")
    colour = other(view.edge.colour)
    slot = view.state.slots.get(colour)
    if slot is None or slot.identity not in view.state.releases:
        return Nothing(f"{colour} holds no release")
    version = view.state.releases[slot.identity].version
    name = slot.identity if version == _live(view) else version
    again = f"Next: `ytops up {name}` deploys it on purpose."
    withdrawal = view.state.withdrawn.get(slot.identity)
    if withdrawal:
        return Nothing(f"{slot.identity} on {colour} was withdrawn ({withdrawal.why})", again)
    if slot.status != "ready":
        return Nothing(f"{slot.identity} does not stand ready on {colour}", again)
    if not slot.was_live:
        return Nothing(f"{slot.identity} on {colour} has never served", again)
    return Candidate(version, slot.identity, colour, name)


def choose(view: View, version: str) -> Candidate:
    """The target of `ytops rollback [VERSION]`. Raises Refused with what is possible instead."""
    found = at_once(view)
    if isinstance(found, Nothing):
        if version and version != _live(view):
            raise Refused(_elsewhere(version, f"nothing: {found.why}"))
        raise Refused(f"There is nothing to roll back to: {found.why}.\n{found.next}")
    if version in ("", found.version, found.identity):
        return found
    if version in (_live(view), view.edge.identity if view.edge else ""):
        raise Refused(f"{version} is live already.\nNext: `ytops status`")
    raise Refused(_elsewhere(version, found.name))


def _elsewhere(version: str, possible: str) -> str:
    return (
        f"{version} does not stand ready; what can be rolled back to at once is {possible}.\n"
        f"Next: `ytops up {version}` deploys it again, with backup and migrations."
    )


def _live(view: View) -> str:
    live = view.state.releases.get(view.edge.identity) if view.edge else None
    return live.version if live else ""
