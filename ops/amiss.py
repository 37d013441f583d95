"""What is amiss with a stack's containers, and no declaration tells: a run ignores one that stands
still, and takes one for made that it was cut off from before it had its process limit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ops.docker import STANDING, Docker
from rollout.names import PIDS_LABEL, STACK_LABEL, Names


@dataclass(frozen=True)
class Stopped:
    """One that has ended, and when: a later end is another one."""

    name: str
    finished_at: str

    @property
    def key(self) -> str:
        return f"{self.name}@{self.finished_at}"


@dataclass(frozen=True)
class Unlimited:
    """One that may have any number of processes, where `pids` were declared."""

    name: str
    id: str
    pids: int

    @property
    def key(self) -> str:
        return f"{self.name}#{self.id[:12]}"


@dataclass(frozen=True)
class Amiss:
    """By name; steps' one-shot containers among those that stand still."""

    stopped: tuple[Stopped, ...] = ()
    unlimited: tuple[Unlimited, ...] = ()


def amiss(docker: Docker, names: Names) -> Amiss:
    """As the host has it now."""
    label = f"label={STACK_LABEL}={names.stack}"
    listed = docker.call("ps", "--all", "--filter", label, "--format", "{{.Names}}")
    found = sorted(listed.out.split())
    if not found:
        return Amiss()
    # One may be gone by now: those that are there are printed all the same.
    answer = docker.call("container", "inspect", *found, check=False)
    containers: list[dict[str, Any]] = json.loads(answer.out or "[]")
    return Amiss(
        tuple(
            Stopped(_name(one), one["State"]["FinishedAt"])
            for one in containers
            if one["State"]["Status"] in STANDING
        ),
        tuple(
            Unlimited(_name(one), one["Id"], _declared(one))
            for one in containers
            if _declared(one) and (one["HostConfig"].get("PidsLimit") or 0) <= 0
        ),
    )


def _name(container: dict[str, Any]) -> str:
    name: str = container["Name"]
    return name.removeprefix("/")


def _declared(container: dict[str, Any]) -> int:
    labels = container["Config"].get("Labels") or {}
    return int(labels.get(PIDS_LABEL) or 0)
