"""A step of a run: one `Command` that calls `ytops-step NAME` on the deployer's machine."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pulumi
import pulumi_command as command

from rollout.state import Record
from rollout.steps import PARAMETERS

# What a step is told, as against `triggers`, which decides whether it runs anew.
DESCRIPTION = ["create", "environment", "logging"]


def step(
    name: str,
    parameters: Record,
    docker_host: str,
    opts: pulumi.ResourceOptions,
    *,
    key: str = "",
    secrets: Mapping[str, str] | None = None,
) -> command.local.Command:
    """Declare a step. A changed `key` runs it anew; anything else that changes runs it again, and
    the step's own marker on the host keeps it from doing its work twice. It has no delete: what a
    step did is not undone by forgetting it.
    """
    environment: dict[str, pulumi.Input[str]] = {
        PARAMETERS: parameters.model_dump_json(),
        "DOCKER_HOST": docker_host,
    }
    for variable, value in (secrets or {}).items():
        environment[variable] = pulumi.Output.secret(value)
    return command.local.Command(
        name,
        create=f"ytops-step {verb(type(parameters))}",
        environment=environment,
        triggers=[key] if key else None,
        logging=command.local.Logging.STDOUT,
        opts=opts,
    )


def verb(model: type[Record]) -> str:
    """`WorkersAnswer` is `ytops-step workers-answer`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", model.__name__).lower()
