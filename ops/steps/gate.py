"""The gate: says what the run is about to do. Everything that changes production depends on it."""

from __future__ import annotations

from ops.docker import Say
from rollout.steps import Gate

MOVES_TRAFFIC = ("switch", "deploy")


def run(parameters: Gate, say: Say) -> None:
    say(f"{parameters.action}: {parameters.reason or 'no release serves, none is asked for'}")
    target = parameters.target
    if target and parameters.action in MOVES_TRAFFIC:
        say(f"switch {parameters.serial} will move traffic to {target.identity} in {target.colour}")
