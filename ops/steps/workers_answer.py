"""Workers answer: the release's workers and its beat run, and the workers answer Celery's ping,
paused."""

from __future__ import annotations

import time

from ops.agent import Session
from ops.docker import Container, Docker, Say, elapsed
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
    restarts = {name: _tried(docker, name, say).restarts for name in containers}
    with Session(docker, parameters.switch, say) as session:
        refusal = _ask(session, parameters)
        while refusal and time.monotonic() - begun < parameters.timeout:
            _refuse_crashed(docker, restarts)
            refusal = _ask(session, parameters)
    _refuse_crashed(docker, restarts)  # the beat answers nobody
    if refusal:
        raise _failure(docker, parameters.containers, facts(refusal))
    count = len(parameters.containers)
    say(f"{count} of {count} workers answer, paused, after {elapsed(begun)}")


def _tried(docker: Docker, name: str, say: Say) -> Container:
    """The container, running or just begun. One that did not come up before the migrations were
    done may do so now: it does not sit out what Docker makes it wait between two tries."""
    found = started(docker, name, say)
    if found.status != "restarting":
        return found
    docker.call("restart", name)
    return started(docker, name, say)


def _ask(session: Session, parameters: WorkersAnswer) -> SwitchRefused | None:
    """None, or who does not answer after some seconds."""
    nodes = [node(container) for container in parameters.containers]
    try:
        session.ask("ping", nodes=nodes, timeout=min(LOOK_SECONDS, parameters.timeout))
    except SwitchRefused as refusal:
        return refusal
    return None


def _refuse_crashed(docker: Docker, restarts: dict[str, int]) -> None:
    """Raise where one of them has ended, or was started again and again since."""
    found = docker.inspect_all(*restarts)
    wrong = {name: trouble(found[name], restarts[name]) for name in restarts if name in found}
    crashed = {name: f"{name} {words}" for name, words in wrong.items() if words}
    if crashed:
        raise _failure(docker, tuple(crashed), "; ".join(crashed.values()))


def _failure(docker: Docker, containers: tuple[str, ...], words: str) -> StepFailed:
    """The logs of those that the words name, or of all."""
    silent = [c for c in containers if c in words] or containers
    logs = "".join(last_lines(docker, container) for container in silent)
    return StepFailed(
        f"The workers are not ready on {docker.host}: {words}.{logs}\n"
        f"Next: `docker logs {silent[0]}`; then fix it and `ytops up`"
    )
