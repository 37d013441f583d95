"""A server that runs takes a changed configuration as far as it can, and says what it can't."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence

from ops.docker import Answer, Docker, Say
from ops.errors import StepFailed
from rollout.steps import LOGINS

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
    answer = _operator(docker, container, "CONFIG", "SET", "maxmemory", memory)
    if answer.code == 0 and answer.out.strip() == "OK":
        say(f"{container}: maxmemory is {memory}")
    else:
        say(f"{container} did not take it: {answer.words.splitlines()[0]}")
        say(_restart(container, "what was changed"))


def redis_users(docker: Docker, container: str, wanted: str, say: Say) -> None:
    """The users of the file, each whole at once, and no others: whoever is taken away is cut off.

    One by one: to load the file would cut everybody off, in Redis 7.0. A server that was started
    before its operator could do this knows the users that it has; that may be enough."""
    users = [line.split()[1:] for line in wanted.splitlines() if line.startswith("user ")]
    if not users:
        return
    orders = [f"ACL SETUSER {name} reset {' '.join(rules)}" for name, *rules in users]
    answer = _operator(docker, container, orders=[*orders, "ACL USERS"])
    lines = answer.out.split("\n")
    if answer.code or lines[: len(orders)] != ["OK"] * len(orders):
        _require_logins(docker, container, answer.words, say)
        return
    known = {name for name in lines[len(orders) :] if name}
    strangers = sorted(known - {name for name, *_ in users})
    if strangers:
        _operator(docker, container, orders=[f"ACL DELUSER {' '.join(strangers)}"])
    gone = f", and no longer {', '.join(strangers)}" if strangers else ""
    say(f"{container} knows {', '.join(name for name, *_ in users)}{gone}")


def _require_logins(docker: Docker, container: str, words: str, say: Say) -> None:
    """Raises StepFailed when somebody who must be able to log in is not."""
    why = words.splitlines()[0] if words else "no answer"
    for user, password in json.loads(os.environ.get(LOGINS) or "{}").items():
        answer = _redis(docker, container, user, password, "PING")
        if answer.out.strip() != "PONG":
            raise StepFailed(
                f"Redis ({container} on {docker.host}) does not take its users while it runs: "
                f"{why}\nThey are in its file. Next: `docker restart {container}`, an outage of "
                "some seconds for the application (its data stays), then `ytops up`"
            )
    say(f"{container} did not take its users: {why}")
    say(_restart(container, "what was changed of them"))


def _operator(docker: Docker, container: str, *command: str, orders: Sequence[str] = ()) -> Answer:
    name, password = os.environ.get("REDISCLI_USER", ""), os.environ.get("REDISCLI_AUTH", "")
    return _redis(docker, container, name, password, *command, orders=orders)


def _redis(
    docker: Docker,
    container: str,
    user: str,
    password: str,
    *command: str,
    orders: Sequence[str] = (),
) -> Answer:
    """A command, or orders that no process list shall show."""
    return docker.exec(
        container,
        *("redis-cli", "--no-auth-warning", "--user", user, *command),
        variables={"REDISCLI_AUTH": password},
        stdin="".join(f"{order}\n" for order in orders).encode() if orders else None,
    )


def _restart(container: str, what: str) -> str:
    return (
        f"note: {what} takes effect at the next start only. `docker restart {container}` is an "
        "outage of some seconds for the application: choose the hour"
    )


def _psql(docker: Docker, container: str, query: str) -> Answer:
    return docker.exec(container, "sh", "-c", PSQL, query, user="postgres")
