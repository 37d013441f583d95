"""The night's window, across midnight and across both changes of the clock; once a night."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.state import Event
from rollout.window import Night, Window, deploys_since

MANUAL = Window.parse("22:00-02:00", "America/Los_Angeles")
ZONES = ("America/Los_Angeles", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC")
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
MINUTES = st.integers(0, 24 * 60 - 1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@st.composite
def windows(draw: Any) -> Window:
    begin, length = draw(MINUTES), draw(st.integers(1, 24 * 60 - 1))
    ends = (begin + length) % (24 * 60)
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    return Window(time(begin // 60, begin % 60), time(ends // 60, ends % 60), zone)


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-11-22T21:59:59-08:00", False),
        ("2026-11-22T22:00:00-08:00", True),
        ("2026-11-22T23:59:59-08:00", True),
        ("2026-11-23T00:00:00-08:00", True),
        ("2026-11-23T01:59:59-08:00", True),
        ("2026-11-23T02:00:00-08:00", False),
        ("2026-11-23T12:00:00-08:00", False),
        ("2026-07-01T22:00:00-07:00", True),
        ("2026-07-01T21:30:00-07:00", False),
    ],
)
def test_the_window_is_open_from_ten_until_two(moment: str, is_open: bool) -> None:
    assert (MANUAL.now(at(moment)) is not None) == is_open


def test_after_midnight_it_is_still_the_evening_s_window() -> None:
    night = MANUAL.now(at("2026-11-23T01:00:00-08:00"))
    assert night is not None
    assert night.evening == date(2026, 11, 22)


@pytest.mark.parametrize(
    ("evening", "begins", "ends"),
    [
        ("2026-11-22", "2026-11-23T06:00+00:00", "2026-11-23T10:00+00:00"),
        ("2026-07-01", "2026-07-02T05:00+00:00", "2026-07-02T09:00+00:00"),
        # Spring: 02:00 is left out, and 03:00 summer time is the same moment.
        ("2026-03-07", "2026-03-08T06:00+00:00", "2026-03-08T10:00+00:00"),
        # Autumn: 01:00 to 02:00 comes twice, and the window is an hour longer.
        ("2026-10-31", "2026-11-01T05:00+00:00", "2026-11-01T10:00+00:00"),
    ],
)
def test_the_clock_changes_in_the_window(evening: str, begins: str, ends: str) -> None:
    night = MANUAL.night(date.fromisoformat(evening))
    assert night == Night(date.fromisoformat(evening), at(begins), at(ends))


@given(windows(), MOMENTS)
def test_a_moment_lies_in_the_last_window_or_before_the_next(
    window: Window, moment: datetime
) -> None:
    last, following = window.last(moment), window.next(moment)
    assert last.begins <= moment < following.ends
    assert (moment in last) == (moment in following) == (window.now(moment) is not None)
    if moment in last:
        assert last == following
    else:
        assert last.ends <= moment < following.begins


@given(windows(), MOMENTS)
def test_an_open_window_shows_its_hours_on_the_clock(window: Window, moment: datetime) -> None:
    shown = moment.astimezone(window.zone).time()
    inside = (
        window.begins <= shown < window.ends
        if window.begins < window.ends
        else shown >= window.begins or shown < window.ends
    )
    gap = window.zone.key != "UTC" and _clock_changes_near(window.zone, moment)
    assert gap or inside == (window.now(moment) is not None)


def _clock_changes_near(zone: ZoneInfo, moment: datetime) -> bool:
    a, b = ((moment + timedelta(hours=h)).astimezone(zone).utcoffset() for h in (-26, 26))
    return a != b


@given(windows(), st.dates(date(2024, 1, 1), date(2030, 1, 1)))
def test_nights_do_not_overlap(window: Window, evening: date) -> None:
    following = window.night(evening + timedelta(days=1))
    assert window.night(evening).ends <= following.begins or window._minutes > 22 * 60


@pytest.mark.parametrize("text", ["", "22:00", "22-02", "22:00-02:00-04:00", "25:00-02:00"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a window such as 22:00-02:00"):
        Window.parse(text)


def test_a_window_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="a window whose end differs from its beginning"):
        Window.parse("22:00-22:00")


@pytest.mark.parametrize(
    ("text", "zone", "inside"),
    [
        ("22:00-02:00", "America/Los_Angeles", True),
        ("23:00-01:30", "America/Los_Angeles", True),
        ("00:30-01:00", "America/Los_Angeles", True),
        ("21:59-02:00", "America/Los_Angeles", False),
        ("23:00-02:01", "America/Los_Angeles", False),
        ("02:00-22:00", "America/Los_Angeles", False),
        ("22:00-02:00", "UTC", False),
    ],
)
def test_a_stricter_window_lies_within_the_manual_s(text: str, zone: str, inside: bool) -> None:
    assert Window.parse(text, zone).within(MANUAL) == inside


# Once a night


def event(moment: str, kind: Any = "deploy") -> Event:
    return Event(at=moment, kind=kind, serial=1, source="", target="1.1.0+a", who="deployer")


TONIGHT = at("2026-11-23T01:00:00-08:00")


@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        ("2026-11-22T22:10:00-08:00", True),
        ("2026-11-23T06:30:00+00:00", True),
        ("2026-11-22T21:50:00-08:00", False),
        ("2026-11-22T01:30:00-08:00", False),
        ("some time", True),
    ],
)
def test_a_deploy_counts_to_the_night_it_was_in(moment: str, counts: bool) -> None:
    assert len(deploys_since([event(moment)], MANUAL, TONIGHT)) == counts


@pytest.mark.parametrize("kind", ["rollback", "revert", "lock", "unlock"])
def test_nothing_but_a_deploy_counts(kind: str) -> None:
    assert deploys_since([event("2026-11-22T22:10:00-08:00", kind)], MANUAL, TONIGHT) == ()


def test_bringing_back_what_users_had_does_not_count() -> None:
    before, again = event("2026-11-21T22:10:00-08:00"), event("2026-11-22T22:10:00-08:00")
    back = before.model_copy(update={"kind": "rollback", "target": "1.0.0+a"})
    assert deploys_since([before, again], MANUAL, TONIGHT) == ()
    assert deploys_since([before, back, again], MANUAL, TONIGHT) == (again,)


def test_an_emergency_at_noon_counts_to_the_night_before() -> None:
    noon = event("2026-11-22T12:00:00-08:00")
    evening = at("2026-11-22T22:00:00-08:00")
    assert deploys_since([noon], MANUAL, at("2026-11-22T15:00:00-08:00")) == (noon,)
    assert deploys_since([noon], MANUAL, evening) == ()
