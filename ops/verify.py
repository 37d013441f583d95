"""The manual's post-deployment check: five services, the endpoints, the database, Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ops.agent import Session
from ops.docker import Container, Docker
from ops.errors import OpsError, SwitchRefused
from rollout.steps import Services

ENDPOINT_SECONDS = 10
# A container just started says "starting" until Docker's first check: at most this long it is
# asked here instead.
STARTING_SECONDS = 15
POLL_SECONDS = 0.5
AT_ONCE = 4  # each call over ssh is a connection of its own, and sshd begins to drop at ten


@dataclass(frozen=True)
class Check:
    """One line of the list. `of_release`: when it fails, the release is to blame."""

    name: str
    ok: bool
    detail: str
    seconds: float
    of_release: bool = False

    def __str__(self) -> str:
        return f"{self.name} {self.detail}"


Look = Callable[[], tuple[bool, str]]
Seen = Callable[[], dict[str, Container]]


def check(services: Services, session: Session) -> list[Check]:
    """Every check, in the manual's order. What can't be asked counts as failed."""
    docker = session.docker
    pool = ThreadPoolExecutor(AT_ONCE)
    seen: Future[dict[str, Container]] = pool.submit(docker.inspect_all, *_containers(services))
    looks: list[tuple[str, bool, Look]] = [
        ("nginx", False, lambda: _service(docker, services.nginx, seen.result)),
        ("app", True, lambda: _service(docker, services.app, seen.result)),
        ("postgres", False, lambda: _service(docker, services.postgres, seen.result)),
        ("redis", False, lambda: _service(docker, services.redis, seen.result)),
        ("celery", True, lambda: _workers(docker, services.celery, seen.result)),
        ("endpoints", True, lambda: _endpoints(session)),
        ("database", False, lambda: _database(docker, services)),
        ("broker", False, lambda: _broker(docker, services)),
    ]
    try:
        return list(pool.map(lambda entry: _look(*entry), looks))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a signal need not wait for answers


def _containers(services: Services) -> tuple[str, ...]:
    single = (services.nginx, services.app, services.postgres, services.redis)
    return (*single, *services.celery)


def _look(name: str, of_release: bool, look: Look) -> Check:
    begun = time.monotonic()
    try:
        ok, detail = look()
    except OpsError as error:
        ok, detail = False, str(error)
    return Check(name, ok, detail, round(time.monotonic() - begun, 3), of_release)


def _service(docker: Docker, container: str, seen: Seen) -> tuple[bool, str]:
    found = seen().get(container)
    deadline = time.monotonic() + STARTING_SECONDS
    while found and found.running and found.health == "starting":
        if docker.is_well(found):
            return True, "is healthy"
        if time.monotonic() > deadline:
            return False, f"is starting ({container})"
        time.sleep(POLL_SECONDS)
        found = docker.inspect(container)
    return _judged(docker, container, found)


def _judged(docker: Docker, container: str, found: Container | None) -> tuple[bool, str]:
    """Docker calls unhealthy also what it has not asked since the container was paused or the
    daemon was away, for as long as its interval is: then it is asked here."""
    if found is None:
        return False, f"has no container {container}"
    if not found.running:
        return False, f"is {found.status} ({container})"
    if found.health == "unhealthy" and not docker.is_well(found):
        return False, f"is {found.health} ({container})"
    return True, "is healthy" if found.health else "is running"


def _workers(docker: Docker, containers: tuple[str, ...], seen: Seen) -> tuple[bool, str]:
    """Their own health check comes once a minute; that they consume the switch has seen."""
    looks = [_judged(docker, container, seen().get(container)) for container in containers]
    wrong = [detail for ok, detail in looks if not ok]
    return not wrong, "; ".join(wrong) or f"is running ({len(containers)} workers)"


def _endpoints(session: Session) -> tuple[bool, str]:
    edge = session.ask("state").get("edge")
    if not edge:
        return False, "have no release: the edge answers 503"
    try:
        result = session.ask("probe", colour=edge["colour"], timeout=ENDPOINT_SECONDS)
    except SwitchRefused as refusal:
        return False, f"fail: {refusal}"
    return True, f"answer ({result.get('endpoints')} in {result.get('took_ms')} ms)"


def _database(docker: Docker, services: Services) -> tuple[bool, str]:
    answer = docker.exec(
        services.postgres,
        "psql", "-X", "-qAt", "-U", services.user, "-d", services.database, "-c", "SELECT 1",
        timeout=10,
    )  # fmt: skip
    ok = answer.code == 0 and answer.out.strip() == "1"
    return ok, "answers SELECT 1" if ok else f"does not answer SELECT 1: {answer.words}"


def _broker(docker: Docker, services: Services) -> tuple[bool, str]:
    answer = docker.exec(services.redis, "redis-cli", "PING", timeout=10)
    # Without a password it tells nobody more than that it is there.
    ok = "PONG" in answer.out or "NOAUTH" in answer.out
    return ok, "answers PING" if ok else f"does not answer PING: {answer.words}"
