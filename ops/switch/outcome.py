"""What a switch asks of the host's state, and what it leaves there. Pure."""

from __future__ import annotations

from ops.errors import SwitchRefused
from ops.switch.protocol import Begin
from rollout.shapes import Pointer
from rollout.state import Event, HostState, Pending, Withdrawal

WITHDRAWN_KEPT = 50  # longer than any stack file stays behind


def foreseen(state: HostState, edge: Pointer | None) -> tuple[HostState, Pointer | None]:
    """State and edge as they will be once a pending switch is undone: what a new one is judged
    by, before anything is undone for it."""
    if state.pending is None:
        return state, edge
    source = state.pending.source
    return state.model_copy(update={"pending": None, "live": source}), source


def is_done(state: HostState, ask: Begin, edge: Pointer | None) -> bool:
    """Whether this very switch was confirmed before."""
    return ask.serial == state.confirmed and state.live == ask.target == edge


def check(state: HostState, ask: Begin, edge: Pointer | None) -> None:
    """Raise SwitchRefused unless `ask` was planned for the host as it is. `state` and `edge` are
    the foreseen ones."""
    if ask.serial != state.serial + 1:
        raise SwitchRefused(
            f"expected switch {state.serial + 1}, got {ask.serial}: the host changed since "
            "this run was planned; run it again"
        )
    if ask.source != edge:
        raise SwitchRefused(
            f"expected traffic on {place(ask.source)}, but the edge sends it to "
            f"{place(edge)}: the host changed since this run was planned; run it again"
        )
    _check_target(state, ask, edge)


def check_overtakes(pending: Pending | None, ask: Begin) -> None:
    """Raise SwitchRefused when another run's switch began after this one looked at the host."""
    if pending and pending.token != ask.fences:
        raise SwitchRefused(
            f"{pending.who} began to switch to {place(pending.target)} at {pending.since}, after "
            "this run looked at the host: see `ytops status`, and run it again when that is over"
        )


def confirmed(state: HostState, pending: Pending, ask: Begin, event: Event) -> HostState:
    target = pending.target
    slot = state.slots[target.colour].model_copy(update={"was_live": True})
    withdrawn = {key: why for key, why in state.withdrawn.items() if key != target.identity}
    if ask.kind == "rollback" and pending.source:
        why = f"rolled back by {event.who}" + (f": {ask.why}" if ask.why else "")
        withdrawn[pending.source.identity] = _withdrawal(event, why)
    return state.model_copy(
        update={
            "serial": pending.serial,
            "confirmed": pending.serial,
            "live": target,
            "asked": ask.asked,
            "slots": {**state.slots, target.colour: slot},
            "withdrawn": _newest(withdrawn),
            "pending": None,
            "last": event,
            "last_switch": event,
        }
    )


def reverted(state: HostState, pending: Pending, event: Event, withdraw: bool) -> HostState:
    withdrawn = dict(state.withdrawn)
    if withdraw:
        withdrawn[pending.target.identity] = _withdrawal(event, event.note)
    return state.model_copy(
        update={
            # A withdrawal uses the number up, so that each has its own and an old permission to
            # return does not excuse the next failure. Otherwise it is free again: a run that was
            # planned while the dead one's switch was pending still fits.
            "serial": pending.serial if withdraw else state.serial,
            "live": pending.source,
            # What was asked for is answered by what was live, not by where somebody moved the edge.
            "asked": state.asked if state.live == pending.source else None,
            "withdrawn": _newest(withdrawn),
            "pending": None,
            "last": event,
        }
    )


def place(pointer: Pointer | None) -> str:
    return f"{pointer.colour} ({pointer.identity})" if pointer else "no release"


def _withdrawal(event: Event, why: str) -> Withdrawal:
    return Withdrawal(serial=event.serial, at=event.at, why=why)


def _newest(withdrawn: dict[str, Withdrawal]) -> dict[str, Withdrawal]:
    ordered = sorted(withdrawn.items(), key=lambda item: item[1].serial)
    return dict(ordered[-WITHDRAWN_KEPT:])


def _check_target(state: HostState, ask: Begin, edge: Pointer | None) -> None:
    target, slot = ask.target, state.slots.get(ask.target.colour)
    if slot is None or (slot.identity, slot.claim) != (target.identity, ask.claim):
        holds = f"{slot.identity} (claim {slot.claim})" if slot else "nothing"
        raise SwitchRefused(
            f"expected {target.identity} (claim {ask.claim}) on {target.colour}, which holds "
            f"{holds}: the host changed since this run was planned; run it again"
        )
    if slot.status != "ready":
        raise SwitchRefused(
            f"{target.colour} is still preparing {target.identity}: run `ytops up`, which "
            "finishes it first"
        )
    settled = state.live == edge
    if edge and edge.colour == target.colour and (settled or edge != target):
        raise SwitchRefused(f"{target.colour} serves {edge.identity} already")
    for pointer in (target, edge):
        if pointer and pointer.identity not in state.releases:
            raise SwitchRefused(f"{pointer.identity} is not known here: run `ytops up` again")
