"""What the scheduler does next, by a clock that the test sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rollout.schedule import (
    LATE,
    PARTIAL_TRIES,
    Attempts,
    Known,
    Newest,
    Task,
    due,
    failed,
    late,
    put_off,
    succeeded,
    timetable,
    wanted,
)

TASKS = timetable({"dump"})
MONDAY = datetime(2027, 3, 1, tzinfo=UTC)


def at(hours: float) -> datetime:
    """After midnight of a Monday."""
    return MONDAY + timedelta(hours=hours)


def taken(*hours: float, tried: float | None = None) -> Known:
    """Dumps of these hours, none of which was found bad."""
    good = tuple(sorted((at(h) for h in hours), reverse=True))
    return Known({"dump": Newest(good)}, at(tried) if tried is not None else None)


def next_task(now: float, what: Known, clock: float = 0, **went: Attempts | None) -> Task | None:
    known = {task: last for task in TASKS if (last := went.get(task))}
    return due(TASKS, at(now), clock, what, known)


def _dump_at(now: float, what: Known, clock: float, went: Attempts) -> Task | None:
    """On a day whose checks are made."""
    done = succeeded(at(10))
    return next_task(now, what, clock, dump=went, verify=done, prune=done)


def test_only_kinds_that_are_made_are_on_the_timetable() -> None:
    assert TASKS == ("dump", "verify", "prune")
    assert timetable({"dump", "base", "config"}) == ("dump", "base", "verify", "prune")


def test_nothing_is_due_after_the_last_run_was_done() -> None:
    assert next_task(17, taken(14, tried=11), prune=succeeded(at(10))) is None


def test_a_dump_is_due_when_its_hour_comes() -> None:
    known = taken(14, tried=11)
    assert next_task(17.99, known, prune=succeeded(at(10))) is None
    assert next_task(18, known, prune=succeeded(at(10))) == "dump"


def test_an_empty_store_wants_a_dump_at_once() -> None:
    assert next_task(17, Known()) == "dump"


def test_what_a_day_has_missed_is_made_up_for_once() -> None:
    assert next_task(33, taken(10)) == "dump"
    assert next_task(33, taken(10, 33), verify=succeeded(at(10)), prune=succeeded(at(10))) is None


def test_a_backup_by_hand_counts() -> None:
    assert wanted("dump", at(19), taken(18.5)) is None


def test_after_the_full_it_is_verified_then_pruned() -> None:
    full = taken(10.1, tried=-12)
    assert next_task(10.2, full) == "verify"
    assert next_task(10.3, taken(10.1, tried=10.25), verify=succeeded(at(10))) == "prune"


def test_verifying_waits_for_the_full_but_not_for_ever() -> None:
    assert wanted("verify", at(10.2), taken(6, tried=-12)) is None
    assert wanted("verify", at(11), taken(6, tried=-12)) == at(10)


def test_a_round_that_had_nothing_to_restore_is_not_made_again_and_again() -> None:
    known = taken(10.1, tried=-12)
    assert next_task(12, known, verify=succeeded(at(10)), prune=succeeded(at(10))) is None
    assert next_task(34.2, taken(10.1, 34.1, tried=-12), verify=succeeded(at(10))) == "verify"


def test_nothing_goes_before_the_day_s_proof() -> None:
    known = taken(10.1, tried=-12)
    assert next_task(12, known, verify=failed(None, at(10), 0)) is None
    assert next_task(12, known, clock=300, verify=failed(None, at(10), 0)) == "verify"


def test_a_failed_run_is_tried_again_with_longer_and_longer_pauses() -> None:
    pauses, went = [], None
    for _ in range(6):
        went = failed(went, at(18), clock=0)
        pauses.append(went.again)
    assert pauses == [300, 600, 1200, 2400, 3600, 3600]


def test_until_the_pause_is_over_it_is_held_back() -> None:
    went = failed(None, at(18), clock=1000)
    assert _dump_at(18.1, taken(14), 1299, went) is None
    assert _dump_at(18.1, taken(14), 1300, went) == "dump"


def test_what_is_there_but_not_everywhere_is_tried_a_few_times() -> None:
    went: Attempts | None = None
    for _ in range(PARTIAL_TRIES):
        went = failed(went, at(18), clock=0)
        assert _dump_at(18.5, taken(18.1), 9999, went) == "dump"
    went = failed(went, at(18), clock=0)
    assert _dump_at(18.5, taken(18.1), 9999, went) is None
    assert _dump_at(22, taken(18.1), 9999, went) == "dump"


def test_somebody_else_s_job_is_no_failure() -> None:
    went = put_off(None, at(18), clock=0)
    assert went.failures == 0
    assert next_task(18.1, taken(14), clock=60, dump=went) == "dump"


def test_checks_wait_for_a_backup_that_somebody_else_s_job_holds_up() -> None:
    """The first deploy's migrations refuse the first dump: it is to be proved on this day."""
    went = put_off(None, at(10), clock=0)
    assert next_task(17, taken(), dump=went) is None
    assert next_task(17, taken(), clock=60, dump=went) == "dump"
    assert next_task(17, taken(17), dump=succeeded(at(14))) == "verify"
    assert next_task(17, taken(), dump=failed(went, at(14), clock=0)) == "verify"


def test_a_success_that_the_store_does_not_show_is_not_repeated_at_once() -> None:
    assert _dump_at(18.5, taken(14), 0, succeeded(at(18))) is None
    assert _dump_at(22, taken(14), 0, succeeded(at(18))) == "dump"


def test_a_clock_that_was_ahead_does_not_hold_backups_up() -> None:
    assert wanted("dump", at(19), taken(14, 24 * 365)) == at(18)
    assert wanted("dump", at(18), taken(18.05)) is None  # of a clock that is ahead by minutes


def test_a_clock_that_jumps_ahead_wants_one_dump() -> None:
    assert wanted("dump", at(24 * 30 + 3), taken(14)) == at(24 * 30 + 2)


@pytest.mark.parametrize("change", ["2027-03-14", "2027-11-07"])
def test_daylight_saving_moves_nothing(change: str) -> None:
    night = datetime.fromisoformat(f"{change}T00:00:00+00:00")
    runs = {wanted("dump", night + timedelta(minutes=10 * n), Known()) for n in range(6 * 24)} - {
        night - timedelta(hours=2)
    }
    assert sorted(run.hour for run in runs if run) == [2, 6, 10, 14, 18, 22]


def test_a_backup_is_missing_from_when_it_was_due() -> None:
    assert late("dump", at(17), taken(14)) is None
    assert late("dump", at(19.5), taken(14)) == timedelta(hours=1.5)
    assert late("dump", at(19), taken(14)) == LATE
