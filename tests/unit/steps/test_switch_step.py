"""switch: confirmed, or moved back; and what is said about it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from ops.switch.protocol import Begin
from tests.unit.steps.host import LIVE, NAMES, TARGET, Host, state_of
from tests.unit.steps.parameters import SWITCH, WORKER

BEGUN = {"result": {"already": False, "token": "t1", "serial": 2}, "events": ["moving traffic"]}
WATCHED = {"result": {"requests": 312, "errors": 0, "p95_ms": 41.0, "seconds": 30.0}}
PENDING = state_of(pending={"token": "t1"})
BACK = (
    "1.0.0+aaaaaaaaaaaa in blue serves.\n"
    "Next: see to the cause, then `ytops up 1.1.0`; what is where: `ytops status`\n"
)
FAILED = "The switch to 1.1.0+bbbbbbbbbbbb in green failed: "


@pytest.fixture
def switch(host: Host) -> Host:
    """A host on which the switch goes well."""
    for name in (NAMES.edge, NAMES.app("green"), NAMES.postgres, NAMES.redis, WORKER):
        host.container(name)
    host.answers("exec", NAMES.postgres, out="1\n")
    host.answers("exec", NAMES.redis, out="PONG\n")
    host.agent("state", state_of())
    host.agent("probe", {"result": {"endpoints": 3, "took_ms": 12}})
    host.agent("begin", BEGUN)
    host.agent("watch", WATCHED)
    return host


def verbs(host: Host) -> list[str]:
    return [ask["verb"] for ask in host.asked() if ask["verb"] not in ("state", "probe")]


def test_a_switch_is_begun_checked_watched_and_confirmed(switch: Host) -> None:
    ran = switch.step("switch", SWITCH)
    assert verbs(switch) == ["begin", "watch", "confirm"]
    lines = ran.out.splitlines()
    assert lines[0] == "moving traffic"
    assert lines[1].startswith("verified in ")
    assert lines[1].endswith(": nginx, app, postgres, redis, celery, endpoints, database, broker")
    assert lines[2] == "watched for 30 s: 312 requests, 0 errors, p95 41 ms"
    assert lines[3].startswith("1.1.0+bbbbbbbbbbbb in green serves, after ")


def test_a_switch_without_a_watch_is_checked_and_confirmed(switch: Host) -> None:
    unwatched = structs.replace(SWITCH.watch, seconds=0)
    switch.step("switch", structs.replace(SWITCH, watch=unwatched))
    assert verbs(switch) == ["begin", "confirm"]
    (confirmed,) = switch.asked("confirm")
    assert confirmed["note"] == "not watched"


def test_the_agent_is_told_all_that_it_must_know(switch: Host) -> None:
    switch.step("switch", SWITCH, YTOPS_WHY="too slow")
    (begin,) = switch.asked("begin")
    assert begin == {
        "verb": "begin",
        "serial": 2,
        "source": LIVE,
        "target": TARGET,
        "claim": 2,
        "kind": "deploy",
        "asked": {"version": "1.1.0", "fingerprint": "bbbbbbbbbbbb"},
        "who": "ann@laptop",
        "why": "too slow",
        "fences": "",
    }
    assert Begin.model_validate({key: value for key, value in begin.items() if key != "verb"})


def test_a_switch_that_was_pending_at_first_sight_is_the_one_to_overtake(switch: Host) -> None:
    switch.agent("state", PENDING, state_of())
    switch.step("switch", SWITCH)
    (begin,) = switch.asked("begin")
    assert begin["fences"] == "t1"


def test_a_confirmed_switch_is_not_done_again(switch: Host) -> None:
    switch.agent("state", state_of(live=TARGET, serial=2))
    ran = switch.step("switch", SWITCH)
    assert ran.out == "switch 2 is done already: 1.1.0+bbbbbbbbbbbb in green serves\n"
    assert verbs(switch) == []


def test_a_confirmed_switch_is_not_done_again_after_a_later_one_failed(switch: Host) -> None:
    last = {"kind": "rollback", "serial": 2, "target": "1.1.0+b", "who": "ann", "at": "T"}
    failed = {"kind": "revert", "serial": 3, "target": "1.1.0+b", "who": "bob", "at": "U"}
    more = {"confirmed": 2, "last_switch": last, "last": failed}
    switch.agent("state", state_of(live=TARGET, serial=3, **more))
    ran = switch.step("switch", SWITCH)
    assert verbs(switch) == []
    assert ran.out.splitlines()[-1] == "rollback 2 to 1.1.0+b by ann at T"


def test_a_switch_ends_with_the_hosts_own_words_about_it(switch: Host) -> None:
    last = {"kind": "deploy", "serial": 2, "target": "1.1.0+b", "who": "ann", "at": "T"}
    switch.agent("state", state_of(live=TARGET, serial=2, last_switch=last))
    ran = switch.step("switch", SWITCH)
    assert ran.out.splitlines()[-1] == "deploy 2 to 1.1.0+b by ann at T"


def test_a_stopped_slot_is_started_first(switch: Host) -> None:
    switch.container(WORKER, {"status": "exited"}, {"status": "exited"}, {})
    switch.step("switch", SWITCH)
    assert verbs(switch)[:2] == ["ping", "begin"]
    assert [call["argv"][1] for call in switch.calls("start")] == [WORKER]


def test_a_slot_that_does_not_start_moves_nothing(switch: Host) -> None:
    switch.container(NAMES.app("green"), {"health": "unhealthy"})
    ran = switch.step("switch", SWITCH)
    assert ran.code == 1
    assert verbs(switch) == []


def test_a_refused_switch_says_what_serves(switch: Host) -> None:
    switch.agent("begin", {"error": "deploys are locked by ann"})
    ran = switch.step("switch", SWITCH)
    assert ran.error == f"{FAILED}deploys are locked by ann\n{BACK}"
    assert verbs(switch) == ["begin"]


def test_a_failed_check_of_the_database_moves_back_and_blames_no_release(switch: Host) -> None:
    switch.answers("exec", NAMES.postgres, error="FATAL: the database is starting up", code=2)
    ran = switch.step("switch", SWITCH)
    why = "database does not answer SELECT 1: FATAL: the database is starting up"
    assert ran.error == f"{FAILED}{why}\n{BACK}"
    assert switch.asked("abort") == [
        {"verb": "abort", "token": "t1", "why": why, "withdraw": False},
    ]


def test_a_failed_check_of_the_release_withdraws_it(switch: Host) -> None:
    switch.container(WORKER, {}, {"status": "restarting"})
    switch.step("switch", SWITCH)
    (abort,) = switch.asked("abort")
    assert abort["why"] == f"celery is restarting ({WORKER})"
    assert abort["withdraw"] is True


def test_what_the_release_before_fails_at_too_is_not_blamed_on_this_one(switch: Host) -> None:
    """Both stand on a database whose disk is full, say."""
    said = {"error": "green: /api/v1/status: expected 200, got 503"}
    switch.agent("probe", said)
    ran = switch.step("switch", SWITCH)
    assert [ask["colour"] for ask in switch.asked("probe")] == ["blue", "blue"]
    (abort,) = switch.asked("abort")
    assert abort["withdraw"] is False
    assert "so it is not withdrawn" in ran.error


@pytest.mark.parametrize(
    ("code", "verbs_then"), [(0, ["begin", "watch", "confirm"]), (1, ["begin", "abort"])]
)
def test_a_container_that_docker_calls_unhealthy_is_asked_by_its_own_check(
    switch: Host, code: int, verbs_then: list[str]
) -> None:
    """Docker says so also of what it has not asked since a pause, for as long as its interval."""
    check = ("CMD-SHELL", "connected")
    switch.container(WORKER, {"health": "unhealthy", "check": check})
    switch.answers("exec", WORKER, code=code)
    switch.step("switch", SWITCH)
    assert verbs(switch) == verbs_then


def test_a_release_that_the_watch_found_bad_is_reported(switch: Host) -> None:
    switch.agent("watch", {"error": "error rate 3.00% is above 1.00%; everything was moved back"})
    ran = switch.step("switch", SWITCH)
    said = "error rate 3.00% is above 1.00%; everything was moved back"
    assert ran.error == f"{FAILED}{said}\n{BACK}"


def test_moving_back_is_waited_for(switch: Host) -> None:
    switch.agent("state", state_of(), PENDING, PENDING, state_of())
    switch.agent("watch", {"error": "no"})
    assert switch.step("switch", SWITCH).error == f"{FAILED}no\n{BACK}"
    assert len(switch.asked("state")) >= 4


def test_a_host_that_can_t_move_back_yet_is_no_end_of_it(
    switch: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk is full, say: what serves now is not what will."""
    monkeypatch.setattr("ops.steps.switch.UNDO_SECONDS", 0.5)
    switch.agent("state", state_of(), PENDING)
    switch.agent("watch", {"error": "no"})
    said = "1.0.0+aaaaaaaaaaaa in blue serves for now: the switch agent can't move back, and goes"
    assert said in switch.step("switch", SWITCH).error


