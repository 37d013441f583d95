"""What a migration does to tables that were there before: the copy's server writes it down.

Two witnesses note which locks a session holds, into the server's log. An event trigger does so at
the end of each statement on the schema, so that the shortest is seen; a session of ours does so
every 50 ms, for those that fire no trigger (LOCK, TRUNCATE, statements on rows).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ops.docker import end
from ops.rehearsal.scratch import LOG, Scratch
from rollout.migrations import NOTE, Entry, entries

SCHEMA = "ytempire_rehearsal"
EVERY_SECONDS = 0.05
SAMPLER = "ytempire-sampler"

SET_UP = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.relations AS
    SELECT c.oid,
        CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^pg_'
      AND n.nspname NOT IN ('information_schema', '{SCHEMA}');
CREATE FUNCTION {SCHEMA}.note(own boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE found text;
BEGIN
    SELECT json_agg(json_build_object('pid', l.pid, 'relation', r.name, 'mode', l.mode)) INTO found
    FROM pg_locks l JOIN {SCHEMA}.relations r ON r.oid = l.relation
    WHERE l.granted AND l.mode <> 'AccessShareLock' AND (l.pid = pg_backend_pid()) = own
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
    IF found IS NOT NULL THEN RAISE LOG '{NOTE}%', found; END IF;
END $$;
CREATE FUNCTION {SCHEMA}.on_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN PERFORM {SCHEMA}.note(true); END $$;
GRANT USAGE ON SCHEMA {SCHEMA} TO PUBLIC;
CREATE EVENT TRIGGER {SCHEMA} ON ddl_command_end EXECUTE FUNCTION {SCHEMA}.on_ddl();
"""
TAKE_DOWN = f"DROP SCHEMA {SCHEMA} CASCADE"
END_SAMPLER = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    f"WHERE application_name = '{SAMPLER}'"
)
SAMPLE = (
    f"SET application_name = '{SAMPLER}';\nSELECT {SCHEMA}.note(false) \\watch {EVERY_SECONDS}\n"
)

# Row statements and questions that took under 100 ms are left where they are: a data migration
# may have run a million of them.
ROWS = "SELECT|INSERT|UPDATE|DELETE|WITH|COPY|SAVEPOINT|RELEASE|SHOW|SET|FETCH|DECLARE|CLOSE"
FAST = r'"message":"duration: [0-9]{1,2}\.[0-9]+ ms  '
DULL = rf"{FAST}(parse|bind|((statement|execute[^:]*): ({ROWS})))"
READ = f"tail -n +\"$0\" {LOG} | grep -vE '{DULL}' || true"


@contextmanager
def watched(scratch: Scratch) -> Iterator[None]:
    """While something migrates the copy. Nothing of it is in the schema afterwards."""
    scratch.sql(SET_UP)
    client = ["exec", "--interactive", scratch.postgres, "psql", "-X", "-q", "-o", "/dev/null"]
    user, database = scratch.settings.postgres.user, scratch.settings.postgres.database
    sampler = scratch.docker.spawn([*client, "-U", user, "-d", database], True, subprocess.DEVNULL)
    try:
        assert sampler.stdin
        sampler.stdin.write(f"SET log_min_duration_statement = -1;\n{SAMPLE}".encode())
        sampler.stdin.close()
        yield
    finally:
        scratch.sql(END_SAMPLER)
        with suppress(subprocess.TimeoutExpired):
            sampler.wait(5)
        end(sampler)
        if sampler.stdout:
            sampler.stdout.close()
        scratch.sql(TAKE_DOWN)


def log_lines(scratch: Scratch) -> int:
    """How far the server's log has come."""
    return int(scratch.shell(f"wc -l <{LOG}").out.strip() or 0)


def log_since(scratch: Scratch, lines: int) -> list[Entry]:
    """What came after these."""
    return entries(scratch.shell(READ, str(lines + 1)).out)
