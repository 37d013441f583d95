"""Containers of a stack that stand still. Nothing that a run declares tells: it ignores them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ops.docker import Docker
from rollout.names import STACK_LABEL, Names

_STATES = ("created", "exited", "dead")


@dataclass(frozen=True)
class Stopped:
    """One that has ended, and when: a later end is another one."""

    name: str
    finished_at: str

    @property
    def key(self) -> str:
        return f"{self.name}@{self.finished_at}"


def stopped(docker: Docker, names: Names) -> tuple[Stopped, ...]:
    """All of them, by name; steps' one-shot containers among them."""
    states = [word for state in _STATES for word in ("--filter", f"status={state}")]
    label = f"label={STACK_LABEL}={names.stack}"
    listed = docker.call("ps", "--all", "--filter", label, *states, "--format", "{{.Names}}")
    found = sorted(listed.out.split())
    if not found:
        return ()
    # One may be gone by now: those that are there are printed all the same.
    answer = docker.call("container", "inspect", *found, check=False)
    return tuple(
        Stopped(one["Name"].removeprefix("/"), one["State"]["FinishedAt"])
        for one in json.loads(answer.out or "[]")
    )
