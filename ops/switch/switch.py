"""The switch: web traffic, the workers' consumption and the beat move as one, or all move back.

It is commit-confirm. Until its caller confirms, a switch is pending: it is moved back when a check
fails, when the caller says so, leaves or falls silent, when a later run comes, and when the agent
starts again.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol

from ops.errors import NOT_BLAMED, OpsError, SwitchRefused
from ops.switch import outcome
from ops.switch import watch as watching
from ops.switch.config import Clock, SwitchConfig
from ops.switch.probes import ProbeFailed
from ops.switch.protocol import Abort, Begin, Caller, Confirm, Watch
from ops.switch.state_store import StateStore
from rollout.dumps import noted
from rollout.edge import Active
from rollout.names import Colour, marker
from rollout.shapes import Pointer, Release
from rollout.state import Event, HostState, Pending

log = logging.getLogger(__name__)

SETTLE_AGAIN_SECONDS = 10.0  # after a failure: nobody waits, and the log is for people


class EdgeSeam(Protocol):
    """Web traffic."""

    def active(self) -> Active | None: ...

    def point(self, pointer: Pointer | None, release: Release | None, serial: int) -> str: ...

    def announce(
        self,
        before: Pointer | None,
        after: Pointer,
        releases: Mapping[str, Release],
        serial: int,
    ) -> str: ...

    def confirm(self, load: str) -> None: ...

    def turn(self) -> None: ...

    def turn_back(self) -> None: ...


class WorkersSeam(Protocol):
    """Consumption."""

    def assign(self, identity: str | None) -> None: ...

    def pause(self, release: Release, timeout: float) -> list[str]: ...

    def consume(self, release: Release, timeout: float) -> list[str]: ...


class BeatSeam(Protocol):
    """The beat."""

    def point(self, identity: str | None) -> None: ...


class ProbesSeam(Protocol):
    """Checks of the release itself."""

    def app(self, colour: Colour, release: Release, timeout: float) -> int: ...

    def public(self, release: Release) -> None: ...


class LogSeam(Protocol):
    """What nginx reports."""

    def follow(self, tally: watching.Tally | None) -> None: ...


class SwitchFailed(OpsError):
    """A step of the switch failed. `withdraw`: the release itself was judged bad."""

    def __init__(self, words: str, *, withdraw: bool = False) -> None:
        super().__init__(words)
        self.withdraw = withdraw


@dataclass
class Running:
    """The pending switch as this process knows it: who waits for it, and what it has served."""

    ask: Begin
    caller: Caller
    tally: watching.Tally


class Switch:
    """One at a time; `lock` guards the state and everything that moves."""

    def __init__(
        self,
        config: SwitchConfig,
        store: StateStore,
        clock: Clock,
        *,
        edge: EdgeSeam,
        workers: WorkersSeam,
        beat: BeatSeam,
        probes: ProbesSeam,
        access_log: LogSeam,
    ) -> None:
        self.lock = threading.RLock()
        self._config = config
        self._store = store
        self._clock = clock
        self._edge = edge
        self._workers = workers
        self._beat = beat
        self._probes = probes
        self._access_log = access_log
        self._running: Running | None = None
        self._settle_at = clock.monotonic()
        self._ended: dict[str, str] = {}
        self._confirmed: dict[str, dict[str, Any]] = {}

    # ---- the story ------------------------------------------------------------------------

    def begin(self, ask: Begin, caller: Caller) -> dict[str, Any]:
        """Check, move, verify; leaves the switch pending."""
        with self.lock:
            self.refuse_if_broken()
            state, edge = self.foreseen()
            if outcome.is_done(state, ask, edge):
                caller.say(f"{ask.target.identity} is live on {ask.target.colour} already")
                return {"already": True, "token": "", "serial": ask.serial}
            self.refuse_if_held()
            outcome.check(state, ask, edge)
            if not self._abandoned():
                outcome.check_overtakes(self._store.state.pending, ask)
            self._ask_app(ask, caller)
            self.undo(f"overtaken by {ask.who}'s switch to {ask.target.identity}")
            pending = self._open(ask, caller)
            try:
                self._move(pending, caller)
            except SwitchFailed as failure:
                self._fail(str(failure), failure.withdraw)
            except Exception as error:
                self._fail(f"{type(error).__name__}: {error}", False)
            return {"already": False, "token": pending.token, "serial": pending.serial}

    def watch(self, ask: Watch, caller: Caller) -> dict[str, Any]:
        """Judge the target while it serves; the lock is free, so that a later run can fence."""
        pending = self._pending(ask.token)
        target = pending.target
        running = self._must_run()
        release = self._store.state.releases[target.identity]
        started = reported = self._clock.monotonic()
        figures, failed, at_fault = watching.Figures(), 0, True
        while True:
            tick = self._clock.monotonic()
            failure = self._probe(release)
            failed = failed + 1 if failure else 0
            now = self._clock.monotonic()
            before, figures = figures, running.tally.figures(failed, str(failure or ""))
            if figures.worse_than(before):
                answered = failure is None or failure.release_at_fault
                at_fault = at_fault and answered and self._source_answers(pending)
            finished = now - started >= ask.seconds
            self._judge(ask, figures, finished, at_fault, caller)
            if finished and not failed:
                return {
                    "requests": figures.requests,
                    "errors": figures.errors,
                    "p95_ms": figures.p95_ms,
                    "seconds": round(now - started, 1),
                }
            if now - reported >= watching.REPORT_SECONDS:
                caller.say(f"watching {target.identity} for {now - started:.0f} s: {figures}")
                reported = now
            self._clock.sleep(max(0.0, watching.PROBE_SECONDS - (now - tick)))

    def confirm(self, ask: Confirm) -> dict[str, Any]:
        """The switch holds: what it moved to is live."""
        with self.lock:
            if ask.token in self._confirmed:
                return self._confirmed[ask.token]
            pending, running = self._pending(ask.token), self._must_run()
            event = self._event(running.ask.kind, pending, ask.note, ask.seconds)
            self._store.save(outcome.confirmed(self._store.state, pending, running.ask, event))
            self._store.record(event)
            self._end(pending.token, "")
            self._confirmed = {ask.token: {"serial": pending.serial}}
            log.info("confirmed: %s on %s", pending.target.identity, pending.target.colour)
            return self._confirmed[ask.token]

    def abort(self, ask: Abort) -> dict[str, Any]:
        with self.lock:
            self._pending(ask.token)
            self.undo(ask.why, withdraw=ask.withdraw)
            return {"serial": self._store.state.serial}

    def undo(self, why: str, *, withdraw: bool = False) -> None:
        """Move everything back, whatever else fails: web first, it is what people see."""
        with self.lock:
            pending = self._store.state.pending
            if pending is None:
                return
            log.warning("moving back from %s: %s", pending.target.identity, why)
            releases = self._store.state.releases
            source = pending.source
            release = releases.get(source.identity) if source else None
            self._try("moving web back", lambda: self._web_back(pending, release))
            target = pending.target
            self._try("ending consumption", lambda: self._stop_consuming(releases, target))
            identity = source.identity if source else None
            self._try("moving the beat back", lambda: self._beat.point(identity))
            self._try("moving consumption back", lambda: self._consume_again(release))
            event = self._event("revert", pending, why, 0.0)
            self._store.save(outcome.reverted(self._store.state, pending, event, withdraw))
            self._store.record(event)
            self._end(pending.token, why)

    def settle(self) -> None:
        """Leave one side in active.conf once a switch is over. nginx's processes of meanwhile end
        what they began for the other, and can be seen to: a claim waits for them."""
        with self.lock:
            active = self._unsettled()
            if active:
                self._try("settling the edge", lambda: self._settle(active))

    # ---- guards ---------------------------------------------------------------------------

    def refuse_if_broken(self) -> None:
        if self._store.broken:
            raise SwitchRefused(
                f"{self._store.broken}; traffic stays where it is, and nothing is changed on "
                "guesses: put state.json back from the control volume's last backup, then "
                f"`docker restart {self._config.names.switch}`"
            )

    def refuse_if_held(self) -> None:
        hold = self._store.state.hold
        if hold:
            raise SwitchRefused(
                f"deploys are locked by {hold.who} since {hold.since}: {hold.why}; when that is "
                "over, `ytops unlock`"
            )

    def revert_if_abandoned(self) -> None:
        """Called every moment: nobody waits for the pending switch any more."""
        if self._abandoned() and self.lock.acquire(timeout=0.1):
            try:
                if self._abandoned():
                    self.undo("the run that switched is gone without confirming")
            finally:
                self.lock.release()

    def settle_soon(self) -> None:
        """Called every moment: nobody waits for it, as one waits for a confirmation."""
        due = self._clock.monotonic() >= self._settle_at
        if due and self._unsettled() and self.lock.acquire(timeout=0.1):
            try:
                self._settle_at = self._clock.monotonic() + SETTLE_AGAIN_SECONDS
                self.settle()
            finally:
                self.lock.release()

    def edge_pointer(self) -> Pointer | None:
        active = self._edge.active()
        return active.pointer if active else None

    def _abandoned(self) -> bool:
        running = self._running
        return self._store.state.pending is not None and (running is None or running.caller.gone())

    def foreseen(self) -> tuple[HostState, Pointer | None]:
        """What a newcomer's request is judged by; nothing is undone for one that is refused."""
        return outcome.foreseen(self._store.state, self.edge_pointer())

    def _ask_app(self, ask: Begin, caller: Caller) -> None:
        caller.say(f"asking {ask.target.colour} directly")
        release = self._store.state.releases[ask.target.identity]
        try:
            self._probes.app(ask.target.colour, release, 0)
        except ProbeFailed as failure:
            raise SwitchRefused(
                f"{ask.target.identity} is not fit to serve, traffic was not moved: {failure}"
            ) from None

    # ---- the steps ------------------------------------------------------------------------

    def _open(self, ask: Begin, caller: Caller) -> Pending:
        pending = Pending(
            token=uuid.uuid4().hex,
            serial=ask.serial,
            source=ask.source,
            target=ask.target,
            who=ask.who,
            since=self._clock.utc(),
        )
        tally = watching.Tally(ask.serial, ask.target.identity, self._config.address("switch"))
        self._store.update(pending=pending)
        self._running = Running(ask, caller, tally)
        self._access_log.follow(tally)
        return pending

    def _move(self, pending: Pending, caller: Caller) -> None:
        release = self._store.state.releases[pending.target.identity]
        source = self._source_release(pending)
        # First of all, because nginx loads it while the workers are told to pause.
        load = self._announce(pending)
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("pausing the live workers", lambda: self._pause(source, caller)),
            ("moving the beat", lambda: self._beat.point(release.identity)),
            ("moving traffic", lambda: self._turn(load)),
            ("checking through the edge", lambda: self._verify(pending, release)),
            ("starting the new workers", lambda: self._consume(release, caller)),
        )
        for words, step in steps:
            if caller.gone():
                raise SwitchFailed("the run that switched is gone")
            caller.say(words)
            step()

    def _pause(self, source: Release | None, caller: Caller) -> None:
        if source is None:
            self._workers.assign(None)
            return
        for node in self._workers.pause(source, self._config.worker_seconds):
            caller.say(f"{node} does not answer; it is paused as soon as it does")

    def _announce(self, pending: Pending) -> str:
        releases = self._store.state.releases
        return self._edge.announce(pending.source, pending.target, releases, pending.serial)

    def _turn(self, load: str) -> None:
        try:
            self._edge.confirm(load)
            self._edge.turn()
        except OpsError as failure:
            raise SwitchFailed(str(failure)) from None

    def _verify(self, pending: Pending, release: Release) -> None:
        failure = self._probe(release)
        if failure and failure.release_at_fault:
            if not self._source_answers(pending):
                raise SwitchFailed(f"{failure}; {NOT_BLAMED}")
            failure = self._probe(release)  # what both stand on may have been away for a moment
        if failure:
            raise SwitchFailed(str(failure), withdraw=failure.release_at_fault)

    def _consume(self, release: Release, caller: Caller) -> None:
        silent = self._workers.consume(release, self._config.worker_seconds)
        if silent and self._must_run().ask.kind == "deploy":
            raise SwitchFailed(f"{', '.join(silent)} did not begin to consume")
        for node in silent:  # a rollback is for the web first: it doesn't fail on a worker
            caller.say(f"{node} does not answer; it begins to consume as soon as it does")

    def _web_back(self, pending: Pending, release: Release | None) -> None:
        source, active = pending.source, self._edge.active()
        if active and active.serial == pending.serial and active.before == source:
            if not active.turn:
                return  # it was moved back before
            self._edge.turn_back()  # at once; what follows takes nginx a moment
        if source is not None and release is None:
            raise SwitchFailed(f"{source.identity} is not known any more")
        self._edge.confirm(self._edge.point(source, release, pending.serial))

    def _unsettled(self) -> Active | None:
        """What active.conf says, while it has two sides, and which one is right is not in doubt."""
        state, active = self._store.state, self._edge.active()
        if self._store.broken or state.pending or active is None or not active.turn:
            return None
        return active if active.pointer == state.live else None

    def _settle(self, active: Active) -> None:
        live = active.pointer
        release = self._store.state.releases[live.identity] if live else None
        self._edge.confirm(self._edge.point(live, release, active.serial))

    def _stop_consuming(self, releases: dict[str, Release], target: Pointer) -> None:
        if target.identity in releases:
            self._workers.pause(releases[target.identity], self._config.worker_seconds)

    def _consume_again(self, release: Release | None) -> None:
        if release is None:
            self._workers.assign(None)
        else:
            self._workers.consume(release, self._config.worker_seconds)

    def _probe(self, release: Release) -> ProbeFailed | None:
        try:
            self._probes.public(release)
        except ProbeFailed as failure:
            return failure
        return None

    def _source_answers(self, pending: Pending) -> bool:
        """Whether the release before still answers, asked directly. When it fails as well, the
        fault is in what both stand on. Without one, nobody speaks for the new release."""
        release = self._source_release(pending)
        if pending.source is None or release is None:
            return True
        try:
            self._probes.app(pending.source.colour, release, 0)
        except ProbeFailed as failure:
            log.warning("%s fails as well: %s", pending.source.identity, failure)
            return False
        return True

    def _judge(
        self, ask: Watch, figures: watching.Figures, finished: bool, at_fault: bool, caller: Caller
    ) -> None:
        with self.lock:
            self._pending(ask.token)
            if caller.gone():
                self._fail("the run that switched is gone", False)
            why = watching.verdict(figures, ask, finished)
            if why:
                excuse = "" if at_fault else f"; {NOT_BLAMED}"
                self._fail(f"{why} ({figures}){excuse}", at_fault)

    def _fail(self, why: str, withdraw: bool) -> NoReturn:
        """Move back, then say so."""
        source = self._store.state.pending.source if self._store.state.pending else None
        self.undo(why, withdraw=withdraw)
        raise SwitchRefused(f"{why}; everything was moved back to {outcome.place(source)}")

    def _try(self, what: str, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:  # the files are written; nginx and workers follow when they can
            log.error("%s: %s: %s", what, type(error).__name__, error)

    # ---- tokens and events ----------------------------------------------------------------

    def _pending(self, token: str) -> Pending:
        pending = self._store.state.pending
        if pending is not None and pending.token == token:
            return pending
        if token in self._ended:
            raise SwitchRefused(f"this switch was moved back: {self._ended[token]}")
        last = self._store.state.last
        by = f"{last.who} ({last.target}, {last.at})" if last else "nobody the agent knows"
        raise SwitchRefused(f"this switch was overtaken by {by}; see `ytops status`")

    def _must_run(self) -> Running:
        running = self._running
        if running is None:
            raise SwitchRefused("no switch is pending; see `ytops status`")
        return running

    def _end(self, token: str, why: str) -> None:
        self._running = None
        self._access_log.follow(None)
        if why:
            self._ended[token] = why

    def _source_release(self, pending: Pending) -> Release | None:
        return self._store.state.releases[pending.source.identity] if pending.source else None

    def _event(
        self,
        kind: Literal["deploy", "rollback", "revert"],
        pending: Pending,
        note: str,
        seconds: float,
    ) -> Event:
        ends = (pending.source, pending.target)
        source, target = reversed(ends) if kind == "revert" else ends
        return Event(
            at=self._clock.utc(),
            kind=kind,
            serial=pending.serial,
            source=source.identity if source else "",
            target=target.identity if target else "",
            who=pending.who,
            seconds=seconds,
            note=note,
            backup=self._backup(pending.target) if kind == "deploy" else "",
        )

    def _backup(self, target: Pointer) -> str:
        """The dump that was taken for the slot's occupancy; empty where its step was passed by."""
        slot = self._store.state.slots[target.colour]
        key = marker(target.colour, "backup", f"{slot.identity}#{slot.claim}")
        return noted(self._store.state.markers.get(key, ""))
