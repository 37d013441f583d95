"""One fault, played: load, change, blow, look, recovery, and what may be expected of all that."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from rollout.names import Colour
from tests.e2e.faults.catalogue import Fault
from tests.e2e.faults.moments import Moment, reached
from tests.e2e.faults.remote import Remote
from tests.e2e.faults.restart import Restart
from tests.e2e.faults.results import Result, printed
from tests.e2e.load import Load
from tests.e2e.world import Outcome, Running, World, docker, wait_until

# Two of a hundred requests a second take five: ten are under way at any time, and a switch has to
# leave them alone.
SLOW = "/api/v1/slow?seconds=5"
SLOW_SECONDS = 5.0
PROBE_SECONDS = 1.0  # how exactly a restart is measured, from a busy machine
PATHS = ("/api/v1/status", "/api/v1/channels", "/health") * 16 + (SLOW,)
RATE = 100
SETTLE_SECONDS = 60  # the agent's lease, its own time-outs, and a slow machine
REFRESH = ("pulumi", "refresh", "--yes", "--clear-pending-creates")
UP = ("pulumi", "up", "--yes", "--skip-preview", "--color=never")


@dataclass
class Stage:
    """What all scenes are played on: a world with two releases, and a load that goes on."""

    world: World
    load: Load
    settled: bool = True
    remote: Remote | None = None

    def settle(self) -> None:
        """Nothing of the scene before is at work; after a failed one, one more run."""
        self.world.quiet()
        if not self.settled:
            self.world.run("pulumi", "cancel", "--yes")
            # By its version: one that was withdrawn comes back only on purpose.
            again = self.world.ytops("up", self.world.get("version"))
            assert again.ok, f"an earlier fault left this world broken:\n{again.text}"
        self.settled = True


@dataclass
class Record:
    """What engine and host say between the fault and the recovery."""

    live: str
    pending: str
    output: str
    operations: list[str]
    locked: bool

    def words(self, before: str, asked: str) -> str:
        names = {before: "the release before", asked: "the new release"}
        live = names.get(self.live, self.live or "nothing")
        output = "the same" if self.output == self.live else names.get(self.output, self.output)
        cut = f"cut off: {', '.join(self.operations)}" if self.operations else ""
        lock = "Pulumi's lock is stranded" if self.locked else ""
        moving = "the switch was pending" if self.pending else ""
        told = [f"live: {live}", f"output: {output or 'none'}", moving, cut, lock]
        return "; ".join(word for word in told if word)


@dataclass
class Scene:
    """Plays `fault` on a stage. What an `inject` may use is public here."""

    stage: Stage
    fault: Fault
    run: Running = field(init=False)
    before: str = ""
    """The identity that serves when the scene begins."""
    asked: str = ""
    """The identity that is asked for; empty when it is not known beforehand."""
    colour: Colour = "blue"
    """The slot that the change goes to."""
    containers: set[str] = field(default_factory=set)
    """The ids of those that were there before."""
    environment: dict[str, str] = field(default_factory=dict)
    """More variables for the command that is broken; for `prepare`."""
    restarts: list[Restart] = field(default_factory=list)
    away: float = 0.0
    """Seconds for which something else was away that users need: no container that restarts."""
    _turn: str = ""
    _withdrawn: set[str] = field(default_factory=set)
    """Identities that were withdrawn before."""
    _heal: ExitStack = field(default_factory=ExitStack)
    _last: ExitStack = field(default_factory=ExitStack)

    @property
    def world(self) -> World:
        return self.stage.world

    @property
    def load(self) -> Load:
        return self.stage.load

    # ---- for faults -----------------------------------------------------------------------

    def at(self, moment: Moment) -> Any:
        """`with scene.at(MID["migrate"]): …` holds that moment while the block runs."""
        return reached(moment, self)

    def struck(self, part: str) -> None:
        """Right after the blow: from now on it is measured when this container answers again
        (`nginx`, `postgres`, `redis`, a colour). The outage may last as long."""
        self.restarts.append(Restart(self.world, part))

    def heal(self, undo: Callable[[], object]) -> None:
        """When the broken command has ended, before the recovery: somebody sees to the cause."""
        self._heal.callback(undo)

    def afterwards(self, undo: Callable[[], object]) -> None:
        """When the scene is over, however it went."""
        self._last.callback(undo)

    # ---- the story ------------------------------------------------------------------------

    def play(self) -> Result:
        result = Result.of(self.fault)
        begun = time.monotonic()
        try:
            with self._last:
                self._story(result)
        except BaseException as error:
            self.stage.settled = False
            result.wrong = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise
        finally:
            result.seconds = round(time.monotonic() - begun, 1)
            result.write()
        return result

    def _story(self, result: Result) -> None:
        self.stage.settle()
        self._begin()
        broken = self._break()
        with self._heal:
            pass
        result.keep("broken", broken.text)
        record = self._look()
        self._settles()
        result.state = record.words(self.before, self.asked or self._now())
        result.printed = printed(broken)
        self._check_broken(broken)
        self._recover(record, result)
        self._check_users(result)

    def _begin(self) -> None:
        world = self.world
        if self.fault.breaks == "rollback":
            self._may_roll_back()
        state = world.state()
        self.before, self.colour = state["live"]["identity"], world.idle
        self.containers = set(_ids(world))
        self._withdrawn = set(state["withdrawn"])
        self.load.take()
        self.load.held_back = 0
        if self.fault.breaks == "deploy":
            # Of the live version: a bare other one would mean the release that stands ready.
            world.set("version", self.before.partition("+")[0])
            self._turn = world.change().partition("=")[2]
        elif self.fault.breaks == "rollback":
            self.asked = world.ask_for_the_idle()
        else:
            self.asked, self.colour = self.before, state["live"]["colour"]
        if self.fault.prepare:
            self.fault.prepare(self)

    def _may_roll_back(self) -> None:
        """The idle release has served and was not withdrawn; else traffic moves to it once."""
        state = self.world.state()
        slot = state["slots"][self.world.idle]
        if slot["identity"] in state["withdrawn"] or not slot["was_live"]:
            self.world.ask_for_the_idle()
            moved = self.world.up(None)
            assert moved.ok, moved.text
            self.world.set("reinstate", None)

    def _break(self) -> Outcome:
        if self.fault.breaks == "nothing":
            self.fault.inject(self)
            return Outcome(0, "", 0.0)
        command = self.fault.command or UP
        self.run = self.world.begin(*command, environment=self.environment)
        try:
            self.fault.inject(self)
            return self.run.end()
        finally:
            with suppress(ProcessLookupError):
                self.run.process.kill()

    def _look(self) -> Record:
        state = self.world.state()
        recorded = self.world.recorded()
        return Record(
            live=(state["live"] or {}).get("identity", ""),
            pending=(state["pending"] or {}).get("token", ""),
            output=recorded.output,
            operations=recorded.operations,
            locked=recorded.locked,
        )

    def _settles(self) -> None:
        """Whatever died, the host ends in one of the two known states by itself, as soon as the
        agent runs."""
        wait_until(
            lambda: self.world.state()["pending"] is None or not _agent_runs(self.world),
            "the switch stays pending",
            SETTLE_SECONDS,
        )
        live = self.world.state()["live"]["identity"]
        undone = live == self.before
        assert undone or not self.fault.undone, f"{live} was left serving"
        assert undone or self._arrived(), f"{live} serves, and nobody asked for it"

    def _now(self) -> str:
        live: str = self.world.state()["live"]["identity"]
        return live if live != self.before else ""

    def _arrived(self) -> bool:
        live = self.world.state()["live"]["identity"]
        if self.asked:
            return bool(live == self.asked)
        return bool(self.world.live_release()["environment"].get("TURN") == self._turn)

    def _check_broken(self, broken: Outcome) -> None:
        if self.fault.breaks != "nothing" and self.fault.ends != "either":
            assert broken.ok == (self.fault.ends == "arrives"), broken.text
        for word in ("Traceback", "KeyboardInterrupt"):
            assert word not in broken.text, broken.text
        if self.fault.check:
            self.fault.check(self, broken)

    def _recover(self, record: Record, result: Result) -> None:
        begun = time.monotonic()
        if self.fault.by_hand:
            result.recovery = self._by_hand(record)
        else:
            result.recovery = self._by_one_run(record, result)
        took = time.monotonic() - begun
        assert self._arrived(), f"{self._now() or self.before} serves, which nobody asked for"
        self.world.set("reinstate", None)
        # What a host of its own was done to may show only to who looks at it.
        look = ["--refresh"] if self.stage.remote else []
        again = self.world.up(None, "--expect-no-changes", *look)
        assert again.ok, again.text
        assert not self._unlimited(), f"without a process limit: {self._unlimited()}"
        status = self.world.ytops("status")
        assert status.ok, status.text
        left = self.world.recorded()
        assert not left.locked, "the stack is still locked"
        assert not left.operations, f"still cut off: {left.operations}"
        result.ended = f"in {took:.0f} s: the asked release serves, nothing left to do, healthy"

    def _by_one_run(self, record: Record, result: Result) -> str:
        """`ytops` says what it found, and clears it. The command."""
        arguments = self._asked_for()
        outcome = self.world.ytops("up", *arguments)
        result.keep("recovered", outcome.text)
        assert outcome.ok, outcome.text
        assert "Traceback" not in outcome.text, outcome.text
        if record.locked:
            assert "lock was stranded by" in outcome.text, outcome.text
        for operation in record.operations:
            assert "An earlier run was cut off in" in outcome.text, outcome.text
            assert operation in outcome.text, outcome.text
        return f"`{' '.join(['ytops', 'up', *arguments])}`"

    def _unlimited(self) -> list[str]:
        told = "{{.Name}} {{.HostConfig.PidsLimit}}"
        lines = docker("inspect", "--format", told, *_ids(self.world)).splitlines()
        return [line for line in lines if not line.split()[1].isdigit() or line.endswith(" 0")]

    def _asked_for(self) -> list[str]:
        """Nothing: the stack file says it. A release that was withdrawn, because what served it or
        its users was hit, comes back only by its version, as the broken run has printed."""
        if self.fault.hits == "nothing" or set(self.world.state()["withdrawn"]) <= self._withdrawn:
            return []
        return [self.world.get("version")]

    def _by_hand(self, record: Record) -> str:
        """Plain Pulumi, by what it prints."""
        words = []
        if record.locked:
            refused = self.world.up(None)
            assert not refused.ok, refused.text
            assert "pulumi cancel" in refused.text, refused.text
            assert self.world.run("pulumi", "cancel", "--yes").ok
            words.append("`pulumi cancel`")
        if record.operations:
            looked = self.world.run(*REFRESH)
            assert looked.ok, looked.text
            words.append(f"`{' '.join(REFRESH)}`")
        outcome = self.world.up(None)
        assert outcome.ok, outcome.text
        return ", ".join([*words, "`pulumi up`"])

    def _check_users(self, result: Result) -> None:
        """No request failed, or only while what was hit was away."""
        result.count(self.load.take())
        result.rate, result.held_back = self.load.rate, self.load.held_back
        if self.fault.hits == "nothing":
            assert not result.failed, f"{sum(result.failed.values())} failed: {result.failed}"
            return
        away = self.away + sum(restart.seconds() for restart in self.restarts)
        result.restart = round(away, 1)
        most = result.restart + SLOW_SECONDS + PROBE_SECONDS  # those that were under way
        assert result.outage <= most, f"{result.outage} s of failures, {result.restart} s away"


def _ids(world: World) -> list[str]:
    own = f"label=ytempire.stack={world.stack}"
    return docker("ps", "-aq", "--no-trunc", "--filter", own).split()


def _agent_runs(world: World) -> bool:
    return docker("inspect", world.name("switch"), "-f", "{{.State.Running}}").strip() == "true"
