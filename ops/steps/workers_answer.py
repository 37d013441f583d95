"""Workers answer: the release's workers and its beat run, and the workers answer Celery's ping,
paused."""

from __future__ import annotations

import time

from ops.agent import Session
from ops.docker import Docker, Say, elapsed
from ops.errors import StepFailed, SwitchRefused
from ops.steps._boot import ensure_running, facts, last_lines
from rollout.names import node
from rollout.steps import WorkersAnswer


def run(parameters: WorkersAnswer, say: Say) -> None:
    docker = Docker()
    begun = time.monotonic()
    for container in (*parameters.containers, parameters.beat):
        if container:
            ensure_running(docker, container, say)
    nodes = [node(container) for container in parameters.containers]
    try:
        with Session(docker, parameters.switch, say) as session:
            session.ask("ping", nodes=nodes, timeout=parameters.timeout)
    except SwitchRefused as refusal:
        raise _failure(docker, parameters.containers, facts(refusal)) from None
    say(f"{len(nodes)} of {len(nodes)} workers answer, paused, after {elapsed(begun)}")


def _failure(docker: Docker, containers: tuple[str, ...], words: str) -> StepFailed:
    """The logs of those that the refusal names, or of all."""
    silent = [c for c in containers if c in words] or containers
    logs = "".join(last_lines(docker, container) for container in silent)
    return StepFailed(
        f"The workers are not ready on {docker.host}: {words}.{logs}\n"
        f"Next: `docker logs {silent[0]}`; then fix it and `ytops up`"
    )
