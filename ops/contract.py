"""The facts that the contract with the backend is judged by, gathered from a running release.

The live release is only asked. What has to be stopped to be known is tried on an instance of its
own, which gets no traffic.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import keepalive
from ops.docker import Docker
from ops.errors import OpsError
from ops.steps._one_shot import OneShot
from rollout import contract
from rollout.contract import Confinement, Crews, Finding, Item, Stopped
from rollout.edge import UPSTREAM_IDLE_SECONDS
from rollout.names import PART_LABEL, RELEASE_LABEL, STACK_LABEL, Colour, Names, node
from rollout.shapes import Release

ASK_SECONDS = 10
INSPECT_SECONDS = 10  # until workers have answered; Celery returns as soon as all have
IDLE_SECONDS = UPSTREAM_IDLE_SECONDS + 2
SLOWEST_SECONDS = 60  # nginx gives a request no longer either
# From a request's leaving to its being worked on; then the app is told to stop.
UNDER_WAY_SECONDS = 1.5
POLL_SECONDS = 0.5
CELERY_SILENT = 69  # `celery inspect`: no node replied


@dataclass(frozen=True)
class Backend:
    """The running release. `https`: users come by TLS; `slow_path` takes some seconds, or is ""."""

    docker: Docker
    names: Names
    colour: Colour
    release: Release
    domain: str
    https: bool
    slow_path: str
    boot_seconds: float

    @property
    def app(self) -> str:
        return self.names.app(self.colour)

    @property
    def workers(self) -> list[str]:
        return list(self.names.workers(self.release.identity, self.release.worker_replicas))


def findings(backend: Backend) -> list[Finding]:
    """Every item of the contract, in the page's order. What can't be asked counts as failed."""
    looks: list[tuple[tuple[Item, ...], Callable[[Backend], list[Finding]]]] = [
        ((contract.KEEPALIVE,), _keepalive),  # the longest is begun first
        ((contract.GRACEFUL,), _stop),
        ((*contract.SETTINGS, contract.AGREEMENT, contract.DATABASES), _jobs),
        ((contract.PROGRAMS_THERE,), _programs),
        ((contract.UNPRIVILEGED, contract.READ_ONLY), _confinement),
        ((contract.VARIABLES_SET,), lambda b: [contract.variables(_environment(b))]),
        ((contract.ANSWERS, contract.VERSION, contract.FINGERPRINT), _endpoints),
    ]
    pool = ThreadPoolExecutor(4)  # as ops/verify.py: each is a connection of its own over ssh
    try:
        found = pool.map(lambda look: _look(backend, *look), looks)
        by_item = {finding.item: finding for some in found for finding in some}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [by_item[item] for item in contract.ITEMS]


def _look(
    backend: Backend, items: tuple[Item, ...], look: Callable[[Backend], list[Finding]]
) -> list[Finding]:
    try:
        return look(backend)
    except OpsError as error:
        return [Finding(item, False, str(error)) for item in items]


# The image --------------------------------------------------------------------------------------


def _programs(backend: Backend) -> list[Finding]:
    script = 'for p; do command -v "$p" >/dev/null || echo "$p"; done'
    answer = backend.docker.exec(backend.app, "sh", "-c", script, "sh", *contract.PROGRAMS)
    if answer.code:
        raise OpsError(f"{backend.app} can't be asked: {answer.words}")
    return [contract.programs(answer.out.split())]


def _confinement(backend: Backend) -> list[Finding]:
    containers = [_confined(backend.docker, name) for name in (backend.app, *backend.workers)]
    return contract.confined(containers, backend.release.user)


def _confined(docker: Docker, name: str) -> Confinement:
    found = _details(docker, name)
    host = found["HostConfig"]
    return Confinement(
        container=name,
        user=found["Config"].get("User") or "",
        read_only=bool(host.get("ReadonlyRootfs")),
        dropped=tuple(host.get("CapDrop") or ()),
        added=tuple(host.get("CapAdd") or ()),
    )


def _keepalive(backend: Backend) -> list[Finding]:
    """Beside the live app: one idle connection is no burden."""
    release = backend.release
    answer = backend.docker.exec(
        backend.app, "python3", "-", str(release.port), backend.domain, release.health.path,
        str(IDLE_SECONDS), stdin=Path(keepalive.__file__).read_bytes(),
        timeout=IDLE_SECONDS + 3 * ASK_SECONDS,
    )  # fmt: skip
    words = answer.out.split()
    if answer.code or not words:
        last = (answer.words.splitlines() or ["no words"])[-1]
        raise OpsError(f"a connection could not be kept: {last}")
    return [contract.keepalive(float(words[1]) if words[0] == "closed" else None)]


def _stop(backend: Backend) -> list[Finding]:
    """On an instance of its own: a request that takes long, then SIGTERM."""
    if not backend.slow_path:
        return [contract.unasked_stop()]
    with _instance(backend) as instance, ThreadPoolExecutor(1) as pool:
        _await_answer(backend, instance)
        sent = threading.Event()
        request = pool.submit(_slow_request, backend, instance, sent)
        sent.wait(SLOWEST_SECONDS)
        time.sleep(UNDER_WAY_SECONDS)
        told = not request.done()
        if told:
            backend.docker.stop(instance, SLOWEST_SECONDS)
        status, words = request.result()
    return [contract.graceful(Stopped(status, words, told))]


def _slow_request(backend: Backend, instance: str, sent: threading.Event) -> tuple[int, str]:
    """Says when it is on its way; its status, 0 for none, and what became of it in words."""
    lines: list[str] = []

    def hear(line: str) -> None:
        lines.append(line)
        if line.startswith("> "):
            sent.set()

    url = f"http://{instance}:{backend.release.port}{backend.slow_path}"
    # Not its body: that comes by another way, and may stand before the status, in one line with it.
    code = backend.docker.stream(
        "exec", backend.app, "curl", "-sSv", "-o", "/dev/null", "--max-time", str(SLOWEST_SECONDS),
        *_headers(backend), url, say=hear, timeout=SLOWEST_SECONDS + ASK_SECONDS,
    )  # fmt: skip
    sent.set()
    answered = next((line.split()[2] for line in lines if line.startswith("< HTTP/")), "")
    if answered:
        return int(answered), f"answered {answered}"
    silence = "no answer in time" if code is None else f"curl ended with {code}"
    why = next((line for line in lines if line.startswith("curl: ")), silence)
    return 0, f"the request was dropped ({why})"


@contextmanager
def _instance(backend: Backend) -> Iterator[str]:
    """The live release's app once more, hardened as a one-shot, with nobody sending to it."""
    names, release, docker = backend.names, backend.release, backend.docker
    environment = _environment(backend)
    shot = OneShot(
        name=names.part("contract"),
        image=release.image,
        command=release.app_command,
        step="contract",
        key=release.identity,
        networks=(names.network("app"), names.network("data")),
        variables=tuple(environment),
        volumes={names.volume("media"): release.media_path},
        labels={STACK_LABEL: names.stack},
        user=release.user,
        memory=release.app_limits.memory,
    )
    if docker.inspect(shot.name):
        raise OpsError(
            f"{shot.name} is there already: another `ytops verify --contract` runs, or was "
            f"killed. Next: wait for it, or `docker rm -f {shot.name}`"
        )
    try:
        docker.call(*shot.create(), variables=environment)
        docker.call("network", "connect", shot.networks[1], shot.name)
        docker.start(shot.name)
        yield shot.name
    finally:
        docker.remove(shot.name)


