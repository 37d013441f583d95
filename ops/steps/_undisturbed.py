"""A migration without a backup beside it: each waits for the other, in the database itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ops.docker import Docker, Say, end
from ops.errors import StepFailed
from rollout.dumps import MIGRATING

WAIT_MINUTES = 10
PSQL = ("psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-v", f"lock={MIGRATING}")
TRY = b"SELECT CASE WHEN pg_try_advisory_lock(:lock) THEN 'held' ELSE 'busy' END;\n"
WAIT = f"SET lock_timeout = '{WAIT_MINUTES}min'; SELECT 'held' FROM pg_advisory_lock(:lock);\n"


@contextmanager
def undisturbed(
    docker: Docker, postgres: str, user: str, database: str, say: Say
) -> Iterator[None]:
    """No dump begins from here on. The session that holds the lock ends with us."""
    session = docker.spawn(
        ["exec", "--interactive", postgres, *PSQL, "-U", user, "-d", database],
        True, subprocess.DEVNULL,
    )  # fmt: skip
    try:
        if _ask(session, TRY) == "busy":
            say(f"a backup is being made: waiting for it, {WAIT_MINUTES} minutes at most")
            if _ask(session, WAIT.encode()) != "held":
                raise StepFailed(
                    f"A backup of {database} has been under way for {WAIT_MINUTES} minutes, and a "
                    "migration beside it would hold the application up. Nothing was migrated.\n"
                    "Next: wait for it (`ytops logs scheduler`), or end it; then `ytops up`"
                )
        yield  # where nobody answers the migration says so itself
    finally:
        with suppress(OSError):
            if session.stdin:
                session.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            session.wait(5)
        end(session)


def _ask(session: subprocess.Popen[bytes], question: bytes) -> str:
    assert session.stdin
    assert session.stdout
    try:
        session.stdin.write(question)
        session.stdin.flush()
    except OSError:
        return ""
    return session.stdout.readline().decode(errors="replace").strip()
