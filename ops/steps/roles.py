"""Roles: who may log in to the database, and who no longer. Passwords reach psql on its standard
input."""

from __future__ import annotations

import json
import os
import time

from ops.docker import Answer, Docker, Say, elapsed
from ops.errors import OpsError, StepFailed
from ops.steps._boot import ensure_running, last_lines
from rollout.steps import LOGINS, Roles

BOOT_SECONDS = 60  # a first start, with initdb, was measured at about 5
POLL_SECONDS = 0.3

# As the cluster's first superuser, whatever it is called, over the local socket.
PSQL = 'exec psql -X -q -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d "$0" -f -'
# Over TCP first: while a first start makes the cluster, only a local socket listens.
ASK = (
    "pg_isready -h 127.0.0.1 && "
    'exec psql -X -qAt -U "${POSTGRES_USER:-postgres}" -d "$0" -c "SELECT 1"'
)

# The server must not write passwords to its log, whatever its settings say.
STATEMENTS = """\
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET password_encryption = 'scram-sha-256';
SELECT format('CREATE ROLE %I', r.name) FROM (VALUES (:'owner'), (:'replication')) AS r (name)
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) \\gexec
ALTER ROLE :"owner" WITH LOGIN;
ALTER ROLE :"replication" WITH LOGIN REPLICATION PASSWORD :'replication_password';
ALTER DATABASE :"database" OWNER TO :"owner";
"""
# Whichever logs in, its sessions are the owner's: what a migration makes has one owner.
MAY_LOG_IN = """\
SELECT format('CREATE ROLE %I', :'login')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') \\gexec
SELECT format(statement, :'owner', :'login')
    FROM (VALUES ('GRANT %1$I TO %2$I'), ('ALTER ROLE %2$I SET role = %1$L')) AS s (statement)
    WHERE :'login' <> :'owner' \\gexec
ALTER ROLE :"login" WITH LOGIN PASSWORD :'password';
"""
# Without a password nobody comes in over the network. The container's own socket asks for none, and
# sessions there are the operator's.
LOCKED = """\
SELECT format('ALTER ROLE %I PASSWORD NULL', :'login')
    WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = :'login') \\gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE usename = :'login' AND client_addr IS NOT NULL \\g /dev/null
"""


def run(parameters: Roles, say: Say) -> None:
    docker = Docker()
    begun = time.monotonic()
    ensure_running(docker, parameters.postgres, say)
    _await_connections(docker, parameters)
    answer = _psql(docker, parameters, PSQL, _script(parameters))
    if answer.code:
        raise StepFailed(
            f"The roles of {parameters.database} ({parameters.postgres} on {docker.host}) were not "
            f"set: {answer.words}\nNext: `docker logs {parameters.postgres}`, then `pulumi up`"
        )
    names = ", ".join((*parameters.may_log_in, parameters.replication_user))
    say(f"roles {names} have their passwords ({elapsed(begun)})")
    for login in parameters.locked:
        say(f"{login} can't log in")


def _await_connections(docker: Docker, parameters: Roles) -> None:
    """Until it accepts connections, as long as it may take."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        answer = _psql(docker, parameters, ASK)
        if answer.code == 0:
            return
        found = docker.inspect(parameters.postgres)
        if time.monotonic() > deadline or found is None or found.stopped:
            break
        time.sleep(POLL_SECONDS)
    raise StepFailed(
        f"PostgreSQL ({parameters.postgres} on {docker.host}) accepts no connections after "
        f"{BOOT_SECONDS} s: {answer.words}{last_lines(docker, parameters.postgres)}\n"
        f"Next: `docker logs {parameters.postgres}`, then `pulumi up`"
    )


def _psql(docker: Docker, parameters: Roles, script: str, stdin: str = "") -> Answer:
    return docker.exec(
        parameters.postgres, "sh", "-c", script, parameters.database,
        user="postgres", stdin=stdin.encode() if stdin else None,
    )  # fmt: skip


def _script(parameters: Roles) -> str:
    passwords = _passwords(parameters)
    replication = _password("REPLICATION_PASSWORD", os.environ.get("REPLICATION_PASSWORD", ""))
    script = STATEMENTS
    for login in parameters.may_log_in:
        script += _set(login=login, password=passwords[login]) + MAY_LOG_IN
    for login in parameters.locked:
        script += _set(login=login) + LOCKED
    return (
        _set(
            owner=parameters.user,
            replication=parameters.replication_user,
            database=parameters.database,
            replication_password=replication,
        )
        + script
    )


def _passwords(parameters: Roles) -> dict[str, str]:
    try:
        found = json.loads(os.environ.get(LOGINS, ""))
        return {user: _password(LOGINS, found[user]) for user in parameters.may_log_in}
    except (ValueError, KeyError, TypeError):
        raise OpsError(f"The variable {LOGINS} does not hold a password for each login") from None


def _password(variable: str, value: str) -> str:
    if not value or "\n" in value or "\0" in value:
        raise OpsError(f"The variable {variable} must hold a password: one line, not empty")
    return value


def _set(**values: str) -> str:
    return "".join(f"\\set {name} {_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    """As psql's \\set reads it: backslashes escape, a quote is doubled."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
