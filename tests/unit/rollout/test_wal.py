"""The log's files by their names, and what leads to a time."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.backups import Folder
from rollout.records import BackupManifest
from rollout.recovery import OutOfReach, chain, ranges, towards
from rollout.retention import Series
from rollout.wal import (
    SEGMENT_BYTES,
    Piece,
    Segment,
    WalError,
    check_segment,
    piece_of,
    position,
)

SYSTEM = "7711186510008397845"
TEN = datetime(2027, 6, 16, 10, tzinfo=UTC)
SUM = "ab" * 32


def base(at: datetime = TEN, wal_to: str = "0/8000100", system: str = SYSTEM) -> BackupManifest:
    folder = Folder.of(Series.BASE, at)
    return BackupManifest.model_validate(
        {
            "series": Series.BASE,
            "stack": "production",
            "started": at,
            "finished": at + timedelta(minutes=1),
            "artifacts": [{"key": folder.key("base.tar.zst.age"), "bytes": 9, "sha256": SUM}],
            "tools": {"pg_basebackup": "15.13"},
            "system": system,
            "timeline": 1,
            "wal_from": "0/8000028",
            "wal_to": wal_to,
        }
    )


def piece(number: int, timeline: int = 1, system: str = SYSTEM) -> Piece:
    """Segment 9 is closed at 10:02, and then one each minute."""
    closed = TEN + timedelta(minutes=number - 7)
    return Piece(closed, system, str(Segment(number, timeline)), SUM)


def log(*numbers: int) -> list[Piece]:
    return [piece(number) for number in numbers]


def page(number: int, system: str = SYSTEM, size: int = SEGMENT_BYTES) -> bytes:
    head = struct.pack("<HHIQI4xQI", 0xD110, 2, 1, number * SEGMENT_BYTES, 0, int(system), size)
    return head.ljust(SEGMENT_BYTES, b"\0")


# Names


@given(st.integers(0, 2**40 - 1), st.integers(1, 2**32 - 1))
def test_a_segment_is_known_by_its_name(number: int, timeline: int) -> None:
    segment = Segment(number, timeline)
    assert Segment.of(str(segment)) == segment


def test_a_log_has_256_segments() -> None:
    assert str(Segment(0x1FF, 2)) == "0000000200000001000000FF"
    assert Segment.ending("1/FF000001", 2) == Segment(0x1FF, 2)
    assert Segment.ending("2/0", 2) == Segment(0x1FF, 2)
    assert position("2/10") == 2 * 2**32 + 16


@pytest.mark.parametrize("name", ["00000001000000000000000", "00000001.history", "x" * 24])
def test_what_is_no_segment_says_what_was_expected(name: str) -> None:
    with pytest.raises(WalError, match="expected the name of a WAL segment"):
        Segment.of(name)


@pytest.mark.parametrize("name", [str(Segment(9, 1)), "00000002.history"])
def test_a_key_says_all_that_is_known_of_a_file(name: str) -> None:
    one = Piece(TEN, SYSTEM, name, SUM)
    assert one.key == f"database/wal/20270616T100000Z/{SYSTEM}-{name}-{SUM}.zst.age"
    assert piece_of(one.key) == one


@pytest.mark.parametrize(
    "key",
    [
        f"database/base/20270616T100000Z/{SYSTEM}-{Segment(9, 1)}-{SUM}.zst.age",
        f"database/wal/20270616T100000Z/{SYSTEM}-{Segment(9, 1)}-{SUM}.zst.age.partial",
        "database/wal/20270616T100000Z/manifest.json",
    ],
)
def test_other_keys_are_no_files_of_the_log(key: str) -> None:
    assert piece_of(key) is None


def test_a_segment_s_first_page_must_be_what_its_name_says() -> None:
    name = str(Segment(9, 1))
    check_segment(name, page(9), SYSTEM)
    with pytest.raises(WalError, match="expected 16777216 bytes, got 100"):
        check_segment(name, page(9)[:100], SYSTEM)
    with pytest.raises(WalError, match="expected WAL of system 1, got"):
        check_segment(name, page(9), "1")
    with pytest.raises(WalError, match="its first page is that of position A000000"):
        check_segment(name, page(10), SYSTEM)
    with pytest.raises(WalError, match="expected segments of 16777216 bytes, got 1048576"):
        check_segment(name, page(9, size=1 << 20), SYSTEM)


# What follows what


def test_the_log_follows_the_segment_in_which_the_base_backup_ended() -> None:
    reach = chain(base(), log(7, 8, 9, 10, 11))
    assert [Segment.of(p.name).number for p in reach.segments] == [9, 10, 11]
    assert reach.reached == TEN + timedelta(minutes=4)
    assert reach.missing is None


def test_a_base_backup_without_a_log_reaches_its_own_end() -> None:
    assert chain(base(), log(7, 8)).reached == TEN + timedelta(minutes=1)


def test_a_gap_ends_it_and_is_named() -> None:
    reach = chain(base(), log(9, 10, 12, 13))
    assert reach.missing == Segment(11, 1)
    assert reach.reached == TEN + timedelta(minutes=3)


def test_the_later_timeline_goes_on_and_never_back() -> None:
    found = [*log(9, 10, 11), piece(10, 2), piece(12, 1), piece(11, 2)]
    reach = chain(base(), found)
    assert [p.name for p in reach.segments] == [
        str(Segment(9, 1)), str(Segment(10, 2)), str(Segment(11, 2)),
    ]  # fmt: skip


def test_another_system_s_log_leads_nowhere() -> None:
    assert chain(base(), [piece(9, system="1")]).segments == ()


def test_two_base_backups_on_one_log_are_one_range() -> None:
    later = base(TEN + timedelta(minutes=3), wal_to="0/A000100")
    (one,) = ranges([later, base()], log(9, 10, 11, 12))
    assert (one.since, one.until) == (TEN + timedelta(minutes=1), TEN + timedelta(minutes=5))


def test_a_gap_makes_two_ranges() -> None:
    later = base(TEN + timedelta(minutes=5), wal_to="0/C000100")
    first, second = ranges([base(), later], log(9, 10, 12, 13))
    assert first.missing == Segment(11, 1)
    assert first.until < second.since
    assert second.missing is None


# A time


def refused(at: datetime, *bases: BackupManifest, found: list[Piece]) -> str:
    with pytest.raises(OutOfReach) as error:
        towards(at, bases, found, TEN + timedelta(hours=1))
    return str(error.value)


def test_the_newest_base_backup_before_a_time_is_taken() -> None:
    later = base(TEN + timedelta(minutes=3), wal_to="0/A000100")
    found = log(9, 10, 11, 12)
    now = TEN + timedelta(hours=1)
    assert towards(TEN + timedelta(minutes=5), [base(), later], found, now).base == later
    assert towards(TEN + timedelta(minutes=2), [base(), later], found, now).base == base()


def test_a_time_that_can_t_be_reached_says_why_and_which_could() -> None:
    found = log(9, 10, 12)
    assert "is in the future" in refused(TEN + timedelta(hours=2), base(), found=found)
    assert "the oldest is of 2027-06-16 10:01:00 UTC" in refused(TEN, base(), found=found)
    assert "there is none" in refused(TEN, found=found)
    gap = refused(TEN + timedelta(minutes=4), base(), found=found)
    assert f"WAL segment {Segment(11, 1)} is missing" in gap
    assert "the last time that can be reached is 2027-06-16 10:03:00 UTC" in gap
    late = refused(TEN + timedelta(minutes=9), base(), found=log(9, 10))
    assert "has not been shipped" in late
    anew = [*log(9, 10), piece(12, system="1")]
    assert "The database was made anew" in refused(TEN + timedelta(minutes=4), base(), found=anew)
