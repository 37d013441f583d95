"""A look at the host: where traffic goes, what the host remembers, who is busy. Changes nothing."""

from __future__ import annotations

import io
import subprocess
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ops.docker import Docker
from ops.errors import OpsError
from rollout.edge import ACTIVE_CONF, TURNED, read_active
from rollout.names import PART_LABEL, RELEASE_LABEL, STACK_LABEL, Names, node
from rollout.plan import View
from rollout.shapes import Pointer
from rollout.state import HISTORY_FILE, STATE_FILE, WORKERS_FILE, Event, HostState, Workers

if TYPE_CHECKING:
    from rollout.release import ImageIdentity

# The agent writes its report of the workers every 10 s at least, if the broker answers.
REPORT_SECONDS = 60


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
    """Read the switch's files out of its container, running or not; without one, out of its
    volumes.

    A host without our switch is an empty one. Raises HostUnreachable, and OpsError when the files
    are there and can't be read, or should be there.
    """
    with ThreadPoolExecutor(1) as beside:
        crews = beside.submit(_crews, docker, names)
        control = _archive(docker, names.switch, "/control")
        if control is not None:
            return _observed(docker, names, names.switch, control, crews)
        with _stand_in(docker, names) as container:
            control = _archive(docker, container, "/control") if container else None
            if control is None:
                return Observation(View())
            return _observed(docker, names, container, control, crews)


def _observed(
    docker: Docker, names: Names, container: str, control: bytes, crews: Future[dict[str, str]]
) -> Observation:
    """The edge is read after the state, which says whether a switch is pending."""
    files = _files(control)
    state = _state(files.get(f"control/{STATE_FILE}", b""), names)
    workers = _workers(files.get(f"control/{WORKERS_FILE}", b""))
    view = View(state, _edge(docker, container, state), _busy(crews.result(), workers))
    history = _history(files.get(f"control/{HISTORY_FILE}", b""))
    return Observation(view, workers=workers, history=history)


@contextmanager
def _stand_in(docker: Docker, names: Names) -> Iterator[str]:
    """A container with the volumes of a switch that was lost, to read them; it is never started.
    Empty where no volume is, because no switch ever was."""
    wanted = {names.volume(kind): f"/{kind}" for kind in ("control", "edge")}
    present = docker.call("volume", "ls", "--quiet").out.split()
    if names.volume("control") not in present:
        _refuse_if_nginx_is_there(docker, names)
        yield ""
        return
    container = names.part("look", uuid.uuid4().hex[:8])
    # Only those that are there: Docker would make the others.
    mounts = [f"--volume={v}:{path}:ro,nocopy" for v, path in wanted.items() if v in present]
    try:
        docker.call(
            "create", "--pull=never", "--network=none", f"--name={container}",
            "--entrypoint=/never-started", *mounts, _any_image(docker, names),
        )  # fmt: skip
        yield container
    finally:
        docker.remove(container)


def _refuse_if_nginx_is_there(docker: Docker, names: Names) -> None:
    if docker.inspect(names.edge):
        raise OpsError(
            f"{names.edge} is on {docker.host}, but neither the switch nor its volume "
            f"{names.volume('control')}: nobody knows which release serves, and nothing can be "
            "planned around it. Next: restore that volume from a backup; or, to begin anew "
            f"without what serves now, `docker rm --force {names.edge}`, then `ytops up`."
        )


def _any_image(docker: Docker, names: Names) -> str:
    """Nothing of it is run, so that any will do: one of the stack's, else whatever there is."""
    label = f"label={STACK_LABEL}={names.stack}"
    for listing in (
        ("ps", "--all", "--no-trunc", "--filter", label, "--format", "{{.Image}}"),
        ("image", "ls", "--quiet", "--no-trunc"),
    ):
        found = docker.call(*listing).out.split()
        if found:
            return found[0]
    raise OpsError(
        f"The switch is gone from {docker.host}, and no image is there to read its volume "
        f"{names.volume('control')} with. Next: `docker pull` the stack file's `edgeImage`, then "
        "`ytops up`."
    )


def beat_pointer(docker: Docker, names: Names) -> str | None:
    """The release whose beat may run; None when that can't be read."""
    archive = _archive(docker, names.switch, "/live/release")
    return _files(archive).get("release", b"").decode().strip() if archive else None


def image_identity(docker: Docker, tag: str) -> ImageIdentity:
    """What `tag` means on this host: the registry's digest, or the image id of a local image.

    An image that is not on the host yet is looked up in its registry, without pulling it.
    Raises OpsError when neither knows it.
    """
    from rollout.release import ImageIdentity  # with all settings: who looks at traffic needs none

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
    """What the files hold; a link holds the name that it gives."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.issym():
                files[member.name] = member.linkname.encode()
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


def _edge(docker: Docker, container: str, state: HostState) -> Pointer | None:
    """Where traffic goes once the agent has done what it does first: undo an unconfirmed switch,
    and write anew an include that isn't its own, or is of an older format."""
    if state.pending:
        return state.pending.source
    archive = _archive(docker, container, "/edge/active")
    files = _files(archive) if archive else {}
    turned = files.get(TURNED, b"").decode()
    # A link to nothing is none, to nginx and the agent too.
    there = turned if f"active/{turned}" in files else ""
    active = read_active(files.get(ACTIVE_CONF, b"").decode(), there)
    return active.pointer if active else state.live


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


def _crews(docker: Docker, names: Names) -> dict[str, str]:
    """The worker containers that run, by name, and the release of each."""
    listed = docker.call(
        "ps", "--no-trunc",
        "--filter", f"label={STACK_LABEL}={names.stack}",
        "--filter", f"label={PART_LABEL}=worker",
        "--format", f'{{{{.Names}}}} {{{{.Label "{RELEASE_LABEL}"}}}}',
    )  # fmt: skip
    found = (line.split() for line in listed.out.splitlines())
    return {words[0]: words[1] for words in found if len(words) == 2}


def _busy(crews: Mapping[str, str], workers: Workers | None) -> frozenset[str]:
    """Releases whose workers have jobs. One that runs and does not say, or is not reported of any
    more, may have some: what isn't known is busy."""
    known = workers.workers if workers and _is_fresh(workers) else {}
    idle = {name for name, worker in known.items() if worker.busy == 0}
    return frozenset(release for name, release in crews.items() if node(name) not in idle)


def _is_fresh(workers: Workers) -> bool:
    try:
        written = datetime.fromisoformat(workers.at)
    except ValueError:
        return False
    return (datetime.now(UTC) - written).total_seconds() < REPORT_SECONDS
