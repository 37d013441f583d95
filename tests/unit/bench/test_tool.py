"""What a command cost, all its processes counted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.tool import Failed, Task, run

BUSY = "import time; x = bytearray(60_000_000); end = time.process_time() + 0.5\n"
BUSY += "while time.process_time() < end: pass"


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_what_its_children_use_counts(tmp_path: Path) -> None:
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"
    ran = run(Task(python(child), tmp_path))
    assert ran.cpu_seconds >= 0.5
    assert ran.memory_mb >= 60
    assert ran.seconds >= 0.5


def test_it_is_run_in_its_folder_with_its_variables(tmp_path: Path) -> None:
    told = "import os; print(os.getcwd(), os.environ['MARK'])"
    assert run(Task(python(told), tmp_path, {"MARK": "seen"})).text == f"{tmp_path} seen\n"


def test_what_outlives_it_is_ended(tmp_path: Path) -> None:
    """As an engine that was left behind."""
    child = "import subprocess; print(subprocess.Popen(['sleep', '60'], stdout=-3).pid)"
    process = run(Task(python(child), tmp_path)).text.strip()
    assert not Path(f"/proc/{process}").exists()


def test_a_failure_says_what_the_command_said(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"ended with 3:\nno such release"):
        run(Task(["sh", "-c", "echo no such release; exit 3"], tmp_path))
