"""healthy, workers-answer, verify: the idle slot comes up, or says why it doesn't."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from ops.agent import CLIENT
from ops.observe import Observation
from rollout.plan import View
from rollout.shapes import Pointer
from rollout.steps import WorkersAnswer
from tests.unit.steps.host import HOST, LIVE, NAMES, Host
from tests.unit.steps.parameters import HEALTHY, VERIFY, WORKER

APP = NAMES.app("green")
IDLE = {"labels": {"ytempire.stack": "test", "ytempire.colour": "green"}}
STARTING = {"health": "starting", **IDLE}
WORKERS = WorkersAnswer(switch=NAMES.switch, containers=(WORKER,), beat="", timeout=5)


@pytest.fixture(autouse=True)
def traffic(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Where traffic goes, by the host's word; a test may change it."""
    live = dict(LIVE)
    seen = lambda *_: Observation(View(edge=Pointer(**live)))  # noqa: E731
    monkeypatch.setattr("ops.observe.observe", seen)
    return live


def test_a_healthy_container_is_waited_for(host: Host) -> None:
    host.container(APP, STARTING, STARTING, IDLE)
    ran = host.step("healthy", HEALTHY)
    assert ran.out.startswith(f"{APP}: ready after 0.")
    assert not host.calls("stop")


def test_a_container_s_own_check_is_made_before_docker_s_turn_comes(host: Host) -> None:
    host.container(APP, {**STARTING, "check": ("CMD", "curl", "-f", "localhost")})
    host.answers("exec", APP, code=7, then=({},))
    ran = host.step("healthy", HEALTHY)
    assert ran.out.startswith(f"{APP}: ready after 0.")
    asked = [call["argv"] for call in host.calls("exec", APP)]
    assert asked == [["exec", APP, "curl", "-f", "localhost"]] * 2


def test_a_check_that_hangs_is_left_to_docker(host: Host) -> None:
    hanging = {**STARTING, "check": ("CMD-SHELL", "curl localhost"), "check_seconds": 0.1}
    host.container(APP, hanging, hanging, IDLE)
    host.answers("exec", APP, sleep=5)
    ran = host.step("healthy", HEALTHY)
    assert ran.code == 0
    assert len(host.calls("exec", APP)) == 1


def test_a_stopped_container_is_started(host: Host) -> None:
    host.container(APP, {"status": "exited", **IDLE}, STARTING, IDLE)
    ran = host.step("healthy", HEALTHY)
    assert ran.out.startswith(f"{APP} was stopped: starting it\n{APP}: ready after 0.")


def test_an_unhealthy_container_shows_its_check_and_its_logs_and_is_stopped(host: Host) -> None:
    host.container(APP, STARTING, {"health": "unhealthy", "output": "curl: (22) 503", **IDLE})
    host.answers("logs", "--tail", "25", APP, out="boot\nNo such table\n")
    assert host.step("healthy", HEALTHY).error == (
        f"{APP} is unhealthy on {HOST}.\n"
        "Its last health check said:\n"
        "  curl: (22) 503\n"
        f"The last lines of {APP}:\n"
        "  boot\n"
        "  No such table\n"
        f"It is stopped, and kept for a look. Next: `docker logs {APP}`; then fix it and "
        "`ytops up`\n"
    )
    assert host.calls("stop")


def test_a_crash_loop_is_not_waited_out(host: Host) -> None:
    looping = {"status": "restarting", "restarts": 2, "code": 1, **STARTING}
    host.container(APP, STARTING, looping)
    ran = host.step("healthy", structs.replace(HEALTHY, timeout=60))
    assert ran.error.startswith(f"{APP} crashes again and again (2 restarts) on {HOST}.\n")


def test_a_container_that_ended_says_how(host: Host) -> None:
    host.container(APP, STARTING, {"status": "exited", "code": 137, "oom": True, **IDLE})
    ran = host.step("healthy", HEALTHY)
    assert ran.error.startswith(f"{APP} has ended (out of memory) on {HOST}.\n")


def test_waiting_for_health_ends(host: Host) -> None:
    host.container(APP, STARTING)
    ran = host.step("healthy", HEALTHY)
    said = f"{APP} is not healthy after 1 s (running, starting) on {HOST}.\n"
    assert ran.error.startswith(said)


def test_the_live_slot_is_never_stopped(host: Host, traffic: dict[str, Any]) -> None:
    traffic["colour"] = "green"
    host.container(APP, {"health": "unhealthy", **IDLE})
    ran = host.step("healthy", HEALTHY)
    assert ran.code == 1
    assert "It is stopped" not in ran.error
    assert not host.calls("stop")


def test_a_container_of_unknown_origin_is_never_stopped(host: Host) -> None:
    host.container(APP, {"health": "unhealthy"})
    assert host.step("healthy", HEALTHY).code == 1
    assert not host.calls("stop")


def test_a_container_that_is_gone_is_said_to_be(host: Host) -> None:
    host.no_container(APP)
    assert host.step("healthy", HEALTHY).error == (
        f"There is no container {APP} on {HOST}. Next: `pulumi up --refresh`, which declares it "
        "again\n"
    )


def test_workers_are_started_and_asked(host: Host) -> None:
    host.container(WORKER, {"status": "exited"}, {"health": "starting"})
    ran = host.step("workers-answer", WORKERS)
    assert host.asked("ping") == [
        {"verb": "ping", "nodes": [f"celery@{WORKER}"], "timeout": 5},
    ]
    assert "1 of 1 workers answer, paused, after 0." in ran.out


