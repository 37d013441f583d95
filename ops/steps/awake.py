"""Awake: containers of kept slots that somebody stopped are started again, and what has no process
limit gets it."""

from __future__ import annotations

from ops.docker import Docker, Say
from ops.errors import OpsError
from ops.steps._boot import await_healthy, ensure_running, never
from rollout.steps import Awake


def run(parameters: Awake, say: Say) -> None:
    if not parameters.containers:
        say("everything that is kept runs")
    docker = Docker()
    for container, pids in parameters.limits.items():
        _limit(docker, container, pids, say)
    if parameters.app in parameters.containers:
        _wake_app(docker, parameters, say)
    for container in parameters.containers:
        if container != parameters.app:
            _start(docker, container, say)


def _limit(docker: Docker, container: str, pids: int, say: Say) -> None:
    """One that this run replaces may be gone, or be going."""
    answer = docker.limit_processes(container, pids)
    say(f"{container} has its process limit" if not answer.code else f"note: {answer.words}")


def _wake_app(docker: Docker, parameters: Awake, say: Say) -> None:
    """What serves must serve again. A run that moves traffic away does not depend on it."""
    if parameters.waits:
        await_healthy(docker, parameters.app, parameters.timeout, say, never)
    else:
        _start(docker, parameters.app, say)


def _start(docker: Docker, container: str, say: Say) -> None:
    """Whether it comes up is asked when it is needed: nothing else waits for that."""
    try:
        ensure_running(docker, container, say)
    except OpsError as error:
        say(f"note: {str(error).splitlines()[0]}")
