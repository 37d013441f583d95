"""The stack's containers as `docker ps` shows them: one call, running or not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from ops.docker import Docker
from rollout.names import COLOUR_LABEL, PART_LABEL, RELEASE_LABEL, STACK_LABEL


@dataclass(frozen=True)
class Seen:
    """A container. `health` is empty where it has no check."""

    name: str
    state: str
    status: str = ""
    part: str = ""
    colour: str = ""
    release: str = ""
    id: str = ""

    @property
    def health(self) -> str:
        found = re.search(r"\((?:health: )?(healthy|unhealthy|starting)\)", self.status)
        return found[1] if found else ""

    @property
    def running(self) -> bool:
        return self.state == "running"

    @property
    def fine(self) -> bool:
        """Runs, and its check does not say otherwise."""
        return self.running and self.health != "unhealthy"

    @property
    def words(self) -> str:
        """`healthy, up 6 minutes`."""
        up = re.sub(r"\s*\(.*?\)", "", self.status).strip()
        up = up[:1].lower() + up[1:]
        return ", ".join(word for word in (self.health if self.running else self.state, up) if word)


def seen(docker: Docker, stack: str) -> dict[str, Seen]:
    """By name. Raises HostUnreachable."""
    answer = docker.call(
        "ps", "--all", "--no-trunc", "--filter", f"label={STACK_LABEL}={stack}",
        "--format", "{{json .}}",
    )  # fmt: skip
    found = (_seen(json.loads(line)) for line in answer.out.splitlines() if line.strip())
    return {container.name: container for container in found}


def _seen(line: dict[str, str]) -> Seen:
    labels = dict(entry.partition("=")[::2] for entry in line.get("Labels", "").split(","))
    return Seen(
        name=line["Names"].split(",")[0],
        state=line["State"],
        status=line["Status"],
        part=labels.get(PART_LABEL, ""),
        colour=labels.get(COLOUR_LABEL, ""),
        release=labels.get(RELEASE_LABEL, ""),
        id=line.get("ID", ""),
    )
