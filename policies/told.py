"""What the engine tells a pack of the stack that it judges.

The configuration is in the message that sets a pack up, and Pulumi's SDK for Python leaves it there
(1.21 keeps the tags alone), so it is read here. Secrets stay where they are: two keys are taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_policy import policy

from ops import stackfile

PROTECT = f"{stackfile.PROJECT}:protect"
MAINTENANCE = f"{stackfile.PROJECT}:{stackfile.MAINTENANCE}"

# Empty until the engine has spoken.
_told: list[Mapping[str, str]] = []


def listen() -> None:
    """From now on, before the pack is served. Raises AttributeError where the SDK has changed."""
    servicer = policy._PolicyAnalyzerServicer
    keep = servicer.ConfigureStack

    def configure(self: Any, request: Any, context: Any) -> Any:
        hear(request.config)
        return keep(self, request, context)

    setattr(servicer, keep.__name__, configure)


def hear(configuration: Mapping[str, str]) -> None:
    _told[:] = [{key: configuration.get(key, "") for key in (PROTECT, MAINTENANCE)}]


def protects() -> bool:
    """Whether this stack protects what it has; who was told nothing takes it for granted."""
    return all(told[PROTECT] == "true" for told in _told)


def maintains() -> bool:
    """Whether a change is named under which more than a deploy's own may be replaced. Whether it
    allows that, the program has judged: where it does not, it protects as always."""
    return any(told[MAINTENANCE] for told in _told)
