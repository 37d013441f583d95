"""The release that the configuration asks for, described completely."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rollout.fingerprint import fingerprint, referenced, resolve, secret_hashes
from rollout.names import BROKER_DATABASE, CACHE_DATABASE
from rollout.settings import Settings
from rollout.shapes import Limits, Release

# Beat only sends messages; its size does not follow the application's.
BEAT_LIMITS = Limits(memory=512, cpus=0.5, pids=64)


@dataclass(frozen=True)
class ImageIdentity:
    """What a tag means: `image` is what Docker is told to run, `digest` the registry's digest, or
    the image id where no registry knows the image."""

    image: str
    digest: str


def image_tag(settings: Settings) -> str:
    """`ytempire/backend:1.2.0` (manual 7.1)."""
    return f"{settings.backend.image}:{settings.deployment.bare_version}"


def wanted_release(settings: Settings, image: ImageIdentity) -> Release:
    """The configured version under today's configuration, with its fingerprint."""
    backend = settings.backend
    release = Release(
        version=settings.deployment.bare_version,
        fingerprint="",
        image=image.image,
        tag=image_tag(settings),
        digest=image.digest,
        environment=_environment(settings),
        port=backend.port,
        health=backend.health,
        endpoints=backend.endpoints,
        status_path=backend.status_path,
        app_command=backend.app_command,
        worker_command=backend.worker_command,
        beat_command=backend.beat_command,
        migrate_command=backend.migrate_command,
        queues=backend.queues,
        worker_replicas=backend.worker_replicas,
        worker_stop_seconds=backend.worker_stop_seconds,
        app_limits=backend.app_limits,
        worker_limits=backend.worker_limits,
        beat_limits=BEAT_LIMITS,
        user=backend.user,
        media_path=backend.media_path,
    )
    key = settings.deployment.fingerprint_key
    stores = {store.current.key: store.current.password for store in settings.datastores}
    return replace(
        release,
        fingerprint=fingerprint(release, settings.secrets, key),
        secrets=secret_hashes(stores, key),
    )


def container_environment(release: Release, secrets: Mapping[str, str]) -> dict[str, str]:
    """The variables of a release's containers, references to secrets filled in; those that are
    configured no longer are empty here, and as they were in the containers that run."""
    known = {**secrets, **dict.fromkeys(missing_secrets(release, secrets), "")}
    values = {key: resolve(value, known) for key, value in release.environment.items()}
    return {
        **values,
        "RELEASE_VERSION": release.version,
        "RELEASE_FINGERPRINT": release.fingerprint,
    }


def missing_secrets(release: Release, secrets: Mapping[str, str]) -> list[str]:
    """The references of its record that today's configuration has no value for."""
    return sorted(referenced(release.environment) - set(secrets))


def _environment(settings: Settings) -> dict[str, str]:
    """Manual 7.1's variables, and what the configuration adds; secrets by reference."""
    postgres, redis = (store.current for store in settings.datastores)
    broker = f"redis://{redis.user}:${{{redis.key}}}@redis:6379"
    return {
        "DATABASE_URL": (
            f"postgres://{postgres.user}:${{{postgres.key}}}@postgres:5432/"
            f"{settings.postgres.database}"
        ),
        "REDIS_URL": f"{broker}/{BROKER_DATABASE}",
        "CACHE_URL": f"{broker}/{CACHE_DATABASE}",
        "ENVIRONMENT": settings.deployment.environment,
        **{key: _of_turn(text, settings) for key, text in settings.backend.environment.items()},
        **{name: f"${{backendSecrets.{name}}}" for name in settings.backend.secrets},
    }


def _of_turn(text: str, settings: Settings) -> str:
    """Who refers to a datastore's password means that of the login in use."""
    for store in settings.datastores:
        text = text.replace(f"${{{store.a.key}}}", f"${{{store.current.key}}}")
    return text
