"""A look at the host: where traffic goes, what the host remembers, who is busy. Changes nothing."""

from __future__ import annotations

import io
import subprocess
import tarfile
from contextlib import suppress
from dataclasses import dataclass

from pydantic import ValidationError

from ops.docker import Docker
from ops.errors import OpsError
from rollout.edge import parse_active
from rollout.names import Names
from rollout.plan import View
from rollout.release import ImageIdentity
from rollout.state import (
    HISTORY_FILE,
    STATE_FILE,
    WORKERS_FILE,
    Event,
    HostState,
    Pointer,
    Workers,
)


@dataclass(frozen=True)
class Observation:
    """What was seen. `source` says whose word it is: the host's, or the last run's record."""

    view: View
    source: str = "host"
    workers: Workers | None = None
    history: tuple[Event, ...] = ()

    @classmethod
    def from_record(cls, record: HostState) -> Observation:
        return cls(View(record, record.live), source="record")


def observe(docker: Docker, names: Names) -> Observation:
    """Read the switch's files out of its container, running or not.

    A host without our switch is an empty one. Raises HostUnreachable, and OpsError when the files
    are there and can't be read.
    """
    control = _archive(docker, names.switch, "/control")
    if control is None:
        return Observation(View())
    files = _files(control)
    state = _state(files.get(f"control/{STATE_FILE}", b""), names)
    workers = _workers(files.get(f"control/{WORKERS_FILE}", b""))
    view = View(state, _edge(docker, names, state), _busy(workers))
    history = _history(files.get(f"control/{HISTORY_FILE}", b""))
    return Observation(view, workers=workers, history=history)


def beat_pointer(docker: Docker, names: Names) -> str | None:
    """The release whose beat may run; None when that can't be read."""
    archive = _archive(docker, names.switch, "/live/release")
    return _files(archive).get("release", b"").decode().strip() if archive else None


def image_identity(docker: Docker, tag: str) -> ImageIdentity:
    """What `tag` means on this host: the registry's digest, or the image id of a local image.

    An image that is not on the host yet is looked up in its registry, without pulling it.
    Raises OpsError when neither knows it.
    """
    found = docker.image(tag)
    repository = tag.rsplit(":", 1)[0]
    if found is None:
        digest = _registry_digest(docker, tag)
        return ImageIdentity(image=f"{repository}@{digest}", digest=digest)
    image_id, references = found
    for reference in references:
        if reference.startswith(f"{repository}@"):
            return ImageIdentity(image=reference, digest=reference.split("@", 1)[1])
    return ImageIdentity(image=image_id, digest=image_id)


def _registry_digest(docker: Docker, tag: str) -> str:
    """What the registry calls `tag`, asked by the daemon with its own credentials."""
    import docker as engine  # seldom needed, and slow to import

    try:
        client = engine.DockerClient(docker.host, use_ssh_client=True, timeout=30)
        return str(client.images.get_registry_data(tag).id)
    except (engine.errors.DockerException, OSError) as error:
        raise OpsError(
            f"the image {tag} is neither on {docker.host} nor in its registry ({error}).\n"
            f"Next: push it, or on the host `docker pull {tag}`; then run this again."
        ) from error


def _archive(docker: Docker, container: str, path: str) -> bytes | None:
    """A container's folder as a tar archive; None when there is no such container or folder."""
    process = docker.spawn(["cp", f"{container}:{path}", "-"], False, subprocess.PIPE)
    out, error = process.communicate(timeout=60)
    if process.returncode == 0:
        return out
    words = error.decode(errors="replace")
    unreachable = docker.unreachable(words)
    if unreachable:
        raise unreachable
    if "o such container" in words or "ould not find the file" in words:
        return None
    raise OpsError(f"{container}:{path} can't be read on {docker.host}: {words.strip()}")


def _files(archive: bytes) -> dict[str, bytes]:
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                files[member.name] = content.read()
    return files


def _state(text: bytes, names: Names) -> HostState:
    if not text:
        return HostState()
    try:
        return HostState.model_validate_json(text)
    except ValidationError as error:
        raise OpsError(
            f"the switch's state ({names.switch}:/control/{STATE_FILE}) can't be read: "
            f"{error.error_count()} mistakes, the first: {error.errors()[0]['msg']}. The switch "
            f"recovers it from its previous copy when it starts: `docker restart {names.switch}`."
        ) from error


def _edge(docker: Docker, names: Names, state: HostState) -> Pointer | None:
    """Where traffic goes once an unconfirmed switch is undone, as the next run will do first."""
    if state.pending:
        return state.pending.source
    archive = _archive(docker, names.switch, "/edge/active")
    text = _files(archive).get("active/active.conf", b"") if archive else b""
    return parse_active(text.decode())


def _workers(text: bytes) -> Workers | None:
    try:
        return Workers.model_validate_json(text) if text else None
    except ValidationError:
        return None  # written every few seconds; the next one is whole


def _history(text: bytes) -> tuple[Event, ...]:
    """Oldest first; a line that can't be read does not hide the others."""
    events = []
    for line in text.splitlines():
        with suppress(ValidationError):
            events.append(Event.model_validate_json(line))
    return tuple(events)


def _busy(workers: Workers | None) -> frozenset[str]:
    if workers is None:
        return frozenset()
    return frozenset(w.identity for w in workers.workers.values() if w.busy)
