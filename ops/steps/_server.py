"""A server that runs takes a changed configuration as far as it can, and says what it can't."""

from __future__ import annotations

import os
import time

from ops.docker import Answer, Docker, Say
from ops.errors import StepFailed

PSQL = 'exec psql -X -qAt -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d postgres -c "$0"'
RELOADED_SECONDS = 1.0  # from the signal until new connections tell what it changed
REREAD = "SELECT pg_reload_conf()"
PENDING = "SELECT string_agg(name, ', ' ORDER BY name) FROM pg_settings WHERE pending_restart"
ERRORS = (
    "SELECT string_agg(coalesce(name || ': ', '') || error, '; ') FROM pg_file_settings "
    "WHERE error IS NOT NULL"
    # It says the same of a wrong value as of one that waits for a restart.
    " AND coalesce(name, '') NOT IN (SELECT name FROM pg_settings WHERE pending_restart)"
)


def postgres(docker: Docker, container: str, say: Say) -> None:
    answer = _psql(docker, container, REREAD)
    if answer.code:
        say(f"{container} accepts no connections now; it reads the files when it starts")
        return
    time.sleep(RELOADED_SECONDS)
    wrong = _psql(docker, container, ERRORS).out.strip()
    if wrong:
        raise StepFailed(
            f"PostgreSQL ({container} on {docker.host}) does not take its configuration: {wrong}\n"
            "It goes on with the one before, and would not start again. Next: correct "
            "postgresSettings, then `pulumi up`"
        )
    waiting = _psql(docker, container, PENDING).out.strip()
    say(f"{container} reads them again")
    if waiting:
        say(_restart(container, waiting))


def redis(docker: Docker, container: str, memory: str, say: Say) -> None:
    """The one setting that follows the configuration is its memory."""
    answer = docker.exec(
        container,
        "redis-cli", "--no-auth-warning", "--user", os.environ.get("REDISCLI_USER", ""),
        "CONFIG", "SET", "maxmemory", memory,
        variables={"REDISCLI_AUTH": os.environ.get("REDISCLI_AUTH", "")},
    )  # fmt: skip
    if answer.code == 0 and answer.out.strip() == "OK":
        say(f"{container}: maxmemory is {memory}")
    else:
        say(f"{container} did not take it: {answer.words.splitlines()[0]}")
        say(_restart(container, "what was changed"))


def _restart(container: str, what: str) -> str:
    return (
        f"note: {what} takes effect at the next start only. `docker restart {container}` is an "
        "outage of some seconds for the application: choose the hour"
    )


def _psql(docker: Docker, container: str, query: str) -> Answer:
    return docker.exec(container, "sh", "-c", PSQL, query, user="postgres")
