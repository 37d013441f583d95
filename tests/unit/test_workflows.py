"""The forge's workflows: well-formed, safe by a linter's rules, and calling what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def lint(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(tool)
    return subprocess.run(
        [program, *arguments, *WORKFLOWS], capture_output=True, text=True, check=False
    )


def test_the_forge_understands_them() -> None:
    found = lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows")
    assert found.returncode == 0, found.stdout


def test_they_leak_nothing_and_run_only_what_is_pinned() -> None:
    found = lint("zizmor", "--offline", "--no-progress", "--persona=regular")
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_each_make_target_that_they_call_exists(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set(re.findall(r"\bmake ([a-z0-9]+)", workflow.read_text()))
    assert called <= targets
