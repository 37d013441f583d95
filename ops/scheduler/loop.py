"""The timetable at work: look, begin what is due, hear how it ended, tell whom it concerns.

A task is a process of its own: what it takes of memory goes with it, and when it is killed the
timetable goes on.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from ops.docker import end
from ops.errors import OpsError
from ops.scheduler import telling
from ops.scheduler.desk import Desk, configured
from ops.scheduler.jobs import TASKS
from ops.scheduler.report import Last, Report, write
from ops.steps._voice import Voice
from ops.verbs._exit import DONE, REFUSED
from rollout.schedule import (
    FIRST_PAUSE,
    LATE,
    Attempts,
    Known,
    Task,
    due,
    failed,
    known,
    last_run,
    late,
    put_off,
    succeeded,
)
from rollout.scheduler import BEAT, REPORT, SchedulerConfig

TICK_SECONDS = 5.0
# Somebody may have made a backup by hand, a place may have gone; and no listing is for ever.
LOOK_SECONDS = 900.0
STOP_SECONDS = 20.0  # for a task to leave nothing half done; Docker kills after 30
SHIP_SECONDS = 60.0
LONGEST_SECONDS = 8 * 3600.0  # of one task
WORDS_KEPT = 20


@dataclass
class Running:
    """A task that is under way. words: the last that it complained of."""

    task: Task
    run: datetime
    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.monotonic)
    words: deque[str] = field(default_factory=lambda: deque(maxlen=WORDS_KEPT))


def start(task: Task, run: datetime) -> Running:
    process = subprocess.Popen(
        [sys.executable, "-m", "ops.scheduler", task],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    running = Running(task, run, process)

    def hear() -> None:
        assert process.stderr
        for line in process.stderr:
            text = line.decode(errors="replace").rstrip()
            running.words.append(text)
            print(f"{task}: {text}", flush=True)

    threading.Thread(target=hear, daemon=True).start()
    return running


def look(config: SchedulerConfig, say: Callable[[str], None]) -> Known:
    stores = Desk(config, say).looking()
    catalogues = stores.catalogues()
    return known(catalogues, stores.lost)


class Loop:
    """`report`: what is known, for whoever asks."""

    def __init__(
        self,
        read: Callable[[], SchedulerConfig] = configured,
        look: Callable[[SchedulerConfig, Callable[[str], None]], Known] = look,
        start: Callable[[Task, datetime], Running] = start,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        folder: Path = Path("/"),
        tasks: tuple[Task, ...] = TASKS,
    ) -> None:
        self._read, self._look, self._start = read, look, start
        self._clock, self._now, self._folder = clock, now, folder
        self._tasks = tasks
        self._went: dict[Task, Attempts] = {}
        self._known: Known | None = None
        self._look_again = 0.0
        self._running: Running | None = None
        self._shipping: Running | None = None
        self._told: set[tuple[str, datetime]] = set()
        self._wrong = ""
        self.report = Report(at=now())

    def run(self) -> None:
        print(f"timetable: {', '.join(self._tasks)}; all times are UTC", flush=True)
        while True:
            self.tick()
            time.sleep(TICK_SECONDS)

    def close(self) -> None:
        for running in filter(None, (self._running, self._shipping)):
            print(f"{running.task}: told to stop", flush=True)
            end(running.process, STOP_SECONDS)

    def tick(self) -> None:
        try:
            config = self._read()
            self._go_on(config, Voice(config.secrets).clean)
            self._wrong = ""
        except OpsError as error:
            self._complain(str(error))
        except Exception as error:  # the loop is what keeps the promise: it never ends
            self._complain(f"unexpected {type(error).__name__}: {error}")
        self._beat()

    def _go_on(self, config: SchedulerConfig, clean: Callable[[str], str]) -> None:
        self._ship(config, clean)
        if self._running:
            if self._running.process.poll() is None:
                self._watch(config, self._running)
                return
            self._ended(config, self._running, clean)
            self._running = None
        if self._known is None or self._clock() >= self._look_again:
            self._known = self._look(config, print)
            self._look_again = self._clock() + LOOK_SECONDS
        what, now = self._known, self._now()
        self._miss(config, what, now)
        tasks = tuple(task for task in self._tasks if config.wal or task != "base")
        task = due(tasks, now, self._clock(), what, self._went)
        if task:
            print(f"{task}: begins", flush=True)
            self._running = self._start(task, last_run(task, now))

    def _ship(self, config: SchedulerConfig, clean: Callable[[str], str]) -> None:
        """The database's log has no hour: each minute, beside whatever runs."""
        running, before = self._shipping, self._went.get("wal")
        if running and running.process.poll() is None:
            return
        if running:
            self._shipping = None
            went = self._heard(config, running, clean)
            pause = SHIP_SECONDS if went.done else min(went.again - self._clock(), FIRST_PAUSE)
            self._went["wal"] = before = replace(went, again=self._clock() + pause)
        if config.wal and (before is None or self._clock() >= before.again):
            self._shipping = self._start("wal", self._now())

    def _watch(self, config: SchedulerConfig, running: Running) -> None:
        """What hangs is ended, and what it holds up is told."""
        if time.monotonic() - running.begun > LONGEST_SECONDS:
            running.words.appendleft(f"it was not over after {LONGEST_SECONDS / 3600:.0f} hours")
            end(running.process, STOP_SECONDS)
        if self._known:
            self._miss(config, self._known, self._now())

    def _ended(
        self, config: SchedulerConfig, running: Running, clean: Callable[[str], str]
    ) -> None:
        self._known = None  # look again
        self._went[running.task] = self._heard(config, running, clean)

    def _heard(
        self, config: SchedulerConfig, running: Running, clean: Callable[[str], str]
    ) -> Attempts:
        """How it went; whom it concerns is told."""
        task, code = running.task, running.process.returncode
        before = self._went.get(task)
        if code == REFUSED:
            return put_off(before, running.run, self._clock())
        ok, seconds = code == DONE, time.monotonic() - running.begun
        words = clean(running.words[0]) if running.words else f"exit code {code}"
        went = succeeded(running.run) if ok else failed(before, running.run, self._clock())
        if task != "wal" or not ok:
            print(f"{task}: {'done' if ok else 'failed'} after {seconds:.1f} s", flush=True)
        self.report.last[task] = Last(self._now(), ok, seconds, "" if ok else words)
        recovered = bool(before and before.failures)
        telling.ended(config, task, ok, words, went.again - self._clock(), recovered=recovered)
        return went

    def _miss(self, config: SchedulerConfig, what: Known, now: datetime) -> None:
        """Once for each run of the timetable."""
        for task in self._tasks:
            since = late(task, now, what)
            key = (task, last_run(task, now))
            if since is not None and since >= LATE and key not in self._told:
                self._told.add(key)
                telling.missing(config, task, since, what)
        self.report.see(what, self._tasks, now)

    def _complain(self, words: str) -> None:
        if words != self._wrong:
            print(words, flush=True)
        self._wrong = words

    def _beat(self) -> None:
        self.report.at = self._now()
        self.report.running = self._running.task if self._running else ""
        self.report.wrong = self._wrong
        write(self._folder / REPORT.lstrip("/"), self.report)
        (self._folder / BEAT.lstrip("/")).touch()
