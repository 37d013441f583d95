"""The moment of a restore: two databases change their names in one transaction, and whoever was in
the live one is sent away. Killed at any point, either all of it has happened or nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pydantic import ValidationError

from ops.errors import OpsError
from ops.restore.server import CLIENT, MAINTENANCE, Server
from rollout.records import Restored
from rollout.restores import KEPT, literal, quoted

SWAP_SECONDS = 30
SETTLE_SECONDS = 15
SWAPPING = "ytempire-swap"

# The first of the names to change keeps new sessions waiting until the end, and waits up to five
# seconds itself for those that there are. They are told to go until none is left.
SCRIPT = f"""
{CLIENT}
leave() {{
    psql -X -qAt -d {MAINTENANCE} -o /dev/null -c "
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datid = $1"
}}
leave "$INCOMING"
PGAPPNAME={SWAPPING} psql -X -q -v ON_ERROR_STOP=1 -d {MAINTENANCE} -c "$SQL" & swap=$!
while kill -0 "$swap" 2>/dev/null; do
    leave "$LIVE"
    sleep 0.05
done
wait "$swap"
"""


@dataclass(frozen=True)
class Kept:
    """A database that was set aside, and for what."""

    name: str
    size: int
    note: Restored


def kept(server: Server) -> list[Kept]:
    """The newest first."""
    query = (
        "SELECT d.datname, pg_database_size(d.oid), c FROM pg_database d JOIN pg_db_role_setting s "
        "ON s.setdatabase = d.oid AND s.setrole = 0, unnest(s.setconfig) c "
        f"WHERE c LIKE {literal(KEPT + '=%')}"
    )
    rows = (line.split("|", 2) for line in server.sql(query).splitlines())
    found = [_kept(name, int(size), text.partition("=")[2]) for name, size, text in rows]
    return sorted((k for k in found if k), key=lambda k: k.note.at, reverse=True)


def _kept(name: str, size: int, text: str) -> Kept | None:
    try:
        return Kept(name, size, Restored.model_validate_json(text))
    except ValidationError:
        return None  # a person's: nobody touches what is not ours


def swap(server: Server, incoming: str, note: Restored) -> None:
    """`incoming` becomes the live database; the one before is called `note.kept`, if there is one.
    Raises OpsError when nothing was changed."""
    present = server.databases()
    statements = []
    if server.database in present:
        statements += [
            f"ALTER DATABASE {quoted(server.database)} RENAME TO {quoted(note.kept)}",
            f"ALTER DATABASE {quoted(note.kept)} SET {quoted(KEPT)} TO "
            f"{literal(note.model_dump_json())}",
        ]
    statements += [
        f"ALTER DATABASE {quoted(incoming)} RENAME TO {quoted(server.database)}",
        f"ALTER DATABASE {quoted(server.database)} RESET {quoted(KEPT)}",
    ]
    variables = {
        "SQL": "; ".join(("BEGIN", *statements, "COMMIT")),
        "LIVE": _oid(server, server.database),
        "INCOMING": _oid(server, incoming),
    }
    try:
        answer = server.run(SCRIPT, variables=variables, timeout=SWAP_SECONDS)
    except BaseException:
        _settle(server)
        raise
    if answer.code:
        raise OpsError(
            f"The databases did not change places on {server.docker.host}: {answer.words}\n"
            "The live one is as it was. Next: `ytops restore` again"
        )


def _oid(server: Server, database: str) -> str:
    """0 where there is none: a name would soon be another's."""
    query = f"SELECT oid FROM pg_database WHERE datname = {literal(database)}"
    return server.sql(query) or "0"


def is_done(server: Server, incoming: str) -> bool:
    """Whether it has happened: a database is renamed by nobody else."""
    return incoming not in server.databases()


def _settle(server: Server) -> None:
    """Whoever stops us does not stop the server: until it has done it, or has not."""
    query = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{SWAPPING}'"
    deadline = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < deadline and server.sql(query) != "0":
        time.sleep(0.2)


def drop(server: Server, name: str) -> None:
    server.sql(f"DROP DATABASE IF EXISTS {quoted(name)} WITH (FORCE)", timeout=600)
