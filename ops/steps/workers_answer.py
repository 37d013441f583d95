"""Workers answer: the release's workers and its beat run, and the workers answer Celery's ping,
paused."""

from __future__ import annotations

import time

from ops.agent import Session
from ops.docker import Docker, Say, elapsed
from ops.errors import StepFailed, SwitchRefused
from ops.steps._boot import facts, last_lines, started, trouble
from rollout.names import node
from rollout.steps import WorkersAnswer

# So often a worker is looked at that does not answer: one that crashes is no use waiting for.
LOOK_SECONDS = 5


def run(parameters: WorkersAnswer, say: Say) -> None:
    docker = Docker()
    begun = time.monotonic()
    containers = (*parameters.containers, *filter(None, [parameters.beat]))
    # One that did not come up before the migrations were done may do so now.
    restarts = {name: started(docker, name, say).restarts for name in containers}
    with Session(docker, parameters.switch, say) as session:
        while (refusal := _ask(session, parameters)) is not None:
            crashed = _crashed(docker, restarts)
            if crashed:
                raise _failure(docker, tuple(crashed), "; ".join(crashed.values()))
            if time.monotonic() - begun >= parameters.timeout:
                raise _failure(docker, parameters.containers, facts(refusal))
    count = len(parameters.containers)
    say(f"{count} of {count} workers answer, paused, after {elapsed(begun)}")


def _ask(session: Session, parameters: WorkersAnswer) -> SwitchRefused | None:
    """None, or who does not answer after some seconds."""
    nodes = [node(container) for container in parameters.containers]
    try:
        session.ask("ping", nodes=nodes, timeout=min(LOOK_SECONDS, parameters.timeout))
    except SwitchRefused as refusal:
        return refusal
    return None


def _crashed(docker: Docker, restarts: dict[str, int]) -> dict[str, str]:
    """What is wrong with each, by name."""
    found = docker.inspect_all(*restarts)
    wrong = {name: trouble(found[name], restarts[name]) for name in restarts if name in found}
    return {name: f"{name} {words}" for name, words in wrong.items() if words}


def _failure(docker: Docker, containers: tuple[str, ...], words: str) -> StepFailed:
    """The logs of those that the words name, or of all."""
    silent = [c for c in containers if c in words] or containers
    logs = "".join(last_lines(docker, container) for container in silent)
    return StepFailed(
        f"The workers are not ready on {docker.host}: {words}.{logs}\n"
        f"Next: `docker logs {silent[0]}`; then fix it and `ytops up`"
    )
