"""Jobs go on through deploys, rollbacks and faults: each has its effects once, none is lost, and
none is taken by a release that is not live.

All of it happens at once, in one story (`_Story`), which the tests read. `--faults=all` tells the
longer one. The world is one of its own: its visibility timeout is short, so that the jobs of killed
workers come back while we wait, and above its longest job, as the contract wants it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from subprocess import PIPE, STDOUT
from typing import Any

import pytest

from tests.e2e import jobs
from tests.e2e.jobs import Attempt, Span, Stream
from tests.e2e.world import Outcome, Running, World, docker, wait_until

WATCHING = "verified in"
CONCURRENCY = 6
DONE_SECONDS = 420  # on a busy machine; the look for what is overdue, every 100 s, included
BREAKS_CONTRACT = "2.0.7-breaks-contract"


@dataclass(frozen=True)
class Form:
    """How long the story is. `longest`: seconds of the two long jobs; `victim`: of those whose
    worker is killed. `visibility` is above the longest, as the contract wants it."""

    longest: int
    victim: int
    visibility: int
    lengths: tuple[float, ...]
    jobs: int = 300

    def on_a_busy_machine(self, times: int) -> Form:
        """The same happens during the jobs, only slower."""
        return replace(
            self,
            longest=self.longest * times,
            victim=self.victim * times,
            visibility=self.visibility * times,
        )


# Longer than the edge's drain (60 s), and than two deploys take.
BOUNDED = Form(longest=120, victim=25, visibility=130, lengths=jobs.SHORT)
COMPLETE = Form(longest=280, victim=50, visibility=300, lengths=jobs.UP_TO_20)


@pytest.fixture(scope="module")
def form(request: pytest.FixtureRequest) -> Form:
    told = COMPLETE if request.config.getoption("faults") == "all" else BOUNDED
    waiting = os.getloadavg()[0] / (os.cpu_count() or 1)  # for a core, beside the one that has it
    return told.on_a_busy_machine(min(max(round(waiting / 3), 1), 3))


@pytest.fixture(scope="module")
def world(make_world: Callable[..., World], form: Form) -> World:
    return make_world(
        workerStopSeconds=form.longest + 5,
        # A busy machine is slow for a while without a release being at fault.
        healthTimeout=30,
        bootTimeout=300,
        backendEnvironment={
            "VISIBILITY_TIMEOUT_SECONDS": str(form.visibility),
            "WORKER_CONCURRENCY": str(CONCURRENCY),
        },
    )


@pytest.fixture(scope="module")
def story(world: World, form: Form) -> _Story:
    assert world.up("1.0.0").ok
    _redis(world, 0, "RPUSH", "probe", "a job")
    _redis(world, 1, "SET", "probe", "a page")
    told = _Story(world, form)
    with Stream(world, form.lengths, form.jobs) as stream:
        told.tell(stream)
    told.end(stream)
    return told


# ---- what the tests read ------------------------------------------------------------------


def test_none_of_some_300_jobs_is_lost(story: _Story, form: Form) -> None:
    assert len(set(story.jobs)) == len(story.jobs) > form.jobs
    assert jobs.known(story.world, story.jobs) == len(story.jobs)
    assert jobs.unfinished(story.world, story.jobs) == set()


def test_the_effects_of_each_job_happen_once(story: _Story) -> None:
    assert jobs.effects(story.world, story.jobs) == sorted(story.jobs)
    assert sorted(a.job for a in story.attempts if a.recorded) == sorted(story.jobs)


def test_a_job_is_started_again_only_if_a_fault_hit_it(story: _Story) -> None:
    again = {a.job for a in story.attempts if story.is_a_repetition_without_a_fault(a)}
    told = [str(a) for a in story.attempts if a.job in again]
    assert not again, "\n".join((*told, "faults:", *map(str, story.faults)))


def test_no_job_is_taken_by_a_release_that_is_not_live(story: _Story) -> None:
    out_of_turn = [a for a in story.attempts if not any(s.covers(a) for s in story.spans)]
    assert out_of_turn == []


def test_jobs_of_killed_workers_are_done_by_who_is_live_then(story: _Story) -> None:
    for victim in (*story.of_the_live, *story.of_the_idle):
        first, *others = [a for a in story.attempts if a.job == victim]
        assert first.finished is None
        assert others[-1].recorded
    for victim in story.of_the_idle:
        first, *others = [a for a in story.attempts if a.job == victim]
        assert {a.release for a in others}.isdisjoint({first.release})


def test_a_job_longer_than_the_drain_ends_on_the_worker_that_took_it(story: _Story) -> None:
    found = [a for a in story.attempts if a.job in story.long]
    assert [a.worker for a in found] == [f"celery@{story.old_worker}"] * 2
    assert all(a.recorded for a in found)


def test_its_worker_is_collected_when_the_slot_is_given_away_and_the_last_job_done(
    story: _Story,
) -> None:
    assert story.kept_while_busy
    assert story.collected.ok, story.collected.text
    assert story.old_worker not in story.world.containers()
    assert story.world.up(None, "--expect-no-changes").ok


def test_beats_have_never_run_side_by_side(story: _Story) -> None:
    beats = jobs.summary(story.world)["beats"]
    assert len({beat["release"] for beat in beats}) > 3
    for one, next_one in pairwise(beats):
        assert one["last"] < next_one["first"]
    assert beats[-1]["release"] == story.world.state()["live"]["identity"]


def test_deploys_flush_the_cache_and_never_the_queue(story: _Story) -> None:
    assert _redis(story.world, 0, "LRANGE", "probe", "0", "-1") == "a job"
    assert _redis(story.world, 1, "GET", "probe") == ""


def test_the_sandbox_backend_keeps_to_the_contract(story: _Story) -> None:
    found = json.loads(story.contract.text)
    assert [f for f in found["findings"] if f["ok"] is not True] == []
    assert (found["ok"], story.contract.code) == (True, 0)


def test_a_backend_that_breaks_the_contract_is_told_item_by_item(story: _Story) -> None:
    world = story.world
    assert world.ytops("up", BREAKS_CONTRACT).ok
    outcome = world.ytops("verify", "--contract", "--json")
    assert outcome.code == 1
    found = {f["name"]: f for f in json.loads(outcome.text)["findings"]}
    broken = {name: f["found"] for name, f in found.items() if f["ok"] is False}
    assert broken.keys() == {
        "stop", "keepalive", "task_acks_late", "task_reject_on_worker_lost", "agreement",
        "worker_prefetch_multiplier", "worker_soft_shutdown_timeout",
        "broker_transport_options.visibility_timeout",
    }  # fmt: skip
    assert broken["worker_prefetch_multiplier"] == "4"
    assert broken["stop"].startswith("the request was dropped")
    assert found["task_acks_late"]["why"] == "a worker that dies gives its job back"
    assert "task_acks_late true" in broken["agreement"]
    assert world.name("contract") not in world.containers()


# ---- the story ----------------------------------------------------------------------------


@dataclass
class _Story:
    """What was done to one world, and what came of it."""

    world: World
    form: Form
    faults: list[tuple[datetime, datetime]] = field(default_factory=list)
    """When something was away that runs a job, or holds it."""
    unconfirmed: list[Span] = field(default_factory=list)
    """Releases that had the jobs in a switch that was moved back."""
    of_the_live: list[int] = field(default_factory=list)
    of_the_idle: list[int] = field(default_factory=list)
    long: list[int] = field(default_factory=list)
    old_worker: str = ""
    kept_while_busy: bool = False
    collected: Outcome = field(default_factory=lambda: Outcome(1, "", 0.0))
    contract: Outcome = field(default_factory=lambda: Outcome(1, "", 0.0))
    jobs: list[int] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def tell(self, stream: Stream) -> None:
        self._kill_a_live_worker(stream)
        self._deploy_while_the_agent_is_killed()
        self._restart_workers_and_stores(stream)
        killed = self._roll_back_while_engine_and_worker_are_killed(stream)
        self._give_a_busy_slot_away(stream)
        self._await_redelivery(killed)

    def end(self, stream: Stream) -> None:
        """Nothing is queued any more: all of it is done, and the old worker goes."""
        world, self.jobs = self.world, stream.ids
        wait_until(lambda: _inspected(world, "ping") is not None, "the live worker is silent")
        # A message that a worker took with it into a restart is overdue only after that long.
        patience = self.form.visibility + DONE_SECONDS
        wait_until(lambda: not self._left(), self._what_is_left, patience)
        wait_until(lambda: not _busy(world, self.old_worker), "the agent has not heard of it")
        self.contract = world.ytops("verify", "--contract", "--json")
        self.collected = world.up(None)
        self.attempts = jobs.attempts(world, self.jobs)
        self.spans = [*jobs.spans(world), *self.unconfirmed]

    def is_a_repetition_without_a_fault(self, attempt: Attempt) -> bool:
        """A start after another of the same job that no fault has hit."""
        earlier = [a for a in self.attempts if a.job == attempt.job and a.started < attempt.started]
        hit = any(a.ran_at(*fault) for a in earlier for fault in self.faults)
        return bool(earlier) and not hit

    # ---- its acts, in their order ---------------------------------------------------------

    def _kill_a_live_worker(self, stream: Stream) -> None:
        """Its main process, by SIGKILL: Docker starts it again, and it asks who is live."""
        self.of_the_live = self._taken(stream, self.form.victim)
        with self._fault():
            _kill_main_process(_live_worker(self.world))

    def _deploy_while_the_agent_is_killed(self) -> None:
        self.world.change()
        run = self._watched()
        with self._moved_back():
            _kill_main_process(self.world.name("switch"))
            assert not run.end().ok
        self._converge()

    def _restart_workers_and_stores(self, stream: Stream) -> None:
        world = self.world
        docker("restart", _worker(world, world.state()["slots"][world.idle]["identity"]))
        docker("restart", _live_worker(world))
        for store in ("redis", "postgres"):
            with self._fault():
                docker("restart", world.name(store))
                _answers_again(world, store)
        # Jobs whose database was away are tried again by who took them: before the next switch.
        fresh = [stream.add(0.1)]
        wait_until(lambda: not jobs.unfinished(world, fresh), "no job is done", DONE_SECONDS)
        wait_until(lambda: not _to_be_tried_again(world), "jobs are tried for ever", DONE_SECONDS)

    def _roll_back_while_engine_and_worker_are_killed(self, stream: Stream) -> datetime:
        """The worker is that of the release that has just ceased to be live, with its jobs."""
        leaving = _live_worker(self.world)
        self.of_the_idle = self._taken(stream, self.form.victim)
        asked = self.world.ask_for_the_idle()
        run = self._watched()
        with self._moved_back():
            with self._fault():
                docker("kill", leaving)
            run.kill()
        assert jobs.unfinished(self.world, self.of_the_idle) == set(self.of_the_idle)
        killed = datetime.now(UTC)
        self._converge()
        assert self.world.state()["live"]["identity"] == asked
        return killed

    def _give_a_busy_slot_away(self, stream: Stream) -> None:
        world = self.world
        self.old_worker = _live_worker(world)
        self.long = self._taken(stream, self.form.longest)
        for _ in range(2):
            world.change()
            self._converge()
        self.kept_while_busy = (
            jobs.unfinished(world, self.long) == set(self.long)
            and self.old_worker in world.containers()
        )

    def _await_redelivery(self, killed: datetime) -> None:
        """A worker looks for what is overdue 10 s after its start: so the live one starts anew."""
        passed = (datetime.now(UTC) - killed).total_seconds()
        time.sleep(max(0.0, self.form.visibility - passed))
        docker("restart", _live_worker(self.world))

    # ---- their means ----------------------------------------------------------------------

    def _taken(self, stream: Stream, seconds: float) -> list[int]:
        """Two jobs of this length, once both are under way."""
        both = [stream.add(seconds) for _ in range(2)]
        wait_until(lambda: len(jobs.attempts(self.world, both)) == 2, "no worker took the jobs")
        return both

    def _watched(self) -> Running:
        """A deploy at the point where all has moved and nobody has confirmed it."""
        run = self.world.begin_up()
        run.wait_for(WATCHING)
        return run

    def _converge(self) -> None:
        outcome = self.world.ytops("up")
        assert outcome.ok, outcome.text

    @contextmanager
    def _fault(self) -> Iterator[None]:
        begun = datetime.now(UTC)
        yield
        self.faults.append((begun, datetime.now(UTC)))

    @contextmanager
    def _moved_back(self) -> Iterator[None]:
        """A switch is pending now; afterwards it is none any more, either way."""
        pending = self.world.state()["pending"]
        yield
        wait_until(lambda: _pending(self.world) is None, "the switch stays pending")
        if pending:
            since = datetime.fromisoformat(pending["since"])
            target = pending["target"]["identity"]
            self.unconfirmed.append(Span(target, since, datetime.now(UTC)))

    def _left(self) -> set[int]:
        return jobs.unfinished(self.world, self.jobs)

    def _what_is_left(self) -> str:
        """The jobs, their attempts, who works, and what Redis and the agent say of it."""
        world, left = self.world, sorted(self._left())
        worker = _live_worker(world)
        parts = [f"at {datetime.now(UTC)} not done: {left}", "attempts:"]
        parts += map(str, jobs.attempts(world, left[:20]))
        parts += ["faults:", *map(str, self.faults)]
        for what in ("active_queues", "active", "reserved", "scheduled"):
            parts.append(f"{worker} {what}: {_inspected(world, what)}")
        for command in (
            ("LLEN", "celery"), ("ZRANGE", "unacked_index", "0", "-1"), ("TTL", "unacked_mutex"),
        ):  # fmt: skip
            parts.append(f"{' '.join(command)}: {_redis(world, 0, *command)}")
        for container in (worker, world.name("switch")):
            parts += [f"{container} says:", _logs(container)]
        return "\n".join(parts)


def _logs(container: str) -> str:
    asked = ["docker", "logs", "--tail", "40", container]
    return subprocess.run(asked, stdout=PIPE, stderr=STDOUT, text=True, check=False).stdout


def _to_be_tried_again(world: World) -> bool:
    """Whether the live worker keeps jobs for later; true while it does not say."""
    kept = _inspected(world, "scheduled")
    return kept is None or bool(kept)


def _inspected(world: World, what: str) -> Any:
    """What the live worker answers, None while it is silent."""
    worker = _live_worker(world)
    asked = ("celery", "-A", "app.celery", "inspect", "--json", "--timeout", "10", what)
    try:
        return json.loads(docker("exec", worker, *asked)).get(f"celery@{worker}")
    except AssertionError:
        return None


def _pending(world: World) -> object:
    try:
        return world.state()["pending"]
    except AssertionError:
        return "the agent is starting"


def _kill_main_process(container: str) -> None:
    """As the kernel does when memory is short; Docker starts the container again."""
    os.kill(int(docker("inspect", container, "-f", "{{.State.Pid}}")), signal.SIGKILL)


def _answers_again(world: World, store: str) -> None:
    asks = {"redis": ("redis-cli", "PING"), "postgres": ("pg_isready", "-q", "-h", "127.0.0.1")}
    health = f"{store} does not answer"

    def answers() -> bool:
        try:
            docker("exec", world.name(store), *asks[store])
        except AssertionError:
            return False
        return True

    wait_until(answers, health)


def _redis(world: World, database: int, *words: str) -> str:
    """A command, by the way that the app has to it."""
    script = (
        "import os, sys, redis; from app.environment import urlsplit, urlunsplit\n"
        "url = urlsplit(os.environ['REDIS_URL'])._replace(path='/' + sys.argv[1])\n"
        "answer = redis.Redis.from_url(urlunsplit(url)).execute_command(*sys.argv[2:])\n"
        "answer = b' '.join(answer) if isinstance(answer, list) else answer\n"
        "print(answer.decode() if isinstance(answer, bytes) else answer or '')"
    )
    app = world.name(world.state()["live"]["colour"])
    return docker("exec", app, "python", "-c", script, str(database), *words).strip()


def _live_worker(world: World) -> str:
    return _worker(world, world.state()["live"]["identity"])


def _worker(world: World, identity: str) -> str:
    plain = identity.replace("+", "-")
    return next(name for name in world.containers() if "-worker-" in name and plain in name)


def _busy(world: World, worker: str) -> bool:
    workers = json.loads(docker("exec", world.name("switch"), "cat", "/control/workers.json"))
    return bool(workers["workers"].get(f"celery@{worker}", {}).get("busy"))
