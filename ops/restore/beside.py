"""The database beside the live one: made from a dump, counted and checked, before anybody sees it.

The dump lies in a file first. So all of it was read and found whole before the server is given any
of it, and pg_restore can load several tables at a time.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from ops.backup.opening import Damaged, Watch
from ops.backup.shell import Pipe
from ops.docker import Docker
from ops.errors import OpsError
from ops.migrations import recorded
from ops.restore.server import DUMP, FOLDER, Server
from ops.restore.source import Expected, Source
from ops.steps.backup import megabytes
from rollout import migrations
from rollout.backups import differing_rows
from rollout.dumps import COUNT_ROWS
from rollout.restores import SPARE_BYTES, missing_roles, quoted, renamed, wanting

MOST_JOBS = 8
SIZE_SECONDS = 2.0  # between two questions for how large it is by now
# A share of the server's memory for building indexes: the live database is at work beside it.
INDEX_SHARE = 8
LEAST_INDEX_MB = 64

# Not synced: it is read at once, and nobody wants it after a crash.
STAGE = f"umask 0077; mkdir -p {FOLDER} && exec cat >{DUMP}"
LISTED = f"pg_restore --list {DUMP} | grep -c ' TABLE DATA '"
# What makes the database itself: its encoding, owner, settings, and who may connect.
PROPERTIES = f"""
pg_restore --create --list {DUMP} >{FOLDER}/all &&
    {{ grep -E ' (DATABASE|DATABASE PROPERTIES) - ' {FOLDER}/all
       grep -E ' (ACL|COMMENT) - DATABASE ' {FOLDER}/all; :; }} >{FOLDER}/some &&
    exec pg_restore --create --file - --use-list {FOLDER}/some {DUMP}
