"""docs/faults.md is made of what was played, and hides nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.e2e.faults import results
from tests.e2e.faults.catalogue import Fault, catalogue
from tests.e2e.faults.results import Result, page, played, printed
from tests.e2e.load import Answer
from tests.e2e.world import Outcome

FAULT = Fault(
    "kill-engine@migrate-mid", "The engine is killed", "in the middle", lambda scene: None
)
GOOD = Result(
    FAULT.id,
    at="2026-11-22T20:00:00+00:00",
    machine="2 cores",
    requests=2000,
    state="live: the release before",
    recovery="`ytops up`",
    ended="in 14 s: healthy",
)


def test_a_row_says_what_users_saw_and_what_brought_it_back() -> None:
    text = page([FAULT], {FAULT.id: GOOD})
    row = (
        "| in the middle | nothing: 0 of 2,000 failed | live: the release before "
        "| `ytops up` in 14 s |"
    )
    assert row in text
    assert "All of them were mastered." in text


def test_a_fault_that_was_not_mastered_is_said_so() -> None:
    bad = Result(FAULT.id, GOOD.at, GOOD.machine, wrong="3 failed: {'502': 3}")
    text = page([FAULT], {FAULT.id: bad})
    assert "**not mastered**: 3 failed" in text
    assert "1 were not mastered." in text


def test_faults_that_were_not_played_are_counted() -> None:
    other = Fault("kill-engine@app-mid", FAULT.group, "elsewhere", FAULT.inject)
    assert "1 of the catalogue were not played." in page([FAULT, other], {FAULT.id: GOOD})


def test_the_newest_result_counts_wherever_it_was_played(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RECORD", tmp_path / "all.txt")
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    first, second = (fault.id for fault in catalogue()[:2])
    before = [replace(GOOD, fault=first), replace(GOOD, fault=second)]
    (tmp_path / "all.txt").write_text(json.dumps([asdict(each) for each in before]))
    again = replace(GOOD, fault=second, at="2026-11-29T20:00:00+00:00", requests=3000)
    again.write()
    found = played()
    assert (found[first].requests, found[second].requests) == (2000, 3000)


def test_the_outage_lasts_from_the_first_failure_to_the_last() -> None:
    result = Result(FAULT.id, GOOD.at, GOOD.machine)
    result.count([Answer(1, 0.1, 200, "a"), Answer(2, 0.5, 502, ""), Answer(3, 1.5, 0, "", "cut")])
    assert (result.requests, result.failed, result.outage) == (3, {"502": 1, "cut": 1}, 2.0)


def test_the_line_that_is_quoted_is_the_error() -> None:
    failed = Outcome(255, "Updating\nerror: update failed\nmore", 1.0)
    assert printed(failed) == "error: update failed"
    lost = Outcome(1, "error: update failed\nerror: lost /root/x/plugin at unix:///a/b", 1.0)
    assert printed(lost) == "error: lost …/plugin at unix:///a/b"
    assert printed(Outcome(0, "error: not really", 1.0)) == ""


def test_every_fault_of_the_catalogue_has_an_id_that_is_a_file_name() -> None:
    ids = [fault.id for fault in catalogue()]
    assert len(set(ids)) == len(ids)
    assert not [each for each in ids if "/" in each or " " in each]
