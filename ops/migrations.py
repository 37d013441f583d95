"""Which migrations a database has: read off the table in which the framework keeps them."""

from __future__ import annotations

from ops.docker import Docker


def recorded(
    docker: Docker, postgres: str, user: str, database: str, table: str
) -> tuple[str, ...] | None:
    """`app.0002_name`, oldest first; empty before the first one, None where it can't be read (no
    table is named, or it is made otherwise than Django's)."""
    if not table:
        return None
    there = _ask(docker, postgres, user, database, f"SELECT to_regclass('\"{table}\"')")
    if there is None:
        return None
    if not there:
        return ()
    query = f"SELECT app || '.' || name FROM \"{table}\" ORDER BY id"
    rows = _ask(docker, postgres, user, database, query)
    return None if rows is None else tuple(rows)


def _ask(docker: Docker, postgres: str, user: str, database: str, query: str) -> list[str] | None:
    answer = docker.exec(
        postgres, "psql", "-X", "-qAt", "-U", user, "-d", database, "-c", query,
    )  # fmt: skip
    return None if answer.code else answer.out.split()
