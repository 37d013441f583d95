"""The heart: what a run will do, from what the host remembers, where traffic is, and what is asked.

Pure and total: every input has a plan, and following it converges. Nothing here looks at Pulumi,
Docker or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rollout.names import COLOURS, Colour, other
from rollout.shapes import Pointer, Release, Wanted
from rollout.state import HostState, Slot
from rollout.steps import MOVES_TRAFFIC, Action


@dataclass(frozen=True)
class View:
    """What is known of the host before a run.

    `edge` is where traffic really goes; where `state.live` differs, `edge` wins. `busy` are the
    releases (identities) whose workers have jobs, or may have: unknown is busy.
    """

    state: HostState = field(default_factory=HostState)
    edge: Pointer | None = None
    busy: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DeclaredSlot:
    """A slot as the run declares it. `frozen`: from its record, and no change touches it."""

    colour: Colour
    release: Release
    claim: int
    frozen: bool

    @property
    def key(self) -> str:
        """What the slot's steps are keyed by: this release, in this occupancy."""
        return f"{self.release.identity}#{self.claim}"


@dataclass(frozen=True)
class Plan:
    """What the run declares. `serial` is the number of the switch that is to have led to it: the
    next one, or else the last that was confirmed."""

    action: Action
    reason: str
    source: Pointer | None = None
    target: Pointer | None = None
    serial: int = 0
    kind: Literal["deploy", "rollback"] = "deploy"
    asked: Wanted | None = None
    slots: tuple[DeclaredSlot, ...] = ()
    draining: tuple[Release, ...] = ()

    @property
    def changes_traffic(self) -> bool:
        return self.action in MOVES_TRAFFIC

    def brings_a_release(self, state: HostState) -> bool:
        """Whether users get a release that they didn't have: what the checklist is for. A rollback
        is none of this, nor is bringing back what a fault took away."""
        if not self.changes_traffic or self.kind == "rollback" or self.target is None:
            return False
        had = {pointer.identity for pointer in (self.source, state.live) if pointer}
        return self.target.identity not in had


def plan(view: View, wanted: Release | None, reinstate: str = "", pinned: str = "") -> Plan:
    """Decide. `wanted` is the configured version with today's configuration, None for none;
    `reinstate` names withdrawn releases (`IDENTITY@SERIAL`, by commas) that may return on purpose;
    `pinned`, an identity, asks for that recorded release instead, whatever is configured today."""
    unknown = _unknown_release(view)
    if unknown:
        return Plan("refuse", unknown)
    if pinned:
        return _pinned(view, pinned, reinstate)
    if wanted is None:
        return _stay(view, "no version is asked for")
    asked = _wanted(wanted)
    colour = _colour_for(view, wanted, asked)
    if colour is None:
        return _stay(view, f"{view.state.live.identity} is live" if view.state.live else "")
    reusable = _reusable(view, colour, wanted, asked)
    target = view.state.slots[colour].identity if reusable else wanted.identity
    refusal = _refusal(view, target, wanted.version, reinstate) or _unchecked(view, colour)
    if refusal:
        return Plan("refuse", refusal, source=view.edge)
    return _switch(view, colour, asked) if reusable else _deploy(view, colour, wanted, asked)


def _pinned(view: View, identity: str, reinstate: str) -> Plan:
    """Exactly this release, as it was recorded: it is live, it stands warm, or it can't be had."""
    release = view.state.releases.get(identity)
    colour = _slot_holding(view, identity)
    if release is None or colour is None or view.state.slots[colour].status != "ready":
        return Plan("refuse", _not_warm(view, identity), source=view.edge)
    if view.edge == view.state.live == Pointer(colour=colour, identity=identity):
        return _stay(view, f"{identity} is live")
    refusal = _refusal(view, identity, identity, reinstate)
    if refusal:
        return Plan("refuse", refusal, source=view.edge)
    return _switch(view, colour, _wanted(release))


def _wanted(release: Release) -> Wanted:
    return Wanted(version=release.version, fingerprint=release.fingerprint)


def pointer_token(identity: str, serial: int) -> str:
    """How `reinstate` names a withdrawal, so that an old one does not excuse the next."""
    return f"{identity}@{serial}"


