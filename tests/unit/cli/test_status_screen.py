"""One screen, right also while parts are down."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ops.observe import Observation
from ops.scheduler.report import Last, Report
from ops.verbs._health import problems
from ops.verbs._look import Answer, Look
from ops.verbs._paper import MAYBE
from ops.verbs._report import report
from ops.verbs._scheduled import Scheduled, _read
from ops.verbs.status import screen
from rollout.drills import MARKER, Remembered
from rollout.names import node
from rollout.schedule import Newest
from rollout.state import Hold, Pending, Slot
from tests.unit.cli.happy import (
    BLUE,
    GREEN,
    NAMES,
    NEW,
    NOW,
    OLD,
    containers,
    look,
    observation,
    seen,
    state,
    stopped,
    withdrawn,
)


def text(shown: Look) -> str:
    return "\n".join(screen(shown))


def test_a_healthy_stack_on_one_screen() -> None:
    assert (
        text(look())
        == """\
sandbox on unix:///var/run/docker.sock: ✓ serving and healthy
live      1.1.0+bbbb on green, since 2026-11-22 11:00 UTC (60 min ago)
address   https://localhost answers 200 as 1.1.0+bbbb in 12 ms
blue      1.0.0+aaaa (claim 1), ready, app healthy, up 5 minutes
green     1.1.0+bbbb (claim 2), ready, app healthy, up 5 minutes  ← traffic
nginx     ✓ healthy, up 5 minutes
app       ✓ healthy, up 5 minutes
postgres  ✓ healthy, up 5 minutes
redis     ✓ healthy, up 5 minutes
celery    ✓ healthy, up 5 minutes (2)
switch    ✓ healthy, up 5 minutes
workers   1.1.0+bbbb: 2 consuming, 3 jobs
workers   1.0.0+aaaa: 2 paused, 0 jobs
beat      1.1.0+bbbb
last      deploy of 1.1.0+bbbb (before: 1.0.0+aaaa) by ana@desk, \
2026-11-22 11:00 UTC (60 min ago), 12.0 s
next      back to 1.0.0 within seconds: `ytops rollback`"""
    )


def test_a_stopped_service_is_named() -> None:
    down = look(containers=stopped(containers(), NAMES.redis))
    assert problems(down) == ["redis is exited, exited 2 minutes ago"]
    assert "redis     ✗ exited, exited 2 minutes ago" in text(down)


def test_a_missing_worker_is_half_a_service() -> None:
    found = containers()
    del found[NAMES.worker(NEW.identity, 2)]
    assert problems(look(containers=found)) == ["celery is healthy, up 5 minutes; gone"]


def test_an_unreadable_state_leaves_the_rest_of_the_screen() -> None:
    blind = look(observation=None, unknown={"observation": "state.json can't be read"})
    shown = text(blind)
    assert "live      ? state.json can't be read" in shown
    assert "postgres  ✓ healthy" in shown
    assert "workers   ? nobody knows them" in shown
    assert problems(blind) == ["observation unknown"]


def test_containers_that_can_not_be_listed_are_unknown_and_not_gone() -> None:
    blind = look(containers=None, unknown={"containers": "docker ps failed"})
    assert "services  ? docker ps failed" in text(blind)
    assert "gone" not in text(blind)


def test_an_edge_that_does_not_answer_from_here() -> None:
    reason = "https://localhost does not answer from here (refused)"
    quiet = look(answer=None, unknown={"answer": reason})
    assert problems(quiet) == ["the edge does not answer from here"]
    assert f"address   https://localhost ? {reason}" in text(quiet)


def test_an_edge_that_answers_as_another_release_is_wrong() -> None:
    other = look(answer=Answer(200, OLD.identity, 3))
    assert problems(other) == ["the edge answers as 1.0.0+aaaa"]


def test_the_beat_of_another_release_is_wrong_but_for_a_pending_switch() -> None:
    assert problems(look(beat=OLD.identity)) == ["the beat is not the live release's"]
    pending = Pending(
        token="t", serial=3, source=GREEN, target=BLUE, who="ben@desk", since="2026-11-22T11:59:00Z"
    )
    moving = look(beat=OLD.identity, observation=observation(pending=pending))
    assert problems(moving) == []
    assert "pending   switch 3 to 1.0.0+aaaa on blue, by ben@desk" in text(moving)


def test_holds_and_withdrawals_are_shown_with_the_way_out() -> None:
    hold = Hold(who="ana@desk", since="2026-11-22T11:00:00Z", why="stocktaking")
    shown = text(look(observation=observation(hold=hold, withdrawn=withdrawn(OLD))))
    assert (
        "hold      locked by ana@desk since 2026-11-22 11:00 UTC (60 min ago): stocktaking. "
        "When that is over: `ytops unlock`"
    ) in shown
    assert "withdrawn 1.0.0+aaaa 2026-11-22 11:30 UTC (30 min ago): p95 812 ms" in shown
    assert "`ytops rollback`" not in shown


def test_workers_whose_slot_was_given_away_say_whether_they_are_drained() -> None:
    slots = {"green": state().slots["green"], "blue": Slot(identity="1.2.0+cccc", claim=3)}
    shown = text(look(observation=observation(slots=slots)))
    assert "1.0.0+aaaa: 2 paused, 0 jobs; their slot was given away: drained" in shown


def test_jobs_that_a_worker_does_not_tell_are_not_taken_for_none() -> None:
    slots = {"green": state().slots["green"], "blue": Slot(identity="1.2.0+cccc", claim=3)}
    heard = observation(slots=slots)
    assert heard.workers
    workers = {
        node: worker.model_copy(update={"busy": None})
        if worker.identity == OLD.identity
        else worker
        for node, worker in heard.workers.workers.items()
    }
    silent = heard.workers.model_copy(update={"workers": workers})
    assert (
        "1.0.0+aaaa: 2 paused, jobs not known; their slot was given away: not drained yet"
    ) in text(look(observation=replace(heard, workers=silent)))


def given_away_and_silent(at: str = "2026-11-22T11:59:58+00:00") -> Observation:
    """The old release's second worker runs and does not answer."""
    slots = {"green": state().slots["green"], "blue": Slot(identity="1.2.0+cccc", claim=3)}
    seen = observation(slots=slots)
    assert seen.workers
    silent = node(NAMES.worker(OLD.identity, 2))
    heard = {name: worker for name, worker in seen.workers.workers.items() if name != silent}
    return replace(seen, workers=seen.workers.model_copy(update={"workers": heard, "at": at}))


