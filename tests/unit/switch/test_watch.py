"""The watch's verdict, and reading nginx's lines."""

from __future__ import annotations

import pytest

from ops.switch.protocol import Watch
from ops.switch.watch import Figures, Served, Tally, parse, verdict

LIMITS = Watch(token="t", seconds=60, error_rate=0.02, p95_ms=500, min_requests=50)


@pytest.mark.parametrize(
    ("figures", "finished", "words"),
    [
        (Figures(), False, ""),
        (Figures(), True, ""),
        (Figures(requests=1000, errors=20, p95_ms=100), True, ""),
        (Figures(requests=1000, errors=21, p95_ms=100), False, "error rate 2.10% is above 2.00%"),
        (Figures(requests=49, errors=49), True, ""),
        (Figures(requests=50, errors=2), False, "error rate 4.00% is above 2.00%"),
        (Figures(requests=100, p95_ms=501), False, ""),
        (Figures(requests=100, p95_ms=501), True, "p95 501 ms is above 500 ms"),
        (Figures(requests=49, p95_ms=9000), True, ""),
        (Figures(failed_rounds=1, probe="x"), True, ""),
        (Figures(failed_rounds=2, probe="x"), False, "2 probe rounds in a row failed: x"),
    ],
)
def test_verdict(figures: Figures, finished: bool, words: str) -> None:
    assert verdict(figures, LIMITS, finished) == words


def test_without_a_limit_slowness_is_no_reason() -> None:
    relaxed = LIMITS.model_copy(update={"p95_ms": None})
    assert verdict(Figures(requests=100, p95_ms=9e9), relaxed, True) == ""


def test_a_line_of_nginx_is_read() -> None:
    line = "<190>Nov 22 16:00:00 edge: 5 1.1.0+bbbbbbbbbbbb 502 0.012 10.0.0.9"
    assert parse(line) == Served(5, "1.1.0+bbbbbbbbbbbb", 502, 0.012, "10.0.0.9")


@pytest.mark.parametrize("line", ["", "<190>Nov 22 edge: 5 x", "edge:  none 200 - 1.2.3.4"])
def test_other_lines_are_ignored(line: str) -> None:
    assert parse(line) is None


def test_only_the_targets_requests_since_the_switch_count() -> None:
    tally = Tally(5, "new", "10.0.0.65")
    tally.add(Served(5, "new", 200, 0.1, "10.0.0.9"))
    tally.add(Served(5, "new", 503, 0.2, "10.0.0.9"))
    tally.add(Served(4, "new", 500, 0.1, "10.0.0.9"))  # an earlier time that it was live
    tally.add(Served(5, "old", 500, 0.1, "10.0.0.9"))
    tally.add(Served(5, "new", 500, 0.1, "10.0.0.65"))  # our own probe
    tally.add(Served(5, "new", 101, 900.0, "10.0.0.9"))  # a WebSocket's whole life
    assert tally.figures() == Figures(requests=2, errors=1, p95_ms=200)


def test_p95_is_what_95_in_100_did_not_exceed() -> None:
    tally = Tally(5, "new", "")
    for number in range(1, 101):
        tally.add(Served(5, "new", 200, number / 1000, "c"))
    assert tally.figures().p95_ms == 95
