"""What the agent does when it starts, and its smaller verbs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ops.errors import SwitchRefused
from ops.switch.agent import Agent
from ops.switch.edge import Edge, EdgeFailed
from ops.switch.live import LivePointer
from ops.switch.state_store import StateStore
from ops.switch.switch import Switch
from ops.switch.workers import WorkerPool
from rollout.edge import ACTIVE_CONF
from rollout.shapes import Pointer
from rollout.state import HostState, Pending
from tests.unit.switch.fakes import (
    BLUE,
    GREEN,
    NEW,
    OLD,
    FakeCaller,
    FakeClock,
    FakeControl,
    FakeHost,
    FakeStatus,
    config,
    host_state,
    release,
)


class Host:
    """Files on a real disk, everything else played."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.settings = FakeClock(), config(folder)
        self.control_folder = folder / "control"
        self.status = FakeStatus()
        self.status.down = True
        self.restart()

    def restart(self) -> None:
        self.store = StateStore(self.settings.control_path, self.clock)
        self.edge = Edge(self.settings, self.status, self.clock)
        self.beat = LivePointer(self.settings.live_path)
        self.pool = WorkerPool(self.settings, FakeControl(), self.clock, lambda: self.store.state)
        probes: Any = FakeHost()
        self.switch = Switch(
            self.settings,
            self.store,
            self.clock,
            edge=self.edge,
            workers=self.pool,
            beat=self.beat,
            probes=probes,
            access_log=probes,
        )
        self.agent = Agent(
            self.settings,
            self.clock,
            store=self.store,
            switch=self.switch,
            edge=self.edge,
            workers=self.pool,
            beat=self.beat,
            probes=probes,
        )

    def start(self, state: HostState | None = None, edge: Pointer | None = None) -> None:
        if state:
            self.store.save(state)
        if edge:
            self.edge.point(edge, OLD if edge == BLUE else NEW, 4)
        self.restart()
        self.agent.start()

    def ask(self, verb: str, **fields: Any) -> dict[str, Any]:
        model, answer = self.agent.verbs[verb]
        return answer(model.model_validate(fields), FakeCaller())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def announce(host: Host, turned: bool) -> None:
    """As a switch that nginx has loaded leaves the edge."""
    host.edge.announce(BLUE, GREEN, host.store.state.releases, 5)
    if turned:
        with suppress(EdgeFailed):  # there is no nginx to say that it has
            host.edge.turn()


def settled(host: Host) -> bool:
    active = host.edge.active()
    return active is not None and not active.turn


def pending() -> Pending:
    return Pending(
        token="t", serial=5, source=BLUE, target=GREEN, who="ann", since="2026-01-10T06:00:00+00:00"
    )


def test_a_new_host_has_no_release(host: Host) -> None:
    host.start()
    assert host.ask("state")["edge"] is None
    assert host.beat.read() == ""


def test_a_restart_points_everything_at_the_live_release(host: Host) -> None:
    host.start(host_state(), BLUE)
    assert host.beat.read() == OLD.identity
    assert host.switch.edge_pointer() == BLUE


def test_a_restart_with_a_pending_switch_moves_back(host: Host) -> None:
    host.start(host_state().model_copy(update={"pending": pending()}), GREEN)
    assert host.switch.edge_pointer() == host.store.state.live == BLUE
    assert host.beat.read() == OLD.identity
    assert host.store.state.last
    assert "restarted before the switch was confirmed" in host.store.state.last.note


@pytest.mark.parametrize("turned", [False, True])
def test_an_agent_killed_around_the_turn_ends_on_the_source(host: Host, turned: bool) -> None:
    host.start(host_state(), BLUE)
    host.store.update(pending=pending())
    announce(host, turned)
    host.start()
    assert host.switch.edge_pointer() == host.store.state.live == BLUE
    assert settled(host)


def test_an_agent_killed_after_the_confirmation_settles_the_edge(host: Host) -> None:
    host.start(host_state().model_copy(update={"live": GREEN, "serial": 5}), GREEN)
    announce(host, turned=True)
    host.start()
    assert host.switch.edge_pointer() == host.store.state.live == GREEN
    assert settled(host)


def test_an_include_of_an_older_format_is_written_anew(host: Host) -> None:
    host.start(host_state(), BLUE)
    old = '# active: {"serial": 4, "pointer": null, "load": "x", "body": ""}\nupstream app {}\n'
    (host.settings.edge_path / ACTIVE_CONF).write_text(old)
    host.start()
    assert host.switch.edge_pointer() == BLUE


def test_a_lost_edge_volume_is_written_again(host: Host) -> None:
    host.start(host_state())
    assert host.switch.edge_pointer() == BLUE


def test_an_include_that_was_edited_by_hand_is_put_back(host: Host) -> None:
    host.start(host_state(), BLUE)
    include = host.settings.edge_path / ACTIVE_CONF
    include.write_text(include.read_text().replace(":8000", ":8001"))
    host.agent.guard_edge()
    assert host.switch.edge_pointer() == BLUE
    assert ":8000" in include.read_text()


def test_a_move_by_hand_is_not_undone_by_the_agent(host: Host) -> None:
    host.start(host_state(), BLUE)
    host.edge.point(GREEN, NEW, 4)
    host.agent.guard_edge()
    assert host.switch.edge_pointer() == GREEN


def test_after_a_lost_confirmation_traffic_stays_where_it_is(host: Host) -> None:
    host.store.save(host_state().model_copy(update={"pending": pending()}))
    host.store.save(host_state())
    (host.control_folder / "state.json").write_text("{")
    host.start(edge=GREEN)
    assert host.switch.edge_pointer() == host.store.state.live == GREEN
    assert host.store.state.pending is None
    assert (host.store.state.serial, host.store.state.confirmed) == (5, 5)