def test_a_worker_that_never_answers_again_is_named_with_the_command_that_ends_it() -> None:
    name = NAMES.worker(OLD.identity, 2)
    assert (
        "1.0.0+aaaa: 1 paused, 1 silent, 0 jobs; their slot was given away: not drained yet; "
        f"no answer from {name}. Should that last: `docker stop {name}`, and the next run removes "
        "them; jobs that they had are done by the live release once the visibility timeout is over"
    ) in text(look(observation=given_away_and_silent()))


def test_a_stopped_worker_is_waited_for_by_nobody() -> None:
    found = stopped(containers(), NAMES.worker(OLD.identity, 2))
    assert "no answer" not in text(look(observation=given_away_and_silent(), containers=found))


def test_workers_that_nobody_asks_are_not_called_unresponsive() -> None:
    assert "no answer" not in text(
        look(observation=given_away_and_silent(at="2026-11-22T11:50:00+00:00"))
    )


def test_an_old_report_of_the_workers_says_its_age() -> None:
    heard = observation()
    assert heard.workers
    old = heard.workers.model_copy(update={"at": "2026-11-22T11:50:00+00:00"})
    assert "1.1.0+bbbb: 2 consuming, 3 jobs; as of 10 min ago" in text(
        look(observation=replace(heard, workers=old))
    )


