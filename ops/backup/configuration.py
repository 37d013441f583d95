"""What a stack's configuration and its secrets are: gathered here, in memory alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.backup.bundle import Bundle
from ops.backup.host import PART as BACKUP
from ops.docker import Docker
from ops.engine import Engine
from ops.errors import OpsError
from ops.git import Git
from ops.rehearsal.scratch import PART as REHEARSAL
from ops.stackfile import PROJECT_FILE
from rollout.names import PART_LABEL, STACK_LABEL
from rollout.retention import Series

COMMIT = "commit.json"
PATCH = "changes.patch"
STATE = "state.json"
RUNNING = "running.json"
SECRETS = "secrets.json"
# Containers of jobs, which come and go: this one's is among them.
PASSING = (BACKUP, REHEARSAL)
# The engine's own key of a value that only the stack's key opens.
_SEALED = "4dabf18193072939515e22adb298388d"


@dataclass(frozen=True)
class Sources:
    """Where it is gathered. `secret`: the key that contents are hashed with."""

    root: Path
    stack: str
    engine: Engine
    docker: Docker
    secret: str

    @property
    def stack_file(self) -> str:
        return f"Pulumi.{self.stack}.yaml"

    def configuration(self) -> Bundle:
        """Everything but the secrets themselves, which are in it as the stack's key has sealed
        them: what was declared, what the engine remembers, what runs."""
        commit, patch = _commit(Git(self.root))
        state = self.engine.exported()
        running = _text(_running(self.docker, self.stack))
        members = {
            COMMIT: _text(commit),
            STATE: state.encode(),
            RUNNING: running,
            **{name: (self.root / name).read_bytes() for name in (PROJECT_FILE, self.stack_file)},
            **({PATCH: patch} if patch else {}),
        }
        same = {**members, STATE: _text(steady(json.loads(state)))}
        return Bundle(Series.CONFIG, members, self._content(same))

    def secrets(self) -> Bundle:
        """What opens everything else: each secret of the configuration, and what the stack's own
        are sealed with."""
        values, secret = self.engine.configuration()
        told = {
            "stack": self.stack,
            "secrets": {key: values[key] for key in sorted(secret)},
            "sealed_by": _sealed_by(self.root / self.stack_file),
            "passphrase": _passphrase(),
        }
        members = {SECRETS: _text(told)}
        return Bundle(Series.SECRETS, members, self._content(members))

    def _content(self, members: Mapping[str, bytes]) -> str:
        """With a key: the hash of a short password would tell it."""
        key = hmac.digest(self.secret.encode(), b"contents of bundles", "sha256")
        found = hmac.new(key, digestmod=hashlib.sha256)
        for name, data in sorted(members.items()):
            found.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(data).digest())
        return found.hexdigest()


def steady(state: Any) -> Any:
    """The engine's state without what differs each time that it is told: when, and how what is
    sealed happens to be sealed."""
    if isinstance(state, list):
        return [steady(one) for one in state]
    if not isinstance(state, dict):
        return state
    if _SEALED in state:
        return "sealed"
    return {
        key: steady(value)
        for key, value in state.items()
        if key not in ("manifest", "created", "modified", "pending_operations")
    }


def _commit(git: Git) -> tuple[dict[str, Any], bytes]:
    """The commit that the checkout is at, and what differs from it."""
    try:
        commit = git.commit("HEAD")
        changed = git.lines("status", "--porcelain")
        patch = git.call("diff", "--binary", "HEAD") if changed else b""
    except OpsError as error:
        return {"commit": None, "why": str(error)}, b""
    return {"commit": commit, "clean": not changed, "changed": changed}, patch


def _running(docker: Docker, stack: str) -> list[dict[str, Any]]:
    """Every container of the stack as Docker would be asked to make it again. Of the environment
    the names alone; and not what differs while nothing changes."""
    names = docker.call(
        "ps", "--all", "--filter", f"label={STACK_LABEL}={stack}", "--format", "{{.Names}}"
    ).out.split()
    found = (docker.details(name) for name in sorted(names))
    return [_described(one) for one in found if one and _part(one) not in PASSING]


def _part(found: Mapping[str, Any]) -> str:
    return str((found["Config"].get("Labels") or {}).get(PART_LABEL, ""))


def _described(found: Mapping[str, Any]) -> dict[str, Any]:
    config, host = found["Config"], found["HostConfig"]
    networks = found["NetworkSettings"].get("Networks") or {}
    return {
        "name": found["Name"].removeprefix("/"),
        "image": config.get("Image"),
        "image_id": found.get("Image"),
        "command": [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())],
        "user": config.get("User"),
        "environment": sorted(one.partition("=")[0] for one in config.get("Env") or ()),
        "labels": config.get("Labels") or {},
        "mounts": sorted(
            f"{m.get('Name') or m.get('Source')}:{m['Destination']}" for m in found["Mounts"]
        ),
        "networks": {
            name: (one.get("IPAMConfig") or {}).get("IPv4Address") for name, one in networks.items()
        },
        "ports": host.get("PortBindings") or {},
        "memory": host.get("Memory"),
        "restart": (host.get("RestartPolicy") or {}).get("Name"),
    }


def _sealed_by(path: Path) -> dict[str, str]:
    """What the stack file says of it: a key elsewhere, or the salt of a passphrase."""
    heads = ("secretsprovider", "encryptionsalt", "encryptedkey")
    lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
    return {key: value.strip() for key, _, value in lines if key in heads}


def _passphrase() -> str:
    """Where a passphrase seals them; with a key elsewhere there is none."""
    told = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if told is not None:
        return told
    file = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n") if file else ""
    except OSError as error:
        raise OpsError(f"PULUMI_CONFIG_PASSPHRASE_FILE can't be read: {error}") from None


def _text(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
