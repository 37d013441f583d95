"""The namesake that a killed engine left behind: it would stop every later run by its name."""

from __future__ import annotations

from ops.docker import Docker
from ops.errors import OpsError
from ops.observe import observe
from rollout.names import STACK_LABEL, Names

STOP_SECONDS = 45  # longer than a worker's soft shutdown


def remove_stale(docker: Docker, container: str, names: Names) -> None:
    """Remove `container` if it exists, is this stack's, and does not carry traffic.

    Called before the engine creates a container of this name: whatever has the name by then is
    unknown to the engine. Raises OpsError rather than touch what is not ours to touch.
    """
    found = docker.inspect(container)
    if found is None:
        return
    if found.label(STACK_LABEL) != names.stack:
        raise OpsError(
            f"a container {container} exists on {docker.host} that this stack did not make. "
            f"Look at it, and remove it or rename it: `docker inspect {container}`."
        )
    edge = observe(docker, names).view.edge
    if edge and container == names.app(edge.colour):
        raise OpsError(
            f"{container} carries the traffic, and the engine was about to create it anew. "
            "Nothing was changed. Next: `ytops up`, which has it taken over as it is."
        )
    if found.running:
        docker.stop(container, STOP_SECONDS)  # a worker gives back what it can't finish
    docker.remove(container)
