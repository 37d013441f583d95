"""The dump: what is read out of the live database, in one snapshot, and what was counted in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ops.backup.shell import Pipe, Shell
from ops.errors import StepFailed
from ops.verbs._exit import Refused
from rollout.dumps import COUNT_ROWS, MIGRATING
from rollout.names import Names
from rollout.settings import Postgres

# One session holds the snapshot: pg_dump reads in it, and so are the rows counted that it dumped.
# The archive's table of contents is read on its way, by the program that would restore it.
BUSY = "a migration is under way"
QUESTIONS = f"""
SELECT pg_try_advisory_lock_shared({MIGRATING}) AS free \\gset
\\if :free
\\else
DO $$BEGIN RAISE EXCEPTION '{BUSY}'; END$$;
\\endif
SET idle_in_transaction_session_timeout = 0;
SET statement_timeout = 0;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot() AS snapshot \\gset
\\setenv SNAPSHOT :snapshot
\\! sh -c "$DUMP"
SELECT json_build_array('server', current_setting('server_version'));
SELECT json_build_array('bytes', pg_database_size(current_database()));
{COUNT_ROWS}
SELECT format('SELECT json_build_array(''migration'', app || ''.'' || name) FROM %s ORDER BY id',
              found)
    FROM to_regclass(nullif(current_setting('ytempire.migrations'), '')) AS found
    WHERE found IS NOT NULL \\gexec
COMMIT;
"""
STREAM = """
{ pg_dump -Fc -Z0 --no-password --snapshot="$SNAPSHOT" </dev/null; echo "$?" >/tmp/dumped; } |
    tee -p /tmp/toc
echo "$?" >/tmp/passed
"""
SCRIPT = """
set -u
cd /tmp || exit 1
rm -f toc facts list dumped passed
mkfifo toc || exit 1
pg_restore --list <toc >list & lister=$!
printf '%s' "$QUESTIONS" >questions
PGOPTIONS="-c ytempire.migrations=$MIGRATIONS" \
    psql -X -qAt -v ON_ERROR_STOP=1 -o facts -f questions
asked=$?
[ -e dumped ] || : >toc
wait "$lister"; listed=$?
failed() { echo "$1 failed with exit code $2" >&2; exit 1; }
[ "$asked" = 0 ] || failed psql "$asked"
[ "$(cat dumped)" = 0 ] || failed pg_dump "$(cat dumped)"
[ "$(cat passed)" = 0 ] || failed "passing the dump on" "$(cat passed)"
[ "$listed" = 0 ] || failed "listing the dump" "$listed"
"""
# Roles, their passwords and settings: they belong to the server and are in no database's dump. By
# way of the one database that pg_hba.conf lets the application's role into.
GLOBALS = 'exec pg_dumpall --globals-only --no-password -l "$PGDATABASE"'
FACTS = "cat /tmp/facts; pg_dump --version >&2; grep -c ' TABLE DATA ' /tmp/list >&2"


@dataclass
class Facts:
    """What was counted in the snapshot that was dumped."""

    server: str = ""
    pg_dump: str = ""
    entries: int = 0
    bytes: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    migrations: list[str] = field(default_factory=list)


def _major(version: str) -> str:
    return version.partition(".")[0]


@dataclass(frozen=True)
class Source:
    """The live database, as `shell` reaches it."""

    shell: Shell
    names: Names
    settings: Postgres
    migrations_table: str = ""

    @contextmanager
    def database(self) -> Iterator[Pipe]:
        extra = {
            "QUESTIONS": QUESTIONS,
            "DUMP": STREAM,
            "MIGRATIONS": f'"{self.migrations_table}"' if self.migrations_table else "",
        }
        with self._reading("pg_dump", SCRIPT, extra) as pipe:
            yield pipe

    @contextmanager
    def globals(self) -> Iterator[Pipe]:
        with self._reading("pg_dumpall", GLOBALS, {}) as pipe:
            yield pipe

    @contextmanager
    def _reading(self, what: str, script: str, extra: dict[str, str]) -> Iterator[Pipe]:
        variables = {**client(self.names, self.settings), **extra}
        with self.shell.pipe(script, gives=True, variables=variables) as pipe:
            yield pipe
            answer = pipe.finish()
            if answer.code and BUSY in answer.out:
                raise Refused(
                    f"A migration of {self.settings.database} is under way; a dump would hold it "
                    "up, and behind it the application.\nNext: when the deploy is over, `ytops "
                    "backup run`"
                )
            if answer.code:
                raise StepFailed(
                    f"{what} of {self.settings.database} failed on {self.shell.where} (exit "
                    f"code {answer.code}):\n{answer.out.strip()}\nNo backup was made of it.\n"
                    "Next: `ytops status`; see to the cause, then `ytops backup run`"
                )

    def facts(self) -> Facts:
        """After the dump. Raises StepFailed when it holds less than the database."""
        answer = self.shell.run(FACTS)
        found = Facts()
        for line in answer.out.splitlines():
            word, *rest = json.loads(line)
            if word == "row":
                found.rows[rest[0]] = int(rest[1])
            elif word == "migration":
                found.migrations.append(rest[0])
            elif word == "bytes":
                found.bytes = int(rest[0])
            else:
                found.server = rest[0].split()[0]
        version, entries = answer.error.splitlines()[:2]
        found.pg_dump, found.entries = version.split()[2], int(entries)
        if _major(found.pg_dump) != _major(found.server):
            raise StepFailed(
                f"pg_dump {found.pg_dump} dumped a PostgreSQL {found.server}, which need not take "
                "it back: it is no backup.\nNext: give `schedulerImage` the server's major version"
            )
        if found.entries < len(found.rows):
            raise StepFailed(
                f"The dump holds the data of {found.entries} tables, {self.settings.database} has "
                f"{len(found.rows)}: it is no backup.\nNext: `ytops backup run`"
            )
        return found


def client(names: Names, settings: Postgres) -> dict[str, str]:
    """The variables of a client of the live database."""
    login = settings.logins.current
    return {
        "PGHOST": names.postgres,
        "PGUSER": login.user,
        "PGDATABASE": settings.database,
        "PGPASSWORD": login.password,
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "ytempire-backup",
    }