def _await_answer(backend: Backend, instance: str) -> None:
    deadline = time.monotonic() + backend.boot_seconds
    while _curl(backend, instance, backend.release.health.path, ASK_SECONDS)[0] != "200":
        found = backend.docker.inspect(instance)
        if found is None or found.stopped or time.monotonic() > deadline:
            raise OpsError("a second instance of the app did not come up, so it was not stopped")
        time.sleep(POLL_SECONDS)


# Environment ------------------------------------------------------------------------------------


def _environment(backend: Backend) -> dict[str, str]:
    """What the live app was given of what a release is given; holds secrets."""
    declared = {*backend.release.environment, *contract.VARIABLES}
    found = _details(backend.docker, backend.app)["Config"].get("Env") or []
    pairs = (entry.partition("=") for entry in found)
    return {name: value for name, _, value in pairs if name in declared}


def _details(docker: Docker, name: str) -> dict[str, Any]:
    found = docker.details(name)
    if found is None:
        raise OpsError(f"there is no container {name}")
    return found


# Endpoints --------------------------------------------------------------------------------------


def _endpoints(backend: Backend) -> list[Finding]:
    release = backend.release
    paths = dict.fromkeys((*release.endpoints, release.status_path))
    answers = {path: _curl(backend, "localhost", path, ASK_SECONDS) for path in paths}
    statuses = {path: status or words for path, (status, words) in answers.items()}
    return contract.endpoints(statuses, _json(answers[release.status_path][1]), release)


