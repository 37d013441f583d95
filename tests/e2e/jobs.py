"""Jobs as users queue them, and the books that the backend keeps of them."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.e2e.world import World, docker

# Of both the host's and the table's clock: the history is written in whole seconds.
SLACK = timedelta(seconds=2)
REQUEST_SECONDS = 15
PAUSE_SECONDS = 0.3
# Mostly short: a few are long enough to be under way in whatever happens.
SHORT = (0.1, 0.1, 0.3, 0.1, 0.5, 0.1, 1.0, 0.1, 0.3, 3.0)
UP_TO_20 = (*SHORT, *SHORT, 0.5, 5.0, *SHORT, *SHORT, 12.0, 20.0)


class Stream:
    """Queues jobs through the edge, one after the other, from a thread of its own: `least` of them,
    and on until it is told that it is enough. Who is not answered 202 asks again, by the same key:
    it is the same job then."""

    def __init__(self, world: World, lengths: Iterable[float], least: int) -> None:
        self._world = world
        self._lengths = itertools.cycle(lengths)
        self._least = least
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._keys = itertools.count(1)
        self._begun = time.time_ns()
        self.ids: list[int] = []
        self.asked_again = 0

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure:
            self._least = 0
        self._enough.set()
        self._thread.join()

    def add(self, seconds: float) -> int:
        """One more, at once; its id."""
        key = f"{self._begun}-{next(self._keys)}"
        while (job := self._post(seconds, key)) is None:
            self.asked_again += 1
            time.sleep(PAUSE_SECONDS)
        self.ids.append(job)
        return job

    def _go(self) -> None:
        for count, seconds in enumerate(self._lengths):
            if self._enough.is_set() and count >= self._least:
                return
            self.add(seconds)
            self._enough.wait(PAUSE_SECONDS)

    def _post(self, seconds: float, key: str) -> int | None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._world.port, timeout=REQUEST_SECONDS
        )
        try:
            body = json.dumps({"seconds": seconds, "key": key})
            connection.request("POST", "/api/v1/jobs", body=body)
            answer = connection.getresponse()
            found = answer.read()
            return int(json.loads(found)["id"]) if answer.status == 202 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()


@dataclass(frozen=True)
class Attempt:
    """One start of a job. `recorded`: it is the one whose effect counts."""

    job: int
    release: str
    worker: str
    started: datetime
    finished: datetime | None
    recorded: bool

    def ran_at(self, begin: datetime, end: datetime) -> bool:
        return self.started <= end + SLACK and (
            self.finished is None or self.finished >= begin - SLACK
        )


@dataclass(frozen=True)
class Span:
    """When a release had the jobs."""

    identity: str
    begin: datetime
    end: datetime

    def covers(self, attempt: Attempt) -> bool:
        inside = self.begin - SLACK <= attempt.started <= self.end + SLACK
        return self.identity == attempt.release and inside


def attempts(world: World, jobs: Iterable[int]) -> list[Attempt]:
    rows = world.sql(
        "SELECT job_id, release, worker, extract(epoch FROM started_at), "
        "coalesce(extract(epoch FROM finished_at)::text, ''), outcome "
        f"FROM generation_attempts WHERE job_id IN ({_listed(jobs)}) ORDER BY started_at"
    )
    return [_attempt(*row.split("|")) for row in rows.splitlines()]


def _attempt(job: str, release: str, worker: str, began: str, ended: str, how: str) -> Attempt:
    finished = _moment(ended) if ended else None
    return Attempt(int(job), release, worker, _moment(began), finished, how == "recorded")


def _moment(epoch: str) -> datetime:
    return datetime.fromtimestamp(float(epoch)).astimezone()


def unfinished(world: World, jobs: Iterable[int]) -> set[int]:
    rows = world.sql(
        f"SELECT id FROM generation_jobs WHERE status <> 'done' AND id IN ({_listed(jobs)})"
    )
    return {int(row) for row in rows.split()}


def known(world: World, jobs: Iterable[int]) -> int:
    return int(world.sql(f"SELECT count(*) FROM generation_jobs WHERE id IN ({_listed(jobs)})"))


def effects(world: World, jobs: Iterable[int]) -> list[int]:
    """The jobs that had an effect, once for each."""
    rows = world.sql(f"SELECT job_id FROM generation_effects WHERE job_id IN ({_listed(jobs)})")
    return sorted(int(row) for row in rows.split())


def _listed(jobs: Iterable[int]) -> str:
    return ",".join(str(job) for job in jobs) or "0"


def spans(world: World) -> Iterator[Span]:
    """Which release had the jobs, from when to when. A switch moves them at its begin and is in
    the history from its end on: in between, either may have them."""
    switches = [e for e in world.history() if e["kind"] in ("deploy", "rollback", "revert")]
    ends = [datetime.fromisoformat(e["at"]) for e in switches]
    begins = [end - timedelta(seconds=e["seconds"]) for e, end in zip(switches, ends, strict=True)]
    until = [*ends[1:], datetime.max.replace(tzinfo=ends[0].tzinfo) - SLACK]
    for event, begin, end in zip(switches, begins, until, strict=True):
        yield Span(event["target"], begin, end)


def summary(world: World) -> dict[str, Any]:
    app = world.name(world.state()["live"]["colour"])
    found: dict[str, Any] = json.loads(docker("exec", app, "python", "manage.py", "jobs_summary"))
    return found
