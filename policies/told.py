"""What the engine tells a pack of the stack that it judges.

The configuration is in the message that sets a pack up, and Pulumi's SDK for Python leaves it there
(1.21 keeps the tags alone), so it is read here. Secrets stay where they are: one key is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_policy import policy

from ops.stackfile import PROJECT

PROTECT = f"{PROJECT}:protect"

# Empty until the engine has spoken.
_told: list[bool] = []


def listen() -> None:
    """From now on, before the pack is served. Raises AttributeError where the SDK has changed."""
    servicer = policy._PolicyAnalyzerServicer
    keep = servicer.ConfigureStack

    def configure(self: Any, request: Any, context: Any) -> Any:
        hear(request.config)
        return keep(self, request, context)

    setattr(servicer, keep.__name__, configure)


def hear(configuration: Mapping[str, str]) -> None:
    _told[:] = [configuration.get(PROTECT) == "true"]


def protects() -> bool:
    """Whether this stack protects what it has; who was told nothing takes it for granted."""
    return all(_told)