def _curl(backend: Backend, host: str, path: str, seconds: int) -> tuple[str, str]:
    """From inside the live app's container: the status, "" for none, and the body or a reason."""
    url = f"http://{host}:{backend.release.port}{path}"
    answer = backend.docker.exec(
        backend.app, "curl", "-sS", "--max-time", str(seconds), "-w", r"\n%{http_code}",
        *_headers(backend), url, timeout=seconds + ASK_SECONDS,
    )  # fmt: skip
    if answer.code:
        return "", answer.error.strip() or f"curl ended with {answer.code}"
    body, _, status = answer.out.rpartition("\n")
    return status, body


def _headers(backend: Backend) -> list[str]:
    """As the switch asks."""
    forwarded = f"X-Forwarded-Proto: {'https' if backend.https else 'http'}"
    return ["-H", f"Host: {backend.domain}", "-H", forwarded]


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# Jobs -------------------------------------------------------------------------------------------


def _jobs(backend: Backend) -> list[Finding]:
    live = tuple(node(worker) for worker in backend.workers)
    others = tuple(sorted(_running(backend) - set(live)))
    confs = _confs(backend, (*live, *others))
    crews = Crews(live, others, confs, backend.release.worker_stop_seconds)
    brokers = [str(confs[name].get("broker_url") or "") for name in live if name in confs]
    return [*contract.jobs(crews), contract.databases(_environment(backend), brokers)]


def _running(backend: Backend) -> set[str]:
    """All workers of the stack: of whatever release, they share the broker."""
    listed = backend.docker.call(
        "ps", "--format", "{{.Names}}", "--filter", f"label={STACK_LABEL}={backend.names.stack}",
        "--filter", f"label={PART_LABEL}=worker", "--filter", f"label={RELEASE_LABEL}",
    )  # fmt: skip
    return {node(name) for name in listed.out.split()}


def _confs(backend: Backend, nodes: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Celery's own words, asked from a worker's container, which knows the broker. Celery hides
    passwords in its answers."""
    asking = next((w for w in backend.workers if node(w) in nodes), "")
    answer = backend.docker.exec(
        asking, *inspecting(backend.release), "--json", "--timeout", str(INSPECT_SECONDS),
        "--destination", ",".join(nodes), "conf", "true",
        timeout=INSPECT_SECONDS + 3 * ASK_SECONDS,
    )  # fmt: skip
    if answer.code == CELERY_SILENT:
        return {}
    if answer.code:
        last = (answer.words.splitlines() or ["no words"])[-1]
        raise OpsError(f"`celery inspect conf` failed in {asking}: {last}")
    found = _json(answer.out)
    return {name: dict(found[name]) for name in nodes if name in found}


def inspecting(release: Release) -> list[str]:
    """`celery -A app.celery inspect`, from the command that starts a worker of this release."""
    command = list(release.worker_command)
    if "worker" not in command:
        raise OpsError(
            f"`backendWorkerCommand` is {' '.join(command)}: expected Celery's `worker` in it"
        )
    return [*command[: command.index("worker")], "inspect"]
