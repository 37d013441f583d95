"""Single tables of a backup, into the live database under a schema of their own. What becomes of
their rows is a person's to decide: only they know what refers to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ops.errors import OpsError
from ops.restore.beside import LOAD_PART, Beside
from ops.restore.server import CLIENT, DUMP, FOLDER
from ops.verbs._exit import Misused
from rollout.restores import Column, copy_back, literal, quoted

LOAD_TABLE = (
    f'pg_restore --exit-on-error --data-only --schema "$1" --table "$2" --jobs "$3" -d "$0" {DUMP}'
)
MOVE = f"""
{CLIENT}
pg_dump -Fc -Z0 --no-owner --schema "$1" --file {FOLDER}/tables "$0" &&
    exec pg_restore --exit-on-error --single-transaction --no-owner -d "$2" {FOLDER}/tables
"""
COLUMNS = """
SELECT json_build_array(l.attname, l.attidentity = 'a')
FROM pg_attribute l JOIN pg_attribute r ON r.attname = l.attname
WHERE l.attrelid = to_regclass({live}) AND r.attrelid = to_regclass({restored})
    AND l.attnum > 0 AND r.attnum > 0 AND NOT l.attisdropped AND NOT r.attisdropped
    AND l.attgenerated = '' ORDER BY l.attnum
"""


@dataclass(frozen=True)
class Table:
    """As the manifest names it, `schema.name`."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"


def named(wanted: str, known: Sequence[str]) -> list[Table]:
    """`users,videos` or `public.users`. Raises Misused for what is not in the backup."""
    full = [name if "." in name else f"public.{name}" for name in wanted.split(",")]
    strange = [name for name in full if name not in known]
    names = [name.partition(".")[2] for name in full]
    if strange or len(set(names)) != len(names):
        raise Misused(
            f"--table: expected tables of that backup, each once, got {', '.join(strange or full)}."
            f"\nIt has {', '.join(known) or 'none'}."
        )
    return [Table(*name.split(".", 1)) for name in full]


def load(beside: Beside, roles: str, tables: Sequence[Table], schema: str) -> list[str]:
    """From the staged dump into the live database; the SQL that copies the rows back."""
    server = beside.server
    beside.create(roles)
    _run(beside, LOAD_PART, beside.name)
    for table in tables:
        _run(beside, LOAD_TABLE, beside.name, table.schema, table.name, str(beside.jobs))
    copies = (
        f"CREATE TABLE {quoted(schema)}.{quoted(table.name)} AS TABLE {table}" for table in tables
    )
    server.sql(f"CREATE SCHEMA {quoted(schema)}", *copies, database=beside.name, timeout=3600)
    answer = server.run(MOVE, beside.name, schema, server.database)
    if answer.code:
        raise OpsError(
            f"The tables can't be put into {server.database}: {answer.words}\n"
            "Nothing was changed there. Next: `ytops restore` again"
        )
    return [_back(beside, table, schema) for table in tables]


def _run(beside: Beside, work: str, *words: str) -> None:
    answer = beside.server.tethered(work, *words, tick=lambda: None)
    if answer.code:
        raise OpsError(f"The dump can't be restored: {answer.out.strip()}")


def _back(beside: Beside, table: Table, schema: str) -> str:
    restored = f"{quoted(schema)}.{quoted(table.name)}"
    query = COLUMNS.format(live=literal(str(table)), restored=literal(restored))
    lines = beside.server.sql(query, database=beside.server.database).splitlines()
    if not lines:
        return f"-- {table} is not in the live database: `ytops up` or a restore of all makes it"
    return copy_back(restored, str(table), [Column(*json.loads(line)) for line in lines])
