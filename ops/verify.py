"""The manual's post-deployment check: five services, the endpoints, the database, Redis."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ops.agent import Session
from ops.docker import Docker
from ops.errors import OpsError, SwitchRefused
from rollout.steps import Services

ENDPOINT_SECONDS = 10
# A container just started says "starting" until its first check: at most this long is waited.
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


def check(services: Services, session: Session) -> list[Check]:
    """Every check, in the manual's order. What can't be asked counts as failed."""
    docker = session.docker
    looks: list[tuple[str, bool, Look]] = [
        ("nginx", False, lambda: _service(docker, services.nginx)),
        ("app", True, lambda: _service(docker, services.app)),
        ("postgres", False, lambda: _service(docker, services.postgres)),
        ("redis", False, lambda: _service(docker, services.redis)),
        ("celery", True, lambda: _workers(docker, services.celery)),
        ("endpoints", True, lambda: _endpoints(session)),
        ("database", False, lambda: _database(docker, services)),
        ("broker", False, lambda: _broker(docker, services)),
    ]
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(lambda entry: _look(*entry), looks))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a signal need not wait for answers


def _look(name: str, of_release: bool, look: Look) -> Check:
    begun = time.monotonic()
    try:
        ok, detail = look()
    except OpsError as error:
        ok, detail = False, str(error)
    return Check(name, ok, detail, round(time.monotonic() - begun, 3), of_release)


def _service(docker: Docker, container: str, starting_is_fine: bool = False) -> tuple[bool, str]:
    deadline = time.monotonic() + STARTING_SECONDS
    while True:
        found = docker.inspect(container)
        if found is None:
            return False, f"has no container {container}"
        starting = found.running and found.health == "starting"
        if not starting or starting_is_fine or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    if not found.running:
        return False, f"is {found.status} ({container})"
    if found.health == "unhealthy" or (starting and not starting_is_fine):
        return False, f"is {found.health} ({container})"
    return True, f"is {found.health or 'running'}"


def _workers(docker: Docker, containers: tuple[str, ...]) -> tuple[bool, str]:
    """Their own health check comes once a minute; that they consume the switch has seen."""
    looks = [_service(docker, container, starting_is_fine=True) for container in containers]
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
