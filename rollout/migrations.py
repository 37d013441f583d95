"""What migrations did: by the table that records them, and by the log of the server they ran on.

The log is PostgreSQL's own (`jsonlog`). Among its lines are notes of the locks that a session holds
on tables that were there before (ops/rehearsal/watching.py puts them there).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    # Imported where a rehearsal makes them: a deploy's step, which does without, starts sooner.
    from rollout.records import Schema, Statement, TableLock

NOTE = "ytempire-locks "
OURS = "ytempire-rehearsal"  # application_name of our own sessions
LONG_SECONDS = 0.1  # a statement on rows that takes less is of no interest
SQL_SHOWN = 500

# Weakest first (PostgreSQL's manual, 13.3.1).
MODES = (
    "AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock",
    "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
)  # fmt: skip
WRITERS_WAIT = MODES.index("ShareLock")  # from this mode on

_DURATION = re.compile(r"duration: ([\d.]+) ms  (?:statement|execute [^:]*): (.*)", re.DOTALL)
_DDL = re.compile(
    r"\s*(ALTER|CREATE|DROP|TRUNCATE|COMMENT|LOCK|REINDEX|CLUSTER|VACUUM|GRANT|REVOKE)\b", re.I
)
_BEGIN = re.compile(r"\s*(BEGIN|START\s+TRANSACTION)\b", re.I)
_END = re.compile(r"\s*(COMMIT|END|ROLLBACK(?!\s+TO)|ABORT)\b", re.I)
_LITERAL = re.compile(r"'(?:[^']|'')*'")


# The table of applied migrations


def applied(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """Those that came, in the order in which they were applied."""
    return tuple(name for name in after if name not in set(before))


def newest(recorded: Iterable[str]) -> dict[str, str]:
    """`app.0002_name`, oldest first, as the newest name of each app."""
    return {app: name for app, _, name in (entry.partition(".") for entry in recorded)}


def under_way(output: str) -> str:
    """The migration that had begun and was not over when the output ended, in Django's words."""
    started = re.findall(r"Applying (\S+?)\.\.\.(.*)", output)
    return started[-1][0] if started and not started[-1][1].strip().startswith("OK") else ""


def failed_statement(output: str, server_log: str) -> str:
    """The statement that the server's plain log names below the error that `output` ends with.

    The log is everybody's: an error that the output does not repeat is not the migration's."""
    found = ""
    entries = re.split(r"\n(?=\S)", server_log)
    for error, statement in pairwise(entries):
        _, is_error, words = error.partition("ERROR:  ")
        _, is_statement, sql = statement.partition("STATEMENT:  ")
        first = words.split("\n")[0]
        if is_error and is_statement and first.rsplit(" at character ", 1)[0] in output:
            found = _one_line(sql)
    return masked(found)


# A schema


def schema(recorded: Sequence[str], definition: str) -> Schema:
    """`definition` as `pg_dump --schema-only` prints it; what differs from run to run and from one
    minor version to the next is left out."""
    from rollout.records import Schema

    lines = (line for line in definition.splitlines() if line.strip())
    kept = (line for line in lines if not re.match(r"--|\\(un)?restrict\b", line))
    digest = hashlib.sha256("\n".join(kept).encode()).hexdigest()
    return Schema(migrations=newest(recorded), checksum=digest)


@dataclass(frozen=True)
class Column:
    """`required`: NOT NULL, and nothing fills it but whoever inserts the row."""

    table: str
    name: str
    required: bool


def unfillable(before: Iterable[Column], after: Iterable[Column]) -> list[Column]:
    """Columns that came to a table that was there, and that a release which does not know them
    can't insert a row without."""
    known = list(before)
    tables = {column.table for column in known}
    names = {(column.table, column.name) for column in known}
    return [
        column
        for column in after
        if column.required and column.table in tables and (column.table, column.name) not in names
    ]


# The server's log


@dataclass(frozen=True)
class Entry:
    """One line of it."""

    at: datetime
    pid: int
    application: str
    severity: str
    message: str
    statement: str


@dataclass
class Ran:
    """A statement that came to its end. `held`: locks that it was the first to hold."""

    sql: str
    begun: float
    ended: float
    held: set[tuple[str, str]] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    def lock(self) -> tuple[str, str]:
        """The strongest on one table, as (mode, table)."""
        ranked = sorted(self.held, key=lambda pair: (MODES.index(pair[1]), pair[0]))
        return (mode_words(ranked[-1][1]), ranked[-1][0]) if ranked else ("", "")


@dataclass(frozen=True)
class Trouble:
    """An error that the server answered, and what it had been asked."""

    message: str
    sql: str


def entries(log: str) -> list[Entry]:
    """In the log's order; a line that is cut off is left out."""
    return [entry for line in log.splitlines() if (entry := _entry(line))]


def troubles(log: Sequence[Entry]) -> list[Trouble]:
    return [
        Trouble(entry.message, _one_line(entry.statement))
        for entry in log
        if entry.severity == "ERROR" and entry.application != OURS
    ]


def statements(log: Sequence[Entry]) -> list[Statement]:
    """What changed the schema, and what took long or kept writers waiting."""
    ran = [one for transaction in _transactions(log) for one in transaction]
    return [_shown(one) for one in sorted(ran, key=lambda one: one.begun) if _matters(one)]


def locks(log: Sequence[Entry]) -> list[TableLock]:
    """Each table's locks by mode: the longest time that one was held, to its transaction's end."""
    from rollout.records import TableLock

    longest: dict[tuple[str, str], float] = {}
    for transaction in _transactions(log):
        for one in transaction:
            for pair in one.held:
                held = max(transaction[-1].ended - one.begun, 0.0)
                longest[pair] = max(longest.get(pair, 0.0), held)
    ranked = sorted(longest, key=lambda pair: (-MODES.index(pair[1]), -longest[pair], pair[0]))
    return [
        TableLock(
            relation=relation,
            mode=mode_words(mode),
            seconds=round(longest[relation, mode], 3),
            blocks=_blocks(mode),
        )
        for relation, mode in ranked
    ]


