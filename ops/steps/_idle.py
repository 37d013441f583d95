"""Whether a slot's container is out of traffic: a live one is never stopped, whatever failed."""

from __future__ import annotations

from ops.docker import Container, Docker
from ops.errors import OpsError
from rollout.names import COLOUR_LABEL, STACK_LABEL, Names


def is_idle(docker: Docker, container: Container) -> bool:
    """By the edge and the container's labels. In doubt it may be live."""
    from ops.observe import observe

    stack, colour = container.label(STACK_LABEL), container.label(COLOUR_LABEL)
    if not stack or not colour:
        return False
    try:
        seen = observe(docker, Names(stack))
    except OpsError:
        return False
    live = seen.view.edge
    pending = seen.view.state.pending
    return not (live and live.colour == colour) and not (
        pending and pending.target.colour == colour
    )
