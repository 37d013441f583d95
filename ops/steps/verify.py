"""Verify: the idle slot itself answers, as the release that was asked for; then it is ready."""

from __future__ import annotations

from ops.agent import Session
from ops.docker import Docker, Say
from ops.errors import StepFailed, SwitchRefused
from ops.steps._boot import await_healthy, facts, last_lines
from ops.steps._idle import is_idle
from rollout.steps import Verify


def run(parameters: Verify, say: Say) -> None:
    docker = Docker()
    with Session(docker, parameters.switch, say) as session:
        _wake(docker, parameters, say)
        try:
            session.ask("probe", colour=parameters.colour, timeout=parameters.timeout)
        except SwitchRefused as refusal:
            raise StepFailed(
                f"{parameters.identity} in {parameters.colour} does not answer as it must on "
                f"{docker.host}: {facts(refusal)}.{last_lines(docker, parameters.app)}\n"
                "The live release goes on serving.\n"
                f"Next: `docker logs {parameters.app}`; then fix it and `ytops up`"
            ) from None
        session.ask("ready", **parameters.only("colour", "identity", "claim"))
    say(f"{parameters.identity} in {parameters.colour} answers as it must: ready")


def _wake(docker: Docker, parameters: Verify, say: Say) -> None:
    """It was healthy before; since then it may have been stopped, or made anew by a later run."""
    found = docker.inspect(parameters.app)
    if found is None or not found.running:
        await_healthy(docker, parameters.app, parameters.boot_timeout, say, is_idle)
