"""Whether a recovered stack works: the manual's check, its endpoints through its own nginx, and a
job through its worker."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ops.agent import Session
from ops.contract import inspecting
from ops.docker import Docker
from ops.errors import OpsError
from ops.observe import observe
from ops.verbs._place import Place
from ops.verbs.verify import services
from ops.verify import Check, check
from rollout.edge import RELEASE_HEADER
from rollout.names import EDGE_HTTP_PORT, address, node
from rollout.shapes import Pointer, Release

ENDPOINT_SECONDS = 30
COMMAND_SECONDS = 120
JOB_SECONDS = 120  # what waits for one: a worker that was just told to consume
INSPECT_SECONDS = 3
POLL_SECONDS = 0.5
_FAILED = re.compile(r"Task \S+ raised|ERROR/|CRITICAL/")


@dataclass(frozen=True)
class Recovered:
    """A stack that serves, and what serves in it."""

    place: Place
    app_subnet: str
    edge: Pointer
    release: Release

    @classmethod
    def of(cls, place: Place) -> Recovered:
        view = observe(place.docker, place.names).view
        release = view.state.releases.get(view.edge.identity) if view.edge else None
        if view.edge is None or release is None:
            raise OpsError("no release serves")
        return cls(place, place.configuration.get("networkAppSubnet"), view.edge, release)

    @property
    def docker(self) -> Docker:
        return self.place.docker

    @property
    def app(self) -> str:
        return self.place.names.app(self.edge.colour)

    # Endpoints

    def endpoints(self) -> str:
        """In words. Raises OpsError with what fails."""
        with Session(self.docker, self.place.names.switch, lambda _: None) as session:
            found = check(services(self.place, self.edge.colour, self.release), session)
        found += [self._through_nginx(path) for path in self.release.endpoints]
        wrong = [str(one) for one in found if not one.ok]
        if wrong:
            raise OpsError("; ".join(wrong))
        return f"{len(found)} checks passed, {len(self.release.endpoints)} of them through nginx"

    def _through_nginx(self, path: str) -> Check:
        """By the name that users ask for, which leads to the stack that is drilled and not here: so
        nginx is asked at its address, from beside it."""
        begun = time.monotonic()
        edge = f"http://{address(self.app_subnet, 'edge')}:{EDGE_HTTP_PORT}{path}"
        answer = self.docker.exec(
            self.app, "curl", "-sS", "--max-time", str(ENDPOINT_SECONDS), "-o", "/dev/null",
            "-D", "-", "-H", f"Host: {self.place.configuration.get('edgeDomain')}", edge,
        )  # fmt: skip
        status, release = answered(answer.out)
        ok = answer.code == 0 and status == 200 and release == self.release.identity
        got = f"{status} as {release or 'no release'}" if status else answer.words
        return Check(f"edge {path}", ok, f"answers {got}", round(time.monotonic() - begun, 3))

    # A job

    def job(self, command: Sequence[str]) -> str:
        """Queue one as the backend does it, and see it through. Raises OpsError where it fails."""
        begun = datetime.now(UTC)
        before = self._taken()
        answer = self.docker.exec(self.app, *command, timeout=COMMAND_SECONDS)
        if answer.code:
            raise OpsError(f"`{' '.join(command)}` in {self.app}: {_last(answer.words)}")
        self._until(lambda: self._taken() > before, "no worker took it")
        self._until(lambda: not self._running(), "it was not over")
        for worker in self._workers:
            logs = self.docker.call("logs", "--since", begun.isoformat(), worker)
            wrong = failures(logs.out + logs.error)
            if wrong:
                raise OpsError(f"{worker}: {wrong[0]}")
        return f"`{' '.join(command)}` went through a worker"

    def _until(self, true: Callable[[], object], otherwise: str) -> None:
        deadline = time.monotonic() + JOB_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise OpsError(f"{otherwise} within {JOB_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def _taken(self) -> int:
        """Jobs that its workers have begun since they started."""
        found = self._inspect("stats")
        return sum(sum((one.get("total") or {}).values()) for one in found.values())

    def _running(self) -> int:
        return sum(
            len(self._inspect(what).get(n, ()))
            for what in ("active", "reserved")
            for n in self._nodes
        )

    def _inspect(self, what: str) -> dict[str, Any]:
        """Celery's own words, asked from a worker's container, which knows the broker."""
        worker = self._workers[0]
        answer = self.docker.exec(
            worker, *inspecting(self.release), "--json", "--timeout", str(INSPECT_SECONDS),
            "--destination", ",".join(self._nodes), what,
            timeout=COMMAND_SECONDS,
        )  # fmt: skip
        try:
            found = json.loads(answer.out)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def _workers(self) -> list[str]:
        return list(self.place.names.workers(self.release.identity, self.release.worker_replicas))

    @property
    def _nodes(self) -> list[str]:
        return [node(worker) for worker in self._workers]


def answered(headers: str) -> tuple[int, str]:
    """Status and release of an answer, by its headers; 0 where there is none."""
    first, *rest = headers.splitlines() or [""]
    status = re.match(r"HTTP/\S+ (\d+)", first)
    named = (line.partition(":") for line in rest)
    release = next((v.strip() for k, _, v in named if k.lower() == RELEASE_HEADER.lower()), "")
    return (int(status[1]) if status else 0), release


def failures(log: str) -> list[str]:
    """What a worker says of a job that went wrong."""
    return [line.strip() for line in log.splitlines() if _FAILED.search(line)]


def _last(words: str) -> str:
    return (words.strip().splitlines() or ["no words"])[-1]