def _unknown_release(view: View) -> str:
    """Why the live slot can't be declared, or an empty string."""
    if view.edge is None:
        return ""
    slot = view.state.slots.get(view.edge.colour)
    if slot and slot.identity == view.edge.identity and slot.identity in view.state.releases:
        return ""
    return (
        f"traffic goes to {view.edge.identity} in {view.edge.colour}, but the host has no record "
        "of how it was started, so nothing can be planned around it. Restore the switch's control "
        "volume from a backup, or bring traffic back to a recorded release: `ytops status`."
    )


def _colour_for(view: View, wanted: Release, asked: Wanted) -> Colour | None:
    """The slot that the wanted release belongs in, None when it is already live and recorded."""
    live = view.edge
    if live is None:
        return _dark_colour(view, wanted, asked)
    settled = view.state.live == live
    if settled and (_answered(view, asked) == live or live.identity == wanted.identity):
        return None
    if live.identity == wanted.identity:
        return live.colour
    return other(live.colour)


def _dark_colour(view: View, wanted: Release, asked: Wanted) -> Colour:
    """The same when nothing serves: what was live returns, and makes way for nobody else."""
    before = _answered(view, asked)
    if before:
        return before.colour
    last = view.state.live
    return _slot_holding(view, wanted.identity) or (other(last.colour) if last else "blue")


def _answered(view: View, asked: Wanted) -> Pointer | None:
    """What this very request led to last time: the live release, in its slot still, and of that
    version. It may be of another version: after a failed switch the host calls live whatever
    served before, also what a hand had put there."""
    live = view.state.live
    slot = view.state.slots.get(live.colour) if live else None
    if live is None or slot is None or slot.identity != live.identity:
        return None
    known = live.identity in view.state.releases and _version(view, live) == asked.version
    return live if known and view.state.asked == asked else None


def _slot_holding(view: View, identity: str) -> Colour | None:
    slots = view.state.slots
    return next((c for c in COLOURS if c in slots and slots[c].identity == identity), None)


def _same(slot: Slot, wanted: Release) -> bool:
    return slot.identity == wanted.identity


def _reusable(view: View, colour: Colour, wanted: Release, asked: Wanted) -> bool:
    """Whether the slot's occupant is what is asked for, warm and checked: a switch is enough.

    A bare version means the recorded release of that version, whatever today's configuration
    would make of it, provided it has served before and was not withdrawn.
    """
    slot = view.state.slots.get(colour)
    if slot is None or slot.status != "ready" or slot.identity not in view.state.releases:
        return False
    if _same(slot, wanted):
        return True
    if _answered(view, asked) == Pointer(colour=colour, identity=slot.identity):
        return True  # the edge was moved behind our back: put it back
    version = view.state.releases[slot.identity].version
    elsewhere = view.edge is None or _version(view, view.edge) != version
    return (
        version == wanted.version
        and slot.was_live
        and elsewhere
        and slot.identity not in view.state.withdrawn
    )


def _version(view: View, pointer: Pointer) -> str:
    return view.state.releases[pointer.identity].version


def _refusal(view: View, target: str, name: str, reinstate: str) -> str:
    """Why `target` may not serve now, or an empty string. `name` is what asks for it."""
    hold = view.state.hold
    if hold:
        why = f": {hold.why}" if hold.why else ""
        return (
            f"deploys are locked by {hold.who} since {hold.since}{why}. "
            "When that is over: `ytops unlock`."
        )
    withdrawn = view.state.withdrawn.get(target)
    if withdrawn is None:
        return ""
    token = pointer_token(target, withdrawn.serial)
    if token in reinstate.split(","):
        return ""
    return (
        f"{target} was withdrawn at {withdrawn.at} ({withdrawn.why}) and does not come back by "
        f"itself. To bring it back on purpose: `ytops up {name}`, or "
        f"`pulumi config set reinstate '{token}'` and `pulumi up`."
    )


def _not_warm(view: View, identity: str) -> str:
    holds = [f"{c} holds {slot.identity}" for c, slot in sorted(view.state.slots.items())]
    version = identity.partition("+")[0]
    return (
        f"{identity} does not stand ready: {', '.join(holds) or 'no slot holds a release'}. An "
        "identity asks for that recorded release only; to deploy its version as it is configured "
        f"today: `ytops up {version}`."
    )


