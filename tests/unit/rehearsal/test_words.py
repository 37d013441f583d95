"""What is wrong, in words that name the endpoint, the error and the statement."""

from __future__ import annotations

from ops.rehearsal.asking import Answer
from ops.rehearsal.words import broken, cannot_insert, in_short, migration_failed
from ops.steps._one_shot import Outcome
from rollout.migrations import Column, Trouble
from rollout.records import Statement

RENAME = 'ALTER TABLE "channels" RENAME COLUMN "name" TO "title"'
RAN = [
    Statement(sql='ALTER TABLE "videos" ADD COLUMN "language" varchar(2) NOT NULL', seconds=0.1),
    Statement(sql=RENAME, seconds=0.1),
]
REFUSED = Trouble("column channels.name does not exist", 'SELECT "channels"."name" FROM "channels"')
ANSWER = Answer(
    "/api/v1/channels", "expected 200, got 500", "ERROR: Internal Server Error", REFUSED
)


def test_a_release_that_broke_is_told_with_the_error_and_the_statement() -> None:
    assert broken("1.0.0", "on the new schema", ANSWER, RAN) == (
        "1.0.0 on the new schema: /api/v1/channels: expected 200, got 500\n"
        "  PostgreSQL: column channels.name does not exist\n"
        '  it was asked: SELECT "channels"."name" FROM "channels"\n'
        f"  the migration: {RENAME}\n"
        "  its last lines:\n"
        "    ERROR: Internal Server Error"
    )


def test_the_same_in_one_line_for_the_record() -> None:
    assert in_short(ANSWER, RAN) == (
        "/api/v1/channels: expected 200, got 500; column channels.name does not exist; " + RENAME
    )


def test_a_release_that_broke_without_the_database_accuses_no_statement() -> None:
    answer = Answer("ready", "the app ended by itself, exit code 1")
    said = "1.0.0 on the new schema: ready: the app ended by itself, exit code 1"
    assert broken("1.0.0", "on the new schema", answer, RAN) == said


def test_a_failed_migration_is_told_with_its_statement() -> None:
    tail = "  Applying app.0002_b... OK\n  Applying app.0003_c...\nerror: no"
    refused = Trouble("no", "UPDATE users SET email = 'ann@example.com'")
    assert migration_failed("1.1.0", Outcome(1, tail), [refused]) == (
        "The migrations of 1.1.0 fail (exit code 1): app.0003_c\n"
        "  the statement: UPDATE users SET email = '…'\n"
        "  PostgreSQL: no\n"
        "  its last lines:\n"
        "      Applying app.0002_b... OK\n"
        "      Applying app.0003_c...\n"
        "    error: no"
    )


def test_a_migration_that_took_too_long_or_too_much_memory_says_so() -> None:
    slow = migration_failed("1.1.0", Outcome(None, ""), [])
    large = migration_failed("1.1.0", Outcome(137, "", oom_killed=True), [])
    assert slow == "The migrations of 1.1.0 fail (not over in time)"
    assert large == "The migrations of 1.1.0 fail (out of memory)"


def test_a_column_that_the_release_before_can_t_fill_is_told_with_its_statement() -> None:
    assert cannot_insert("1.0.0", [Column("public.videos", "language", True)], RAN) == (
        "1.0.0 can't insert rows any more: videos.language came as NOT NULL without a default\n"
        '  the migration: ALTER TABLE "videos" ADD COLUMN "language" varchar(2) NOT NULL'
    )
