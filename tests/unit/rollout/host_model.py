"""A small, faithful model of a host: its switch agent, and what an engine run does with a plan."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ops.errors import SwitchRefused
from ops.switch import outcome, slots
from ops.switch.protocol import Begin, Claim, Ready
from rollout.names import COLOURS, Colour, other
from rollout.plan import Plan, View
from rollout.shapes import Health, Limits, Pointer, Release
from rollout.state import Event, Hold, HostState, Pending

WHO = "deployer"
NOW = "2025-01-10T06:00:00+00:00"
LIMITS = Limits(memory=512, cpus=1, pids=64)

# The steps of a run that moves traffic; a run that only switches begins with `begin`.
FILLING = ("claim", "backup", "image", "migrate", "app", "healthy", "workers", "verify")
SWITCHING = ("begin", "watch", "confirm", "cache", "notify", "collect")
STEPS = (*FILLING, *SWITCHING)


def release(version: str = "1.0.0", fingerprint: str = "aaaaaaaaaaaa") -> Release:
    return Release(
        version=version,
        fingerprint=fingerprint,
        image=f"sha256:{version}",
        tag=f"ytempire/backend:{version}",
        digest=f"sha256:{version}",
        environment={"DATABASE_URL": "postgres://app:${postgresPassword}@postgres:5432/app"},
        port=8000,
        health=Health(path="/health", interval=30, timeout=10, retries=3, start_period=60),
        endpoints=("/health", "/api/v1/status"),
        status_path="/api/v1/status",
        app_command=(),
        worker_command=("celery", "worker"),
        beat_command=("celery", "beat"),
        migrate_command=("python", "manage.py", "migrate"),
        queues=("celery",),
        worker_replicas=2,
        worker_stop_seconds=900,
        app_limits=LIMITS,
        worker_limits=LIMITS,
        beat_limits=LIMITS,
        user="10001:10001",
        media_path="/media",
    )


@dataclass
class Stop:
    """Where a run ends early. `release_at_fault`: the watch saw it answer wrongly."""

    step: str
    how: str = "fail"  # or "kill": nobody cleans up
    release_at_fault: bool = False


@dataclass
class Host:
    """State, edge and containers. `apps`: what runs in each slot; `crews`: releases with workers;
    `busy`: those of them that still run jobs. `begun`: what the pending switch was asked with.
    `moved`, `flushed`, `told`: the switches that the engine's three steps have run for."""

    state: HostState = field(default_factory=HostState)
    edge: Pointer | None = None
    apps: dict[Colour, str] = field(default_factory=dict)
    crews: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    begun: Begin | None = None
    moved: int = 0
    flushed: int = 0
    told: list[int] = field(default_factory=list)

    def view(self) -> View:
        """As `ops.observe` sees it: an unconfirmed switch counts as undone."""
        pending = self.state.pending
        edge = pending.source if pending else self.edge
        return View(self.state, edge, frozenset(self.busy))

    def copy(self) -> Host:
        return replace(self, apps=dict(self.apps), crews=set(self.crews), busy=set(self.busy))

    # The switch agent: its pure functions, on this host's state

    def claim(self, colour: Colour, wanted: Release, number: int, live: Pointer | None) -> None:
        ask = Claim(colour=colour, release=wanted, claim=number, live=live, who=WHO)
        state, edge = outcome.foreseen(self.state, self.edge)
        if slots.claim(state, ask, edge, None) is not state:
            self.revert()
            self.state = slots.claim(self.state, ask, self.edge, self.crews)

    def ready(self, colour: Colour, identity: str, number: int) -> None:
        self.state = slots.ready(self.state, Ready(colour=colour, identity=identity, claim=number))

    def begin(self, ask: Begin) -> bool:
        """Move traffic; False when this very switch was confirmed before."""
        state, edge = outcome.foreseen(self.state, self.edge)
        if outcome.is_done(state, ask, edge):
            return False
        if self.state.hold:
            raise SwitchRefused("locked")
        outcome.check(state, ask, edge)
        outcome.check_overtakes(self.state.pending, ask)
        self.revert()
        self.begun = ask
        self._set(
            pending=Pending(
                token=f"{ask.serial}:{ask.target.identity}",
                serial=ask.serial,
                source=self.edge,
                target=ask.target,
                who=WHO,
                since=NOW,
            )
        )
        self.edge = ask.target
        return True

    def confirm(self) -> None:
        pending = self.state.pending
        if pending is None or self.begun is None:
            raise SwitchRefused("undone in the meantime")
        event = self._event(self.begun.kind, pending)
        self.state = outcome.confirmed(self.state, pending, self.begun, event)

    def revert(self, withdraw: bool = False) -> None:
        """What the agent does when the caller fails or is gone, or when a later run fences it."""
        pending = self.state.pending
        if pending:
            event = self._event("revert", pending)
            self.state = outcome.reverted(self.state, pending, event, withdraw)
            self.edge = pending.source

    def _event(self, kind: Literal["deploy", "rollback", "revert"], pending: Pending) -> Event:
        source = pending.source.identity if pending.source else ""
        return Event(
            at=NOW,
            kind=kind,
            serial=pending.serial,
            source=source,
            target=pending.target.identity,
            who=WHO,
            note="failed its watch" if kind == "revert" else "",
        )

    def hold(self, held: bool) -> None:
        self._set(hold=Hold(who="lead", since=NOW, why="an incident") if held else None)

    # The engine

    def run(self, plan: Plan, stop: Stop | None = None) -> bool:
        """Do what the plan declares, in order; True when the run finished."""
        if plan.action == "refuse":
            return False
        try:
            for slot in plan.slots:
                if not slot.frozen:
                    for step in FILLING:
                        self._reach(step, stop)
                        self._fill(step, plan, slot.colour, slot.release, slot.claim)
            if plan.target and plan.serial:
                self._switch(plan, stop)
            self._reach("collect", stop)
        except (SwitchRefused, _StoppedError):
            return False
        self._collect(plan)
        return True

    def _reach(self, step: str, stop: Stop | None) -> None:
        if stop and stop.step == step:
            raise _StoppedError

    def _fill(self, step: str, plan: Plan, colour: Colour, wanted: Release, number: int) -> None:
        if step == "claim":
            self.claim(colour, wanted, number, plan.source)
        elif step == "app":
            assert self.edge is None or self.edge.colour != colour, "the live app was replaced"
            self.apps[colour] = wanted.identity
        elif step == "workers":
            self.crews.add(wanted.identity)
        elif step == "verify":
            self.ready(colour, wanted.identity, number)

    def _switch(self, plan: Plan, stop: Stop | None) -> None:
        """The three steps that are keyed by the switch's number; a known key runs nothing."""
        if self.moved != plan.serial:
            self._move(plan, stop)
            self.moved = plan.serial
        if self.flushed != plan.serial:
            self._reach("cache", stop)
            self.flushed = plan.serial
        if self.told[-1:] != [plan.serial]:
            self._reach("notify", stop)
            last = self.state.last_switch
            assert last, "nothing was ever confirmed, and people are told"
            assert last.serial == plan.serial, "people are told of another switch"
            self.told = [*self.told, plan.serial]

    def _move(self, plan: Plan, stop: Stop | None) -> None:
        assert plan.target, "a switch goes somewhere"
        assert plan.asked, "a switch answers somebody"
        pending = self.state.pending
        ask = Begin(
            serial=plan.serial,
            target=plan.target,
            claim=next(s.claim for s in plan.slots if s.colour == plan.target.colour),
            asked=plan.asked,
            kind=plan.kind,
            who=WHO,
            source=plan.source,
            fences=pending.token if pending else "",
        )
        self._reach("begin", stop)
        if self.begin(ask):
            for step in ("watch", "confirm"):
                if stop and stop.step == step and stop.how == "fail":
                    self.revert(withdraw=stop.release_at_fault)
                self._reach(step, stop)
            self.confirm()

    def _collect(self, plan: Plan) -> None:
        """What is declared is there, a lost container too; what is not declared is deleted."""
        apps = {slot.colour: slot.release.identity for slot in plan.slots}
        crews = {*apps.values(), *(r.identity for r in plan.draining)}
        deleted = {c for c in self.apps if c not in apps}
        assert not self.edge or self.edge.colour not in deleted, "the live slot was deleted"
        assert not self.busy & (self.crews - crews), "workers were removed while they had jobs"
        self.apps, self.crews = apps, crews

    # Hands

    def move_by_hand(self, colour: Colour | None) -> None:
        slot = self.state.slots.get(colour) if colour else None
        self.edge = Pointer(colour=colour, identity=slot.identity) if colour and slot else None

    def _set(self, **changes: object) -> None:
        self.state = HostState.model_validate({**dict(self.state), **changes})


class _StoppedError(Exception):
    """The run ended early."""


def occupied(state: HostState) -> list[Colour]:
    return [colour for colour in COLOURS if colour in state.slots]


def idle(edge: Pointer) -> Colour:
    return other(edge.colour)
