"""Migrate: the database's schema is brought to the release, once, while the live one serves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from ops.agent import Session
from ops.docker import Docker, Say, elapsed
from ops.migrations import recorded
from ops.steps import _one_shot
from ops.steps._marker import Marker
from ops.steps._one_shot import Attempt, OneShot
from ops.steps._undisturbed import connected, undisturbed
from rollout.migrations import applied, failed_statement, under_way
from rollout.steps import Migrate

# Python ends in order on SIGINT, even as a container's first process; PostgreSQL rolls back.
STOP_SIGNAL = "SIGINT"
# Of PostgreSQL's log, to find what a failed statement was among what the live release asks.
SERVER_LOG_LINES = 500


def run(parameters: Migrate, say: Say) -> None:
    docker = Docker()
    marker = Marker(docker, parameters.switch, parameters.colour, "migrate", parameters.key, say)
    user, database = parameters.database_user, parameters.database
    with (
        Attempt(docker, _container(parameters)) as attempt,
        connected(docker, parameters.postgres, user, database) as locking,
        Session(docker, parameters.switch, say) as session,
    ):
        with _meanwhile(docker, parameters) as earlier:
            done = marker.note(session)
        if done is not None:
            say(f"already migrated for {parameters.key} ({done})")
            return
        before = earlier.result()
        with undisturbed(locking, database, say):
            begun = time.monotonic()
            outcome = attempt.run(say, parameters.timeout)
        took = elapsed(begun)
        with _meanwhile(docker, parameters) as now:
            if outcome.code == 0:
                marker.set(took, session)
    came = _came(before, now.result())
    if outcome.code != 0:
        where = f"{parameters.container} on {docker.host}"
        after = _after(docker, parameters, came, outcome.tail)
        raise _one_shot.explain(outcome, "The migration", where, after, parameters.timeout)
    say(f"migrated in {took}" + (f": {_words(came)}" if came is not None else ""))


@contextmanager
def _meanwhile(docker: Docker, parameters: Migrate) -> Iterator[Future[tuple[str, ...] | None]]:
    """What is recorded, asked beside the block: over ssh each question is a journey of its own."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_recorded, docker, parameters)


def _recorded(docker: Docker, parameters: Migrate) -> tuple[str, ...] | None:
    return recorded(
        docker,
        parameters.postgres,
        parameters.database_user,
        parameters.database,
        parameters.migrations_table,
    )


def _came(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """None where the table can't be read: nothing is said of what isn't known."""
    return None if before is None or after is None else applied(before, after)


def _words(came: tuple[str, ...]) -> str:
    return f"applied {', '.join(came)}" if came else "nothing to apply"


def _container(parameters: Migrate) -> OneShot:
    return OneShot(
        name=parameters.container,
        image=parameters.image,
        command=parameters.command,
        step="migrate",
        key=parameters.key,
        networks=parameters.networks,
        hosts=parameters.hosts,
        variables=parameters.variables,
        volumes={parameters.media_volume: parameters.media_path},
        labels=parameters.labels,
        user=parameters.user,
        memory=parameters.memory,
        stop_signal=STOP_SIGNAL,
    )


def _after(docker: Docker, parameters: Migrate, came: tuple[str, ...] | None, output: str) -> str:
    """What holds now: what was applied and stays so, what failed, what is still to do."""
    lines = []
    if came is not None:
        lines.append(f"Applied before that, and kept: {', '.join(came) or 'nothing'}.")
    failed = under_way(output)
    if failed:
        lines.append(f"Failed: {failed}. It and what follows it remain to be applied.")
    sql = failed_statement(output, docker.logs(parameters.postgres, SERVER_LOG_LINES))
    if sql:
        lines.append(f"The statement: {sql}")
    version = parameters.key.split("+", 1)[0]
    lines.append("The live release goes on serving; what was applied stays (expand/contract).")
    lines.append(
        f"Next: fix the cause, then the same release again, `ytops up {version}`, or another one; "
        "`ytops rehearse VERSION` tries it on a copy first"
    )
    return "\n".join(lines)
