"""The page of the backups' benchmark, from results as runs write them."""

from __future__ import annotations

from typing import Any

import pytest

from bench.backups.figures import Kind, Run, median, written
from bench.backups.page import goals, page, sizes
from bench.page import Goal

BYTES = 500_000_000


def run(kind: Kind, contender: str, seconds: float, **changes: Any) -> Run:
    about = {"database_bytes": BYTES, "cpu_seconds": 5.0, "store_cpu_seconds": 0.5}
    return Run(kind, contender, 0, seconds=seconds, **{"memory_mb": 120.0, **about, **changes})


def happy() -> list[Run]:
    """Every goal is met."""
    return [
        run("backup", "manual", 20, result_bytes=150_000_000),
        run("backup", "local", 6, result_bytes=140_000_000),
        run("backup", "ytops", 8, result_bytes=140_000_000),
        run("restore", "parallel", 10),
        run("restore", "ytops", 15, stages={"read": 2.0, "load": 8.0, "verify": 4.0, "swap": 1.0}),
        run("verify", "ytops", 14, stages={"drive1": 0.5, "restore": 12.0}),
    ]


def results(*runs: Run) -> dict[str, Any]:
    about = {
        "started": "2026-01-02T03:04:05+00:00",
        "minutes": 3.0,
        "rounds": 1,
        "machine": {"cores": "2"},
        "problems": [],
    }
    return {"sizes": {"0.5": {**about, "runs": written(runs)}}}


def judged(found: dict[str, Any], words: str) -> Goal:
    return next(goal for goal in goals(sizes(found)) if words in goal.goal)


def test_a_run_in_which_all_goals_are_met() -> None:
    assert all(goal.met for goal in goals(sizes(results(*happy()))))


@pytest.mark.parametrize(
    ("changed", "words", "figure"),
    [
        (run("backup", "ytops", 11, result_bytes=1), "backup, throughput", "1.82 times"),
        (run("backup", "local", 11, result_bytes=1), "drives only", "1.82 times"),
        (run("backup", "ytops", 8, result_bytes=160_000_000), "same size", "1.07 times"),
        (run("backup", "ytops", 8, result_bytes=1, memory_mb=201), "memory of a backup", "201 MB"),
        (run("restore", "ytops", 20, stages={"read": 3.0, "load": 9.0}), "restore", "0.83 times"),
    ],
)
def test_a_goal_that_is_missed_is_told(changed: Run, words: str, figure: str) -> None:
    kept = [r for r in happy() if (r.kind, r.contender) != (changed.kind, changed.contender)]
    goal = judged(results(*kept, changed), words)
    assert not goal.met
    assert goal.figure.startswith(figure)


def test_memory_that_grows_with_the_database_is_told() -> None:
    found = results(*happy())
    grown = run("backup", "ytops", 30, result_bytes=1, memory_mb=180)
    found["sizes"]["2"] = {**found["sizes"]["0.5"], "runs": written([grown])}
    assert judged(found, "at every size").figure == "1.50 times"
    assert not judged(found, "at every size").met


def test_the_page_names_its_sizes_and_has_a_row_for_each_contender() -> None:
    text = page(results(*happy()))
    assert "databases of 0.5 GB were measured" in text
    assert "| the manual's way | 20.0 | 25 | 150 | 3.3 | 5.0 | 0.5 | 120 |" in text
    assert "Our restore, 15.0 s: read 2.0 s, load 8.0 s, verify 4.0 s, swap 1.0 s." in text


def test_of_several_rounds_seconds_are_medians_and_memory_is_the_largest() -> None:
    rounds = [run("backup", "ytops", s, memory_mb=m) for s, m in ((1, 90), (5, 130), (2, 100))]
    together = median(rounds)
    assert (together.seconds, together.memory_mb, together.round) == (2, 130, 3)
