"""The policy pack: how Pulumi is told of it, and whether it was."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "PULUMI_OPTION_POLICY_PACK"
FOLDER = "policies"


def named(root: Path, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether every run with this environment is judged by the checkout's own pack."""
    pack = (root / FOLDER).resolve()
    return pack in (Path(path).resolve() for path in _given(environment))


def naming(root: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The variable's value with the pack beside those that it names already."""
    return ",".join([*_given(environment), str(root / FOLDER)])


def _given(environment: Mapping[str, str]) -> list[str]:
    return [path for path in environment.get(VARIABLE, "").split(",") if path]