def test_with_both_states_lost_nothing_moves_and_nobody_may_deploy(host: Host) -> None:
    host.start(host_state(), BLUE)
    (host.control_folder / "state.json").write_text("{")
    (host.control_folder / "state.json.previous").write_text("{")
    host.start()
    assert host.switch.edge_pointer() == BLUE
    assert host.beat.read() == OLD.identity
    assert not host.pool.enforcing
    with pytest.raises(SwitchRefused, match=r"unusable.*put state.json back.*docker restart"):
        claim(host)


def test_an_edge_moved_by_hand_to_a_known_release_wins(host: Host) -> None:
    host.start(host_state(), GREEN)
    assert host.store.state.live == GREEN
    assert host.beat.read() == NEW.identity


def test_an_edge_that_serves_a_stranger_stops_deploys(host: Host) -> None:
    state = host_state().model_copy(update={"releases": {OLD.identity: OLD}})
    host.start(state, GREEN)
    assert host.switch.edge_pointer() == GREEN
    with pytest.raises(SwitchRefused, match=r"which state.json doesn't know as live"):
        claim(host)


def claim(host: Host, **changes: Any) -> dict[str, Any]:
    fields = {"colour": "green", "release": release("1.2.0", "cccccccccccc"), "claim": 3}
    return host.ask("claim", **{**fields, "live": BLUE, "who": "ann", **changes})


def test_a_claim_ends_a_pending_switch(host: Host) -> None:
    host.start(host_state(), BLUE)
    host.store.update(pending=pending())
    host.edge.point(GREEN, NEW, 5)
    assert claim(host) == {"claim": 3}
    assert host.store.state.pending is None
    assert host.switch.edge_pointer() == BLUE


@pytest.mark.parametrize("changes", [{"claim": 2}, {"claim": 5}, {"live": GREEN}])
def test_a_claim_that_is_refused_leaves_a_pending_switch(
    host: Host, changes: dict[str, Any]
) -> None:
    host.start(host_state(), BLUE)
    host.store.update(pending=pending())
    host.edge.point(GREEN, NEW, 5)
    with pytest.raises(SwitchRefused, match="expected"):
        claim(host, **changes)
    assert host.store.state.pending
    assert host.switch.edge_pointer() == GREEN


def test_a_claim_that_was_made_before_leaves_a_pending_switch(host: Host) -> None:
    host.start(host_state(), BLUE)
    host.store.update(pending=pending())
    host.edge.point(GREEN, NEW, 5)
    assert claim(host, release=NEW, claim=2) == {"claim": 2}
    assert host.store.state.pending


def test_right_after_a_start_no_release_is_forgotten(host: Host) -> None:
    old = {(r := release(f"0.{n}.0")).identity: r for n in range(20)}
    state = host_state()
    host.start(state.model_copy(update={"releases": {**old, **state.releases}}), BLUE)
    claim(host)
    assert set(host.store.state.releases) > set(old)


@pytest.mark.parametrize(("draining", "seconds"), [(True, 60), (False, 2.5)])
def test_a_claim_waits_only_for_requests_that_the_slot_still_answers(
    host: Host, monkeypatch: pytest.MonkeyPatch, draining: bool, seconds: float
) -> None:
    host.start(host_state().model_copy(update={"pending": pending()}), GREEN)
    monkeypatch.setattr(host.edge, "draining", lambda: draining)
    moved_back = host.edge.loaded_at = host.clock.monotonic()
    claim(host)
    assert seconds <= host.clock.monotonic() - moved_back < seconds + 2


def test_a_clock_that_was_set_back_does_not_make_a_claim_wait_for_it_to_catch_up(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.start(host_state().model_copy(update={"pending": pending()}), GREEN)
    monkeypatch.setattr(host.edge, "draining", lambda: False)
    begun = host.clock.monotonic()
    monkeypatch.setattr(host.clock, "utc", lambda: "2026-01-09T06:00:00+00:00")
    claim(host)
    assert host.clock.monotonic() - begun < 4


def test_a_hold_keeps_others_out_until_it_is_left(host: Host) -> None:
    host.start(host_state(), BLUE)
    host.ask("hold", who="bob", why="an incident")
    for verb in (lambda: claim(host), lambda: host.ask("hold", who="ann", why="mine")):
        with pytest.raises(SwitchRefused, match="locked by bob"):
            verb()
    assert host.ask("unhold", who="ann")["was"]["who"] == "bob"
    assert claim(host)
    history = (host.control_folder / "history.jsonl").read_text()
    assert [line.split('"kind":"')[1][:4] for line in history.splitlines()] == ["lock", "unlo"]


def test_a_mark_is_remembered(host: Host) -> None:
    host.start(host_state(), BLUE)
    key = f"green-backup#{NEW.identity}#2"
    assert host.ask("marked", key=key) == {"marked": False, "note": ""}
    host.ask("mark", key=key, note="12 MB")
    assert host.ask("marked", key=key) == {"marked": True, "note": "12 MB"}


def test_a_probe_of_an_unclaimed_slot_is_refused(host: Host) -> None:
    host.start()
    with pytest.raises(SwitchRefused, match="blue was not claimed"):
        host.ask("probe", colour="blue")


def test_the_launcher_is_installed_for_the_beats(host: Host, tmp_path: Path) -> None:
    host.start()
    assert (tmp_path / "live/beat.py").read_text().startswith('"""Runs a release\'s Celery beat')
