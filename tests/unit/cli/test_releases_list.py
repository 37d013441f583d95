"""What has served, where it is now, and how it comes back."""

from __future__ import annotations

from ops.verbs.releases import rows, screen
from ops.verbs.status import screen as status_screen
from rollout.state import HostState
from tests.unit.cli.happy import BLUE, NEW, NOW, OLD, event, look, observation, withdrawn
from tests.unit.rollout.host_model import release


def test_live_ready_withdrawn_and_gone_are_told_apart() -> None:
    gone = release("0.9.0", "eeee")
    found = observation(withdrawn=withdrawn(release("1.2.0", "cccc")))
    first = event("deploy", None, gone, at="2026-11-20T11:00:00+00:00")
    found = type(found)(found.view, workers=found.workers, history=(first, *found.history))
    assert {row.identity: row.now for row in rows(found)} == {
        NEW.identity: "live on green",
        OLD.identity: "ready on blue: `ytops rollback`",
        "1.2.0+cccc": "withdrawn: p95 812 ms",
        "0.9.0+eeee": "`ytops up 0.9.0` deploys it again",
    }


def test_a_release_names_the_dump_from_before_it_after_a_rollback_too() -> None:
    dump = f"20261122T105900Z-{NEW.identity}.dump"
    found = observation(edge=BLUE, live=BLUE, withdrawn=withdrawn(NEW))
    history = (event("deploy", OLD, NEW, backup=dump), event("rollback", NEW, OLD, serial=3))
    found = type(found)(found.view, workers=found.workers, history=history)
    assert {row.identity: row.backup for row in rows(found)} == {
        NEW.identity: dump,
        OLD.identity: "",
    }
    shown = screen(found, None, NOW)
    assert any("withdrawn: p95 812 ms; backup before it: 20261122T105900Z" in s for s in shown)
    assert any(f"(before: {OLD.identity}; backup 20261122T105900Z)" in line for line in shown)
    status = "\n".join(status_screen(look(observation=found)))
    assert "p95 812 ms; backup before it: 20261122T105900Z" in status


def test_a_host_without_history_says_what_comes_first() -> None:
    empty = type(observation())(type(observation().view)(HostState()))
    assert screen(empty, None, NOW) == ["No release has served here yet. Next: `ytops up VERSION`"]


def test_failed_runs_of_the_engine_are_listed_with_their_message() -> None:
    run = {
        "kind": "update",
        "result": "failed",
        "startTime": "2026-11-22T11:58:00.000Z",
        "message": "ytops up 1.2.0 by ana@desk\n\nmore",
    }
    assert screen(observation(), [run], NOW)[-1] == (
        "update failed, 2026-11-22 11:58 UTC (2 min ago): ytops up 1.2.0 by ana@desk"
    )
