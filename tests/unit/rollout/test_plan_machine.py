"""Whatever happens to a host, in whatever order: what must hold of every plan."""

from __future__ import annotations

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rollout.plan import Plan, plan, pointer_token
from rollout.shapes import Pointer, Release
from tests.unit.rollout.host_model import STEPS, Host, Stop, idle, occupied, release

VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
CONFIGS = ("aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc")
FRESH = release("9.9.9", "ffffffffffff")

stops = st.none() | st.builds(
    Stop,
    step=st.sampled_from(STEPS),
    how=st.sampled_from(("fail", "kill")),
    release_at_fault=st.booleans(),
)


class HostMachine(RuleBasedStateMachine):
    """A stack file (version, configuration, reinstate) and a host that runs happen to."""

    def __init__(self) -> None:
        super().__init__()
        self.host = Host()
        self.version = ""
        self.config = CONFIGS[0]
        self.reinstated = ""
        self.pinned = ""
        self.serial = 0

    def ask_for(self, version: str, pinned: str = "") -> None:
        """The stack file's version: bare, or an identity."""
        self.version, self.pinned = version, pinned

    @property
    def wanted(self) -> Release | None:
        return release(self.version, self.config) if self.version else None

    def plan(self) -> Plan:
        return plan(self.host.view(), self.wanted, self.reinstated, self.pinned)

    def up(self, stop: Stop | None = None) -> None:
        """One `pulumi up`, with everything that must hold of it."""
        decided = self.plan()
        finished = self.host.run(decided, stop)
        if finished:
            self.check_settled(decided)

    def check_settled(self, decided: Plan) -> None:
        """After a finished run, the next one has nothing to do."""
        again = self.plan()
        assert again.action in ("keep", "nothing")
        assert again.serial == decided.serial == self.host.state.confirmed
        assert self.host.told[-1:] == ([again.serial] if again.target and again.serial else [])
        # A slot that never passed its checks stays while it serves (moved by hand), then goes.
        slots = self.host.state.slots
        kept = {s.key for s in decided.slots if slots[s.colour].status == "ready"}
        live = {s.key for s in again.slots if again.target and s.colour == again.target.colour}
        assert {s.key for s in again.slots} == kept | live
        assert all(s.frozen for s in again.slots)
        before = {r.identity for r in decided.draining} | {
            s.release.identity for s in decided.slots
        }
        assert {r.identity for r in again.draining} <= before

    # What people do

    @rule(version=st.sampled_from(VERSIONS), stop=stops)
    def deploy(self, version: str, stop: Stop | None) -> None:
        self.ask_for(version)
        self.up(stop)

    @rule(config=st.sampled_from(CONFIGS), stop=stops)
    def change_configuration(self, config: str, stop: Stop | None) -> None:
        self.config = config
        self.up(stop)

    @rule(at_fault=st.booleans())
    def deploy_a_release_that_fails_its_watch(self, at_fault: bool) -> None:
        self.ask_for(VERSIONS[-1])
        self.up(Stop("watch", release_at_fault=at_fault))

    @rule(stop=stops)
    def run_again(self, stop: Stop | None) -> None:
        self.up(stop)

    @precondition(lambda self: self.host.edge and len(occupied(self.host.state)) == 2)
    @rule(stop=stops)
    def roll_back_to_the_other_slot(self, stop: Stop | None) -> None:
        edge = self.host.edge
        assert edge
        slot = self.host.state.slots[idle(edge)]
        self.ask_for(slot.identity.rpartition("+")[0])
        self.up(stop)

    @precondition(lambda self: self.host.state.releases)
    @rule(data=st.data(), stop=stops)
    def ask_for_a_recorded_release(self, data: st.DataObject, stop: Stop | None) -> None:
        identity = data.draw(st.sampled_from(sorted(self.host.state.releases)))
        self.ask_for(identity.rpartition("+")[0], identity)
        self.up(stop)

    @precondition(lambda self: self.host.state.withdrawn)
    @rule(data=st.data(), stop=stops)
    def reinstate(self, data: st.DataObject, stop: Stop | None) -> None:
        identity = data.draw(st.sampled_from(sorted(self.host.state.withdrawn)))
        version, _, self.config = identity.rpartition("+")
        self.ask_for(version)
        self.reinstated = pointer_token(identity, self.host.state.withdrawn[identity].serial)
        self.up(stop)

    @rule(held=st.booleans())
    def lock_or_unlock(self, held: bool) -> None:
        self.host.hold(held)

    @rule(data=st.data())
    def move_the_edge_by_hand(self, data: st.DataObject) -> None:
        self.host.revert()
        self.host.move_by_hand(data.draw(st.sampled_from([None, *occupied(self.host.state)])))

    # What happens by itself

    @rule()
    def the_agent_undoes_what_nobody_confirms(self) -> None:
        self.host.revert()

    @precondition(lambda self: self.host.state.pending)
    @rule()
    def a_killed_runs_switch_confirms_after_all(self) -> None:
        self.host.confirm()

    @precondition(lambda self: self.host.apps)
    @rule(data=st.data())
    def lose_a_container(self, data: st.DataObject) -> None:
        del self.host.apps[data.draw(st.sampled_from(sorted(self.host.apps)))]

    @precondition(lambda self: self.host.edge and self.host.edge.identity in self.host.crews)
    @rule()
    def a_worker_takes_a_job(self) -> None:
        assert self.host.edge
        self.host.busy.add(self.host.edge.identity)

    @precondition(lambda self: self.host.busy)
    @rule(data=st.data())
    def a_job_ends(self, data: st.DataObject) -> None:
        self.host.busy.discard(data.draw(st.sampled_from(sorted(self.host.busy))))

    # What always holds

    @invariant()
    def every_plan_is_sound(self) -> None:
        """Whatever is asked for now: nothing, something new, any version in any configuration."""
        view = self.host.view()
        asked = [None, FRESH, *(release(v, c) for v in VERSIONS for c in CONFIGS)]
        plans = [plan(view, wanted, self.reinstated) for wanted in asked]
        assert plans == [plan(view, w, self.reinstated) for w in asked], "one input has one plan"
        pins = sorted(self.host.state.releases)
        for decided in (*plans, *(plan(view, None, self.reinstated, pin) for pin in pins)):
            if decided.action != "refuse":
                self.check_live_slot_stays_as_it_is(decided)
                self.check_serial(decided)
                self.check_busy_workers_stay(decided)
                self.check_withdrawn_stays_away(decided)
                self.check_no_release_twice(decided)

    def check_live_slot_stays_as_it_is(self, decided: Plan) -> None:
        live = self.host.view().edge
        if live:
            declared = next(s for s in decided.slots if s.colour == live.colour)
            assert declared.frozen
            assert declared.release.identity == live.identity

    def check_serial(self, decided: Plan) -> None:
        state = self.host.state
        moved = decided.changes_traffic
        assert decided.serial == (state.serial + 1 if moved else state.confirmed)
        assert decided.asked or not (decided.target and decided.serial)

    def check_busy_workers_stay(self, decided: Plan) -> None:
        declared = {s.release.identity for s in decided.slots}
        declared |= {r.identity for r in decided.draining}
        assert declared >= self.host.busy

    def check_withdrawn_stays_away(self, decided: Plan) -> None:
        if decided.changes_traffic and decided.target:
            gone = self.host.state.withdrawn.get(decided.target.identity)
            if gone:
                assert self.reinstated == pointer_token(decided.target.identity, gone.serial)

    def check_no_release_twice(self, decided: Plan) -> None:
        identities = [s.release.identity for s in decided.slots]
        assert len(identities) == len(set(identities))

    @invariant()
    def the_serial_never_decreases(self) -> None:
        assert self.host.state.serial >= self.serial
        self.serial = self.host.state.serial

    @invariant()
    def each_switch_is_told_once(self) -> None:
        assert self.host.told == sorted(set(self.host.told))

    @invariant()
    def at_most_one_slot_is_live(self) -> None:
        held = [s.identity for s in self.host.state.slots.values()]
        assert len(held) == len(set(held))
        if self.host.edge:
            assert self.host.state.slots[self.host.edge.colour].identity == self.host.edge.identity

    @invariant()
    def a_new_release_converges(self) -> None:
        host = self.unlocked_copy()
        runs = 0
        while (decided := plan(host.view(), FRESH)).changes_traffic:
            host.run(decided)
            runs += 1
            assert runs <= 2
        assert decided.action == "keep"
        assert host.edge
        assert host.edge.identity == FRESH.identity

    @invariant()
    def what_the_host_was_last_asked_for_converges(self) -> None:
        """What answered it before serves; at least its version does, unless it was withdrawn."""
        host = self.unlocked_copy()
        asked, live = host.state.asked, host.state.live
        if asked is None:
            return
        for _ in range(2):
            decided = plan(host.view(), release(asked.version, asked.fingerprint))
            host.run(decided)
        host.revert()
        if decided.action == "refuse":
            return
        assert host.edge
        assert host.edge.identity.startswith(f"{asked.version}+")
        if live and live.identity.startswith(f"{asked.version}+") and self.still_holds(live):
            assert host.edge == live or host.edge.identity == f"{asked.version}+{asked.fingerprint}"

    def still_holds(self, pointer: Pointer) -> bool:
        slot = self.host.state.slots[pointer.colour]
        return slot.identity == pointer.identity and slot.status == "ready"

    @invariant()
    def a_pinned_release_that_stands_ready_serves_or_was_withdrawn(self) -> None:
        for slot in self.host.state.slots.values():
            host = self.unlocked_copy()
            if slot.status == "ready" and slot.identity not in host.state.withdrawn:
                host.run(plan(host.view(), FRESH, "", slot.identity))
                host.revert()
                assert host.edge
                assert host.edge.identity == slot.identity

    @invariant()
    def a_new_configuration_is_never_refused(self) -> None:
        view = self.unlocked_copy().view()
        for version in VERSIONS:
            assert plan(view, release(version, "ffffffffffff")).action != "refuse"

    def unlocked_copy(self) -> Host:
        host = self.host.copy()
        host.hold(False)
        return host


TestHost = HostMachine.TestCase
TestHost.settings = settings(max_examples=100, stateful_step_count=30, phases=(Phase.generate,))
