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
    "backupKeys": '{"uploader": {"id": "placeholder", "secret": "placeholder-access-key"}}',
    "backupHeartbeatUrl": "https://watchdog.example/placeholder-ping",
    "backendSecrets": '{"API_KEY": "placeholder-api-key"}',
}
OUT_OF_USE = ("postgresPasswordB", "redisPasswordB")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\npublic\n-----END CERTIFICATE-----"


@cache
def declared() -> dict[str, dict[str, Any]]:
    """Pulumi.yaml's configuration keys."""
    config: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return config


def raw(stack: str) -> dict[str, str]:
    """A stack's configuration with Pulumi.yaml's defaults and placeholders for its secrets."""
    said = own(stack)
    values = {key: text_of(about["default"]) for key, about in declared().items()}
    values |= {k: text_of(v) for k, v in said.items() if not _is_encrypted(v)}
    return {**values, "edgeCertificate": CERTIFICATE, **PLACEHOLDERS}


@cache
def own(stack: str) -> dict[str, Any]:
    """What a stack's file says, as it says it."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key.removeprefix("ytempire:"): value for key, value in config.items()}


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
