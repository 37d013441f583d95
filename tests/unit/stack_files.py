"""The project's real configuration, as the engine hands it to the program."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

# In the place of what only the team's key opens.
PLACEHOLDERS = {
    "fingerprintKey": "placeholder-fingerprint-key",
    "postgresPassword": "placeholder-postgres",
    "postgresReplicationPassword": "placeholder-replication",
    "redisPassword": "placeholder-redis",
    "edgeCertificateKey": "-----BEGIN PRIVATE KEY-----\nplaceholder\n-----END PRIVATE KEY-----",
    "notifyWebhook": "https://chat.example/placeholder-webhook",
    "alertPagerDutyKey": "placeholder-pagerduty",
    "forgeToken": "placeholder-forge-token",
    "backupIdentity": f"AGE-SECRET-KEY-1{'Q' * 58}",
    "backendSecrets": '{"API_KEY": "placeholder-api-key"}',
}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\npublic\n-----END CERTIFICATE-----"


@cache
def declared() -> dict[str, dict[str, Any]]:
    """Pulumi.yaml's configuration keys."""
    config: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return config


def raw(stack: str) -> dict[str, str]:
    """A stack's configuration with Pulumi.yaml's defaults and placeholders for its secrets."""
    own = _own(stack)
    values = {key: _text(about["default"]) for key, about in declared().items()}
    values |= {k: _text(v) for k, v in own.items() if not _is_encrypted(v)}
    return {**values, "edgeCertificate": CERTIFICATE, **PLACEHOLDERS}


@cache
def _own(stack: str) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key.removeprefix("ytempire:"): value for key, value in config.items()}


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
