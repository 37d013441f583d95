"""Healthy: a container is up, by Docker's word, or it says why it isn't."""

from __future__ import annotations

from ops.docker import Docker, Say
from ops.steps._boot import await_healthy, never
from ops.steps._idle import is_idle
from rollout.steps import Healthy


def run(parameters: Healthy, say: Say) -> None:
    may_stop = is_idle if parameters.stops else never
    await_healthy(Docker(), parameters.container, parameters.timeout, say, may_stop)