def test_a_confirmation_whose_answer_was_lost_counts(switch: Host) -> None:
    switch.agent("confirm", {"die": "connection reset"})
    before, after = state_of(), state_of(live=TARGET, serial=2)
    switch.agent("state", before, before, after)
    ran = switch.step("switch", SWITCH)
    assert (ran.code, ran.error) == (0, "")
    assert not switch.asked("abort")


def test_a_lost_agent_leaves_the_next_command_only_once(switch: Host) -> None:
    switch.agent("watch", {"die": ""})
    ran = switch.step("switch", SWITCH)
    said = "The connection to the switch agent ended before it answered `watch`."
    assert ran.error == f"{FAILED}{said}\n{BACK}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_moves_back_before_the_step_ends(
    switch: Host, number: signal.Signals, eventually: Callable[[Callable[[], bool]], Any]
) -> None:
    switch.agent("watch", {"silent": True})
    process = switch.begin("switch", SWITCH)
    eventually(lambda: bool(switch.asked("watch")))
    process.send_signal(number)
    _, error = process.communicate(timeout=8)
    assert process.returncode == 130
    assert switch.asked("abort")[0]["why"] == f"stopped by {number.name}"
    assert error == (
        f"switch was stopped by {number.name}. 1.0.0+aaaaaaaaaaaa in blue serves.\n"
        "Next: `ytops up 1.1.0`; what is where: `ytops status`\n"
    )


def test_a_second_signal_does_not_disturb_the_moving_back(
    switch: Host, eventually: Callable[[Callable[[], bool]], Any]
) -> None:
    switch.agent("watch", {"silent": True})
    process = switch.begin("switch", SWITCH)
    eventually(lambda: bool(switch.asked("watch")))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=8)
    assert process.returncode == 130
    assert len(switch.asked("abort")) == 1


def test_the_agent_hears_from_a_switch_that_waits(
    switch: Host,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[[Callable[[], bool]], Any],
) -> None:
    switch.agent("watch", {"silent": True})
    monkeypatch.setattr("ops.agent.RENEW_SECONDS", 0.05)
    monkeypatch.setattr("ops.agent.SILENCE_SECONDS", 0.4)
    parameters = structs.replace(SWITCH, watch=structs.replace(SWITCH.watch, seconds=1))
    ran = switch.step("switch", parameters)
    assert "The switch agent did not answer `watch` in 1 s." in ran.error
    assert switch.renewals() >= 2
