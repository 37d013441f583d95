"""400 days of backups, a day after the other: which restore points exist each morning."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rollout.retention import DUMPS, KEEP, UNDO_DAYS, Backup, Refused, Series, day, month, week
from tests.unit.rollout.backup_years import Years, between, newest

DAYS = 400
WEEKLIES = frozenset({Series.WEEKLY, Series.MONTHLY})
MONTHLIES = frozenset({Series.MONTHLY})
# From then on the newest 3 months have been there, so that none of the counts is still growing.
GROWN = 100
FAILING = between(150, 189)


def what_must_be_there(years: Years) -> None:
    """The promise, each morning."""
    the_database_must_be_there(years)
    _young_and_newest(years, [Series.MEDIA])


def the_database_must_be_there(years: Years) -> None:
    made = [b for b in years.made if b.verified]
    there = years.whole()
    for of, period, count in ((DUMPS, day, 7), (WEEKLIES, week, 4), (MONTHLIES, month, 3)):
        assert newest(made, of, period, count) == newest(there, of, period, count), years.now
    _young_and_newest(years, [series for series in KEEP if series != Series.MEDIA])
    assert not _gap_in_wal(years), years.now


def _young_and_newest(years: Years, of: list[Series]) -> None:
    there = set(years.whole())
    made = [b for b in years.made if b.verified]
    for series in of:
        mine = [b for b in made if b.series == series]
        young = timedelta(days=KEEP[series].days)
        assert {b for b in mine if years.now - b.taken < young} <= there, (years.now, series)
        assert set(mine[-1:]) <= there, (years.now, series)


def _gap_in_wal(years: Years) -> list[Backup]:
    """WAL that is missing after the oldest base backup."""
    bases = [b.taken for b in years.whole() if b.series == Series.BASE]
    wal = [b for b in years.gone if b.series == Series.WAL and b.verified is not False]
    return [b for b in wal if bases and b.taken > min(bases)]


def what_must_be_gone(years: Years) -> None:
    """Nothing is kept much longer than it must: a day until it is due, one until midnight."""
    for backup in years.made:
        age = (years.now - backup.taken).days
        due = KEEP[backup.series].days + (31 if backup.series == Series.MONTHLY else 2)
        if age > due:
            assert not years.bucket.holds(backup.keys[0]), (years.now, backup)
        if age > due + UNDO_DAYS + 2:
            assert backup.keys[0] not in years.bucket.versions, (years.now, backup)


def test_400_days_keep_7_daily_4_weekly_3_monthly_and_the_last_30_days() -> None:
    counts: list[tuple[int, int, int]] = []

    def morning(years: Years) -> None:
        what_must_be_there(years)
        what_must_be_gone(years)
        there = years.whole()
        counts.append(
            (
                len({day(b.taken) for b in there if b.series in DUMPS}),
                len({week(b.taken) for b in there if b.series in WEEKLIES}),
                len({month(b.taken) for b in there if b.series in MONTHLIES}),
            )
        )

    Years().run(DAYS, morning)
    grown = counts[GROWN:]
    assert min(d for d, _, _ in grown) >= 30
    assert min(w for _, w, _ in grown) >= 4
    assert min(m for _, _, m in grown) >= 3


@pytest.mark.parametrize("what", ["fails", "bad"])
def test_40_days_without_a_good_backup_lose_none_of_the_last_good_ones(what: str) -> None:
    years = Years(max_percent=100)
    setattr(years, what, FAILING)
    years.run(300, what_must_be_there)


def test_40_days_without_pruning_lose_nothing_and_are_caught_up_once_somebody_has_looked() -> None:
    idle = between(150, 189)
    years = Years(idle=idle)
    with pytest.raises(Refused, match="would go at once"):
        years.run(200, what_must_be_there)
    years.max_percent = 100
    years.prune()
    years.max_percent = 25
    years.run(60, what_must_be_there)
    what_must_be_gone(years)


def test_a_clock_that_runs_a_year_ahead_is_refused() -> None:
    years = Years()
    years.run(120, what_must_be_there)
    with pytest.raises(Refused, match="would go at once"):
        years.prune(years.now + timedelta(days=365))


def test_the_bucket_counts_the_days_itself_even_if_everybody_let_a_wrong_clock_pass() -> None:
    """But not of a file that several backups share: it is as old as the first of them."""
    years = Years(max_percent=100)
    years.run(120, what_must_be_there)
    years.prune(years.now + timedelta(days=365))
    years.run(60, the_database_must_be_there)


def test_without_the_daily_run_a_locked_backup_can_not_be_deleted_before_its_days_are_over() -> (
    None
):
    years = Years()
    years.run(60, lambda _: None)
    locked = [v for found in years.bucket.versions.values() for v in found if v.locked_until]
    assert locked
    for version in locked:
        assert version.locked_until
        series = next(s for s in WEEKLIES if version.key.startswith(s.prefix))
        assert version.locked_until - version.created == timedelta(days=KEEP[series].days)


_spans = st.tuples(st.integers(20, 120), st.integers(1, 45))


@settings(max_examples=4)
@given(fails=_spans, bad=_spans)
@example(fails=(100, 1), bad=(101, 45))
def test_whatever_fails_and_for_however_long_the_promise_holds(
    fails: tuple[int, int], bad: tuple[int, int]
) -> None:
    years = Years(
        fails=between(fails[0], sum(fails)), bad=between(bad[0], sum(bad)), max_percent=100
    )
    years.run(200, what_must_be_there)
