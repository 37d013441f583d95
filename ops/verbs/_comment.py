"""A preview as text for a pull request: Markdown, the same from a forge and from a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ops.sqlplan import SqlPlan
from ops.verbs._paper import plural
from rollout.items import Item, blocking
from rollout.migrations import longest_block
from rollout.records import Rehearsal, Status

MARKS = {Status.PASS: "✓", Status.WAIVED: "~", Status.FAIL: "✗", Status.UNKNOWN: "?"}
STATEMENTS = 20


@dataclass(frozen=True)
class Policies:
    """What the pack said; `ytops` never goes without it."""

    refused: Sequence[str] = ()
    advised: Sequence[str] = ()


@dataclass(frozen=True)
class Preview:
    """All that a preview has to tell. `unseen`: why the host was not asked; `failure`: why there is
    no plan, besides the policies; `sql`: the plan, or why there is none."""

    version: str
    stack: str
    plan: str
    live: str
    expected: str
    unseen: str = ""
    failure: str = ""
    changes: Sequence[str] = ()
    notes: Sequence[str] = ()
    sql: SqlPlan | str = ""
    rehearsal: Rehearsal | None = None
    checklist: Sequence[Item] = ()
    policies: Policies = Policies()


def comment(preview: Preview) -> str:
    parts = (_head, _users, _migrations, _checklist, _policies, _changes)
    return "\n".join("\n".join(part(preview)) + "\n" for part in parts)


def _head(preview: Preview) -> Iterator[str]:
    yield f"## {preview.version or 'What the stack file names'} on {preview.stack}"
    if preview.unseen:
        yield ""
        yield (
            f"> The host was not asked ({_cell(preview.unseen)}): this plans from the record of "
            "the last run."
        )
    if preview.failure:
        yield ""
        yield "There is no plan:"
        yield from _fenced(preview.failure)


def _users(preview: Preview) -> Iterator[str]:
    yield "### What changes for users"
    yield ""
    yield f"- plan: {preview.plan or 'none was made'}"
    yield f"- live now: {preview.live}"
    yield f"- expected to take: {preview.expected}"
    yield from (f"- {note}" for note in preview.notes)


def _migrations(preview: Preview) -> Iterator[str]:
    yield "### Migrations"
    yield ""
    if isinstance(preview.sql, str):
        yield f"The SQL plan is not known: {_cell(preview.sql)}."
    elif not preview.sql.migrations:
        yield "None is to be applied."
    else:
        for name, sql in preview.sql.migrations.items():
            yield f"`{name}`"
            yield from _fenced(sql, "sql")
        if preview.sql.more:
            yield f"And {preview.sql.more} more."
    yield ""
    yield from _rehearsed(preview.version, preview.rehearsal)


def _rehearsed(version: str, record: Rehearsal | None) -> Iterator[str]:
    if record is None:
        yield f"Not rehearsed on a copy of the data. Next: `ytops rehearse {version}`"
        return
    applied = ", ".join(record.applied) or "nothing to apply"
    yield (
        f"Rehearsed on a copy of the data: {record.verdict}; {applied}, in "
        f"{record.seconds.get('migrate', 0):.1f} s."
    )
    longest = longest_block(record.locks)
    if longest:
        yield f"{longest.relation} was closed to {longest.blocks} for {longest.seconds:.3f} s."
    if record.statements:
        yield ""
        rows = (
            (f"{s.seconds:.3f}", f"{s.lock} on {s.relation}" if s.lock else "", f"`{s.sql}`")
            for s in record.statements[:STATEMENTS]
        )
        yield from _table(("seconds", "lock", "statement"), rows)


def _checklist(preview: Preview) -> Iterator[str]:
    stops = blocking(preview.checklist)
    yield "### Checklist"
    yield ""
    if not preview.checklist:
        yield "Nobody asks for it: no version is named."
        return
    yield (
        f"{plural(len(stops), 'item')} to be settled before the merge."
        if stops
        else ("Nothing stops it before the night.")
    )
    yield ""
    yield from _table(
        ("", "item", "measured", "next"),
        (
            (MARKS[i.status], i.id, f"{i.measured}{'' if i.required else ' (tonight)'}", i.next)
            for i in preview.checklist
        ),
    )


def _policies(preview: Preview) -> Iterator[str]:
    found = preview.policies
    yield "### Policies"
    yield ""
    yield from (f"- ✗ {_cell(words)}" for words in found.refused)
    yield from (f"- ? {_cell(words)} (advisory)" for words in found.advised)
    if not (found.refused or found.advised or preview.failure):
        yield "✓ All are kept."


def _changes(preview: Preview) -> Iterator[str]:
    yield f"<details><summary>{plural(len(preview.changes), 'change')}</summary>"
    yield from _fenced("\n".join(preview.changes) or "nothing to change")
    yield ""
    yield "</details>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from (_row(row) for row in rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    """On one line, and not the end of its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def _fenced(text: str, language: str = "") -> Iterator[str]:
    """A fence that is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    yield ""
    yield f"{fence}{language}"
    yield text
    yield fence
