"""Runs a release's Celery beat while that release is live, and never beside another one.

`RELEASE=1.1.0+ab12 python3 /live/beat.py celery -A app.celery beat ...`

The file beside this one named `release` says who is live. The beat process inherits a lock on
`beat.lock` beside it and nobody else keeps it, so the lock lives exactly as long as the beat does,
even when this launcher is killed. It runs inside the backend's image: only the standard library,
and only Python 3.8.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time

LAUNCHER = "beat.py"
POINTER_FILE = "release"
LOCK_FILE = "beat.lock"

TICK_SECONDS = 0.1
STOP_SECONDS = 10.0  # celery beat writes its schedule when it is told to stop
PAUSE_SECONDS = 2.0  # between a beat that died and the next: not a busy loop, and no missed minute


class Launcher:
    """One beat, started and stopped as the pointer says; PID 1 of its container."""

    def __init__(self, folder: str, release: str, command: list[str]) -> None:
        self.pointer = os.path.join(folder, POINTER_FILE)
        self.lock = os.path.join(folder, LOCK_FILE)
        self.release = release
        self.command = command
        self.child = 0
        self.status = 0
        self.signal = 0
        self.not_before = 0.0

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        say("waiting until " + self.release + " is live")
        while not self.signal:
            self.step()
            time.sleep(TICK_SECONDS)
        self.stop("told to stop", self.signal)
        return 0

    def on_signal(self, number: int, frame: object) -> None:
        self.signal = number

    def step(self) -> None:
        self.reap()
        live = self.is_live()
        if self.child and not live:
            self.stop(self.release + " is not live any more", signal.SIGTERM)
        elif live and not self.child and time.monotonic() >= self.not_before:
            self.start()

    def is_live(self) -> bool:
        try:
            with open(self.pointer, encoding="utf-8") as file:
                return file.read().strip() == self.release
        except OSError:
            return False  # a gap is allowed, a second beat is not

    def start(self) -> None:
        """Take the lock, hand it to a child, and keep no part of it."""
        lock = self.take_lock()
        if lock is None:
            return
        try:
            if not self.is_live():
                return  # it moved on while we waited for the lock
            os.set_inheritable(lock, True)
            self.child = os.fork()
            if not self.child:
                become(self.command)
            say(f"started beat of {self.release}, process {self.child}")
        finally:
            os.close(lock)

    def take_lock(self) -> int | None:
        try:
            lock = os.open(self.lock, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        return lock

    def stop(self, why: str, number: int) -> None:
        if not self.child:
            return
        say("stopping beat: " + why)
        self.send(number)
        deadline = time.monotonic() + STOP_SECONDS
        while self.child and time.monotonic() < deadline:
            time.sleep(0.02)
            self.reap()
        if self.child:
            say("beat did not stop, killing it")
            self.send(signal.SIGKILL)
        while self.child:
            time.sleep(0.02)
            self.reap()

    def send(self, number: int) -> None:
        """To the whole group: a grandchild would hold the lock as well."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child, number)

    def reap(self) -> None:
        """Collect whoever ended: ours, and as PID 1 any orphan."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid == self.child:
                say(f"beat ended with status {status}")
                self.child = 0
                self.not_before = time.monotonic() + PAUSE_SECONDS


def become(command: list[str]) -> None:
    """The child's side: its own group, and nothing of ours left if the command can't be run."""
    try:
        os.setsid()
        os.execvp(command[0], command)
    except OSError as error:
        say(f"can't run {command[0]}: {error.strerror}")
    finally:
        os._exit(127)


def say(words: str) -> None:
    sys.stdout.write("beat: " + words + "\n")
    sys.stdout.flush()


def main() -> int:
    release = os.environ.get("RELEASE", "")
    if not release or len(sys.argv) < 2:
        say("usage: RELEASE=identity beat.py command ...")
        return 2
    folder = os.path.dirname(os.path.abspath(__file__))
    return Launcher(folder, release, sys.argv[1:]).run()


if __name__ == "__main__":
    sys.exit(main())
