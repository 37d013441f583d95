"""Cache: its logical database is flushed after a switch; the broker's queue is in another."""

from __future__ import annotations

import os

from ops.docker import Answer, Docker, Say
from ops.errors import StepFailed
from rollout.names import BROKER_DATABASE
from rollout.steps import Cache


def run(parameters: Cache, say: Say) -> None:
    if parameters.database == BROKER_DATABASE:
        raise StepFailed(
            f"Database {BROKER_DATABASE} of {parameters.redis} holds the queue of jobs and is not "
            "flushed. Next: give the cache a database of its own (CACHE_DATABASE)"
        )
    docker = Docker()
    password = os.environ.get("REDISCLI_AUTH", "")
    answer = flush(docker, parameters.redis, parameters.user, parameters.database, password)
    if not is_flushed(answer):
        raise StepFailed(
            f"The cache (database {parameters.database} of {parameters.redis} on {docker.host}) "
            f"was not flushed: {answer.words}\n"
            f"The switch is done; pages may show old data. Next: `docker logs {parameters.redis}`, "
            "then `ytops up`"
        )
    say(f"database {parameters.database} of {parameters.redis} flushed; the queue is untouched")


def flush(docker: Docker, redis: str, user: str, database: int, password: str) -> Answer:
    return docker.exec(
        redis,
        "redis-cli", "--no-auth-warning", "--user", user,
        "-n", str(database), "FLUSHDB", "ASYNC",
        variables={"REDISCLI_AUTH": password},
    )  # fmt: skip


def is_flushed(answer: Answer) -> bool:
    """redis-cli exits with 0 on a refusal."""
    return answer.code == 0 and answer.out.strip() == "OK"