def longest_block(found: Iterable[TableLock]) -> TableLock | None:
    """The lock that kept writers, or everybody, out of a table for longest."""
    return max((lock for lock in found if lock.blocks), key=lambda lock: lock.seconds, default=None)


def mode_words(mode: str) -> str:
    """`AccessExclusiveLock` as the manual writes it: `ACCESS EXCLUSIVE`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", mode.removesuffix("Lock")).upper()


def masked(sql: str) -> str:
    """Without the values that a statement on rows carries: they are people's data."""
    return sql if _DDL.match(sql) else _LITERAL.sub("'…'", sql)


# Who broke what


_NAMED = (
    re.compile(r'column "(?P<column>[^"]+)" of relation "(?P<relation>[^"]+)"'),
    re.compile(r'relation "(?P<relation>[^"]+)"'),
    re.compile(r'table "(?P<relation>[^"]+)"'),
    re.compile(r"column (?P<relation>[\w$]+)\.(?P<column>[\w$]+) does not exist"),
    re.compile(r'column "(?P<column>[^"]+)" does not exist'),
)
_TABLES = re.compile(
    r'\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:ONLY\s+)?((?:"?[\w$]+"?\.)?"?[\w$]+"?)', re.I
)


def culprits(trouble: Trouble, ran: Sequence[Statement]) -> list[Statement]:
    """The migration's statements that touched what the error names; where it names no table that
    any touched (an alias), the tables of the statement that failed."""
    names = next((m.groupdict() for one in _NAMED if (m := one.search(trouble.message))), {})
    column = names.get("column") or ""
    relation = names.get("relation") or ""
    read = [name.replace('"', "") for name in _TABLES.findall(trouble.sql)]
    for wanted in ([relation] if relation else [], read):
        touched = [s for s in ran if any(mentions(s.sql, name) for name in wanted)]
        if touched:
            return [s for s in touched if column and mentions(s.sql, column)] or touched
    return []


def mentions(sql: str, name: str) -> bool:
    """Whether a statement names a table or a column, in quotes or without."""
    bare = re.escape(name.rsplit(".", 1)[-1])
    return bool(re.search(rf"(?<![\w$]){bare}(?![\w$])", sql))


# Inside


def _entry(line: str) -> Entry | None:
    try:
        found = json.loads(line)
        return Entry(
            at=datetime.strptime(found["timestamp"], "%Y-%m-%d %H:%M:%S.%f %Z"),
            pid=int(found["pid"]),
            application=str(found.get("application_name") or ""),
            severity=str(found.get("error_severity") or ""),
            message=str(found.get("message") or ""),
            statement=str(found.get("statement") or ""),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _transactions(log: Sequence[Entry]) -> Iterator[list[Ran]]:
    """Each session's statements by transaction, with the locks that each was first to hold."""
    open_: dict[int, list[Ran]] = {}
    unseen: dict[int, list[tuple[float, str, str]]] = {}
    for entry in log:
        if entry.message.startswith(NOTE):
            for lock in json.loads(entry.message.removeprefix(NOTE)):
                note = (entry.at.timestamp(), lock["relation"], lock["mode"])
                unseen.setdefault(int(lock["pid"]), []).append(note)
            continue
        ran = _ran(entry)
        if ran is None or entry.application == OURS:
            continue
        transaction = open_.setdefault(entry.pid, [])
        _attribute(unseen.pop(entry.pid, []), transaction, ran)
        transaction.append(ran)
        alone = len(transaction) == 1 and not _BEGIN.match(ran.sql)
        if alone or _END.match(ran.sql):
            yield open_.pop(entry.pid)
    yield from (transaction for transaction in open_.values() if transaction)


def _ran(entry: Entry) -> Ran | None:
    found = _DURATION.match(entry.message)
    if not found:
        return None
    ended = entry.at.timestamp()
    return Ran(_one_line(found[2]), ended - float(found[1]) / 1000, ended)


def _attribute(notes: Iterable[tuple[float, str, str]], earlier: list[Ran], ran: Ran) -> None:
    """To the statement that is now over; what was seen before that began is the one's before."""
    slack = 0.002  # the log's clock counts milliseconds
    for at, relation, mode in notes:
        pair = (relation, mode)
        owner = earlier[-1] if earlier and at < ran.begun - slack else ran
        known = any(pair in one.held for one in earlier)
        if not known or mentions(owner.sql, relation):
            owner.held.add(pair)


def _matters(ran: Ran) -> bool:
    if _BEGIN.match(ran.sql) or _END.match(ran.sql):
        return False
    blocks = any(_blocks(mode) for _, mode in ran.held)
    return bool(_DDL.match(ran.sql)) or blocks or ran.seconds >= LONG_SECONDS


def _blocks(mode: str) -> Literal["", "writers", "readers and writers"]:
    rank = MODES.index(mode)
    if rank < WRITERS_WAIT:
        return ""
    return "readers and writers" if mode == MODES[-1] else "writers"


def _shown(ran: Ran) -> Statement:
    from rollout.records import Statement

    mode, relation = ran.lock()
    sql = masked(ran.sql)
    cut = sql if len(sql) <= SQL_SHOWN else sql[:SQL_SHOWN] + " …"
    return Statement(sql=cut, seconds=round(ran.seconds, 3), lock=mode, relation=relation)


def _one_line(sql: str) -> str:
    return " ".join(sql.split())
