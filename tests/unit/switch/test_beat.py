"""The beat launcher, with real processes: never two beats, a gap is allowed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.switch.live import LivePointer

# A beat that notes when it lives: every 10 ms one line with its release.
BEAT = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write(f"start {os.environ['RELEASE']} {os.getpid()}\\n")
while True:
    with open(sys.argv[1], "a") as file:
        file.write(f"tick {os.environ['RELEASE']} {time.monotonic()}\\n")
    time.sleep(0.01)
"""
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BEAT


class Stage:
    """A live volume, and launchers on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "ticks"
        self.log.touch()
        self.pointer = LivePointer(folder)
        self.pointer.install()
        self.launchers: list[subprocess.Popen[bytes]] = []

    def launch(self, release: str, program: str = BEAT) -> subprocess.Popen[bytes]:
        launcher = subprocess.Popen(
            (
                *(sys.executable, str(self.folder / "beat.py")),
                *(sys.executable, "-c", program, str(self.log)),
            ),
            env={**os.environ, "RELEASE": release},
            stdout=subprocess.DEVNULL,
        )
        self.launchers.append(launcher)
        return launcher

    def lines(self, kind: str) -> list[list[str]]:
        rows = [line.split() for line in self.log.read_text().splitlines()]
        return [row for row in rows if len(row) == 3 and row[0] == kind]

    def ticks(self, release: str) -> list[float]:
        return [float(row[2]) for row in self.lines("tick") if row[1] == release]

    def pids(self) -> list[int]:
        return [int(row[2]) for row in self.lines("start")]

    def clean(self) -> None:
        for pid in self.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for launcher in self.launchers:
            launcher.kill()
            launcher.wait()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.clean()


def wait_for(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_only_the_live_releases_beat_runs(stage: Stage) -> None:
    stage.pointer.point("1.0+a")
    stage.launch("1.0+a")
    stage.launch("1.1+b")
    wait_for(lambda: stage.ticks("1.0+a"))
    time.sleep(0.3)
    assert not stage.ticks("1.1+b")


def test_a_moved_pointer_moves_the_beat_and_two_never_overlap(stage: Stage) -> None:
    stage.pointer.point("1.0+a")
    stage.launch("1.0+a")
    stage.launch("1.1+b")
    wait_for(lambda: stage.ticks("1.0+a"))
    moved = time.monotonic()
    stage.pointer.point("1.1+b")
    wait_for(lambda: stage.ticks("1.1+b"))
    assert max(stage.ticks("1.0+a")) < min(stage.ticks("1.1+b"))
    assert max(stage.ticks("1.0+a")) - moved < 0.4


def test_two_launchers_of_one_release_run_one_beat(stage: Stage) -> None:
    stage.pointer.point("1.0+a")
    for _ in range(3):
        stage.launch("1.0+a")
    wait_for(lambda: stage.ticks("1.0+a"))
    time.sleep(0.5)
    assert len(stage.pids()) == 1


def test_a_killed_launcher_leaves_its_beat_the_lock(stage: Stage) -> None:
    stage.pointer.point("1.0+a")
    first = stage.launch("1.0+a")
    wait_for(lambda: stage.ticks("1.0+a"))
    first.kill()
    stage.launch("1.0+a")
    time.sleep(0.5)
    assert len(stage.pids()) == 1
    os.kill(stage.pids()[0], signal.SIGKILL)
    wait_for(lambda: len(stage.pids()) == 2)


def test_a_beat_that_dies_is_started_again_after_a_pause(stage: Stage) -> None:
    stage.pointer.point("1.0+a")
    stage.launch("1.0+a")
    wait_for(lambda: stage.pids())
    died = time.monotonic()
    os.kill(stage.pids()[0], signal.SIGKILL)
    wait_for(lambda: len(stage.pids()) == 2)
    assert time.monotonic() - died > 1.5


def test_a_told_launcher_takes_its_beat_with_it(stage: Stage) -> None:
    stage.pointer.point("1.0+a")
    launcher = stage.launch("1.0+a")
    wait_for(lambda: stage.pids())
    launcher.terminate()
    assert launcher.wait(5) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(stage.pids()[0], 0)


def test_a_beat_that_ignores_the_order_is_killed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = stage.folder / "beat.py"
    script.write_text(script.read_text().replace("STOP_SECONDS = 10.0", "STOP_SECONDS = 0.3"))
    stage.pointer.point("1.0+a")
    stage.launch("1.0+a", STUBBORN)
    stage.launch("1.1+b")
    wait_for(lambda: stage.pids())
    stage.pointer.point("1.1+b")
    wait_for(lambda: stage.ticks("1.1+b"))
    assert max(stage.ticks("1.0+a")) < min(stage.ticks("1.1+b"))


def test_without_a_pointer_nobody_beats(stage: Stage) -> None:
    stage.launch("1.0+a")
    time.sleep(0.4)
    assert not stage.pids()


def test_the_lock_file_is_never_replaced(stage: Stage) -> None:
    inode = (stage.folder / "beat.lock").stat().st_ino
    stage.pointer.install()
    assert (stage.folder / "beat.lock").stat().st_ino == inode
