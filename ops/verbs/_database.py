"""What the verbs share that copy the live database: its image, the settings with their secrets."""

from __future__ import annotations

import getpass
import os
import socket
from datetime import UTC, datetime

from ops.engine import Engine
from ops.errors import OpsError
from ops.verbs._exit import Misused
from ops.verbs._place import Place
from ops.verbs._pulumi_lock import PulumiLock
from rollout.settings import Settings, SettingsError, load


def settings(place: Place, **changes: str) -> Settings:
    """All of it, secrets opened."""
    engine = Engine(place.root, place.stack)
    engine.check()
    values, secret = engine.configuration()
    try:
        return load(place.stack, {**values, **changes}, secret)
    except SettingsError as error:
        raise Misused(str(error)) from None


def live_image(place: Place, what: str) -> str:
    """What the live database runs, whatever the stack file says by now."""
    found = place.docker.inspect(place.names.postgres)
    if found is None or not found.running:
        raise OpsError(
            f"There is no database {what}: {place.names.postgres} does not run on "
            f"{place.docker.host}.\nNext: `ytops status`"
        )
    return found.image


def ourselves() -> PulumiLock:
    return PulumiLock(
        getpass.getuser(), socket.gethostname(), os.getpid(), datetime.now(UTC).isoformat()
    )
