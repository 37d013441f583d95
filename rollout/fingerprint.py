"""A release's fingerprint: the same code with another configuration is another release."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from urllib.parse import quote

from rollout.state import Release

FINGERPRINT_LENGTH = 12
_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")


def fingerprint(release: Release, secrets: Mapping[str, str], key: str) -> str:
    """12 hex digits over everything that starts the release's containers.

    Secret values enter through an HMAC with `key`, so that the fingerprint tells that a password
    changed and nothing about it. The tag does not count: the digest says what runs.
    """
    body = release.model_dump(mode="json", exclude={"fingerprint", "tag"})
    used = sorted(referenced(release.environment))
    body["secrets"] = {name: secrets[name] for name in used}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
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
