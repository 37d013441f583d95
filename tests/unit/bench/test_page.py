"""The page and its chart, from results as a run writes them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.figures import Change, Kind, Latency, Run
from bench.page import Goal, Results, chart, goals, page

STEADY = Latency(20, 25, 30)


def change(contender: str, kind: Kind, switched: float, round_: int = 0) -> Change:
    return Change(
        contender, kind, round_, switched + 2, switched, 1000, 0, 1, STEADY, STEADY, 3.0, 200.0
    )


SECONDS: tuple[tuple[str, Kind, float], ...] = (
    ("floor", "deploy", 3.0),
    ("floor", "rollback", 0.2),
    ("ytops", "deploy", 6.0),
    ("ytops", "rollback", 2.0),
    ("pulumi", "deploy", 5.5),
    ("pulumi", "rollback", 1.5),
)


def happy() -> dict[str, Any]:
    """Three rounds in which every goal is met."""
    changes = [
        change(name, kind, seconds + turn, turn)
        for turn in range(3)
        for name, kind, seconds in SECONDS
    ]
    runs = [Run(what, 0, 2.0, 1.5, 300) for what in ("preview", "nothing to do")]
    runs += [
        Run(f"{what}: {run}", of, 2.0 + of / 100, 1.0, 300.0)
        for what in ("containers", "releases")
        for run in ("preview", "nothing to do")
        for of in (1, 50, 200)
    ]
    return {
        "started": "2026-01-02T03:04:05+00:00",
        "minutes": 15.0,
        "rounds": 3,
        "rate": 100,
        "machine": {"cores": "2"},
        "changes": [asdict(each) for each in changes],
        "runs": [asdict(each) for each in runs],
        "problems": [],
    }


def judged(results: dict[str, Any], words: str) -> Goal:
    return next(goal for goal in goals(Results(results)) if words in goal.goal)


def worsened(contender: str, **properties: Any) -> dict[str, Any]:
    """The same with each change of one contender made worse."""
    results = happy()
    for each in results["changes"]:
        if each["contender"] == contender:
            each |= properties
    return results


def test_a_row_holds_medians_of_the_rounds() -> None:
    row = Results(happy()).rows("deploy")["floor"]
    assert (row.switched, row.seconds, row.sent, row.rounds) == (4.0, 6.0, 3000, 3)


def test_every_goal_of_a_happy_run_is_met() -> None:
    assert [goal for goal in goals(Results(happy())) if not goal.met] == []


@pytest.mark.parametrize(
    ("goal", "properties"),
    [
        ("deploy (ytops)", {"switched": 8.1}),
        ("rollback (ytops)", {"switched": 4.3}),
        ("0 failed", {"failed": 1}),
        ("flip exactly once", {"flips": 3}),
        ("p99 during", {"during": asdict(replace(STEADY, p99=38))}),
    ],
)
def test_a_goal_is_missed_by_what_it_is_about(goal: str, properties: dict[str, Any]) -> None:
    results = worsened("ytops", **properties)
    assert judged(results, goal).met is False
    assert "| **not met** |" in page(Results(results))


def test_what_peers_do_is_no_goal_of_ours() -> None:
    results = happy()
    results["changes"].append(asdict(replace(change("manual", "deploy", 50), failed=90)))
    assert judged(results, "0 failed").met


def test_a_slow_preview_and_a_steep_growth_are_told() -> None:
    results = happy()
    for run in results["runs"]:
        run["seconds"] = 4.1 + run["of"] / 10
    assert judged(results, "preview ≤").met is False
    assert judged(results, "preview grows").figure == "100.0 ms"


def test_what_was_not_measured_is_not_judged() -> None:
    results = {**happy(), "runs": []}
    results["changes"] = [c for c in results["changes"] if c["contender"] != "floor"]
    assert {judged(results, words).met for words in ("deploy (ytops)", "preview ≤")} == {None}
    assert "| not measured |" in page(Results(results))


def test_the_page_names_ratios_to_the_floor_and_the_machine() -> None:
    text = page(Results(happy()))
    assert "| **`ytops`** | 7.0 | 1.8 | 9.0 | 0 of 3000 | 1, 1, 1 |" in text
    assert "- cores: 2" in text


def test_who_failed_is_named_and_why() -> None:
    results = {**happy(), "problems": ["swarm: up ended with 1:\nits whole output"]}
    assert "\n- swarm: up ended with 1:\n\n## Goals" in page(Results(results))


def test_the_chart_is_an_svg_that_names_everyone() -> None:
    drawn = chart(Results(happy()))
    words = [text.text for text in ElementTree.fromstring(drawn).iter() if text.text]
    assert {"floor: shell, by hand", "ytops", "pulumi up", "7.0 s (9.0 s)"} <= set(words)
