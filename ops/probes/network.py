"""What the host reaches: names resolved, endpoints asked, and the clocks compared, all from the
host's own network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from ops.docker import Docker
from ops.probes import _on_host
from rollout.evidence import Connectivity, Reach, Unknown

SECONDS = 5


def network(docker: Docker, image: str, endpoints: Mapping[str, str]) -> Connectivity | Unknown:
    if not any(endpoints.values()):
        return Unknown(why="no endpoints are configured (`checklistEndpoints`)")
    pairs = [f"{name}={url}" for name, url in endpoints.items() if url]
    found = _on_host.ask(
        docker, image, "reach", str(SECONDS), *pairs, options=("--network", "host"), seconds=SECONDS
    )
    return Connectivity(
        by=f"HTTP from {docker.host}",
        at=datetime.now(UTC),
        endpoints=tuple(Reach.model_validate(entry) for entry in found),
    )
