"""A drill: its configuration, its verdict, and what is told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout.drills import (
    MARKER,
    PAGE,
    STACK,
    configuration,
    is_overdue,
    judged,
    key_rows,
    metrics,
    page,
    remember,
    remembered,
    span,
    version_of,
)
from rollout.records import DRILLS, Drill, DrillStage, Status
from rollout.settings import Settings, load, secret_keys
from tests.unit.stack_files import PLACEHOLDERS, ROOT, declared, own, text_of

BEGAN = datetime(2027, 1, 1, 3, tzinfo=UTC)
PHASES = ("find", "stack", "restore", "counts", "release", "endpoints", "job")


def drill(*seconds: float, **changes: Any) -> Drill:
    times = seconds or (2, 20, 200, 3, 25, 4, 3)
    stages = [
        DrillStage.model_validate({"phase": phase, "seconds": took, "status": "pass"})
        for phase, took in zip(PHASES, times, strict=False)
    ]
    usual = Drill(
        started=BEGAN,
        stack="production",
        environment="production",
        host="unix:///var/run/docker.sock",
        by="on-call@desk",
        backup="database/daily/20270101T020000Z",
        place="bucket",
        taken=BEGAN - timedelta(hours=1),
        bytes=1_500_000_000,
        release="1.1.0+ab12cd34ef56",
        rows={"public.users": 1200, "public.videos": 45000},
        stages=tuple(stages),
        rpo_seconds=3600,
        rto_goal_seconds=1800,
        rpo_goal_seconds=14400,
    )
    return usual.model_copy(update=changes)


# What the host remembers


def test_a_drill_that_failed_does_not_make_the_host_forget_the_last_good_one() -> None:
    good = remember(None, judged(drill()))
    later = BEGAN + timedelta(days=7)
    failed = remember(good, judged(drill(started=later, rpo_seconds=5 * 3600)))
    assert (failed.at, failed.well, failed.good) == (later, False, BEGAN)
    assert remembered({MARKER: failed.model_dump_json()}) == failed
    assert remembered({MARKER: "what another version wrote"}) is None


def test_without_a_good_drill_for_a_week_and_a_day_one_is_overdue() -> None:
    good = remember(None, judged(drill()))
    assert not is_overdue(good, BEGAN + timedelta(days=7, hours=20))
    assert is_overdue(good, BEGAN + timedelta(days=8, hours=1))
    assert is_overdue(remember(None, judged(drill(rpo_seconds=5 * 3600))), BEGAN)
    assert is_overdue(None, BEGAN)


# The verdict


def test_a_recovery_within_both_goals_is_good_and_its_time_is_the_sum_of_its_phases() -> None:
    found = judged(drill())
    assert (found.verdict, found.rto_seconds, found.detail) == (Status.PASS, 257, "")


def test_a_recovery_that_took_too_long_is_told_with_the_goal() -> None:
    found = judged(drill(2, 20, 2000, 3, 25, 4, 3))
    assert (found.verdict, found.detail) == (
        Status.FAIL,
        "missed: RTO 34 min 17 s, goal 30 min 0 s",
    )


def test_old_data_is_told_with_the_goal() -> None:
    found = judged(drill(rpo_seconds=5 * 3600))
    assert (found.verdict, found.detail) == (Status.FAIL, "missed: RPO 5 h 0 min, goal 4 h 0 min")


def test_a_phase_that_failed_leaves_the_time_unknown() -> None:
    broken = DrillStage(phase="restore", seconds=3, status=Status.FAIL, detail="no such role")
    found = judged(drill(stages=(*drill().stages[:2], broken)))
    assert (found.verdict, found.rto_seconds) == (Status.FAIL, None)
    assert found.detail == "restore: no such role"


def test_a_job_that_nobody_could_queue_is_no_failure() -> None:
    untried = DrillStage(phase="job", seconds=0, status=Status.UNKNOWN, detail="not tried")
    assert judged(drill(stages=(*drill().stages[:6], untried))).verdict is Status.PASS


# Its configuration


@pytest.mark.parametrize("stack", ["sandbox", "production"])
def test_a_drill_is_the_stack_itself_but_for_what_its_file_says(stack: str) -> None:
    theirs, found = _settings(stack, own(stack)), _drilled(stack)
    assert found.backend.endpoints == theirs.backend.endpoints
    assert found.postgres.image == theirs.postgres.image
    assert found.edge.domain == theirs.edge.domain
    assert (found.edge.bind_address, found.edge.http_port) == ("127.0.0.1", 8001)


@pytest.mark.parametrize("stack", ["sandbox", "production"])
def test_a_drill_sees_nobody_does_nothing_by_itself_and_is_not_backed_up(stack: str) -> None:
    found = _drilled(stack)
    assert found.networks.isolated
    assert (found.backend.beat_command, found.backups.drives) == ((), ())
    assert not found.scheduler.on
    assert found.backups.recipients == ()
    assert not found.deployment.protect
    assert not found.checklist.required
    assert not found.is_production


def test_no_secret_of_the_stack_is_taken_over_be_it_encrypted_or_not() -> None:
    theirs = {"backendPort": 8000, "forgeToken": "plain", "anything": {"secure": "v1:abc"}}
    assert configuration({**theirs, **PLACEHOLDERS}, {}) == {"backendPort": 8000}
    assert not secret_keys() & set(own(STACK))


def test_a_drill_takes_no_more_than_its_file_grants_nor_than_the_stack_has() -> None:
    taken = configuration({"appMemory": "512", "appCpus": 8}, {"appMemory": 2048, "appCpus": "2"})
    assert taken == {"appMemory": "512", "appCpus": "2"}


def _drilled(stack: str) -> Settings:
    return _settings(STACK, configuration(own(stack), own(STACK)))


def _settings(stack: str, values: dict[str, Any]) -> Settings:
    """With the project's defaults, and with the secrets that it can't do without."""
    defaults = {key: text_of(about["default"]) for key, about in declared().items()}
    plain = {k: text_of(v) for k, v in values.items() if not isinstance(v, dict)}
    tls = "off" if stack == STACK else "self-signed"
    return load(stack, {**defaults, **plain, **PLACEHOLDERS, "edgeTls": tls})


# What is told


def test_the_fingerprint_of_another_stack_says_nothing_to_a_drill() -> None:
    assert version_of("1.1.0+ab12cd34ef56") == "1.1.0"
    assert version_of("") == ""


def test_the_key_tables_are_users_videos_and_channels_of_whatever_app() -> None:
    rows = {"public.users": 1, "public.app_video": 2, "public.auth_user_groups": 3}
    assert key_rows(rows) == {"public.users": 1, "public.app_video": 2}
    assert key_rows({"public.thing": 1}) == {"public.thing": 1}


@pytest.mark.parametrize(
    ("seconds", "words"), [(41.4, "41 s"), (725, "12 min 5 s"), (12_000, "3 h 20 min")]
)
def test_a_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_row_of_the_page_says_how_long_it_took_and_what_was_restored() -> None:
    assert (
        "| 2027-01-01 03:00 | production | good | 4 min 17 s | 60 min 0 s "
        "| 1.1.0+ab12cd34ef56 from bucket, 1,500.0 MB "
        "| public.users 1,200, public.videos 45,000 "
        "| find 2.0 s, stack 20.0 s, restore 200.0 s, counts 3.0 s, release 25.0 s, "
        "endpoints 4.0 s, job 3.0 s |"
    ) in page([judged(drill())])


def test_the_newest_drill_is_the_first_row() -> None:
    late = drill(started=BEGAN + timedelta(days=7))
    rows = [line for line in page([drill(), late]).splitlines() if line.startswith("| 2027")]
    assert [row[2:12] for row in rows] == ["2027-01-08", "2027-01-01"]


def test_a_failure_is_not_hidden() -> None:
    text = page([judged(drill(rpo_seconds=5 * 3600))])
    assert "**failed**: missed: RPO 5 h 0 min" in text


def test_figures_of_the_sandbox_are_told_as_such() -> None:
    text = page([drill(stack="sandbox", environment="sandbox")])
    assert "| sandbox ¹ |" in text
    assert "¹ In the sandbox" in text
    assert "¹" not in page([drill()])


def test_the_page_in_the_docs_is_that_of_the_records() -> None:
    records = [Drill.model_validate_json(p.read_text()) for p in (ROOT / DRILLS).glob("*.json")]
    assert (ROOT / PAGE).read_text() == page(records), "run `python -m rollout.drills`"


def test_metrics_are_of_one_stack_its_last_drill_and_its_last_good_one() -> None:
    good = judged(drill())
    bad = judged(drill(started=BEGAN + timedelta(days=7), rpo_seconds=5 * 3600))
    other = judged(drill(stack="sandbox", started=BEGAN + timedelta(days=9)))
    lines = metrics([other, bad, good], "production").splitlines()
    assert 'ytempire_drill_last_success{stack="production"} 0.000' in lines
    when = f"{BEGAN.timestamp():.3f}"
    assert f'ytempire_drill_last_success_timestamp_seconds{{stack="production"}} {when}' in lines
    assert 'ytempire_drill_phase_seconds{stack="production",phase="restore"} 200.000' in lines
    assert not any("sandbox" in line for line in lines)


def test_what_is_not_known_is_no_metric() -> None:
    broken = DrillStage(phase="find", seconds=3, status=Status.FAIL, detail="no backup")
    text = metrics([judged(drill(stages=(broken,), rpo_seconds=None))], "production")
    assert "rto_seconds{" not in text
    assert "rpo_seconds{" not in text
    assert "last_success_timestamp" not in text
    assert text.count("# TYPE ytempire_drill_last_success gauge") == 1


def test_a_drill_has_its_own_turn_whosever_it_is_in_the_stack() -> None:
    theirs = {"postgresLogin": "b", "redisLogin": "b"}
    taken = configuration(theirs, own(STACK))
    assert (taken["postgresLogin"], taken["redisLogin"]) == ("a", "a")
