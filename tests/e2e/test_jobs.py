"""Jobs go on through deploys: each is done once, by a release that was live, and none is lost."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.e2e.world import World, docker, wait_until

# Of both the host's and the table's clock: the history is written in whole seconds.
SLACK = timedelta(seconds=2)
DONE_SECONDS = 180


def test_jobs_through_a_deploy_and_a_rollback_are_done_exactly_once(shared: World) -> None:
    before = _summary(shared)
    shared.set("version", "1.2.0" if shared.get("version") != "1.2.0" else "1.1.0")
    shared.change()
    with _Jobs(shared) as jobs:
        jobs.enqueue(25)
        jobs.enqueue_slowly([0.1, 0.3, 1.0] * 18 + [3.0] * 5)
        deployed, back = shared.ytops("up"), shared.ytops("rollback")
    assert deployed.ok, deployed.text
    assert back.ok, back.text
    wait_until(lambda: _unfinished(shared) == 0, "jobs are not done", DONE_SECONDS)
    after = _summary(shared)
    assert jobs.refused == []
    assert after["done"] - before["done"] == after["total"] - before["total"] == 60
    assert after["effects"] == after["total"]
    assert after["duplicates"] == after["jobs_attempted_twice"] == 0
    assert not _out_of_turn(shared, jobs.ids)


def test_beats_have_never_run_side_by_side(shared: World) -> None:
    beats = _summary(shared)["beats"]
    assert len({beat["release"] for beat in beats}) > 1
    for one, next_one in pairwise(beats):
        assert one["last"] < next_one["first"]


def test_a_deploy_flushes_the_cache_and_never_the_queue(shared: World) -> None:
    shared.ask_for_the_idle()
    _redis(shared, 0, "RPUSH", "probe", "a job")
    _redis(shared, 1, "SET", "probe", "a page")
    outcome = shared.ytops("up")
    assert outcome.ok, outcome.text
    assert _redis(shared, 0, "LPOP", "probe") == "a job"
    assert _redis(shared, 1, "GET", "probe") == ""


def test_a_worker_ends_its_long_job_after_its_slot_was_given_away_and_is_collected_then(
    shared: World,
) -> None:
    worker = _live_worker(shared)
    with _Jobs(shared) as jobs:
        job = jobs.enqueue(70)
    wait_until(lambda: _attempts(shared, [job]), "no worker took the job")
    shared.ask_for_the_idle()
    assert shared.ytops("up").ok
    shared.change()
    assert shared.ytops("up").ok
    assert _unfinished(shared) == 1
    assert worker in shared.containers()
    wait_until(lambda: _unfinished(shared) == 0, "the job is not done", DONE_SECONDS)
    wait_until(lambda: not _busy(shared, worker), "the agent has not heard of it")
    collected = shared.up(None)
    assert collected.ok, collected.text
    assert worker not in shared.containers()
    assert [a["worker"] for a in _attempts(shared, [job])] == [f"celery@{worker}"]
    assert shared.up(None, "--expect-no-changes").ok


class _Jobs:
    """Enqueues through the edge, as users do; slowly from a thread of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._thread = threading.Thread()
        self.ids: list[int] = []
        self.refused: list[int] = []

    def __enter__(self) -> _Jobs:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.ident:
            self._thread.join(DONE_SECONDS)

    def enqueue(self, seconds: float) -> int:
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self._world.https_port,
            timeout=15,
            context=ssl._create_unverified_context(),
        )
        connection.request("POST", "/api/v1/jobs", body=json.dumps({"seconds": seconds}))
        answer = connection.getresponse()
        if answer.status != 202:
            self.refused.append(answer.status)
            return 0
        self.ids.append(json.loads(answer.read())["id"])
        return self.ids[-1]

    def enqueue_slowly(self, jobs: list[float]) -> None:
        def go() -> None:
            for seconds in jobs:
                self.enqueue(seconds)
                time.sleep(0.4)

        self._thread = threading.Thread(target=go, daemon=True)
        self._thread.start()


def _out_of_turn(world: World, jobs: list[int]) -> list[dict[str, Any]]:
    """Attempts by a release that was not live when they began."""
    spans = _spans(world)
    return [
        attempt
        for attempt in _attempts(world, jobs)
        if not any(
            release == attempt["release"] and begun - SLACK <= attempt["at"] <= ended + SLACK
            for release, begun, ended in spans
        )
    ]


def _spans(world: World) -> list[tuple[str, datetime, datetime]]:
    """Which release had the jobs, from when to when. A switch moves them at its begin and is in
    the history from its end on: in between, either may have them."""
    switches = [e for e in world.history() if e["kind"] in ("deploy", "rollback", "revert")]
    ends = [datetime.fromisoformat(e["at"]) for e in switches]
    begins = [end - timedelta(seconds=e["seconds"]) for e, end in zip(switches, ends, strict=True)]
    until = [*ends[1:], datetime.max.replace(tzinfo=ends[0].tzinfo) - SLACK]
    kept = [e["source"] if e["kind"] == "revert" else e["target"] for e in switches]
    return list(zip(kept, begins, until, strict=True))


def _attempts(world: World, jobs: list[int]) -> list[dict[str, Any]]:
    wanted = ",".join(str(job) for job in jobs)
    rows = world.sql(
        "SELECT release, worker, extract(epoch FROM started_at) FROM generation_attempts "
        f"WHERE job_id IN ({wanted}) ORDER BY started_at"
    )
    found = (row.split("|") for row in rows.splitlines())
    return [
        {"release": r, "worker": w, "at": datetime.fromtimestamp(float(at)).astimezone()}
        for r, w, at in found
    ]


def _unfinished(world: World) -> int:
    return int(world.sql("SELECT count(*) FROM generation_jobs WHERE status <> 'done'"))


def _summary(world: World) -> dict[str, Any]:
    app = world.name(world.state()["live"]["colour"])
    found: dict[str, Any] = json.loads(docker("exec", app, "python", "manage.py", "jobs_summary"))
    return found


def _redis(world: World, database: int, *words: str) -> str:
    """A command, by the way that the app has to it."""
    script = (
        "import os, sys, redis; from app.environment import urlsplit, urlunsplit\n"
        "url = urlsplit(os.environ['REDIS_URL'])._replace(path='/' + sys.argv[1])\n"
        "answer = redis.Redis.from_url(urlunsplit(url)).execute_command(*sys.argv[2:])\n"
        "print(answer.decode() if isinstance(answer, bytes) else answer or '')"
    )
    app = world.name(world.state()["live"]["colour"])
    return docker("exec", app, "python", "-c", script, str(database), *words).strip()


def _live_worker(world: World) -> str:
    live = world.state()["live"]["identity"].replace("+", "-")
    return next(name for name in world.containers() if "-worker-" in name and live in name)


def _busy(world: World, worker: str) -> bool:
    workers = json.loads(docker("exec", world.name("switch"), "cat", "/control/workers.json"))
    return bool(workers["workers"].get(f"celery@{worker}", {}).get("busy"))
