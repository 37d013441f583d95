"""The fixtures of the steps' tests: the host on paper, and waiting for what a process does."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.steps.host import NAMES, STUB, Host


@pytest.fixture
def host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Host:
    """The switch agent runs; other containers are as a test says."""
    programs = tmp_path / "bin"
    programs.mkdir()
    stub = programs / "docker"
    stub.write_text(f"#!{sys.executable} -SE\n" + STUB.read_text())
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("STUB_HOME", str(tmp_path))
    monkeypatch.setenv("YTOPS_WHO", "ann@laptop")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("DOCKER_HOST", "WEBHOOK", "STEP", "REDACT", "YTOPS_WHY"):
        monkeypatch.delenv(name, raising=False)
    for pause in ("notify.PAUSE_SECONDS", "steps._boot.POLL_SECONDS", "steps.switch.POLL_SECONDS"):
        monkeypatch.setattr(f"ops.{pause}", 0.01)
    host = Host(tmp_path, monkeypatch, capsys)
    host.container(NAMES.switch)
    return host


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 8
        while not true():
            assert time.monotonic() < deadline, "did not happen in 8 s"
            time.sleep(0.02)

    return wait
