"""A release's fingerprint: the same code with another configuration is another release."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from urllib.parse import quote

from rollout.shapes import Release

FINGERPRINT_LENGTH = 12
KEY = "fingerprintKey"  # its own hash says whether two hashes can be compared at all
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")


def fingerprint(release: Release, secrets: Mapping[str, str], key: str) -> str:
    """12 hex digits over everything that starts the release's containers.

    Secret values enter through an HMAC with `key`, so that the fingerprint tells that a password
    changed and nothing about it. The tag does not count: the digest says what runs.
    """
    body = asdict(release)
    for name in ("fingerprint", "tag", "secrets"):
        del body[name]
    used = sorted(referenced(release.environment))
    body["secrets"] = {name: secrets[name] for name in used}
    return _keyed(json.dumps(body, sort_keys=True, separators=(",", ":")), key)


def secret_hashes(secrets: Mapping[str, str], key: str) -> dict[str, str]:
    """Each secret's short keyed hash, by name, and the key's."""
    return {name: _keyed(f"{name}={value}", key) for name, value in {**secrets, KEY: ""}.items()}


def changed_secrets(release: Release, secrets: Mapping[str, str], key: str) -> list[str]:
    """The names of those that the release was started with and that have another value now, as far
    as its record tells, or none."""
    today = secret_hashes(secrets, key)
    used = {name: mark for name, mark in release.secrets.items() if name != KEY}
    gone = used.keys() - today.keys()
    if release.secrets.get(KEY) != today[KEY]:
        return sorted(gone)
    return sorted(gone | {name for name in used if today.get(name) != used[name]})


def _keyed(text: str, key: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:FINGERPRINT_LENGTH]


def referenced(environment: Mapping[str, str]) -> set[str]:
    """The names of the secrets that these values refer to."""
    return {name for value in environment.values() for name in _REFERENCE.findall(value)}


def resolve(template: str, secrets: Mapping[str, str]) -> str:
    """Fill a value's references in. Inside a URL the secret is percent-encoded.

    Raises KeyError when a secret that a record refers to is configured no longer.
    """
    is_url = "://" in template

    def value(match: re.Match[str]) -> str:
        secret = secrets[match[1]]
        return quote(secret, safe="") if is_url else secret

    return _REFERENCE.sub(value, template)