def _unchecked(view: View, colour: Colour) -> str:
    """Why the slot that carries traffic can't be made ready, or an empty string: it may be neither
    filled while it serves, nor called good without its checks."""
    if view.edge is None or view.edge.colour != colour:
        return ""
    if view.state.slots[colour].status == "ready":
        return ""
    return (
        f"traffic was moved by hand to {view.edge.identity} in {colour}, which never passed its "
        "checks. It can't be checked while it serves: deploy another version, or bring traffic "
        f"back first{_back(view)}."
    )


def _back(view: View) -> str:
    """How to return to the release that was live before."""
    live = view.state.live
    if live is None or live.identity not in view.state.releases:
        return ""
    return f": `ytops up {_version(view, live)}`"


def _stay(view: View, reason: str) -> Plan:
    return Plan(
        action="keep" if view.edge else "nothing",
        reason=reason,
        source=view.edge,
        target=view.edge,
        serial=view.state.confirmed,
        asked=view.state.asked or _live_as_wanted(view),
        slots=_kept(view, None),
        draining=_draining(view, {s.release.identity for s in _kept(view, None)}),
    )


def _live_as_wanted(view: View) -> Wanted | None:
    """For a host that does not know what was asked for, as after somebody moved the edge."""
    return _wanted(view.state.releases[view.edge.identity]) if view.edge else None


def _on_purpose(view: View, identity: str) -> str:
    gone = view.state.withdrawn.get(identity)
    return f"; withdrawn at {gone.at} ({gone.why}), it is brought back on purpose" if gone else ""


def _switch(view: View, colour: Colour, asked: Wanted) -> Plan:
    slot = view.state.slots[colour]
    target = Pointer(colour=colour, identity=slot.identity)
    back = slot.was_live and slot.identity not in view.state.withdrawn and view.edge != target
    back = back and view.state.live != target
    slots = _kept(view, None)
    return Plan(
        action="switch",
        reason=f"{slot.identity} is warm in {colour}: only traffic moves"
        + _on_purpose(view, slot.identity),
        source=view.edge,
        target=target,
        serial=view.state.serial + 1,
        kind="rollback" if back else "deploy",
        asked=asked,
        slots=slots,
        draining=_draining(view, {s.release.identity for s in slots}),
    )


def _deploy(view: View, colour: Colour, wanted: Release, asked: Wanted) -> Plan:
    slot = view.state.slots.get(colour)
    # Only the newest claim can be gone on with: the host refuses one that was overtaken.
    resumed = slot is not None and _same(slot, wanted) and slot.claim == view.state.claim
    claim = slot.claim if slot and resumed else view.state.claim + 1
    fresh = DeclaredSlot(colour=colour, release=wanted, claim=claim, frozen=False)
    slots = tuple(sorted((*_kept(view, colour), fresh), key=lambda s: s.colour))
    live = f" beside {view.edge.identity}" if view.edge else ", the first release"
    return Plan(
        action="deploy",
        reason=f"{wanted.identity} goes into {colour}{live}" + _on_purpose(view, wanted.identity),
        source=view.edge,
        target=Pointer(colour=colour, identity=wanted.identity),
        serial=view.state.serial + 1,
        asked=asked,
        slots=slots,
        draining=_draining(view, {s.release.identity for s in slots}),
    )


def _kept(view: View, without: Colour | None) -> tuple[DeclaredSlot, ...]:
    """The slots that stay as they are: the live one, and one that stands ready. A slot whose
    deploy failed half-way and is not wanted any more is left out, and so taken down."""
    kept = []
    for colour in COLOURS:
        slot = view.state.slots.get(colour)
        if slot is None or colour == without or slot.identity not in view.state.releases:
            continue
        if slot.status == "ready" or (view.edge and view.edge.colour == colour):
            release = view.state.releases[slot.identity]
            kept.append(DeclaredSlot(colour, release, slot.claim, frozen=True))
    return tuple(kept)


def _draining(view: View, declared: set[str]) -> tuple[Release, ...]:
    """Releases whose slot was given away while their workers still run jobs, or may."""
    return tuple(
        view.state.releases[identity]
        for identity in sorted(view.busy - declared)
        if identity in view.state.releases
    )
