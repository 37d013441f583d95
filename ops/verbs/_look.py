"""Everything that `ytops status` looks at, all at once; what can't be seen is None, with the reason
in `unknown`."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ops.changes import Changes
from ops.errors import HostUnreachable, OpsError
from ops.observe import Observation, beat_pointer, observe
from ops.verbs._containers import Seen, seen
from ops.verbs._place import Place
from ops.verbs._scheduled import Scheduled, scheduled
from rollout.changes import owing
from rollout.edge import RELEASE_HEADER
from rollout.names import Names
from rollout.settings import PRODUCTION

EDGE_SECONDS = 3


@dataclass(frozen=True)
class Answer:
    """What the edge said to one request: `release` from its header."""

    status: int
    release: str
    milliseconds: int


@dataclass(frozen=True)
class Look:
    """One look at a stack. `unknown` says for each part that can't be seen why not."""

    stack: str
    host: str
    address: str
    at: datetime
    observation: Observation | None = None
    containers: dict[str, Seen] | None = None
    answer: Answer | None = None
    beat: str | None = None
    owing: tuple[str, ...] = ()
    """What emergencies owe: their documentation."""
    timetable: bool = False
    """Whether the stack file wants a scheduler."""
    backups: Scheduled | None = None
    production: bool = False
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> Names:
        return Names(self.stack)


def look(place: Place) -> Look:
    """Raises HostUnreachable: then nothing at all can be said."""
    docker, names, configuration = place.docker, place.names, place.configuration
    timetable = configuration.get("backupSchedule") == "true"
    parts: dict[str, Callable[[], Any]] = {
        "observation": lambda: observe(docker, names),
        "containers": lambda: seen(docker, place.stack),
        "answer": lambda: ask(
            configuration.address,
            configuration.get("backendStatusPath"),
            trusted=configuration.get("edgeTls") == "provided",
        ),
        "beat": lambda: beat_pointer(docker, names),
        "backups": lambda: scheduled(docker, names) if timetable else None,
        "emergencies": lambda: tuple(owing(Changes(place.root).all())),
    }
    unknown: dict[str, str] = {}
    with ThreadPoolExecutor(len(parts)) as pool:
        running = {name: pool.submit(_try, name, part, unknown) for name, part in parts.items()}
        found = {name: future.result() for name, future in running.items()}
    return Look(
        stack=place.stack,
        host=docker.host,
        address=configuration.address,
        at=datetime.now(UTC),
        owing=found.pop("emergencies") or (),
        timetable=timetable,
        production=configuration.get("environment") == PRODUCTION,
        unknown=unknown,
        **found,
    )


def ask(address: str, path: str, *, trusted: bool) -> Answer:
    """One request as a user sends it. A self-signed certificate is taken as it is."""
    url = urlsplit(address)
    host = url.hostname or ""
    context = ssl.create_default_context() if trusted else ssl._create_unverified_context()
    connection = (
        http.client.HTTPSConnection(host, url.port, timeout=EDGE_SECONDS, context=context)
        if url.scheme == "https"
        else http.client.HTTPConnection(host, url.port, timeout=EDGE_SECONDS)
    )
    begun = time.monotonic()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        took = round((time.monotonic() - begun) * 1000)
        return Answer(response.status, response.headers.get(RELEASE_HEADER, ""), took)
    except (OSError, http.client.HTTPException) as error:
        raise OpsError(f"{address} does not answer from here ({_reason(error)})") from None
    finally:
        connection.close()


def _try(name: str, part: Callable[[], Any], unknown: dict[str, str]) -> Any:
    try:
        return part()
    except HostUnreachable:
        raise
    except OpsError as error:
        unknown[name] = str(error)
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {EDGE_SECONDS} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
