"""Which migrations a database has: read off the table in which the framework keeps them."""

from __future__ import annotations

from ops.docker import Docker

# One question, whether the table is there or not: it is made by the first migration.
QUERY = """\
SELECT format('SELECT app || ''.'' || name FROM %s ORDER BY id', found)
    FROM to_regclass('"{table}"') AS found WHERE found IS NOT NULL \\gexec
"""


def recorded(
    docker: Docker, postgres: str, user: str, database: str, table: str
) -> tuple[str, ...] | None:
    """`app.0002_name`, oldest first; empty before the first one, None where it can't be read (no
    table is named, or it is made otherwise than Django's)."""
    if not table:
        return None
    answer = docker.exec(
        postgres,
        "psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-U", user, "-d", database,
        stdin=QUERY.format(table=table).encode(),
    )  # fmt: skip
    return None if answer.code else tuple(answer.out.split())
