"""The schedule in UTC, how long each series is kept, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rollout.retention import (
    FOR_EVER,
    KEEP,
    LIFECYCLE,
    Backup,
    Job,
    Listing,
    Refused,
    Series,
    due,
    full_series,
    jobs_at,
    local_removals,
    reusable,
    runs_between,
    tags,
)

NOON = datetime(2027, 6, 16, 12, tzinfo=UTC)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")


def backup(series: Series, age: float, *keys: str, verified: bool | None = True) -> Backup:
    taken = NOON - timedelta(days=age)
    return Backup(series, taken, keys or (f"{series}/{taken:%Y%m%dT%H%M}",), verified)


def listing(*backups: Backup) -> Listing:
    return Listing(backups)


def daily(first: int, last: int, verified: bool | None = True) -> list[Backup]:
    return [backup(Series.DAILY, age, verified=verified) for age in range(last, first - 1, -1)]


# When


def test_a_dump_is_taken_every_4_hours_and_the_full_one_at_10_utc() -> None:
    day = [NOON.replace(hour=hour) for hour in range(24)]
    dumps = {at.hour: job.full for at in day for job in jobs_at(at) if job.kind == "dump"}
    assert dumps == {2: False, 6: False, 10: True, 14: False, 18: False, 22: False}


def test_base_backups_go_with_the_full_and_files_an_hour_later() -> None:
    assert Job("base", full=True) in jobs_at(NOON.replace(hour=10))
    kinds = [job.kind for job in jobs_at(NOON.replace(hour=11))]
    assert kinds == ["media", "application"]


def test_nothing_is_done_between_the_hours() -> None:
    assert jobs_at(NOON.replace(hour=10, minute=1)) == ()


@pytest.mark.parametrize("day", [date(2027, 3, 14), date(2027, 11, 7), date(2028, 2, 29)])
def test_daylight_saving_and_leap_days_change_nothing(day: date) -> None:
    begin = datetime(day.year, day.month, day.day, tzinfo=LOS_ANGELES)
    runs = list(runs_between(begin, begin.astimezone(UTC) + timedelta(days=1)))
    assert sum(job.full for at in runs for job in jobs_at(at) if job.kind == "dump") == 1
    assert sum(job.kind == "dump" for at in runs for job in jobs_at(at)) == 6


def test_a_time_in_another_zone_is_the_same_time() -> None:
    assert jobs_at(NOON.replace(hour=10).astimezone(LOS_ANGELES)) == jobs_at(NOON.replace(hour=10))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="a time with its zone"):
        jobs_at(datetime(2027, 6, 16, 10))


def test_a_restart_finds_the_runs_that_were_missed() -> None:
    down, up = NOON.replace(hour=9, minute=30), NOON.replace(hour=14)
    assert [at.hour for at in runs_between(down, up)] == [10, 11, 14]


# What a full dump is


def test_the_first_full_of_a_month_is_the_months_and_of_a_week_the_weeks() -> None:
    kept: list[Backup] = []
    for number in range(1, 31):
        at = datetime(2027, 6, number, 10, tzinfo=UTC)
        kept.append(Backup(full_series(at, listing(*kept)), at, (str(number),), True))
    special = {b.taken.day: b.series for b in kept if b.series != Series.DAILY}
    assert special == {
        1: Series.MONTHLY,  # a Tuesday: also its week's
        7: Series.WEEKLY,
        14: Series.WEEKLY,
        21: Series.WEEKLY,
        28: Series.WEEKLY,
    }


def test_a_bad_one_does_not_count_so_the_next_takes_its_place() -> None:
    bad = Backup(Series.MONTHLY, datetime(2027, 6, 1, 10, tzinfo=UTC), ("a",), verified=False)
    assert full_series(NOON, listing(bad)) == Series.MONTHLY


def test_one_that_nobody_has_looked_at_yet_does_count() -> None:
    new = Backup(Series.MONTHLY, datetime(2027, 6, 14, 10, tzinfo=UTC), ("a",), verified=None)
    assert full_series(NOON, listing(new)) == Series.DAILY


# How long


def test_configuration_secrets_and_logs_are_never_told_to_expire() -> None:
    assert set(Series) - set(KEEP) == {*FOR_EVER, Series.LOGS}
    old = [backup(series, 4000) for series in FOR_EVER]
    new = [backup(series, 1) for series in FOR_EVER]
    assert due(listing(*old, *new), NOON) == frozenset()


def test_a_dump_goes_after_30_days_when_7_newer_days_have_a_verified_one() -> None:
    backups = daily(0, 30)
    assert due(listing(*backups), NOON) == {backups[0]}


def test_younger_than_30_days_nothing_goes_however_many_there_are() -> None:
    assert due(listing(*daily(0, 29)), NOON) == frozenset()


def test_unverified_ones_push_nothing_out() -> None:
    old, new = daily(40, 46), daily(0, 10, verified=None)
    assert due(listing(*old, *new), NOON) == frozenset()


def test_six_verified_days_push_nothing_out_and_seven_do() -> None:
    old = backup(Series.DAILY, 31)
    assert due(listing(old, *daily(0, 5)), NOON) == frozenset()
    assert due(listing(old, *daily(0, 6)), NOON) == {old}


def test_the_months_backup_counts_as_its_weeks_and_its_days() -> None:
    old = backup(Series.DAILY, 31)
    month = backup(Series.MONTHLY, 6)
    assert due(listing(old, month, *daily(0, 5)), NOON) == {old}


def test_one_that_is_on_its_way_out_pushes_no_other_out() -> None:
    old = backup(Series.DAILY, 31)
    newer = [replace(b, tagged=True) for b in daily(0, 6)]
    assert due(listing(old, *newer), NOON) == frozenset()


def test_the_fourth_newest_week_stays_and_the_fifth_goes() -> None:
    weeks = [backup(Series.WEEKLY, 7 * number + 40) for number in range(5)]
    assert due(listing(*weeks, *daily(0, 7)), NOON) == {weeks[4]}


def test_wal_stays_as_long_as_a_base_before_it() -> None:
    base, newer = backup(Series.BASE, 40), backup(Series.BASE, 32)
    before, after = backup(Series.WAL, 41), backup(Series.WAL, 39)
    assert due(listing(base, before, after), NOON) == {before}
    new = backup(Series.BASE, 1)
    assert due(listing(base, newer, before, after, new), NOON) == {base, newer, before, after}


def test_without_a_verified_base_no_wal_goes() -> None:
    base = backup(Series.BASE, 1, verified=None)
    assert due(listing(base, backup(Series.WAL, 90)), NOON) == frozenset()


# What is tagged


def test_a_file_that_a_kept_backup_needs_is_not_tagged() -> None:
    old = backup(Series.MEDIA, 15, "old", "shared")
    kept = [backup(Series.MEDIA, age, f"new-{age}", "shared") for age in range(8)]
    assert tags(listing(old, *kept), NOON) == {"old": "14d"}
    assert "shared" in reusable(listing(old, *kept), NOON)
    assert "old" not in reusable(listing(old, *kept), NOON)


def test_what_is_tagged_already_is_not_tagged_again() -> None:
    backups = daily(0, 30)
    assert tags(listing(*backups), NOON)
    assert tags(listing(replace(backups[0], tagged=True), *backups[1:]), NOON) == {}


# What is refused


def test_an_incomplete_listing_removes_nothing() -> None:
    found = Listing(tuple(daily(0, 60)), ("page 2 of the listing: timed out",))
    for decide in (due, tags, reusable):
        with pytest.raises(Refused, match=r"page 2 of the listing: timed out"):
            decide(found, NOON)
    with pytest.raises(Refused, match="incomplete"):
        local_removals(found, lambda _: True, NOON)


def test_a_backup_from_the_future_removes_nothing() -> None:
    with pytest.raises(Refused, match=r"database/daily of 2027-06-17 12:00 UTC is in the future"):
        tags(listing(*daily(0, 60), backup(Series.DAILY, -1)), NOON)


def test_more_than_the_configured_share_at_once_is_refused() -> None:
    found = listing(*daily(0, 59))
    with pytest.raises(Refused, match="30 of 60 of database/daily would go at once, more than 25"):
        tags(found, NOON)
    assert len(tags(found, NOON, max_percent=50)) == 30


def test_what_falls_due_within_a_day_is_plausible_whatever_its_share() -> None:
    found = listing(*daily(30, 31), *daily(0, 1), *daily(3, 7))
    assert len(tags(found, NOON, max_percent=1)) == 2


# On the drives


def test_a_drive_keeps_7_days_and_what_the_bucket_has_not_got() -> None:
    backups = daily(0, 9)
    old = {b for b in backups if b.taken <= NOON - timedelta(days=7)}
    assert local_removals(listing(*backups), lambda _: True, NOON, max_percent=50) == old
    assert local_removals(listing(*backups), lambda _: False, NOON) == frozenset()


def test_a_drive_keeps_the_newest_verified_one_however_old() -> None:
    old, newer = backup(Series.DAILY, 30), backup(Series.DAILY, 20)
    unverified = backup(Series.DAILY, 19, verified=None)
    found = local_removals(listing(old, newer, unverified), lambda _: True, NOON, max_percent=100)
    assert found == {old, unverified}


def test_a_drive_loses_no_more_than_the_configured_share_at_once() -> None:
    with pytest.raises(Refused, match=r"23 of 30 of database/daily would go at once"):
        local_removals(listing(*daily(0, 29)), lambda _: True, NOON)


def test_a_drive_keeps_the_wal_that_follows_its_oldest_base() -> None:
    base = backup(Series.BASE, 20)
    before, after = backup(Series.WAL, 21), backup(Series.WAL, 15)
    assert local_removals(listing(base, before, after), lambda _: True, NOON) == {before}


# The bucket's own rules


def test_each_tag_has_one_rule_that_counts_as_many_days() -> None:
    rules = {rule.tag: rule.expire_days for rule in LIFECYCLE if rule.tag}
    assert rules == {"14d": 14, "30d": 30, "93d": 93}
    assert {keep.tag: keep.days for keep in KEEP.values()} == rules


def test_no_rule_has_both_a_tag_and_a_prefix() -> None:
    for rule in LIFECYCLE:
        assert (rule.tag is None) != (rule.prefix is None), rule


def test_by_prefix_only_logs_expire() -> None:
    expiring = [rule.prefix for rule in LIFECYCLE if rule.prefix is not None and rule.expire_days]
    assert expiring == ["logs/"]
