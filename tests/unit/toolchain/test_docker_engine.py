"""An engine that answers is used; one of ours is started, and only that one is stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolchain import engine, places
from toolchain.errors import ToolchainError, UnmetError


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No engine answers, and nothing is noted."""
    monkeypatch.setattr(places, "state_root", lambda: tmp_path)
    monkeypatch.setattr(engine, "answers", lambda: None)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return tmp_path


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that could be an engine."""
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def test_running_engine_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answers", lambda: "28.0")
    assert engine.ensure() == "running engine 28.0"


def test_chosen_host_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://deploy@host")
    with pytest.raises(UnmetError, match="DOCKER_HOST is ssh://deploy@host, and no Docker engine"):
        engine.ensure()


def test_without_root_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(engine, "refuse_other_platforms", lambda: None)
    with pytest.raises(UnmetError, match="next: sudo python3 -m toolchain engine"):
        engine.ensure()


def test_other_distribution_is_told_what_it_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UnmetError, match="this is not Debian"):
        engine.refuse_other_platforms()


def test_engine_that_does_not_start_shows_its_last_words(state: Path) -> None:
    engine.log_file().write_text("no space left on device")
    with pytest.raises(ToolchainError, match=r"did not start:\n    no space left on device"):
        engine.wait_for_answer(lambda: False, "df")


def test_stop_ends_the_engine_that_was_started(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.Started(sleeper.pid, engine.birth(sleeper.pid) or "").save()
    assert engine.stop().startswith(f"engine stopped (process {sleeper.pid})")
    assert not engine.record().exists()


def test_stop_spares_a_later_process_of_the_same_number(
    sleeper: subprocess.Popen[bytes],
) -> None:
    engine.Started(sleeper.pid, "1").save()
    assert engine.stop() == "the engine that this program started is gone already"
    assert sleeper.poll() is None


def test_stop_spares_an_engine_that_others_started() -> None:
    assert engine.stop() == "no engine was started by this program; none was stopped"