"""
LOAD = (
    'PGOPTIONS="-c synchronous_commit=off -c maintenance_work_mem=$2MB" '
    f'pg_restore --exit-on-error --jobs "$1" -d "$0" {DUMP}'
)
LOAD_PART = f'pg_restore --exit-on-error --section pre-data -d "$0" {DUMP}'
ANALYZE = 'vacuumdb --analyze-only --quiet --jobs "$1" -d "$0"'
HAS_AMCHECK = "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"
AMCHECK = 'pg_amcheck --install-missing --jobs "$1" -d "$0"'


class NoRoom(OpsError):
    """The dump is larger than what the disk can spare."""


@dataclass
class Beside:
    """One that is being made. Only one at a time: its name is the same for all."""

    server: Server
    jobs: int
    index_mb: int
    watch: Watch
    _asked: float = field(default=0.0, init=False)

    @classmethod
    def on(cls, server: Server, memory: int, watch: Watch) -> Beside:
        """With as many at a time as the host has processors."""
        jobs = max(2, min(MOST_JOBS, _processors(server.docker)))
        return cls(server, jobs, max(LEAST_INDEX_MB, memory // INDEX_SHARE // jobs), watch)

    @property
    def name(self) -> str:
        return self.server.beside

    def clear(self) -> bool:
        """Gone, with whoever is at it. Whether there was anything."""
        had = self.name in self.server.databases()
        if had:
            self.server.sql(f"DROP DATABASE {quoted(self.name)} WITH (FORCE)", timeout=600)
        left = self.server.must(f"[ ! -e {FOLDER} ] || {{ rm -rf {FOLDER} && echo left; }}")
        return had or bool(left)

    # The dump

    def require_room(self, expected: Expected) -> None:
        """The copy must not fill the disk that the live database writes to."""
        dumps, data, same = self.server.free()
        lacks = wanting(expected.bytes, dumps, data, same)
        if lacks:
            raise NoRoom(
                f"The disk of {self.server.docker.host} has {megabytes(min(dumps, data))} left; a "
                f"database of {megabytes(expected.bytes)} beside the live one wants "
                f"{megabytes(lacks)} more, its dump and 1 GB to spare included.\nNothing was "
                "touched. Next: make room (`docker system df`; `ytops restore --dismiss` lets go "
                "of a database that an earlier restore kept), then the same again"
            )

    def stage(self, source: Source) -> None:
        """All of the dump into a file, read to its end. Raises OpsError where the source is not
        what it should be, NoRoom where the disk is too small."""
        dumps, _, _ = self.server.free()
        with self.server.pipe(STAGE) as pipe:
            target = _Bounded(pipe, dumps - SPARE_BYTES)
            source.dump(target, lambda done: self.watch("read", done, source.size))
            answer = pipe.finish()
        if answer.code:
            raise NoRoom(f"The dump can't be put on the host: {answer.out.strip()}")
        told, tables = source.expected.tables, self.server.run(LISTED).out.strip()
        if not tables.isdigit() or (told is not None and int(tables) != told):
            raise Damaged(f"the dump lists the data of {tables} tables, its manifest says {told}")

    # The database

    def create(self, roles: str) -> None:
        """As the dump has it, under its name of now; with the roles that are missing."""
        present = self.server.sql("SELECT rolname FROM pg_roles").splitlines()
        missing = missing_roles(roles, present)
        if missing:
            # The server must not write their passwords to its log.
            self.server.script(f"SET log_statement = 'none';\n{missing}")
        answer = self.server.run(PROPERTIES)
        if answer.code:
            raise Damaged(f"the dump's database can't be read: {answer.words}")
        self.server.script(renamed(answer.out, self.name))

    def load(self, expected: Expected) -> None:
        def tick() -> None:
            if time.monotonic() - self._asked > SIZE_SECONDS:
                self.watch("load", self.server.size(self.name), expected.bytes)
                self._asked = time.monotonic()

        answer = self.server.tethered(
            LOAD, self.name, str(self.jobs), str(self.index_mb), tick=tick
        )
        if answer.code:
            raise OpsError(f"The dump can't be restored: {answer.out.strip()}")

    def verify(self, expected: Expected, migrations_table: str) -> None:
        """Rows and schema as they were dumped; every table and index readable and in order."""
        wrong = differing_rows(expected.rows, self.rows()) if expected.rows else ""
        if wrong:
            raise Damaged(f"the restored rows are not the manifest's: {wrong}")
        found = migrations.newest(self.migrations(migrations_table) or ())
        if migrations_table and expected.schema and found != dict(expected.schema):
            raise Damaged(f"expected the schema at {dict(expected.schema)}, got {found}")
        had = self.server.sql(HAS_AMCHECK, database=self.name)
        answer = self.server.tethered(AMCHECK, self.name, str(self.jobs), tick=lambda: None)
        if answer.code:
            raise Damaged(f"pg_amcheck: {answer.out.strip()}")
        if not had:
            self.server.sql("DROP EXTENSION IF EXISTS amcheck", database=self.name)

    def rows(self, database: str = "") -> dict[str, int]:
        """Of its tables, or of another database's."""
        lines = self.server.script(COUNT_ROWS, database or self.name).splitlines()
        return {name: int(count) for _, name, count in map(json.loads, lines)}

    def migrations(self, table: str, database: str = "") -> tuple[str, ...] | None:
        """Those that it has recorded, or another database has."""
        server = self.server
        user = server.sql("SELECT current_user")
        return recorded(server.docker, server.container, user, database or self.name, table)

    def analyze(self) -> None:
        """What the planner goes by is in no dump."""
        answer = self.server.tethered(ANALYZE, self.name, str(self.jobs), tick=lambda: None)
        if answer.code:
            raise OpsError(f"The restored database can't be analyzed: {answer.out.strip()}")


@dataclass
class _Bounded:
    """The server's disk as a target: no more is written to it than it can spare."""

    pipe: Pipe
    room: int

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        if self.room < 0:
            raise NoRoom("The dump is larger than what the host's disk can spare: 1 GB is left")
        try:
            return self.pipe.write(data)
        except OpsError as error:
            raise NoRoom(f"The dump can't be put on the host: {error}") from None


def _processors(docker: Docker) -> int:
    answer = docker.call("info", "--format", "{{.NCPU}}", check=False).out.strip()
    return int(answer) if answer.isdigit() else 1
