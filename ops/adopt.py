"""Containers that run and that the engine's state has lost: `ytops` tells the program their ids."""

from __future__ import annotations

import os
from collections.abc import Mapping

ADOPT_VARIABLE = "YTOPS_ADOPT"


def adoption(containers: Mapping[str, str]) -> str:
    """For the variable: `name=id`, by commas."""
    return ",".join(f"{name}={id_}" for name, id_ in sorted(containers.items()))


def adopted(container: str) -> str | None:
    """The id that the engine is to take this container over by."""
    pairs = (pair.split("=", 1) for pair in os.environ.get(ADOPT_VARIABLE, "").split(",") if pair)
    return dict(pairs).get(container)
