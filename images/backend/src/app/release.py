"""Which release this is.

The version is built into the image: an environment could claim anything. The fingerprint says
what the image was started with, so only whoever deploys it can know it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import uuid
from pathlib import Path


def _built() -> dict[str, str]:
    file = Path(__file__).with_name("release.json")
    if not file.exists():
        return {"version": "0.0.0-dev", "flaw": "none"}
    built: dict[str, str] = json.loads(file.read_text())
    return built


_BUILT = _built()
VERSION = _BUILT["version"]
FLAW = _BUILT["flaw"]
FINGERPRINT = os.environ.get("RELEASE_FINGERPRINT", "")
IDENTITY = f"{VERSION}+{FINGERPRINT}" if FINGERPRINT else VERSION

# One for each time a process tree starts: a restarted container keeps its host name.
INSTANCE = f"{socket.gethostname()}/{uuid.uuid4().hex[:8]}"


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(number) for number in found.groups()) if found else (0, 0, 0)


def at_least(version: str) -> bool:
    """Whether this release has what came with `version`."""
    return _numbers(VERSION) >= _numbers(version)
