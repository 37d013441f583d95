"""A backup as it lies in a place: its keys, what counts as one, what is due, what may be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.backups import (
    DATABASE,
    MANIFEST,
    Catalogue,
    Folder,
    Look,
    catalogue,
    differing_rows,
    folder_of,
    held_by,
    is_text,
    leftovers,
    next_series,
    overdue,
    pack_name,
    still_needed,
    text,
    to_restore,
)
from rollout.records import BackupManifest, Check, Status, Verification
from rollout.retention import DUMPS, Backup, Listing, Refused, Series, month, tags, week

NOON = datetime(2027, 6, 16, 12, tzinfo=UTC)
TABLES = {"public.users": 3, "public.videos": 40}

series = st.sampled_from(list(Series))
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def manifest(folder: Folder, **changes: Any) -> BackupManifest:
    usual = {
        "series": folder.series,
        "stack": "production",
        "started": folder.taken,
        "finished": folder.taken + timedelta(seconds=40),
        "rows": TABLES,
        "artifacts": [{"key": folder.key(DATABASE), "bytes": 10, "sha256": "ab" * 32}],
        "tools": {"pg_dump": "15.13"},
    }
    return BackupManifest.model_validate({**usual, **changes})


def look(at: datetime, place: str = "bucket", **found: Status) -> Look:
    checks: tuple[Check, ...] = ("checksum", "restore", "counts", "amcheck")
    return Look(
        at=at,
        verifications=tuple(
            Verification(check=check, status=found[check], at=at, place=place)
            for check in checks
            if check in found
        ),
    )


GOOD = {"restore": Status.PASS, "counts": Status.PASS}


class Place:
    """Keys and texts, as a drive or the bucket has them."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.texts: dict[str, str] = {}

    def put(self, folder: Folder, *looks: Look, **changes: Any) -> Folder:
        self.keys.add(folder.key(DATABASE))
        self.write(folder.key(MANIFEST), text(manifest(folder, **changes)))
        for one in looks:
            self.write(folder.look(one.at), text(one))
        return folder

    def write(self, key: str, body: str) -> None:
        self.keys.add(key)
        self.texts[key] = body

    def read(self) -> Catalogue:
        return catalogue("the bucket", "production", self.keys, self.texts)


def folder(hours: float = 0, of: Series = Series.DAILY) -> Folder:
    return Folder.of(of, NOON - timedelta(hours=hours))


# Keys


@given(series, times)
def test_a_key_says_whose_it_is(of: Series, taken: datetime) -> None:
    found = Folder.of(of, taken)
    assert folder_of(found.key(DATABASE)) == (found, DATABASE)
    assert found.key(DATABASE).startswith(of.prefix)
    assert is_text(found.key(MANIFEST))
    assert is_text(found.look(taken))
    assert not is_text(found.key(DATABASE))


@given(series, times, times)
def test_keys_of_a_series_sort_by_time(of: Series, first: datetime, second: datetime) -> None:
    a, b = Folder.of(of, first), Folder.of(of, second)
    assert (str(a) < str(b)) == (a.taken < b.taken)


def test_a_key_is_in_utc_wherever_the_clock_is() -> None:
    late = datetime.fromisoformat("2025-01-09T22:00:00-08:00")
    assert str(Folder.of(Series.DAILY, late)) == "database/daily/20250110T060000Z"


@pytest.mark.parametrize(
    "key", ["", "notes.txt", "database/daily/x", "dump/20270101T100000Z/manifest.json", "logs/x/y"]
)
def test_what_is_no_backup_s_is_told_apart(key: str) -> None:
    assert folder_of(key) is None


# What there is


def test_what_is_found_later_joins_the_manifest() -> None:
    place = Place()
    place.put(folder(5), look(NOON, **GOOD))
    (found,) = place.read().backups
    assert found.manifest is not None
    assert found.manifest.status("restore") == Status.PASS
    assert found.proved is True


def test_the_newest_comes_first() -> None:
    place = Place()
    for hours in (3, 9, 1):
        place.put(folder(hours, Series.WEEKLY if hours == 9 else Series.DAILY))
    assert [s.folder for s in place.read().stored] == [
        folder(1),
        folder(3),
        folder(9, Series.WEEKLY),
    ]


def test_one_bad_copy_is_not_made_good_by_another() -> None:
    place = Place()
    bad = look(NOON, "drive1", checksum=Status.FAIL)
    place.put(folder(5), bad, look(NOON + timedelta(hours=1), "bucket", **GOOD))
    assert place.read().stored[0].backup.verified is False


