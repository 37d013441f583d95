"""One switch, one outcome: everything moves and is confirmed, or everything moves back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.errors import SwitchRefused
from ops.switch.probes import ProbeFailed
from ops.switch.protocol import Abort, Confirm, Watch
from ops.switch.watch import Served
from rollout.state import Hold, HostState
from tests.unit.switch.fakes import (
    BLUE,
    GREEN,
    NEW,
    OLD,
    FakeCaller,
    World,
    begin,
    host_state,
    world,
)

# After the usual switch: back to where it came from.
BACK: dict[str, Any] = {
    "serial": 6, "target": BLUE, "claim": 1, "source": GREEN, "kind": "rollback"
}  # fmt: skip


@pytest.fixture
def at(tmp_path: Path) -> World:
    return world(tmp_path)


def started(at: World, caller: FakeCaller | None = None, **changes: object) -> str:
    return str(at.switch.begin(begin(**changes), caller or FakeCaller())["token"])


def is_back(at: World) -> bool:
    host, live = at.host, at.state.live
    consistent = host.consumer == host.beat == OLD.identity and host.pointer == live == BLUE
    return consistent and at.state.pending is None


def limits(token: str, **changes: object) -> Watch:
    fields = {"token": token, "seconds": 3, "error_rate": 0.05, "min_requests": 10}
    return Watch.model_validate({**fields, **changes})


def serve(at: World, count: int, status: int = 200, seconds: float = 0.01) -> None:
    assert at.host.tally
    for _ in range(count):
        at.host.tally.add(Served(5, NEW.identity, status, seconds, "10.0.0.9"))


def test_a_switch_moves_workers_beat_and_web_in_order(at: World) -> None:
    started(at)
    assert at.host.story == [
        "announce 1.1.0",
        *("pause 1.0.0", "beat 1.1.0"),
        *("turn", "consume 1.1.0"),
    ]


def test_a_confirmed_switch_leaves_the_edge_with_one_side(at: World) -> None:
    token = started(at)
    at.host.story.clear()
    at.switch.confirm(Confirm(token=token))
    assert at.host.story == []
    at.switch.settle_soon()
    at.switch.settle_soon()
    assert at.host.story == ["web 1.1.0"]
    assert (at.host.pointer, at.host.serial) == (GREEN, 5)


def test_a_confirmed_switch_stands_even_if_nginx_does_not_reload_after_it(at: World) -> None:
    token = started(at)
    at.host.reload_fails = True
    assert at.switch.confirm(Confirm(token=token)) == {"serial": 5}
    assert at.state.live == at.host.pointer == GREEN


def test_a_begun_switch_is_pending_until_it_is_confirmed(at: World) -> None:
    token = started(at)
    assert at.state.pending
    assert at.state.live == BLUE
    at.switch.confirm(Confirm(token=token, note="fine", seconds=12))
    assert at.state.pending is None
    assert (at.state.live, at.state.serial, at.state.confirmed) == (GREEN, 5, 5)
    assert at.state.slots["green"].was_live


def test_a_confirmed_switch_is_in_the_history(at: World, tmp_path: Path) -> None:
    at.switch.confirm(Confirm(token=started(at), note="fine", seconds=12))
    assert at.state.last
    assert at.state.last.kind == "deploy"
    assert at.state.last_switch == at.state.last
    line = (tmp_path / "control" / "history.jsonl").read_text()
    assert line == at.state.last.model_dump_json() + "\n"


def test_a_deploy_s_event_names_the_dump_that_it_took_and_a_rollback_s_names_none(
    at: World,
) -> None:
    dump = "20260110T055900Z-1.1.0+bbbbbbbbbbbb.dump"
    earlier = {f"blue-backup#{OLD.identity}#1": "20260101T055900Z-1.0.0+aaaaaaaaaaaa.dump, 1.0 MB"}
    mine = {f"green-backup#{NEW.identity}#2": f"{dump}, 1.2 MB, 3 tables"}
    at.store.update(markers={**earlier, **mine})
    at.switch.confirm(Confirm(token=started(at)))
    assert at.state.last
    assert at.state.last.backup == dump
    at.switch.confirm(Confirm(token=started(at, **BACK)))
    assert at.state.last.kind == "rollback"
    assert at.state.last.backup == ""


def test_confirming_twice_gives_the_same_answer(at: World) -> None:
    token = started(at)
    first = at.switch.confirm(Confirm(token=token))
    assert at.switch.confirm(Confirm(token=token)) == first


def test_the_same_confirmed_switch_again_does_nothing(at: World) -> None:
    at.switch.confirm(Confirm(token=started(at)))
    at.host.story.clear()
    assert at.switch.begin(begin(), FakeCaller())["already"] is True
    assert at.host.story == []


def test_a_rollback_withdraws_what_it_leaves(at: World) -> None:
    token = started(at, kind="rollback", who="ann", why="errors at checkout")
    at.switch.confirm(Confirm(token=token, note="watched for 5 s"))
    assert at.state.withdrawn[OLD.identity].why == "rolled back by ann: errors at checkout"


def test_a_switch_to_where_somebody_moved_the_edge_makes_it_known(at: World) -> None:
    at.store.update(live=GREEN)
    at.switch.confirm(Confirm(token=started(at, target=BLUE, claim=1, source=BLUE)))
    assert at.state.live == BLUE


def test_a_confirmed_release_is_not_withdrawn_any_more(tmp_path: Path) -> None:
    at = world(tmp_path)
    token = started(at)
    at.switch.abort(Abort(token=token, why="bad", withdraw=True))
    assert NEW.identity in at.state.withdrawn
    token = started(at, serial=6)
    at.switch.confirm(Confirm(token=token))
    assert NEW.identity not in at.state.withdrawn


def test_what_was_confirmed_last_is_remembered_apart_from_what_was_moved_back(at: World) -> None:
    at.switch.confirm(Confirm(token=started(at)))
    confirmed = at.state.last
    at.switch.abort(Abort(token=started(at, **BACK), why="bad", withdraw=True))
    assert at.state.last
    assert at.state.last.kind == "revert"
    assert at.state.last_switch == confirmed


def test_a_confirmed_switch_is_done_after_a_later_one_failed_too(at: World) -> None:
    at.switch.confirm(Confirm(token=started(at)))
    at.switch.abort(Abort(token=started(at, **BACK), why="bad", withdraw=True))
    assert at.switch.begin(begin(), FakeCaller())["already"] is True


# ---- refusals, before anything moves ------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"serial": 7}, "expected switch 5, got 7"),
        ({"source": None}, "expected traffic on no release, but the edge sends it to blue"),
        ({"target": BLUE, "claim": 1, "source": BLUE}, "blue serves 1.0.0+aaaaaaaaaaaa already"),
        ({"target": {"colour": "green", "identity": "9+c"}}, "which holds 1.1.0+bbbbbbbbbbbb"),
        ({"claim": 1}, r"\(claim 1\) on green, which holds 1.1.0+bbbbbbbbbbbb \(claim 2\)"),
    ],
)
def test_a_switch_that_does_not_fit_is_refused(
    at: World, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(SwitchRefused, match=words.replace("+", r"\+")):
        started(at, **changes)
    assert at.host.story == []


def test_a_held_host_refuses_and_names_the_holder(tmp_path: Path) -> None:
    hold = Hold(who="bob", since="2026-01-01", why="an incident")
    at = world(tmp_path, host_state().model_copy(update={"hold": hold}))
    with pytest.raises(SwitchRefused, match=r"locked by bob .* an incident; .*ytops unlock"):
        started(at)


def test_a_slot_that_is_still_preparing_is_refused(tmp_path: Path) -> None:
    state = host_state()
    slot = state.slots["green"].model_copy(update={"status": "preparing"})
    at = world(tmp_path, state.model_copy(update={"slots": {**state.slots, "green": slot}}))
    with pytest.raises(SwitchRefused, match="still preparing"):
        started(at)


def test_an_app_that_fails_its_probe_gets_no_traffic(at: World) -> None:
    at.host.app_fails = "green: /health: expected 200, got 500"
    with pytest.raises(SwitchRefused, match="traffic was not moved: green: /health"):
        started(at)
    assert at.host.story == []
    assert at.state.pending is None


def test_a_broken_state_refuses_and_says_what_to_do(at: World) -> None:
    at.store.broken = "state.json is unusable"
    with pytest.raises(SwitchRefused, match="docker restart ytempire-test-switch"):
        started(at)


# ---- failures after it began --------------------------------------------------------------


def test_a_reload_that_nginx_refuses_moves_everything_back(at: World) -> None:
    at.host.reload_fails = True
    with pytest.raises(SwitchRefused, match=r"did not reload in 5 s; everything was moved back"):
        started(at)
    assert is_back(at)
    assert NEW.identity not in at.state.withdrawn


def test_what_nginx_never_turned_to_serves_no_moment(at: World) -> None:
    at.host.reload_fails = True
    with pytest.raises(SwitchRefused):
        started(at)
    assert "turn" not in at.host.story


def test_an_nginx_that_does_not_turn_moves_everything_back(at: World) -> None:
    at.host.turn_fails = True
    with pytest.raises(SwitchRefused, match=r"expected nginx to turn.*everything was moved back"):
        started(at)
    assert is_back(at)
    assert NEW.identity not in at.state.withdrawn


def test_web_that_was_moved_back_before_is_left_alone(at: World) -> None:
    """An agent that was killed while it moved back finds the edge done."""
    token = started(at)
    at.host.pointer, at.host.announced = BLUE, None
    at.host.story.clear()
    at.switch.abort(Abort(token=token, why="no"))
    assert at.host.story == ["pause 1.1.0", "beat 1.0.0", "consume 1.0.0"]


def test_traffic_turns_back_to_a_release_that_nobody_knows_any_more(at: World) -> None:
    token = started(at)
    at.store.update(releases={NEW.identity: NEW})
    at.switch.abort(Abort(token=token, why="no"))
    assert at.host.pointer == BLUE


def test_a_release_that_answers_wrongly_through_the_edge_is_withdrawn(at: World) -> None:
    wrong = ProbeFailed("/health: expected 200, got 500", release_at_fault=True)
    at.host.public_fails = [wrong, wrong]
    with pytest.raises(SwitchRefused, match="expected 200, got 500"):
        started(at)
    assert is_back(at)
    assert at.state.withdrawn[NEW.identity].serial == 5


def test_a_wrong_answer_that_is_right_when_asked_again_stops_nothing(at: World) -> None:
    at.host.public_fails = [ProbeFailed("/status: expected 200, got 503", release_at_fault=True)]
    assert started(at)


def test_a_release_is_not_blamed_for_what_the_one_before_suffers_too(at: World) -> None:
    at.host.public_fails = [ProbeFailed("/status: expected 200, got 503", release_at_fault=True)]
    at.host.fails_directly = [None, ProbeFailed("the database is down", release_at_fault=True)]
    with pytest.raises(SwitchRefused, match="not this release's alone"):
        started(at)
    assert is_back(at)
    assert not at.state.withdrawn


def test_an_edge_that_answers_wrongly_withdraws_nobody(at: World) -> None:
    at.host.public_fails = [ProbeFailed("expected X-Release 1.1.0, got 1.0.0")]
    with pytest.raises(SwitchRefused, match="X-Release"):
        started(at)
    assert is_back(at)
    assert not at.state.withdrawn


def test_a_silent_live_worker_does_not_stop_the_switch(at: World) -> None:
    at.host.silent = {"1.0.0": ["celery@w-1"]}
    caller = FakeCaller()
    assert started(at, caller)
    assert "celery@w-1 does not answer; it is paused as soon as it does" in caller.said


def test_a_silent_new_worker_fails_a_deploy(at: World) -> None:
    at.host.silent = {"1.1.0": ["celery@w-1"]}
    with pytest.raises(SwitchRefused, match="celery@w-1 did not begin to consume"):
        started(at)
    assert is_back(at)


def test_a_silent_worker_does_not_fail_a_rollback(at: World) -> None:
    at.host.silent = {"1.1.0": ["celery@w-1"]}
    assert started(at, kind="rollback")


def test_web_moves_back_first(at: World) -> None:
    token = started(at)
    at.host.story.clear()
    at.switch.abort(Abort(token=token, why="no"))
    assert at.host.story == [
        *("turn back", "web 1.0.0"),
        *("pause 1.1.0", "beat 1.0.0", "consume 1.0.0"),
    ]


def test_a_failed_first_deploy_leaves_no_release(tmp_path: Path) -> None:
    at = world(tmp_path, host_state().model_copy(update={"live": None}))
    at.host.pointer = at.host.beat = at.host.consumer = None
    at.host.public_fails = [ProbeFailed("no", release_at_fault=True)] * 2
    with pytest.raises(SwitchRefused, match="moved back to no release"):
        started(at, source=None)
    assert (at.host.pointer, at.host.beat, at.host.consumer) == (None, None, None)


def test_a_nginx_that_is_down_does_not_keep_the_rest_from_moving_back(at: World) -> None:
    token = started(at)
    at.host.reload_fails = True
    at.switch.abort(Abort(token=token, why="no"))
    assert is_back(at)


# ---- fencing and leaving ------------------------------------------------------------------


def test_a_later_run_undoes_a_pending_switch_first(at: World) -> None:
    token = started(at)
    started(at, who="bob@desk", fences=token)
    with pytest.raises(SwitchRefused, match="overtaken by bob@desk's switch"):
        at.switch.confirm(Confirm(token=token))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"serial": 4}, "expected switch 5, got 4"),
        ({"source": GREEN}, "expected traffic on green"),
        ({"claim": 1}, "which holds"),
        ({"fences": ""}, "bob@desk began to switch to green .* after this run looked"),
    ],
)
def test_an_older_run_that_wakes_up_late_does_not_undo_a_newer_ones_switch(
    at: World, changes: dict[str, Any], words: str
) -> None:
    token = started(at, who="bob@desk")
    with pytest.raises(SwitchRefused, match=words):
        started(at, **{"fences": token, **changes})
    assert at.switch.confirm(Confirm(token=token)) == {"serial": 5}


def test_a_lock_that_came_later_does_not_undo_a_switch_that_is_under_way(at: World) -> None:
    token = started(at)
    at.store.update(hold=Hold(who="bob", since="2026-01-01", why="an incident"))
    with pytest.raises(SwitchRefused, match="locked by bob"):
        started(at, fences=token)
    assert at.state.pending


def test_a_switch_that_nobody_waits_for_is_overtaken_by_anyone(at: World) -> None:
    caller = FakeCaller()
    started(at, caller)
    caller.left = True
    assert started(at, who="bob@desk")


def test_a_token_nobody_remembers_names_the_last_event(at: World) -> None:
    at.switch.confirm(Confirm(token=started(at)))
    with pytest.raises(SwitchRefused, match="this switch was overtaken by ann@laptop"):
        at.switch.abort(Abort(token="other", why="late"))


def test_a_withdrawal_uses_its_number_up(at: World) -> None:
    at.switch.abort(Abort(token=started(at), why="bad", withdraw=True))
    assert (at.state.serial, at.state.confirmed) == (5, 4)
    with pytest.raises(SwitchRefused, match="expected switch 6, got 5"):
        started(at)


def test_a_switch_that_was_only_fenced_leaves_its_number(at: World) -> None:
    at.switch.abort(Abort(token=started(at), why="killed"))
    assert at.state.serial == 4


def test_a_caller_who_leaves_in_the_middle_moves_everything_back(at: World) -> None:
    with pytest.raises(SwitchRefused, match="is gone"):
        started(at, FakeCaller(leaves_after="moving traffic"))
    assert is_back(at)


def test_a_caller_who_leaves_later_moves_everything_back(at: World) -> None:
    caller = FakeCaller()
    started(at, caller)
    at.switch.revert_if_abandoned()
    assert at.state.pending
    caller.left = True
    at.switch.revert_if_abandoned()
    assert is_back(at)
    assert at.state.last
    assert at.state.last.kind == "revert"


def test_a_pending_switch_found_at_start_belongs_to_nobody(tmp_path: Path) -> None:
    at = world(tmp_path)
    started(at)
    state = HostState.model_validate_json((tmp_path / "control/state.json").read_text())
    again = world(tmp_path, state)
    again.host.pointer, again.host.beat = GREEN, NEW.identity
    again.switch.revert_if_abandoned()
    assert is_back(again)


# ---- watching -----------------------------------------------------------------------------


def test_a_quiet_watch_passes_and_gives_its_figures(at: World) -> None:
    token = started(at)
    serve(at, 100)
    result = at.switch.watch(limits(token), FakeCaller())
    assert (result["requests"], result["errors"], result["p95_ms"]) == (100, 0, 10)


def test_too_many_errors_move_everything_back_at_once(at: World) -> None:
    token = started(at)
    serve(at, 90)
    serve(at, 10, status=502)
    with pytest.raises(SwitchRefused, match=r"error rate 10.00% .* \(100 requests, 10 errors"):
        at.switch.watch(limits(token, seconds=600), FakeCaller())
    assert at.clock.monotonic() < 1
    assert is_back(at)
    assert NEW.identity in at.state.withdrawn


def test_one_failed_probe_round_is_forgiven(at: World) -> None:
    token = started(at)
    at.host.public_fails = [ProbeFailed("once", release_at_fault=True)]
    assert at.switch.watch(limits(token), FakeCaller())["requests"] == 0


def test_two_failed_probe_rounds_are_not(at: World) -> None:
    token = started(at)
    at.host.public_fails = [ProbeFailed("no", release_at_fault=True)] * 2
    with pytest.raises(SwitchRefused, match="2 probe rounds in a row failed: no"):
        at.switch.watch(limits(token), FakeCaller())
    assert is_back(at)


def test_errors_that_the_release_before_has_as_well_withdraw_nobody(at: World) -> None:
    token = started(at)
    serve(at, 50, status=503)
    at.host.app_fails = "/status: expected 200, got 503"
    with pytest.raises(SwitchRefused, match=r"error rate .* not this release's alone"):
        at.switch.watch(limits(token), FakeCaller())
    assert is_back(at)
    assert not at.state.withdrawn


def test_an_edge_that_is_gone_during_the_watch_withdraws_nobody(at: World) -> None:
    token = started(at)
    at.host.public_fails = [ProbeFailed("connection refused")] * 2
    with pytest.raises(SwitchRefused, match=r"connection refused .* not this release's alone"):
        at.switch.watch(limits(token), FakeCaller())
    assert is_back(at)
    assert not at.state.withdrawn


def test_a_watched_switch_can_be_overtaken(at: World) -> None:
    token = started(at)
    at.switch.undo("overtaken by bob's switch")
    with pytest.raises(SwitchRefused, match="overtaken by bob"):
        at.switch.watch(limits(token), FakeCaller())


def test_a_caller_who_leaves_during_the_watch_moves_everything_back(at: World) -> None:
    token = started(at)
    with pytest.raises(SwitchRefused, match="is gone"):
        at.switch.watch(limits(token, seconds=60), FakeCaller(leaves_after="watching"))
    assert is_back(at)


def test_who_is_in_doubt_settles_nothing(at: World) -> None:
    token = started(at)
    at.switch.confirm(Confirm(token=token))
    at.host.story.clear()
    at.store.broken = "state.json is unusable"
    at.switch.settle_soon()
    at.store.broken = ""
    at.store.update(live=BLUE)
    at.switch.settle_soon()
    assert at.host.story == []
