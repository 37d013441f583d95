"""Who occupies which slot: the claims, and what is forgotten with them. Pure."""

from __future__ import annotations

import re

from ops.errors import SwitchRefused
from ops.switch.outcome import place
from ops.switch.protocol import Claim, Ready
from rollout.names import other
from rollout.shapes import Pointer
from rollout.state import HostState, Slot

# A release in no slot may still have workers that drain, and be declared for as long.
RELEASES_KEPT = 10

_MARKER = re.compile(r"(?P<colour>blue|green)-[^#]+#(?P<identity>[^#]+)#(?P<claim>\d+)")


def claim(
    state: HostState, ask: Claim, edge: Pointer | None, working: set[str] | None
) -> HostState:
    """`ask.release` takes the idle slot. `working`: identities whose workers still answer, None
    while that is unknown."""
    _check_live(ask.live, edge)
    if edge and ask.colour == edge.colour:
        raise SwitchRefused(
            f"{ask.colour} serves {edge.identity}: a release can only claim {other(edge.colour)}"
        )
    if edge and ask.release.identity == edge.identity:
        raise SwitchRefused(f"{edge.identity} is live on {edge.colour} already")
    if _is_repeated(state, ask):
        return state
    if ask.claim != state.claim + 1:
        raise SwitchRefused(
            f"expected claim {state.claim + 1}, got {ask.claim}: the host changed since this run "
            "was planned; run it again"
        )
    slot = Slot(identity=ask.release.identity, claim=ask.claim)
    others = {key: value for key, value in state.releases.items() if key != ask.release.identity}
    releases = {**others, ask.release.identity: ask.release}  # the newest is the last
    return prune(
        state.model_copy(
            update={
                "claim": ask.claim,
                "slots": {**state.slots, ask.colour: slot},
                "releases": releases,
            }
        ),
        working,
    )


def ready(state: HostState, ask: Ready) -> HostState:
    """The slot may be switched to."""
    slot = state.slots.get(ask.colour)
    if slot is None or (slot.identity, slot.claim) != (ask.identity, ask.claim):
        raise SwitchRefused(
            f"{ask.colour} was claimed by {_occupant(slot)}, not {ask.identity} (claim "
            f"{ask.claim}): another run took the slot; run this one again"
        )
    return _with_slot(state, ask, slot)


def prune(state: HostState, working: set[str] | None) -> HostState:
    """Forget old releases in no slot whose workers are gone, and the markers of ended claims."""
    kept = _kept(state, working)
    current: set[tuple[str, str, int]] = {
        (colour, slot.identity, slot.claim) for colour, slot in state.slots.items()
    }
    return state.model_copy(
        update={
            "releases": {key: value for key, value in state.releases.items() if key in kept},
            "markers": {
                key: note for key, note in state.markers.items() if _is_current(key, current)
            },
        }
    )


def _kept(state: HostState, working: set[str] | None) -> set[str]:
    """The releases in a slot, those with workers, and the newest of the others."""
    if working is None:
        return set(state.releases)
    held = {slot.identity for slot in state.slots.values()} | working
    others = [identity for identity in state.releases if identity not in held]
    return held | set(others[-RELEASES_KEPT:])


def _with_slot(state: HostState, ask: Ready, slot: Slot) -> HostState:
    changed = slot.model_copy(update={"status": "ready"})
    return state.model_copy(update={"slots": {**state.slots, ask.colour: changed}})


def _check_live(assumed: Pointer | None, edge: Pointer | None) -> None:
    if assumed != edge:
        raise SwitchRefused(
            f"expected traffic on {place(assumed)}, but the edge sends it to {place(edge)}: "
            "the host changed since this run was planned; run it again"
        )


def _is_repeated(state: HostState, ask: Claim) -> bool:
    slot = state.slots.get(ask.colour)
    return slot is not None and (slot.identity, slot.claim) == (ask.release.identity, ask.claim)


def _is_current(key: str, current: set[tuple[str, str, int]]) -> bool:
    found = _MARKER.fullmatch(key)
    if found is None:
        return True
    return (found["colour"], found["identity"], int(found["claim"])) in current


def _occupant(slot: Slot | None) -> str:
    return f"{slot.identity} (claim {slot.claim})" if slot else "nobody"
