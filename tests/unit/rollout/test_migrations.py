"""What migrations did, read off the table that records them and off the server's log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout.migrations import (
    NOTE,
    OURS,
    Column,
    Trouble,
    applied,
    culprits,
    entries,
    failed_statement,
    locks,
    longest_block,
    masked,
    mode_words,
    newest,
    schema,
    statements,
    troubles,
    under_way,
    unfillable,
)
from rollout.records import Statement

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
MIGRATION, ANOTHER = 41, 42
ADD = 'ALTER TABLE "videos" ADD COLUMN "thumbnail_url" varchar(200) NULL'
RENAME = 'ALTER TABLE "channels" RENAME COLUMN "name" TO "title"'


def line(at: float, message: str, pid: int = MIGRATION, **more: Any) -> str:
    """One line of the log, `at` seconds after noon."""
    moment = NOON + timedelta(seconds=at)
    stamp = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC"
    found = {"timestamp": stamp, "pid": pid, "error_severity": "LOG", "message": message, **more}
    return json.dumps(found)


def ran(at: float, sql: str, seconds: float = 0.001, **more: Any) -> str:
    return line(at, f"duration: {seconds * 1000:.3f} ms  statement: {sql}", **more)


def note(at: float, *held: tuple[str, str], pid: int = MIGRATION, of: int = MIGRATION) -> str:
    words = [{"pid": of, "relation": table, "mode": mode} for table, mode in held]
    return line(at, NOTE + json.dumps(words), pid=pid)


def log(*lines: str) -> Any:
    return entries("\n".join(lines))


ONE_MIGRATION = (
    ran(1.0, "BEGIN"),
    note(1.2, ("videos", "AccessExclusiveLock")),
    ran(1.2, ADD, 0.1),
    ran(3.1, "COMMIT"),
)


def test_what_came_is_told_in_its_order() -> None:
    assert applied(("app.0001_a",), ("app.0001_a", "app.0003_c", "app.0002_b")) == (
        "app.0003_c",
        "app.0002_b",
    )


def test_the_newest_of_each_app_is_the_schema_s_name() -> None:
    assert newest(("auth.0001_x", "app.0001_a", "app.0002_b")) == {
        "auth": "0001_x",
        "app": "0002_b",
    }


@pytest.mark.parametrize(
    ("output", "failed"),
    [
        ("  Applying app.0002_b... OK\n  Applying app.0003_c...\nerror: no", "app.0003_c"),
        ("  Applying app.0002_b... OK\n", ""),
        ("Unknown command: migrate", ""),
    ],
)
def test_the_migration_under_way_is_the_one_without_its_ok(output: str, failed: str) -> None:
    assert under_way(output) == failed


def test_the_failed_statement_is_the_one_whose_error_the_output_repeats() -> None:
    server = (
        '2026-01-02 12:00:00.000 UTC [7] ERROR:  relation "nobody" does not exist at character 15\n'
        "2026-01-02 12:00:00.000 UTC [7] STATEMENT:  SELECT * FROM nobody\n"
        '2026-01-02 12:00:01.000 UTC [8] ERROR:  column "transcript" does not exist\n'
        "2026-01-02 12:00:01.000 UTC [8] STATEMENT:  ALTER TABLE videos\n"
        "\tALTER COLUMN transcript SET NOT NULL\n"
        "2026-01-02 12:00:02.000 UTC [9] LOG:  checkpoint starting\n"
    )
    output = 'error: ProgrammingError: column "transcript" does not exist'
    assert failed_statement(output, server) == (
        "ALTER TABLE videos ALTER COLUMN transcript SET NOT NULL"
    )
    assert failed_statement("error: out of memory", server) == ""


def test_a_schema_s_checksum_is_that_of_its_definition_alone() -> None:
    first = schema((), "-- Dumped by pg_dump 15.13\n\\restrict abc\n\nCREATE TABLE a (x int);\n")
    again = schema((), "-- Dumped by pg_dump 15.14\n\\restrict xyz\nCREATE TABLE a (x int);\n")
    other = schema((), "CREATE TABLE a (x bigint);\n")
    assert first.checksum == again.checksum != other.checksum


def test_a_new_required_column_of_an_old_table_can_t_be_filled_by_the_release_before() -> None:
    before = [Column("videos", "id", True)]
    after = [
        Column("videos", "id", True),
        Column("videos", "language", True),
        Column("videos", "thumbnail_url", False),
        Column("transcripts", "id", True),
    ]
    assert unfillable(before, after) == [Column("videos", "language", True)]


def test_a_lock_lasts_from_its_statement_to_the_transaction_s_end() -> None:
    (lock,) = locks(log(*ONE_MIGRATION))
    assert (lock.relation, lock.mode, lock.blocks) == (
        "videos",
        "ACCESS EXCLUSIVE",
        "readers and writers",
    )
    assert lock.seconds == pytest.approx(2.0)


def test_a_statement_outside_a_transaction_holds_its_locks_as_long_as_it_runs() -> None:
    (lock,) = locks(
        log(
            note(1.1, ("videos", "ShareUpdateExclusiveLock"), pid=9),
            ran(5.0, 'CREATE INDEX CONCURRENTLY "x" ON "videos" ("title")', 4.0),
        )
    )
    assert (lock.mode, lock.seconds, lock.blocks) == ("SHARE UPDATE EXCLUSIVE", 4.0, "")


def test_what_only_keeps_other_migrations_out_is_no_outage() -> None:
    quiet = log(note(1.1, ("videos", "RowExclusiveLock"), pid=9), ran(2.0, "UPDATE videos", 1.0))
    assert longest_block(locks(quiet)) is None
    found = longest_block(locks(log(*ONE_MIGRATION)))
    assert found is not None
    assert found.relation == "videos"


def test_each_statement_has_its_time_and_its_strongest_lock() -> None:
    (found,) = statements(log(*ONE_MIGRATION))
    assert found == Statement(sql=ADD, seconds=0.1, lock="ACCESS EXCLUSIVE", relation="videos")


def test_a_lock_that_is_kept_is_the_earlier_statement_s() -> None:
    both = statements(
        log(
            ran(1.0, "BEGIN"),
            note(1.2, ("videos", "AccessExclusiveLock")),
            ran(1.2, ADD, 0.1),
            note(1.4, ("videos", "AccessExclusiveLock"), ("channels", "AccessExclusiveLock")),
            ran(1.4, RENAME, 0.1),
            ran(1.5, "COMMIT"),
        )
    )
    assert [(s.relation, s.seconds) for s in both] == [("videos", 0.1), ("channels", 0.1)]


def test_a_lock_seen_between_two_statements_is_the_one_s_before() -> None:
    found = statements(
        log(
            ran(1.0, "BEGIN"),
            ran(1.2, "LOCK TABLE videos", 0.1),
            note(1.5, ("videos", "AccessExclusiveLock"), pid=9),
            ran(2.0, "UPDATE channels SET name = 'x'", 0.2),
            ran(2.1, "COMMIT"),
        )
    )
    assert [(s.sql, s.lock) for s in found] == [
        ("LOCK TABLE videos", "ACCESS EXCLUSIVE"),
        ("UPDATE channels SET name = '…'", ""),
    ]


def test_sessions_do_not_mix() -> None:
    lines = (*ONE_MIGRATION[:3], ran(1.3, "COMMIT", pid=ANOTHER), ONE_MIGRATION[3])
    (lock,) = locks(log(*lines))
    assert lock.seconds == pytest.approx(2.0)


def test_fast_statements_on_rows_and_our_own_are_left_out() -> None:
    found = statements(
        log(
            ran(1.0, 'SELECT * FROM "django_migrations"'),
            ran(2.0, "SELECT slow", 0.5),
            ran(3.0, "CREATE SCHEMA ours", application_name=OURS),
        )
    )
    assert [s.sql for s in found] == ["SELECT slow"]


def test_the_values_of_rows_are_not_shown_and_those_of_the_schema_are() -> None:
    assert (
        masked("UPDATE users SET email = 'a''b@c', n = 1") == "UPDATE users SET email = '…', n = 1"
    )
    default = "ALTER TABLE t ADD c text DEFAULT 'none'"
    assert masked(default) == default


def test_a_line_that_is_cut_off_is_left_out() -> None:
    assert len(log(ran(1.0, "SELECT 1"), '{"timestamp": "2026-01', "{}")) == 1


def test_troubles_are_what_the_server_refused() -> None:
    refused = line(1, "column x does not exist", error_severity="ERROR", statement="SELECT\n x")
    ended = line(2, "terminating connection", error_severity="FATAL")
    assert troubles(log(refused, ended)) == [Trouble("column x does not exist", "SELECT x")]


ASKED = 'SELECT "channels"."id", "channels"."name" FROM "channels"'


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("column channels.name does not exist", ASKED),
        ('column "name" does not exist', "SELECT name FROM channels"),
        ('relation "channels" does not exist', ASKED),
        ('column "name" of relation "channels" does not exist', "INSERT INTO channels (name)"),
        ("column t1.name does not exist", 'SELECT t1.name FROM "public"."channels" t1'),
    ],
)
def test_an_error_names_the_statement_that_brought_it_about(message: str, asked: str) -> None:
    ran = [Statement(sql=ADD, seconds=0), Statement(sql=RENAME, seconds=0)]
    assert [s.sql for s in culprits(Trouble(message, asked), ran)] == [RENAME]


def test_an_error_about_what_no_migration_touched_accuses_none() -> None:
    ran = [Statement(sql=ADD, seconds=0)]
    assert culprits(Trouble('relation "users" does not exist', "SELECT 1 FROM users"), ran) == []


def test_modes_are_called_as_in_the_manual() -> None:
    assert mode_words("ShareRowExclusiveLock") == "SHARE ROW EXCLUSIVE"
