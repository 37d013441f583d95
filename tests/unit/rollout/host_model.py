"""A small, faithful model of a host: its switch agent, and what an engine run does with a plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from rollout.names import COLOURS, Colour, other
from rollout.plan import Plan, View
from rollout.state import (
    Health,
    Hold,
    HostState,
    Limits,
    Pending,
    Pointer,
    Release,
    Slot,
    Wanted,
    Withdrawal,
)

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


class RefusedError(Exception):
    """The agent said no."""


@dataclass
class Stop:
    """Where a run ends early. `release_at_fault`: the watch saw it answer wrongly."""

    step: str
    how: str = "fail"  # or "kill": nobody cleans up
    release_at_fault: bool = False


@dataclass
class Host:
    """State, edge and containers. `apps`: what runs in each slot; `crews`: releases with workers;
    `busy`: those of them that still run jobs."""

    state: HostState = field(default_factory=HostState)
    edge: Pointer | None = None
    apps: dict[Colour, str] = field(default_factory=dict)
    crews: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)

    def view(self) -> View:
        """As `ops.observe` sees it: an unconfirmed switch counts as undone."""
        pending = self.state.pending
        edge = pending.source if pending else self.edge
        return View(self.state, edge, frozenset(self.busy))

    def copy(self) -> Host:
        return Host(self.state, self.edge, dict(self.apps), set(self.crews), set(self.busy))

    # The switch agent

    def claim(self, colour: Colour, wanted: Release, number: int, live: Pointer | None) -> None:
        self.revert()
        if live != self.edge or (self.edge and self.edge.colour == colour):
            raise RefusedError("traffic is elsewhere")
        if self.edge and self.edge.identity == wanted.identity:
            raise RefusedError("live already")
        slot = self.state.slots.get(colour)
        repeated = slot and (slot.identity, slot.claim) == (wanted.identity, number)
        if repeated and number == self.state.claim:
            return
        if number != self.state.claim + 1:
            raise RefusedError(f"claim {number} after {self.state.claim}")
        slots = {**self.state.slots, colour: Slot(identity=wanted.identity, claim=number)}
        releases = {**self.state.releases, wanted.identity: wanted}
        kept = {s.identity for s in slots.values()} | self.crews
        pruned = {i: r for i, r in releases.items() if i in kept}
        self._set(claim=number, slots=slots, releases=pruned)

    def ready(self, colour: Colour, identity: str, number: int) -> None:
        slot = self.state.slots.get(colour)
        if slot is None or (slot.identity, slot.claim) != (identity, number):
            raise RefusedError("the slot was given away")
        self._slot(colour, status="ready")

    def begin(self, plan: Plan) -> bool:
        """Move traffic; False when this very switch was confirmed before."""
        self.revert()
        assert plan.target
        assert plan.asked
        if plan.serial == self.state.serial and self.state.live == plan.target:
            return False
        if self.state.hold:
            raise RefusedError("locked")
        if plan.serial != self.state.serial + 1 or plan.source != self.edge:
            raise RefusedError("the host changed since the run was planned")
        slot = self.state.slots.get(plan.target.colour)
        if slot is None or slot.identity != plan.target.identity or slot.status != "ready":
            raise RefusedError("the target is not ready")
        self._set(
            pending=Pending(
                token=f"{plan.kind} {plan.asked.identity}",
                serial=plan.serial,
                source=self.edge,
                target=plan.target,
                who="deployer",
                since=NOW,
            )
        )
        self.edge = plan.target
        return True

    def confirm(self) -> None:
        pending = self.state.pending
        if pending is None:
            raise RefusedError("undone in the meantime")
        kind, asked = pending.token.split(" ")
        version, _, fingerprint = asked.rpartition("+")
        gone = {i: w for i, w in self.state.withdrawn.items() if i != pending.target.identity}
        if kind == "rollback" and pending.source:
            gone[pending.source.identity] = Withdrawal(
                serial=pending.serial, at=NOW, why="rolled back"
            )
        self._slot(pending.target.colour, was_live=True)
        self._set(
            serial=pending.serial,
            live=pending.target,
            asked=Wanted(version=version, fingerprint=fingerprint),
            withdrawn=gone,
            pending=None,
        )

    def abort(self, withdraw: bool) -> None:
        pending = self.state.pending
        self.revert()
        if pending and withdraw:
            gone = Withdrawal(serial=pending.serial, at=NOW, why="failed its watch")
            withdrawn = {**self.state.withdrawn, pending.target.identity: gone}
            # A withdrawal uses its number up, so that each has one of its own.
            self._set(withdrawn=withdrawn, serial=pending.serial)

    def revert(self) -> None:
        """What the agent does when the caller is gone, or a later run fences an earlier one."""
        if self.state.pending:
            self.edge = self.state.pending.source
            self._set(pending=None, live=self.edge)

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
            if plan.changes_traffic:
                self._switch(plan, stop)
            self._reach("collect", stop)
        except (RefusedError, _StoppedError):
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
        self._reach("begin", stop)
        if self.begin(plan):
            for step in ("watch", "confirm"):
                if stop and stop.step == step and stop.how == "fail":
                    self.abort(stop.release_at_fault)
                self._reach(step, stop)
            self.confirm()
        self._reach("cache", stop)
        self._reach("notify", stop)

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

    def _slot(self, colour: Colour, **changes: object) -> None:
        slot = self.state.slots[colour].model_copy(update=changes)
        self._set(slots={**self.state.slots, colour: slot})


class _StoppedError(Exception):
    """The run ended early."""


def occupied(state: HostState) -> list[Colour]:
    return [colour for colour in COLOURS if colour in state.slots]


def idle(edge: Pointer) -> Colour:
    return other(edge.colour)