def test_a_beat_that_stands_still_is_started(host: Host) -> None:
    """Nothing else would, until the next run: the switch only tells it whether it is its turn."""
    beat = NAMES.beat("1.1.0+ab12cd34ef56")
    host.container(WORKER)
    host.container(beat, {"status": "created"}, {})
    host.step("workers-answer", structs.replace(WORKERS, beat=beat))
    assert [call["argv"] for call in host.calls("start")] == [["start", beat]]


def test_a_worker_that_crashes_is_not_waited_for(host: Host) -> None:
    host.container(WORKER, {"restarts": 4}, {"restarts": 6, "status": "restarting"})
    host.agent("ping", {"error": f"celery@{WORKER} does not answer"})
    host.answers("logs", "--tail", "25", WORKER, error="ImportError\n")
    patient = structs.replace(WORKERS, timeout=90)
    assert host.step("workers-answer", patient).error == (
        f"The workers are not ready on {HOST}: {WORKER} crashes again and again (6 restarts).\n"
        f"The last lines of {WORKER}:\n"
        "  ImportError\n"
        f"Next: `docker logs {WORKER}`; then fix it and `ytops up`\n"
    )


def test_a_worker_that_crashed_before_the_migrations_were_done_is_waited_for(host: Host) -> None:
    host.container(WORKER, {"restarts": 4, "status": "restarting"}, {"restarts": 0})
    host.agent("ping", {"error": f"celery@{WORKER} does not answer"}, {"result": {}})
    assert host.step("workers-answer", WORKERS).code == 0
    assert [call["argv"] for call in host.calls("restart")] == [["restart", WORKER]]


def test_a_beat_that_crashes_is_told_of_though_workers_answer(host: Host) -> None:
    beat = NAMES.beat("1.1.0+ab12cd34ef56")
    host.container(WORKER)
    host.container(beat, {}, {"restarts": 2, "status": "restarting"})
    ran = host.step("workers-answer", structs.replace(WORKERS, beat=beat))
    assert f"{beat} crashes again and again (2 restarts)" in ran.error


def test_silent_workers_show_their_logs(host: Host) -> None:
    host.container(WORKER)
    words = f"celery@{WORKER} does not answer"
    host.agent("ping", {"error": f"{words}; see `docker logs {WORKER}`"})
    host.answers("logs", "--tail", "25", WORKER, error="ImportError\n")
    impatient = structs.replace(WORKERS, timeout=0)
    assert host.step("workers-answer", impatient).error == (
        f"The workers are not ready on {HOST}: {words}.\n"
        f"The last lines of {WORKER}:\n"
        "  ImportError\n"
        f"Next: `docker logs {WORKER}`; then fix it and `ytops up`\n"
    )


def test_a_verified_slot_becomes_ready(host: Host) -> None:
    host.container(APP)
    ran = host.step("verify", VERIFY)
    assert [ask["verb"] for ask in host.asked()] == ["probe", "ready"]
    assert ran.out == "1.1.0+bbbbbbbbbbbb in green answers as it must: ready\n"


def test_an_app_that_was_made_anew_since_it_was_healthy_is_started(host: Host) -> None:
    """By a later run for the same release: the step that started it is done."""
    host.container(APP, {"status": "created", **IDLE}, {"status": "created", **IDLE}, IDLE)
    ran = host.step("verify", VERIFY)
    assert host.calls("start", APP)
    assert ran.out.splitlines()[-1].endswith("in green answers as it must: ready")


def test_a_slot_that_answers_wrongly_does_not_become_ready(host: Host) -> None:
    host.container(APP)
    host.agent("probe", {"error": "green: /health: expected 200, got 500; see `docker logs x`"})
    host.answers("logs", "--tail", "25", APP, out="boom\n")
    assert host.step("verify", VERIFY).error == (
        f"1.1.0+bbbbbbbbbbbb in green does not answer as it must on {HOST}: "
        "green: /health: expected 200, got 500.\n"
        f"The last lines of {APP}:\n"
        "  boom\n"
        "The live release goes on serving.\n"
        f"Next: `docker logs {APP}`; then fix it and `ytops up`\n"
    )
    assert not host.asked("ready")


def test_a_stopped_agent_is_started(host: Host) -> None:
    host.container(APP)
    host.container(NAMES.switch, {"status": "exited"})
    client = (*CLIENT, "health")
    host.answers("exec", NAMES.switch, *client, out='{"id": 0, "ok": true}')
    assert host.step("verify", VERIFY).code == 0
    assert [call["argv"] for call in host.calls("start")] == [["start", NAMES.switch]]


def test_an_agent_that_dies_at_once_shows_its_last_lines(host: Host) -> None:
    host.container(NAMES.switch, {"status": "exited"})
    host.answers("exec", NAMES.switch, error="is not running", code=1)
    host.answers("logs", "--tail", "25", NAMES.switch, out="SWITCH_CONFIG: value: wrong\n")
    assert host.step("verify", VERIFY).error == (
        f"The switch agent ({NAMES.switch}) does not come up on {HOST}. Its last lines:\n"
        "  SWITCH_CONFIG: value: wrong\n"
        f"Next: `docker inspect {NAMES.switch}`\n"
    )


def test_a_line_that_breaks_is_told_from_a_refusal(host: Host) -> None:
    host.container(APP)
    host.agent("probe", {"die": "OCI runtime exec failed\n"})
    assert host.step("verify", VERIFY).error == (
        "The connection to the switch agent ended before it answered `probe`: "
        "OCI runtime exec failed\n"
        f"Next: `docker logs --tail 50 {NAMES.switch}`\n"
    )
