"""What of the configuration policies judge: declared first, before the gate and all behind it.

A component's properties reach the rules whatever the plan is, so that a pull request which changes
nothing but a limit is judged as well. No secret is among them.
"""

from __future__ import annotations

import pulumi

from rollout.names import CONFIGURATION
from rollout.settings import Settings


class Configuration(pulumi.ComponentResource):
    """The settings that the manuals bound. It has no outputs; the gate is its child."""

    def __init__(self, name: str, settings: Settings) -> None:
        super().__init__(CONFIGURATION, name, judged(settings), None)
        self.register_outputs({})


def judged(settings: Settings) -> dict[str, object]:
    """By the keys of the stack file. Times in seconds, `watchP95Ms` in ms."""
    backend, edge, operations = settings.backend, settings.edge, settings.operations
    return {
        "environment": settings.deployment.environment,
        "protect": settings.deployment.protect,
        "dockerHost": settings.deployment.docker_host,
        "edgeTls": edge.tls,
        "edgeHstsSeconds": edge.hsts_seconds,
        "edgeRequestTimeout": edge.request_timeout,
        "healthInterval": backend.health_interval,
        "healthTimeout": backend.health_timeout,
        "healthRetries": backend.health_retries,
        "bootTimeout": backend.boot_timeout,
        "watchSeconds": settings.watch.seconds,
        "watchErrorPercent": settings.watch.error_percent,
        "watchP95Ms": settings.watch.p95_ms,
        "notifies": bool(operations.notify_webhook),
    }
