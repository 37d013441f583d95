"""A step ends when whoever started it is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.step import command_line

STEP = """
import pathlib, sys, time
from ops.parent import end_with_parent
from ops.steps._signals import Stopped, listening
log = pathlib.Path(sys.argv[1])
try:
    with listening():
        end_with_parent()
        log.write_text("ready")
        time.sleep(30)
except Stopped as stopped:
    log.write_text(f"stopped by {stopped}")
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no such signal")
def test_a_step_stops_when_its_parent_is_killed(
    tmp_path: Path, eventually: Callable[[Callable[[], bool]], Any]
) -> None:
    log = tmp_path / "log"
    log.touch()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, STEP, str(log)])
    eventually(lambda: log.read_text() == "ready")
    parent.kill()
    parent.wait(5)
    eventually(lambda: log.read_text() == "stopped by SIGTERM")


def test_no_shell_stands_between_a_step_and_the_plugin_that_waits_for_it(tmp_path: Path) -> None:
    program = tmp_path / "ytops-step"
    program.write_text("#!/bin/sh\necho $PPID\n")
    program.chmod(0o755)
    shell = ["/bin/sh", "-c", command_line("switch")]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.check_output(shell, env={**os.environ, "PATH": path}, text=True)
    assert int(said) == os.getpid()
