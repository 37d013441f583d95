"""What the container's environment says, read once and checked."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from django.core.exceptions import ImproperlyConfigured

CACHE_DATABASE = "/1"


def value(name: str, default: str = "") -> str:
    """`NAME`, or what is in the file that `NAME_FILE` names: secrets needn't be variables."""
    file = os.environ.get(f"{name}_FILE")
    if file:
        return Path(file).read_text().strip()
    return os.environ.get(name) or default


def required(name: str) -> str:
    found = value(name)
    if not found:
        raise ImproperlyConfigured(f"{name} is not set (nor {name}_FILE)")
    return found


def database(url: str) -> dict[str, object]:
    """Django's settings for `postgres://user:password@host:port/name`."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.hostname:
        raise ImproperlyConfigured(
            f"DATABASE_URL should be postgres://user:password@host/name, got {parts.scheme}://…"
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": str(parts.port or 5432),
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
    }


def cache_url(broker: str) -> str:
    """The cache beside the broker, in a database of its own: flushing it loses no job."""
    return urlunsplit(urlsplit(broker)._replace(path=CACHE_DATABASE))
