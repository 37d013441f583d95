"""An unreadable state is replaced by the newest copy that is whole, and kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.verbs._state_file import restore

WHOLE = '{"version": 3, "checkpoint": {"latest": {"n": %d}}}'


@pytest.fixture
def state(tmp_path: Path) -> Path:
    stacks = tmp_path / ".pulumi" / "stacks" / "ytempire"
    backups = tmp_path / ".pulumi" / "backups" / "ytempire" / "sandbox"
    for folder in (stacks, backups):
        folder.mkdir(parents=True)
    for age, file in ((30, backups / "a.json"), (10, backups / "b.json")):
        file.write_text(WHOLE % age)
        os.utime(file, (1000 - age, 1000 - age))
    (stacks / "sandbox.json.bak").write_text("{")
    (stacks / "sandbox.json").write_text('{"version": 3, "check')
    return stacks / "sandbox.json"


def _restore(state: Path, said: list[str]) -> bool:
    return restore(f"file://{state.parents[3]}", "ytempire", "sandbox", said.append)


def test_the_newest_whole_copy_takes_its_place(state: Path) -> None:
    said: list[str] = []
    assert _restore(state, said)
    assert state.read_text() == WHOLE % 10
    assert "b.json" in said[0]


def test_the_unreadable_one_is_kept(state: Path) -> None:
    _restore(state, [])
    (aside,) = state.parent.glob("sandbox.json.broken-*")
    assert aside.read_text() == '{"version": 3, "check'


def test_a_readable_state_is_left_alone(state: Path) -> None:
    state.write_text(WHOLE % 0)
    assert not _restore(state, [])
    assert state.read_text() == WHOLE % 0


def test_a_backend_elsewhere_is_not_touched() -> None:
    assert not restore("s3://bucket", "ytempire", "sandbox", print)
