"""What the agent is told at start, and the clock it lives by."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field, ValidationError

from ops.errors import OpsError
from rollout.edge import RELEASE_HEADER
from rollout.names import Names, address
from rollout.state import Record

CONFIG_VARIABLE = "SWITCH_CONFIG"
BROKER_VARIABLE = "REDIS_URL"


class SwitchConfig(Record):
    """`SWITCH_CONFIG`, as JSON. The paths are where the volumes are mounted in the container."""

    stack: str
    app_subnet: str
    domain: str
    tls: bool = True
    drain_seconds: float = Field(default=60, ge=0)
    release_header: str = RELEASE_HEADER
    # The caller renews every 2 s; four lost renewals are a dead caller, one is a busy host.
    lease_seconds: float = Field(default=10, gt=0)
    probe_seconds: float = Field(default=5, gt=0)
    reload_seconds: float = Field(default=5, gt=0)
    worker_seconds: float = Field(default=5, gt=0)
    reconcile_seconds: float = Field(default=2, gt=0)
    control: str = "/control"
    live: str = "/live"
    edge: str = "/edge"
    socket: str = "/run/switch.sock"

    @property
    def names(self) -> Names:
        return Names(self.stack)

    @property
    def control_path(self) -> Path:
        return Path(self.control)

    @property
    def live_path(self) -> Path:
        return Path(self.live)

    @property
    def edge_path(self) -> Path:
        return Path(self.edge)

    def address(self, place: Literal["edge", "switch", "blue", "green"]) -> str:
        return address(self.app_subnet, place)


def from_environment() -> tuple[SwitchConfig, str]:
    """The configuration and the broker's URL, which is a secret and never logged."""
    broker = os.environ.get(BROKER_VARIABLE)
    if not broker:
        raise OpsError(f"{BROKER_VARIABLE} is not set: it must be the URL of the Celery broker")
    try:
        return SwitchConfig.model_validate_json(os.environ.get(CONFIG_VARIABLE, "")), broker
    except ValidationError as error:
        raise OpsError(f"{CONFIG_VARIABLE}: {complaints(error)}") from None


def complaints(error: ValidationError) -> str:
    """pydantic's findings on one line, each beginning with the key path."""
    return "; ".join(
        f"{'/'.join(str(part) for part in item['loc']) or 'value'}: {item['msg']}"
        for item in error.errors()
    )


class Clock(Protocol):
    """Time, so that tests need not wait for it."""

    def utc(self) -> str: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The real one."""

    def utc(self) -> str:
        return datetime.now(UTC).isoformat(timespec="seconds")

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def seconds_since(moment: str, clock: Clock) -> float:
    """How long ago an ISO 8601 moment was, by the clock's own UTC."""
    passed = datetime.fromisoformat(clock.utc()) - datetime.fromisoformat(moment)
    return passed.total_seconds()
