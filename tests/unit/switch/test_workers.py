"""Only the live release's workers consume, whatever they were told before."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from ops.switch.celery_control import BrokerDown, CeleryControl
from ops.switch.workers import AT_ONCE, WorkerPool
from rollout.state import Workers
from tests.unit.switch.fakes import NEW, OLD, FakeClock, FakeControl, config, host_state

W_OLD = [f"celery@ytempire-test-worker-1.0.0-aaaaaaaaaaaa-{n}" for n in (1, 2)]
W_NEW = [f"celery@ytempire-test-worker-1.1.0-bbbbbbbbbbbb-{n}" for n in (1, 2)]
HOLD = "ytempire.hold.x"
REAL = {"celery", "mail"}


@pytest.fixture
def control() -> FakeControl:
    old = {node: {HOLD, *REAL} for node in W_OLD}
    return FakeControl({**old, **{node: {HOLD} for node in W_NEW}})


@pytest.fixture
def pool(tmp_path: Path, control: FakeControl) -> WorkerPool:
    made = WorkerPool(config(tmp_path), control, FakeClock(), host_state)
    made.assign(OLD.identity)
    return made


def consuming(control: FakeControl) -> set[str]:
    return {node for node, queues in control.workers.items() if queues & REAL}


def test_a_right_picture_is_left_alone(pool: WorkerPool, control: FakeControl) -> None:
    pool.reconcile()
    assert control.sent == []


def test_a_restarted_live_worker_begins(pool: WorkerPool, control: FakeControl) -> None:
    control.workers[W_OLD[0]] = {HOLD}
    pool.reconcile()
    assert control.workers[W_OLD[0]] == {HOLD, *REAL}


def test_a_worker_that_is_not_live_is_stopped(pool: WorkerPool, control: FakeControl) -> None:
    control.workers[W_NEW[0]] |= REAL
    pool.reconcile()
    assert consuming(control) == set(W_OLD)


def test_an_unknown_release_is_stopped(pool: WorkerPool, control: FakeControl) -> None:
    stranger = "celery@ytempire-test-worker-0.9.0-eeeeeeeeeeee-1"
    control.workers[stranger] = {"celery"}
    pool.reconcile()
    assert control.workers[stranger] == set()


def test_somebody_elses_worker_is_left_alone(pool: WorkerPool, control: FakeControl) -> None:
    control.workers["celery@laptop"] = {"celery"}
    pool.reconcile()
    assert control.workers["celery@laptop"] == {"celery"}


def test_a_handover(pool: WorkerPool, control: FakeControl) -> None:
    assert pool.pause(OLD, 5) == []
    assert consuming(control) == set()
    assert pool.consume(NEW, 5) == []
    assert consuming(control) == set(W_NEW)


def test_a_worker_that_does_not_answer_is_named(pool: WorkerPool, control: FakeControl) -> None:
    control.deaf = {W_OLD[1]}
    assert pool.pause(OLD, 5) == [W_OLD[1]]


def test_a_silent_worker_is_stopped_when_it_is_heard(
    pool: WorkerPool, control: FakeControl
) -> None:
    control.deaf = {W_OLD[1]}
    pool.pause(OLD, 5)
    pool.consume(NEW, 5)
    control.deaf = set()
    pool.reconcile()
    assert consuming(control) == set(W_NEW)


def test_what_was_seen_before_a_switch_is_not_acted_upon(
    pool: WorkerPool, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.workers[W_OLD[0]] = {HOLD}

    def switch_meanwhile(nodes: list[str], timeout: float) -> dict[str, int]:
        pool.assign(None)
        return {}

    monkeypatch.setattr(control, "jobs", switch_meanwhile)
    pool.reconcile()
    assert control.sent == []


def test_a_broker_that_is_down_is_said_once(
    pool: WorkerPool, control: FakeControl, caplog: pytest.LogCaptureFixture
) -> None:
    control.down = BrokerDown("OperationalError")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            pool.reconcile()
        control.down = None
        pool.reconcile()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_the_report_says_who_is_busy_with_what(
    pool: WorkerPool, control: FakeControl, tmp_path: Path
) -> None:
    control.busy = {W_OLD[0]: 3}
    pool.reconcile()
    report = Workers.model_validate_json((tmp_path / "control/workers.json").read_text())
    assert report.workers[W_OLD[0]].busy == 3
    assert report.workers[W_OLD[0]].queues == ("celery", "mail")
    assert report.workers[W_NEW[0]].queues == ()
    assert report.workers[W_NEW[0]].identity == NEW.identity


def test_workers_missing_one_round_are_still_there(pool: WorkerPool, control: FakeControl) -> None:
    pool.reconcile()
    control.deaf = set(W_NEW)
    pool.reconcile()
    assert NEW.identity in (pool.working() or ())


def test_before_the_first_whole_round_nobody_knows_which_workers_there_are(
    pool: WorkerPool, control: FakeControl
) -> None:
    control.down = BrokerDown("OperationalError")
    pool.reconcile()
    assert pool.working() is None
    control.down = None
    pool.reconcile()
    assert pool.working() == {OLD.identity, NEW.identity}


def test_a_worker_that_does_not_say_what_it_does_is_not_idle(
    pool: WorkerPool, control: FakeControl
) -> None:
    control.busy = {W_OLD[0]: None}
    pool.reconcile()
    assert pool.report().workers[W_OLD[0]].busy is None
    assert pool.report().workers[W_OLD[1]].busy == 0


def test_only_an_answer_to_every_question_says_that_a_worker_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = {"active": {"a": [], "b": [1]}, "reserved": {"b": [2]}, "scheduled": {"b": []}}
    control = CeleryControl("memory://")
    monkeypatch.setattr(control, "_ask", lambda command, *_: answers[command])
    assert control.jobs(["a", "b"], 1) == {"a": None, "b": 2}


def test_a_ping_wants_paused_workers(pool: WorkerPool, control: FakeControl) -> None:
    assert pool.ping(W_NEW, 1) == []
    control.workers[W_NEW[0]] |= {"celery"}
    control.deaf = {W_NEW[1]}
    assert pool.ping(W_NEW, 1) == [
        f"{W_NEW[0]} is not live but consumes celery",
        f"{W_NEW[1]} does not answer",
    ]


def test_a_ping_asks_again_while_an_earlier_question_still_waits(
    pool: WorkerPool, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has just booted did not hear the first one."""
    over, asked = threading.Event(), itertools.count()
    answer = control.queues

    def queues(nodes: Sequence[str] | None, timeout: float) -> dict[str, set[str]]:
        if next(asked) == 0:
            over.wait(5)
            return {}
        return answer(nodes, timeout)

    monkeypatch.setattr(control, "queues", queues)
    assert pool.ping(W_NEW, 60) == []
    over.set()


def test_a_ping_of_a_broker_that_hangs_ends_soon_after_its_time(
    tmp_path: Path, control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long each question hangs, a few are under way and no more."""
    over, asked, clock = threading.Event(), itertools.count(), FakeClock()
    pool = WorkerPool(config(tmp_path), control, clock, host_state)

    def queues(nodes: Sequence[str] | None, timeout: float) -> dict[str, set[str]]:
        next(asked)
        clock.sleep(30)
        over.wait(5)
        return {}

    monkeypatch.setattr(control, "queues", queues)
    monkeypatch.setattr("ops.switch.workers.LAST_SECONDS", 0.1)
    assert pool.ping(W_NEW, 60) == [f"{name} does not answer" for name in W_NEW]
    over.set()
    assert next(asked) <= AT_ONCE
