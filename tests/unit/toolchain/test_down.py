"""`make down` takes what `make up` made: not what others use, and not from a living run."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from toolchain import down, engine
from toolchain.errors import ToolchainError

LOCK = "error: the stack is currently locked by 1 lock(s)\n  created by ana@{host} (pid {pid}) at x"
Calls = list[tuple[str, ...]]


@pytest.fixture(autouse=True)
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the machine's engine nor what it noted is touched."""
    monkeypatch.setattr(engine, "answers", lambda: None)
    monkeypatch.setattr(engine, "record", lambda: tmp_path / "dockerd.json")


@pytest.fixture
def gone() -> int:
    """The number of a process that has ended."""
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def setup(checkout: Path) -> None:
    (checkout / ".sandbox" / "state" / ".pulumi").mkdir(parents=True)
    (checkout / ".venv").mkdir()
    (checkout / ".env.sandbox").write_text("")


def pulumi(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[str, Calls], tuple[int, str]]
) -> Calls:
    """A Pulumi that answers so, and what it was asked."""
    asked: Calls = []

    def call(checkout: Path, *arguments: str) -> tuple[int, str]:
        asked.append(arguments)
        return answer(arguments[0], asked)

    monkeypatch.setattr(engine, "answers", lambda: "28")
    monkeypatch.setattr(down, "pulumi", call)
    monkeypatch.setattr(down, "docker", lambda *_: [])
    return asked


def test_a_checkout_that_was_never_set_up_loses_nothing(checkout: Path) -> None:
    told = down.down(checkout)
    assert told[:3] == [
        "no sandbox stack is there",
        "this checkout has no set-up: images and engine were left",
        "nothing to remove in the checkout",
    ]


def test_all_of_it_goes_and_a_second_time_finds_nothing(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup(checkout)
    asked = pulumi(monkeypatch, lambda verb, asked: (0, ""))
    told = down.down(checkout)
    assert [verb for verb, *_ in asked] == ["destroy"]
    assert "removed .sandbox, .venv, .env.sandbox" in told
    assert "nothing to remove in the checkout" in down.down(checkout)


def test_the_sandbox_s_backups_go_with_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup(checkout)
    pulumi(monkeypatch, lambda verb, asked: (0, ""))
    called: Calls = []

    def docker(*words: str) -> list[str]:
        called.append(words)
        return ["ytempire-sandbox-vol-drive1"] if words[:2] == ("volume", "ls") else []

    monkeypatch.setattr(down, "docker", docker)
    down.destroy(checkout)
    assert called[-1] == ("volume", "rm", "ytempire-sandbox-vol-drive1")
    assert {"label=ytempire.stack=sandbox", "label=ytempire.part=backup"} < set(called[0])


def test_the_lock_of_a_dead_process_is_cleared(
    checkout: Path, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup(checkout)
    locked = LOCK.format(host=socket.gethostname(), pid=gone)
    asked = pulumi(monkeypatch, lambda _, asked: (255, locked) if len(asked) == 1 else (0, ""))
    assert down.destroy(checkout).startswith("the sandbox stack is destroyed")
    assert [verb for verb, *_ in asked] == ["destroy", "cancel", "destroy"]


@pytest.mark.parametrize("host", [socket.gethostname(), "elsewhere"])
def test_the_lock_of_a_run_that_may_live_is_respected(
    host: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup(checkout)
    locked = LOCK.format(host=host, pid=os.getpid())
    asked = pulumi(monkeypatch, lambda *_: (255, locked))
    with pytest.raises(ToolchainError, match="created by ana@"):
        down.down(checkout)
    assert [verb for verb, *_ in asked] == ["destroy"]
    assert (checkout / ".env.sandbox").exists()


def test_images_that_a_container_uses_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"sha256:used": "", "sha256:tagged": "a:1 b:2", "sha256:bare": ""}

    def docker(*arguments: str) -> list[str]:
        match arguments:
            case ("ps", *_):
                return ["c1"]
            case ("container", "inspect", *_):
                return ["sha256:used"]
            case ("image", "ls", *_):
                return list(there)
            case ("image", "inspect", *_, image):
                return [there[image]] if image in there else []
            case ("image", "rm", *names):
                there.pop("sha256:tagged" if names == ["a:1", "b:2"] else names[0], None)
        return []

    monkeypatch.setattr(engine, "answers", lambda: "28")
    monkeypatch.setattr(down, "docker", docker)
    assert down.images() == "2 images removed, 1 in use kept"
    assert list(there) == ["sha256:used"]


def test_an_engine_with_containers_of_others_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "answers", lambda: "28")
    monkeypatch.setattr(down, "docker", lambda *_: ["web", "db"])
    assert down.stop_engine() == "containers remain, so the engine was left: web, db"