def test_a_copy_that_is_good_again_counts_again() -> None:
    place = Place()
    bad = look(NOON, "drive1", checksum=Status.FAIL)
    good = look(NOON + timedelta(hours=1), "drive1", checksum=Status.PASS, **GOOD)
    place.put(folder(5), bad, good)
    assert place.read().stored[0].backup.verified is True


def test_a_backup_without_manifest_is_none_and_may_go_in_time() -> None:
    place = Place()
    place.keys.add(folder(5).key(DATABASE))
    found = place.read()
    assert (found.backups, found.problems) == ((), ())
    assert found.listing().backups[0].verified is False


def test_a_backup_that_lost_a_file_is_none() -> None:
    place = Place()
    place.put(folder(5), look(NOON, **GOOD))
    place.keys.remove(folder(5).key(DATABASE))
    found = place.read()
    assert found.backups == ()
    assert found.stored[0].missing == (folder(5).key(DATABASE),)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ('{"series": "database/daily",', "is not whole: Invalid JSON"),
        ("{}", "is not whole: series: Field required"),
        (None, "can't be read"),
        (text(manifest(folder(6))), "is another backup's"),
    ],
)
def test_a_listing_with_a_manifest_that_is_not_right_removes_nothing(
    broken: str | None, words: str
) -> None:
    place = Place()
    key = place.put(folder(5)).key(MANIFEST)
    place.texts.pop(key)
    if broken is not None:
        place.texts[key] = broken
    found = place.read()
    assert any(words in problem for problem in found.problems), found.problems
    with pytest.raises(Refused, match="the listing is incomplete"):
        tags(found.listing(), NOON)


def test_another_stack_s_backups_are_left_alone() -> None:
    place = Place()
    place.put(folder(5), stack="sandbox")
    assert place.read() == Catalogue("the bucket")


# What is due


def test_the_first_dump_of_all_is_the_month_s() -> None:
    assert next_series(Listing(()), NOON) == Series.MONTHLY


def test_the_first_after_the_full_s_hour_is_the_full_and_the_next_is_not() -> None:
    ten = NOON.replace(hour=10)
    monday = [
        Backup(Series.MONTHLY, ten - timedelta(days=9), ("a",)),
        Backup(Series.DAILY, ten - timedelta(hours=1), ("b",)),
    ]
    assert next_series(Listing(tuple(monday)), ten) == Series.WEEKLY
    made = Backup(Series.WEEKLY, ten, ("c",))
    later = ten + timedelta(hours=4)
    assert next_series(Listing((*monday, made)), later) == Series.DAILY
    bad = Backup(Series.WEEKLY, ten, ("c",), verified=False)
    assert next_series(Listing((*monday, bad)), later) == Series.WEEKLY


hours = st.lists(st.integers(0, 24 * 70), min_size=1, max_size=200, unique=True)


@given(hours)
def test_each_day_week_and_month_with_a_run_after_its_hour_has_one_full_of_it(
    runs: list[int],
) -> None:
    """Whenever somebody, or a scheduler that slept, runs the job."""
    made: list[Backup] = []
    for hour in sorted(runs):
        now = NOON + timedelta(hours=hour)
        made.append(Backup(next_series(Listing(tuple(made)), now), now, (str(hour),)))
    for of, period in ((Series.MONTHLY, month), (Series.WEEKLY, week)):
        periods = [period(b.taken) for b in made if b.series == of]
        assert len(periods) == len(set(periods))
    full = {week(b.taken) for b in made if b.series in (Series.WEEKLY, Series.MONTHLY)}
    assert full >= {week(b.taken) for b in made if b.taken.hour == 10}
    assert made[0].series == Series.MONTHLY
    assert {b.series for b in made} <= DUMPS
    assert {month(b.taken) for b in made if b.series == Series.MONTHLY} >= {
        month(b.taken) for b in made if b.taken.hour == 10
    }


def test_a_dump_is_overdue_from_the_hour_that_it_was_wanted_at() -> None:
    ten = Backup(Series.DAILY, NOON.replace(hour=10), ("a",))
    assert overdue(Listing((ten,)), NOON) is None
    assert overdue(Listing((ten,)), NOON.replace(hour=14, minute=5)) == timedelta(minutes=5)
    tomorrow = NOON + timedelta(days=1)
    assert overdue(Listing((ten,)), tomorrow) == timedelta(hours=22)
    assert overdue(Listing(()), NOON) == timedelta(hours=2)