def test_an_empty_host_says_what_comes_first() -> None:
    empty = observation(live=None, slots={}, releases={}, last=None)
    empty = replace(empty, view=replace(empty.view, edge=None), workers=None, history=())
    shown = text(look(observation=empty, containers={}, answer=None, beat=None))
    assert "live      no release serves (503). Next: `ytops up VERSION`" in shown
    assert "nginx     ✗ gone" in shown


def test_the_report_for_programs_has_its_keys_whatever_is_known() -> None:
    blind = look(observation=None, containers=None, answer=None, beat=None)
    assert set(report(look())) == set(report(blind))
    assert report(look())["healthy"] is True
    assert report(look())["slots"]["green"]["identity"] == NEW.identity
    assert report(blind)["slots"] is None


# Backups


def backups(**changes: Any) -> Look:
    """A stack whose scheduler went its round two seconds ago."""
    usual = Scheduled(
        at=NOW - timedelta(seconds=2),
        verified="2026-11-22T10:00:05+00:00",
        proved="2026-11-22T10:00:05+00:00",
    )
    found = {**containers(), NAMES.scheduler: seen(NAMES.scheduler, "scheduler")}
    return look(timetable=True, containers=found, backups=replace(usual, **changes))


def test_the_newest_dump_and_the_scheduler_are_on_the_screen() -> None:
    shown = text(backups())
    assert "scheduler ✓ healthy, up 5 minutes" in shown
    assert (
        "backups   ✓ newest dump 2026-11-22 10:00 UTC (120 min ago); "
        "restored 2026-11-22 10:00 UTC (120 min ago)" in shown
    )
    assert problems(backups()) == []


def test_a_scheduler_that_is_gone_is_a_problem_only_where_one_is_wanted() -> None:
    assert problems(look(timetable=True)) == ["scheduler is gone"]
    assert "scheduler" not in text(look())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"at": NOW - timedelta(hours=3)}, "the scheduler has been silent for 3 h"),
        ({"late": {"dump": 7200.0}}, "a backup (dump) has been due for 2 h"),
        ({"failed": {"verify": "drive1: damaged"}}, "backup task verify failed: drive1: damaged"),
        ({"wrong": "no file"}, "the scheduler can't work: no file"),
    ],
)
def test_what_is_wrong_with_the_backups_is_said(changes: dict[str, Any], problem: str) -> None:
    assert problems(backups(**changes)) == [problem]
    assert f"; {problem}" in text(backups(**changes))


def drilled(*, days: int, well: bool = True, production: bool = True) -> Look:
    good = NOW - timedelta(days=days)
    held = Remembered(at=good if well else NOW - timedelta(hours=1), well=well, good=good)
    markers = {MARKER: held.model_dump_json()}
    return look(production=production, observation=observation(markers=markers))


def test_the_last_good_drill_is_on_the_screen_and_in_production_its_lack() -> None:
    assert "drill     ✓ last good drill 2026-11-19 12:00 UTC (3 days ago)" in text(drilled(days=3))
    assert "; one failed 2026-11-22 11:00 UTC" in text(drilled(days=3, well=False))
    late = drilled(days=9)
    assert "; one is wanted every 7 days. Next: `ytops drill`" in text(late)
    assert report(late)["drill"]["overdue"] is True
    assert "every 7 days" not in text(drilled(days=9, production=False))
    none = f"drill     {MAYBE} no drill was held yet. Next: `ytops drill`"
    assert none in text(look(production=True))
    assert "drill" not in text(look())


def test_a_backup_that_has_only_just_become_due_is_no_problem() -> None:
    assert problems(backups(late={"dump": 600.0})) == []


def test_the_scheduler_s_own_report_is_what_status_reads() -> None:
    newest = Newest((NOW,), NOW, None, 10)
    own = Report(at=NOW, kinds={"dump": newest}, last={"dump": Last(NOW, False, 1.0, "full")})
    values = json.loads(json.dumps(own.values(), default=datetime.isoformat))
    assert _read(values) == Scheduled(at=NOW, verified=NOW.isoformat(), failed={"dump": "full"})
