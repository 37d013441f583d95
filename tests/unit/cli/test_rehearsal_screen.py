"""What a rehearsal says: each stage in a line, what the migrations did, and the verdict."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ops.rehearsal.asking import judge
from ops.verbs.rehearse import line, screen
from rollout.records import Evidence, Rehearsal, Schema, Statement, Status, TableLock
from tests.unit.steps.parameters import RELEASE

SUM = "ab" * 32
ADD = 'ALTER TABLE "videos" ADD COLUMN "thumbnail_url" varchar(200) NULL'


def record(**changes: Any) -> Rehearsal:
    """One that passed."""
    passed = Rehearsal(
        version="1.1.0",
        digest=f"sha256:{SUM}",
        release="1.1.0+bbbb",
        previous="1.0.0+aaaa",
        backup="20260102T030405Z-1.0.0+aaaa.dump",
        started=datetime(2026, 1, 2, tzinfo=UTC),
        before=Schema(migrations={"app": "0001_initial"}, checksum=SUM),
        seconds={"total": 12.34},
        longest_lock_seconds=0.25,
        locks=(
            TableLock(
                relation="videos",
                mode="ACCESS EXCLUSIVE",
                seconds=0.25,
                blocks="readers and writers",
            ),
        ),
        statements=(
            Statement(sql=ADD, seconds=0.2, lock="ACCESS EXCLUSIVE", relation="videos"),
            Statement(sql="CREATE TABLE x ()", seconds=0.001),
        ),
        previous_release_works=Evidence(status=Status.PASS),
        verdict=Status.PASS,
    )
    return passed.model_copy(update=changes)


def text(found: Rehearsal, *failures: str) -> list[str]:
    return list(screen(found, list(failures)))


def test_a_rehearsal_that_passed() -> None:
    assert text(record()) == [
        "statements",
        f"     0.200 s  ACCESS EXCLUSIVE on videos        {ADD}",
        "     0.001 s  -                                 CREATE TABLE x ()",
        "videos was closed to readers and writers for 0.250 s (ACCESS EXCLUSIVE), longer than any "
        "other table",
        "1.1.0 can be deployed, and rolled back to 1.0.0+aaaa without a restore (12.3 s)",
    ]


def test_what_is_wrong_comes_before_the_verdict() -> None:
    broken = record(verdict=Status.FAIL, statements=(), locks=(), longest_lock_seconds=None)
    assert text(broken, "1.0.0 on the new schema: /health: expected 200, got 500") == [
        "✗ 1.0.0 on the new schema: /health: expected 200, got 500",
        "1.1.0 must not be deployed as it is (12.3 s)",
    ]


def test_a_migration_that_closes_no_table_says_so() -> None:
    quiet = record(statements=(), locks=(), longest_lock_seconds=0.0)
    assert text(quiet)[0] == "No table was closed to readers or writers"


def test_before_a_first_release_nothing_is_promised_about_going_back() -> None:
    assert text(record(previous=""))[-1] == "1.1.0 can be deployed (12.3 s)"


def test_a_stage_in_a_line() -> None:
    assert line("migrate", True, 1.5, "applied app.0002_b") == (
        "✓ migrate      1.50 s  applied app.0002_b"
    )


RIGHT = '{"version": "1.1.0", "fingerprint": "bbbbbbbbbbbb"}'


@pytest.mark.parametrize(
    ("path", "status", "body", "wrong"),
    [
        ("/health", 200, "", ""),
        ("/health", 500, "", "expected 200, got 500"),
        ("/health", 0, "", "expected 200, got no answer"),
        ("/api/v1/status", 200, RIGHT, ""),
        (
            "/api/v1/status",
            200,
            RIGHT.replace("bbbb", "a"),
            "expected 1.1.0+bbbbbbbbbbbb, got 1.1.0+aaa",
        ),
        ("/api/v1/status", 200, "<p>", "expected JSON with version and fingerprint, got '<p>'"),
    ],
)
def test_an_endpoint_s_answer_is_judged(path: str, status: int, body: str, wrong: str) -> None:
    assert judge(RELEASE, path, status, body) == wrong
