"""What a load says about a change."""

from __future__ import annotations

import pytest

from bench.figures import Unswitched, flips, percentile, seen, slope
from tests.e2e.load import Answer

BEGUN, ENDED = 105.0, 110.0


def answers(*releases: str, since: float = 100.0) -> list[Answer]:
    """One answer a second, each of 20 ms; an empty name is a path that names no release."""
    return [Answer(since + n, 0.02, 200, name) for n, name in enumerate(releases)]


def switched_at_108() -> list[Answer]:
    return answers(*["1.0.0"] * 8, *["1.1.0"] * 6)


def test_all_new_is_counted_to_the_last_answer_of_the_old_release() -> None:
    assert seen(switched_at_108(), BEGUN, ENDED, "1.1.0").switched == 2.0


def test_a_late_answer_of_the_old_release_counts_also_after_the_command() -> None:
    late = [
        *switched_at_108()[:12],
        Answer(112.0, 0.02, 200, "1.0.0"),
        *answers("1.1.0", since=113),
    ]
    found = seen(late, BEGUN, ENDED, "1.1.0")
    assert found.switched == 7.0
    assert found.flips == 3


def test_a_request_that_fails_is_not_answered_by_the_new_release() -> None:
    load = [*switched_at_108(), Answer(111.5, 3.0, 502, "")]
    found = seen(load, BEGUN, ENDED, "1.1.0")
    assert (found.failed, found.switched) == (1, 6.5)
    assert found.during.max == pytest.approx(3000)


def test_what_names_no_release_says_nothing_about_the_switch() -> None:
    load = sorted([*switched_at_108(), *answers(*[""] * 14, since=100.5)], key=lambda a: a.at)
    found = seen(load, BEGUN, ENDED, "1.1.0")
    assert (found.switched, found.flips) == (2.0, 1)


def test_a_release_that_never_serves_alone_is_no_figure_but_an_error() -> None:
    with pytest.raises(Unswitched, match=r"1\.1\.0 never was the only one"):
        seen(answers(*["1.0.0", "1.1.0"] * 7, "1.0.0"), BEGUN, ENDED, "1.1.0")


def test_the_loads_first_second_is_not_steady_yet() -> None:
    slow_start = [Answer(100.0, 2.0, 200, "1.0.0"), *switched_at_108()[1:]]
    assert seen(slow_start, BEGUN, ENDED, "1.1.0").steady.max == pytest.approx(20)


def test_a_flip_is_another_release_than_the_time_before() -> None:
    assert flips(answers("a", "", "a", "b", "", "a")) == 2
    assert flips(answers("", "a")) == 0


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, value: int) -> None:
    assert percentile(range(1, 101), percent) == value


def test_the_slope_is_what_each_one_more_costs() -> None:
    assert slope([(10, 1.1), (50, 1.5), (200, 3.0)]) == pytest.approx(0.01)
