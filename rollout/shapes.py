"""What a step takes and the host remembers alike: plain dataclasses.

Each step is a process of its own, and to import pydantic would be most of its start. Where a model
has one of these as a field, pydantic checks it as it checks a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rollout.names import Colour


class Shape:
    """Keys that it does not know are refused where it is part of a model."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True)
class Limits(Shape):
    """What one container may use. `memory` in MB, `cpus` in cores, `pids` in processes."""

    memory: int
    cpus: float
    pids: int


@dataclass(frozen=True, kw_only=True)
class Health(Shape):
    """Docker's health check of the app, in seconds (manual 7.1: 30/10/3)."""

    path: str
    interval: int
    timeout: int
    retries: int
    start_period: int


@dataclass(frozen=True, kw_only=True)
class Wanted(Shape):
    """What the configuration asks for: a version, and the fingerprint it has with this config."""

    version: str
    fingerprint: str

    @property
    def identity(self) -> str:
        return f"{self.version}+{self.fingerprint}"


@dataclass(frozen=True, kw_only=True)
class Release(Shape):
    """All that is needed to declare a release's containers again, secrets by reference.

    `environment` values may hold `${name}`: the secret of that name, filled in when a container
    is declared. `image` is what Docker runs (name@digest, or an image id for a local image).
    """

    version: str
    fingerprint: str
    image: str
    tag: str
    digest: str
    environment: dict[str, str]
    port: int
    health: Health
    endpoints: tuple[str, ...]
    status_path: str
    app_command: tuple[str, ...]
    worker_command: tuple[str, ...]
    beat_command: tuple[str, ...]
    migrate_command: tuple[str, ...]
    queues: tuple[str, ...]
    worker_replicas: int
    worker_stop_seconds: int
    app_limits: Limits
    worker_limits: Limits
    beat_limits: Limits
    user: str
    media_path: str
    secrets: dict[str, str] = field(default_factory=dict)
    """Keyed hashes of the datastores' passwords, to tell whether it was started with others."""

    @property
    def identity(self) -> str:
        return f"{self.version}+{self.fingerprint}"


@dataclass(frozen=True, kw_only=True)
class Pointer(Shape):
    """Where traffic is."""

    colour: Colour
    identity: str
