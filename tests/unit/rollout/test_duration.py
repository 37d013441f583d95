"""How long a deploy takes is what those before took."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rollout.duration import LAST, EngineRun, deploys, expected

NOW = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)


def run(hours_ago: float, seconds: float, *, creates: bool = True) -> EngineRun:
    begun = NOW - timedelta(hours=hours_ago)
    return EngineRun(begun, begun + timedelta(seconds=seconds), creates)


RUNS = [run(1, 30), run(24, 3, creates=False), run(48, 40), run(72, 5)]


def test_a_deploy_is_a_run_in_which_traffic_moved_to_another_release() -> None:
    moved = [NOW - timedelta(hours=1) + timedelta(seconds=20), NOW - timedelta(hours=47.999)]
    assert deploys(RUNS, moved) == [30, 40]


def test_where_the_host_does_not_say_what_made_something_counts() -> None:
    assert deploys(RUNS, None) == [30, 40, 5]


def test_a_host_on_which_traffic_never_moved_knows_of_none() -> None:
    assert deploys(RUNS, []) == []


def test_only_the_last_ones_count() -> None:
    assert len(deploys([run(hour, 30) for hour in range(50)], None)) == LAST


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ([], "not known: no earlier deploy is on record"),
        ([31.4], "about 31 s, as the one before"),
        ([30, 50, 33], "about 33 s: the last 3 deploys took 30 to 50 s"),
    ],
)
def test_it_is_said_with_what_it_was_taken_from(seconds: list[float], words: str) -> None:
    assert expected(seconds) == words
