"""What is wrong, in paragraphs: what was asked, what the database said, which statement did it."""

from __future__ import annotations

from collections.abc import Sequence

from ops.rehearsal.asking import Answer
from ops.steps._one_shot import Outcome, indented
from rollout.migrations import Column, Trouble, culprits, masked, mentions, under_way
from rollout.records import Statement

LINES_SHOWN = 8  # the end of a traceback; what PostgreSQL said stands above


def migration_failed(version: str, outcome: Outcome, found: Sequence[Trouble]) -> str:
    how = "not over in time" if outcome.code is None else f"exit code {outcome.code}"
    how = "out of memory" if outcome.oom_killed else how
    name = under_way(outcome.tail)
    lines = [f"The migrations of {version} fail ({how})" + (f": {name}" if name else "")]
    if found:
        lines.append(f"  the statement: {masked(found[-1].sql)}")
        lines.append(f"  PostgreSQL: {found[-1].message}")
    return "\n".join([*lines, *_last_lines(outcome.tail)])


def broken(version: str, how: str, answer: Answer, ran: Sequence[Statement]) -> str:
    """A release that does not answer as it must, and the statements that may be why."""
    lines = [f"{version} {how}: {answer.what}: {answer.wrong}"]
    if answer.trouble:
        lines.append(f"  PostgreSQL: {answer.trouble.message}")
        lines.append(f"  it was asked: {masked(answer.trouble.sql)}")
        lines += [f"  the migration: {one.sql}" for one in culprits(answer.trouble, ran)]
    return "\n".join([*lines, *_last_lines(answer.lines)])


def in_short(answer: Answer, ran: Sequence[Statement]) -> str:
    """The same in one line, without what the application printed."""
    words = [f"{answer.what}: {answer.wrong}"]
    if answer.trouble:
        words += [answer.trouble.message]
        words += [one.sql for one in culprits(answer.trouble, ran)]
    return "; ".join(words)


def cannot_insert(version: str, columns: Sequence[Column], ran: Sequence[Statement]) -> str:
    names = ", ".join(f"{one.table.removeprefix('public.')}.{one.name}" for one in columns)
    said = {s.sql: None for one in columns for s in ran if mentions(s.sql, one.name)}
    return "\n".join(
        [
            f"{version} can't insert rows any more: {names} came as NOT NULL without a default",
            *(f"  the migration: {sql}" for sql in said),
        ]
    )


def _last_lines(text: str) -> list[str]:
    shown = "\n".join(text.splitlines()[-LINES_SHOWN:])
    return ["  its last lines:", indented(indented(shown))] if shown else []
