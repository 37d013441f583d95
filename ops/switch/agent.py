"""Every verb of the agent, and what it does when it starts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ops.errors import SwitchRefused
from ops.switch import slots
from ops.switch.config import Clock, SwitchConfig, seconds_since
from ops.switch.edge import Edge
from ops.switch.live import LivePointer
from ops.switch.probes import ProbeFailed, Probes
from ops.switch.protocol import (
    Abort,
    Ask,
    Begin,
    Caller,
    Claim,
    Confirm,
    EdgeFiles,
    LeaveHold,
    Mark,
    Marked,
    Ping,
    Probe,
    Ready,
    TakeHold,
    Watch,
)
from ops.switch.state_store import StateStore
from ops.switch.switch import Switch
from ops.switch.workers import WorkerPool
from rollout.state import Event, Hold, HostState, Record

log = logging.getLogger(__name__)

# nginx counts its old processes once a second: so long after a reload the count is of after it.
DRAINING_KNOWN_SECONDS = 2.5
DRAIN_POLL_SECONDS = 0.25

Verb = Callable[[Any, Caller], dict[str, Any]]


class Agent:
    """What the server calls. Verbs that change the state hold the switch's lock."""

    def __init__(
        self,
        config: SwitchConfig,
        clock: Clock,
        *,
        store: StateStore,
        switch: Switch,
        edge: Edge,
        workers: WorkerPool,
        beat: LivePointer,
        probes: Probes,
    ) -> None:
        self._config = config
        self._clock = clock
        self._store = store
        self._switch = switch
        self._edge = edge
        self._workers = workers
        self._beat = beat
        self._probes = probes
        self.verbs: dict[str, tuple[type[Record], Verb]] = {
            "health": (Ask, self._health),
            "renew": (Ask, self._health),
            "state": (Ask, self._state),
            "claim": (Claim, self._claim),
            "ready": (Ready, self._ready),
            "mark": (Mark, self._mark),
            "marked": (Marked, self._marked),
            "probe": (Probe, self._probe),
            "ping": (Ping, self._ping),
            "begin": (Begin, switch.begin),
            "watch": (Watch, switch.watch),
            "confirm": (Confirm, lambda ask, _: switch.confirm(ask)),
            "abort": (Abort, lambda ask, _: switch.abort(ask)),
            "hold": (TakeHold, self._hold),
            "unhold": (LeaveHold, self._unhold),
            "edge": (EdgeFiles, self._edge_files),
        }

    # ---- starting -------------------------------------------------------------------------

    def start(self) -> None:
        """Bring record, edge, workers and beat together before anyone may ask."""
        self._store.load()
        self._beat.install()
        if self._store.broken:
            return  # traffic, workers and beat stay as they are; only people may decide
        if self._store.recovered:
            self._believe_edge()
        self._restore_edge()
        self._check_edge()
        if self._store.broken:
            return
        self._switch.undo("the switch agent was restarted before the switch was confirmed")
        self._switch.settle()
        self._edge.reload_if_missed()
        live = self._store.state.live
        self._beat.point(live.identity if live else None)
        self._workers.assign(live.identity if live else None)
        self._store.repair_history()

    def _believe_edge(self) -> None:
        """A recovered state lacks its last change. Traffic isn't moved on that: the edge wins."""
        active = self._edge.active()
        state = self._store.state
        serials = [state.serial, active.serial if active else 0]
        if state.pending:
            serials.append(state.pending.serial)
        note = "state.json was unusable: recovered from the one before, traffic as the edge has it"
        live = active.pointer if active else state.live
        held = state.pending and state.pending.target == live
        confirmed = state.pending.serial if state.pending and held else state.confirmed
        event = Event(
            at=self._clock.utc(),
            kind="revert",
            serial=max(serials),
            source="",
            target=live.identity if live else "",
            who="switch agent",
            note=note,
        )
        self._store.update(
            live=live, pending=None, serial=max(serials), confirmed=confirmed, last=event
        )
        self._store.record(event)

    def _restore_edge(self) -> None:
        """An edge volume that was lost gets its include again."""
        if self._edge.active() is not None:
            return
        state = self._store.state
        live = state.live
        log.info("wrote active.conf: %s", live.identity if live else "no release")
        self._edge.point(live, state.releases[live.identity] if live else None, state.serial)

    def _check_edge(self) -> None:
        """Without a switch pending, edge and record say the same, or someone meddled."""
        state, edge = self._store.state, self._switch.edge_pointer()
        if state.pending or edge == state.live:
            return
        slot = state.slots.get(edge.colour) if edge else None
        if edge and slot and slot.identity == edge.identity and edge.identity in state.releases:
            log.error("the edge serves %s, state.json named another: the edge wins", edge.identity)
            self._store.update(live=edge)
            return
        self._store.broken = (
            f"the edge serves {edge.identity if edge else 'no release'}, which state.json doesn't "
            "know as live"
        )
        log.error(self._store.broken)

    def guard_edge(self) -> None:
        """Called every moment: a file that was edited by hand is put back. One that says where
        traffic goes, and means it, was meant: the next run decides about that."""
        if self._store.broken or self._edge.active() is not None:
            return
        with self._switch.lock:
            if self._edge.active() is not None:
                return  # a switch has just written it
            state = self._store.state
            pending = state.pending
            where = pending.target if pending else state.live
            release = state.releases[where.identity] if where else None
            place = where.identity if where else "no release"
            log.error("active.conf was edited by hand, and is put back: %s serves", place)
            self._edge.point(where, release, pending.serial if pending else state.serial)

    # ---- verbs ----------------------------------------------------------------------------

    def _health(self, ask: Ask, caller: Caller) -> dict[str, Any]:
        return {}

    def _state(self, ask: Ask, caller: Caller) -> dict[str, Any]:
        edge = self._switch.edge_pointer()
        return {
            "state": self._store.state.model_dump(mode="json"),
            "edge": asdict(edge) if edge else None,
            "workers": self._workers.report().model_dump(mode="json"),
        }

    def _claim(self, ask: Claim, caller: Caller) -> dict[str, Any]:
        self._switch.refuse_if_broken()
        self._switch.refuse_if_held()
        while self._overtake(ask):
            last = self._store.state.last
            self._drain(ask, caller)
            with self._switch.lock:
                if self._store.state.last != last:
                    continue  # somebody switched meanwhile, and back: this slot answered again
                self._switch.refuse_if_held()
                edge, working = self._switch.edge_pointer(), self._workers.working()
                self._save(slots.claim(self._store.state, ask, edge, working))
                break
        return {"claim": ask.claim}

    def _overtake(self, ask: Claim) -> bool:
        """Undo a pending switch for a claim that fits; nothing for one that is refused or was made
        before. Returns whether there is something to claim."""
        with self._switch.lock:
            state, edge = self._switch.foreseen()
            if slots.claim(state, ask, edge, None) is state:
                return False
            self._switch.undo(f"overtaken by {ask.who}'s claim for {ask.release.identity}")
            self._switch.settle()
            return True

    def _drain(self, ask: Claim, caller: Caller) -> None:
        """The slot's app goes away next: nginx's old processes may still wait for its answers."""
        state = self._store.state
        slot, last = state.slots.get(ask.colour), state.last
        if slot is None or last is None or slot.identity == ask.release.identity:
            return
        said, begun = False, self._clock.monotonic()
        # A clock that was set back since puts the last switch into the future: then from now on.
        while (
            max(seconds_since(last.at, self._clock), self._clock.monotonic() - begun)
            < self._config.drain_seconds
        ):
            loaded = self._clock.monotonic() - self._edge.loaded_at
            if loaded >= DRAINING_KNOWN_SECONDS and not self._edge.draining():
                return
            if not said:
                caller.say(f"letting the requests end that {ask.colour} still answers")
                said = True
            self._clock.sleep(DRAIN_POLL_SECONDS)

    def _ready(self, ask: Ready, caller: Caller) -> dict[str, Any]:
        with self._switch.lock:
            self._switch.refuse_if_broken()
            self._save(slots.ready(self._store.state, ask))
        return {}

    def _mark(self, ask: Mark, caller: Caller) -> dict[str, Any]:
        with self._switch.lock:
            self._switch.refuse_if_broken()
            self._store.update(markers={**self._store.state.markers, ask.key: ask.note})
        return {}

    def _marked(self, ask: Marked, caller: Caller) -> dict[str, Any]:
        markers = self._store.state.markers
        return {"marked": ask.key in markers, "note": markers.get(ask.key, "")}

    def _probe(self, ask: Probe, caller: Caller) -> dict[str, Any]:
        state = self._store.state
        slot = state.slots.get(ask.colour)
        if slot is None or slot.identity not in state.releases:
            raise SwitchRefused(f"{ask.colour} was not claimed: there is nothing to probe")
        release = state.releases[slot.identity]
        try:
            took = self._probes.app(ask.colour, release, ask.timeout)
        except ProbeFailed as failure:
            app = self._config.names.app(ask.colour)
            raise SwitchRefused(f"{failure}; see `docker logs {app}`") from None
        return {"identity": slot.identity, "endpoints": len(release.endpoints), "took_ms": took}

    def _ping(self, ask: Ping, caller: Caller) -> dict[str, Any]:
        wrong = self._workers.ping(ask.nodes, ask.timeout)
        if wrong:
            name = ask.nodes[0].partition("@")[2]
            raise SwitchRefused(f"{'; '.join(wrong)}; see `docker logs {name}`")
        return {"workers": len(ask.nodes)}

    def _hold(self, ask: TakeHold, caller: Caller) -> dict[str, Any]:
        with self._switch.lock:
            self._switch.refuse_if_broken()
            self._switch.refuse_if_held()
            hold = Hold(who=ask.who, since=self._clock.utc(), why=ask.why, version=ask.version)
            self._store.update(hold=hold)
            self._record("lock", ask.who, ask.why)
        return {"hold": hold.model_dump()}

    def _unhold(self, ask: LeaveHold, caller: Caller) -> dict[str, Any]:
        with self._switch.lock:
            hold = self._store.state.hold
            if hold:
                self._store.update(hold=None)
                self._record("unlock", ask.who, f"was locked by {hold.who}: {hold.why}")
        return {"was": hold.model_dump() if hold else None}

    def _edge_files(self, ask: EdgeFiles, caller: Caller) -> dict[str, Any]:
        with self._switch.lock:
            if not self._store.broken:
                self._restore_edge()
            running = self._edge.install(ask.files, ask.self_signed, ask.config_hash)
        return {"running": running, "config": ask.config_hash}

    def _save(self, state: HostState) -> None:
        if state != self._store.state:
            self._store.save(state)

    def _record(self, kind: Any, who: str, note: str) -> None:
        live = self._store.state.live
        name = live.identity if live else ""
        serial = self._store.state.serial
        self._store.record(
            Event(
                at=self._clock.utc(),
                kind=kind,
                serial=serial,
                source=name,
                target=name,
                who=who,
                note=note,
            )
        )
