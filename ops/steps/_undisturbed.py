"""A migration without a backup beside it: each waits for the other, in the database itself."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ops.docker import Docker, Say, end
from ops.errors import StepFailed
from rollout.dumps import MIGRATING

WAIT_MINUTES = 10
# The lock is a lease: an engine that restarts beside its containers leaves the session behind, with
# nobody at its other end who could ever close it.
LEASE_SECONDS = 30
BEAT_SECONDS = 5
PSQL = ("psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1", "-v", f"lock={MIGRATING}")
LEASE = "SET idle_session_timeout = '{seconds}s';\n"
TRY = "SELECT CASE WHEN pg_try_advisory_lock(:lock) THEN 'held' ELSE 'busy' END;\n"
WAIT = f"SET lock_timeout = '{WAIT_MINUTES}min'; SELECT 'held' FROM pg_advisory_lock(:lock);\n"


@contextmanager
def connected(
    docker: Docker, postgres: str, user: str, database: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A session of the database; not waited for."""
    session = docker.spawn(
        ["exec", "--interactive", postgres, *PSQL, "-U", user, "-d", database],
        True, subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield session
    finally:
        _close(session)


@contextmanager
def undisturbed(session: subprocess.Popen[bytes], database: str, say: Say) -> Iterator[None]:
    """No dump begins from here on. The session, which holds the lock, ends with the block, or soon
    after us."""
    lease = LEASE.format(seconds=LEASE_SECONDS)
    if _ask(session, lease + TRY) == "busy":
        say(f"a backup is being made: waiting for it, {WAIT_MINUTES} minutes at most")
        if _ask(session, WAIT) != "held":
            raise StepFailed(
                f"A backup of {database} has been under way for {WAIT_MINUTES} minutes, and a "
                "migration beside it would hold the application up. Nothing was migrated.\n"
                "Next: wait for it (`ytops logs scheduler`), or end it; then `ytops up`"
            )
    over = threading.Event()
    threading.Thread(target=_beat, args=(session, lease, over), daemon=True).start()
    try:
        yield  # where nobody answers the migration says so itself
    finally:
        over.set()
        _close(session)


def _close(session: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):
        if session.stdin:
            session.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        session.wait(5)
    end(session)


def _beat(session: subprocess.Popen[bytes], lease: str, over: threading.Event) -> None:
    while not over.wait(BEAT_SECONDS) and _say(session, lease):
        pass


def _ask(session: subprocess.Popen[bytes], question: str) -> str:
    assert session.stdout
    if not _say(session, question):
        return ""
    return session.stdout.readline().decode(errors="replace").strip()


def _say(session: subprocess.Popen[bytes], words: str) -> bool:
    """False where nobody listens any more."""
    assert session.stdin
    try:
        session.stdin.write(words.encode())
        session.stdin.flush()
    except (OSError, ValueError):  # ended, or closed by us
        return False
    return True
