"""The timetable at work: one task at a time, its end heard, whom it concerns told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ops import notify
from ops.errors import OpsError
from ops.scheduler import telling
from ops.scheduler.loop import LOOK_SECONDS, Loop, Running
from rollout.schedule import Known, Newest, Task
from rollout.scheduler import BEAT, REPORT, SchedulerConfig
from rollout.settings import load
from tests.unit.stack_files import raw

SETTINGS = load("test", {**raw("sandbox"), "version": "1.0.0"})
CONFIG = SchedulerConfig.of(SETTINGS).model_copy(update={"wal": False})
TEN = datetime(2027, 3, 1, 10, tzinfo=UTC)


@dataclass
class World:
    """A clock, a store, and tasks that end as the test says: `print(…)` and an exit code."""

    folder: Path
    config: SchedulerConfig = CONFIG
    time: float = 0
    taken: list[datetime] = field(default_factory=list)
    tried: datetime | None = None
    ends: dict[str, tuple[int, str]] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    looks: int = 0

    @property
    def now(self) -> datetime:
        return TEN + timedelta(seconds=self.time)

    def look(self, config: SchedulerConfig, say: Callable[[str], None]) -> Known:
        self.looks += 1
        good = tuple(sorted(self.taken, reverse=True))
        newest = Newest(good, verified=max(good, default=None), bytes=1000)
        return Known({"dump": newest}, self.tried, ("drive1",), {"bucket": "is away"})

    def start(self, task: Task, run: datetime) -> Running:
        self.begun.append(task)
        code, words = self.ends.get(task, (0, ""))
        if code == 0 and task == "dump":
            self.taken.append(self.now)
        if task == "verify":
            self.tried = self.now
        script = f"import sys; sys.exit({code})"
        process = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
        running = Running(task, run, process)
        running.words.extend([words] if words else [])
        return running

    def loop(self) -> Loop:
        (self.folder / "run").mkdir(exist_ok=True)
        return Loop(
            lambda: self.config, self.look, self.start,
            clock=lambda: self.time, now=lambda: self.now, folder=self.folder,
            tasks=("dump", "verify", "prune"),
        )  # fmt: skip

    def go(self, loop: Loop, seconds: float, step: float = 30) -> None:
        until = self.time + seconds
        while self.time < until:
            loop.tick()
            if loop._running:
                loop._running.process.wait(10)
            if loop._shipping:
                loop._shipping.process.wait(10)
            self.time += step

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / REPORT.lstrip("/")).read_text())
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(notify, "send", lambda url, text, fields, say: found.append(text))
    monkeypatch.setattr(telling, "_ping", lambda url: found.append(f"ping {url}"))
    return found


PING = f"ping {CONFIG.scheduler.heartbeat_url}"


def test_a_day_s_tasks_follow_each_other_and_then_it_rests(world: World, told: list[str]) -> None:
    loop = world.loop()
    world.go(loop, 3600)
    assert world.begun == ["dump", "verify", "prune"]
    assert told == [PING]  # of what goes well only the watchdog hears
    assert world.report()["last"]["dump"]["ok"] is True


def test_a_day_has_six_dumps_and_one_of_each_check(world: World, told: list[str]) -> None:
    world.go(world.loop(), 24 * 3600 - 60, step=60)
    assert sorted(world.begun) == ["dump"] * 6 + ["prune", "verify"]


def test_a_restart_makes_no_second_dump(world: World, told: list[str]) -> None:
    world.go(world.loop(), 600)
    world.begun.clear()
    world.go(world.loop(), 600)
    assert world.begun == ["prune"]


def test_a_failure_is_told_with_the_next_try_and_its_end_is_told(
    world: World, told: list[str]
) -> None:
    world.ends["dump"] = (1, "The disk is full.")
    loop = world.loop()
    world.go(loop, 240)
    assert world.begun == ["dump"]
    assert told == ["YTEMPIRE test: backup (dump) failed: The disk is full.; tried again in 5 min"]
    assert world.report()["last"]["dump"]["words"] == "The disk is full."
    del world.ends["dump"]
    world.go(loop, 240)
    assert told[1:] == [PING, "YTEMPIRE test: backup (dump) works again"]


def test_a_backup_that_is_missing_is_told_once_for_each_run(world: World, told: list[str]) -> None:
    world.ends["dump"] = (1, "no")
    world.go(world.loop(), 3 * 3600)
    missing = [words for words in told if "has been due" in words]
    assert missing == ["YTEMPIRE test: backup (dump) has been due for 1:00 h; there is none"]
    assert world.report()["late"]["dump"] > 3600


def test_each_success_is_told_where_that_is_asked_for(world: World, told: list[str]) -> None:
    scheduler = CONFIG.scheduler.model_copy(update={"notify_success": True})
    world.config = CONFIG.model_copy(update={"scheduler": scheduler})
    world.go(world.loop(), 300)
    assert "YTEMPIRE test: backup (dump) is done" in told


def test_while_somebody_else_has_the_lock_it_waits_and_tells_nobody(
    world: World, told: list[str]
) -> None:
    world.ends["dump"] = (3, "A backup job is under way")
    loop = world.loop()
    world.go(loop, 210)
    assert world.begun == ["dump"] * 3
    assert told == []
    world.taken.append(world.now)  # theirs
    world.go(loop, 100)
    assert world.begun[3:] == ["verify", "prune"]


def test_the_log_is_shipped_each_minute_beside_the_others(world: World, told: list[str]) -> None:
    world.config = CONFIG.model_copy(update={"wal": True})
    loop = world.loop()
    world.go(loop, 600)
    assert world.begun.count("wal") in range(5, 11)
    assert [task for task in world.begun if task != "wal"] == ["dump", "verify", "prune"]
    world.ends["wal"] = (1, "the bucket is away")
    world.go(loop, 600)
    assert [w for w in told if "(wal)" in w][:1] == [
        "YTEMPIRE test: backup (wal) failed: the bucket is away; tried again in 5 min"
    ]


def test_it_looks_again_after_a_task_and_now_and_then(world: World, told: list[str]) -> None:
    loop = world.loop()
    world.go(loop, 300)
    assert world.looks == 4
    world.go(loop, LOOK_SECONDS)
    assert world.looks == 5


def test_a_configuration_that_can_t_be_read_stops_no_beat(world: World, told: list[str]) -> None:
    loop = world.loop()

    def gone() -> SchedulerConfig:
        raise OpsError("scheduler.json is not there")

    loop._read = gone
    loop.tick()
    assert (world.folder / BEAT.lstrip("/")).exists()
    assert world.report()["wrong"] == "scheduler.json is not there"


def test_the_report_has_no_secret_and_names_what_is_away(world: World, told: list[str]) -> None:
    world.go(world.loop(), 60)
    text = (world.folder / REPORT.lstrip("/")).read_text()
    assert json.loads(text)["places"] == {"drive1": "", "bucket": "is away"}
    assert not any(secret in text for secret in CONFIG.secrets if secret)


def test_what_the_container_is_told_comes_back_as_it_was() -> None:
    assert SchedulerConfig.model_validate_json(CONFIG.text) == CONFIG
    assert "placeholder-access-key" in CONFIG.secrets
    assert "DJANGO" not in CONFIG.text
