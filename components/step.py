"""A step of a run: one `Command` that calls `ytops-step NAME` on the deployer's machine."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pulumi
import pulumi_command as command

from rollout.names import PARAMETERS
from rollout.settings import Settings
from rollout.steps import REDACT, STACK, WEBHOOK, Parameters

# What a step is told, as against `triggers`, which decides whether it runs anew.
DESCRIPTION = ["create", "environment", "logging"]
EVERYTHING = [*DESCRIPTION, "triggers"]


def step(
    name: str,
    parameters: Parameters,
    settings: Settings,
    opts: pulumi.ResourceOptions,
    *,
    key: str = "",
    secrets: Mapping[str, str] | None = None,
    shows_logs: bool = False,
) -> command.local.Command:
    """Declare a step. A changed `key` runs it anew; anything else that changes runs it again, and
    the step's own marker on the host keeps it from doing its work twice. It has no delete: what a
    step did is not undone by forgetting it.

    `shows_logs`: it passes on what containers of the application say, so it is told every secret
    that must not be in that.
    """
    environment: dict[str, pulumi.Input[str]] = {
        PARAMETERS: parameters.json(),
        STACK: settings.stack,
        "DOCKER_HOST": settings.deployment.docker_host,
    }
    hidden = {WEBHOOK: settings.operations.notify_webhook}
    if shows_logs:
        hidden[REDACT] = json.dumps(sorted({*settings.secrets.values()}))
    for variable, value in {**(secrets or {}), **hidden}.items():
        environment[variable] = pulumi.Output.secret(value)
    return command.local.Command(
        name,
        create=command_line(verb(type(parameters))),
        environment=environment,
        triggers=[key] if key else None,
        logging=command.local.Logging.STDOUT,
        opts=opts,
    )


def command_line(step: str) -> str:
    """What the plugin gives to a shell. With `exec`, the shell becomes the step: whoever waits for
    it is its parent, and when that is killed, the step hears of it and ends."""
    return f"exec ytops-step {step}"


def verb(model: type[Parameters]) -> str:
    """`WorkersAnswer` is `ytops-step workers-answer`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", model.__name__).lower()