def test_the_newest_of_each_series_is_restored_once() -> None:
    place = Place()
    place.put(folder(1))
    place.put(folder(5))
    place.put(folder(30, Series.WEEKLY), look(NOON, **GOOD))
    place.put(folder(90, Series.MONTHLY))
    assert [s.folder for s in to_restore(place.read())] == [folder(90, Series.MONTHLY), folder(1)]


def test_a_drive_s_backup_is_held_when_the_bucket_has_it_whole() -> None:
    bucket, drive = Place(), Place()
    for hours in (1, 5, 9):
        drive.put(folder(hours))
    bucket.put(folder(1))
    bucket.put(folder(5), look(NOON, "bucket", checksum=Status.FAIL))
    held = held_by(bucket.read())
    assert [held(b) for b in drive.read().listing().backups] == [True, False, False]


# Files: what several backups need


def pack(hours: float, number: int = 1) -> str:
    return folder(hours, Series.MEDIA).key(pack_name(number))


def files(place: Place, hours: float, *packs: str) -> Folder:
    """A backup of files that needs these, wherever they lie."""
    at = folder(hours, Series.MEDIA)
    keys = [at.key("index.zst.age"), *packs]
    place.keys |= {*keys}
    told = [{"key": key, "bytes": 10, "sha256": "ab" * 32} for key in keys]
    place.write(at.key(MANIFEST), text(manifest(at, artifacts=told)))
    return at


def test_a_backup_of_files_has_what_an_earlier_one_stored() -> None:
    place = Place()
    files(place, 48, pack(48))
    files(place, 24, pack(48), pack(24))
    later, earlier = place.read().backups
    assert {pack(48), pack(24)} <= set(later.backup.keys)
    assert pack(48) in earlier.keys
    place.keys.remove(pack(48))
    assert [s.missing for s in place.read().stored] == [(pack(48),), (pack(48),)]


def test_what_a_later_backup_needs_is_not_told_to_expire_with_its_own() -> None:
    place = Place()
    for day in range(20):
        at = files(place, 24 * day, pack(24 * 19), pack(24 * day, 2))
        place.write(at.key("looked-20270616T110000Z.json"), text(look(NOON, **GOOD)))
    told = tags(place.read().listing(), NOON, max_percent=50)
    assert pack(24 * 19, 2) in told
    assert pack(24 * 19) not in told


def test_files_that_only_grow_lose_nothing_and_refuse_nothing() -> None:
    """A pack each day, and each backup needs all before it; what is told to expire goes at once."""
    place, packs = Place(), list[str]()
    for day in range(60):
        now, hours = NOON + timedelta(days=day), -24 * day
        packs.append(pack(hours))
        at = files(place, hours, *packs)
        place.write(at.look(now), text(look(now, **GOOD)))
        for key in tags(place.read().listing(), now):
            place.keys.remove(key)
            place.texts.pop(key, None)
    assert place.keys.issuperset(packs)
    assert len(place.read().backups) == 14


def test_a_drive_s_rest_goes_when_nobody_needs_it_and_it_is_old() -> None:
    place = Place()
    place.keys |= {pack(24 * 9), pack(24 * 8), pack(24)}
    files(place, 12, pack(24 * 8))
    assert leftovers(place.read(), (), NOON) == (folder(24 * 9, Series.MEDIA),)
    assert still_needed(place.read(), ()) >= {pack(24 * 8)}


def test_a_backup_is_told_to_expire_when_all_that_is_its_own_was() -> None:
    keys = [folder(5).key(name) for name in (DATABASE, MANIFEST)]
    body = {keys[1]: text(manifest(folder(5)))}
    half = catalogue("bucket", "production", keys, body, frozenset(keys[:1]))
    whole = catalogue("bucket", "production", keys, body, frozenset(keys))
    assert [half.stored[0].tagged, whole.stored[0].tagged] == [False, True]


def test_each_kind_is_overdue_by_its_own_hour() -> None:
    dump = Backup(Series.DAILY, NOON.replace(hour=10), ("a",))
    media = Backup(Series.MEDIA, NOON - timedelta(days=1, hours=1), ("b",))
    assert overdue(Listing((dump, media)), NOON, "media") == timedelta(hours=1)
    assert overdue(Listing((dump, media)), NOON) is None


# What is found


def test_rows_that_differ_are_told_by_table() -> None:
    assert differing_rows(TABLES, TABLES) == ""
    assert differing_rows(TABLES, {"public.users": 1, "public.x": 0}) == (
        "public.users: expected 3 rows, got 1 row; "
        "public.videos: expected 40 rows, got no such table; "
        "public.x: expected no such table, got 0 rows"
    )
