"""An unreadable state is replaced by the newest copy that is whole, and kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops.verbs._state_file import drop_cut_attributes, restore

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


class TestAttributes:
    """What Pulumi's library writes beside each file, and an engine that is killed leaves empty."""

    def test_one_that_was_cut_off_goes_and_is_told(self, state: Path) -> None:
        cut = _attributes(state, "")
        said: list[str] = []
        _drop(state, said)
        assert not cut.exists()
        assert said == [
            "sandbox.json.attrs, beside the state of sandbox, was left half written by a run that "
            "was killed. Pulumi reads nothing past it, and needs nothing of it: it is removed."
        ]

    def test_a_whole_one_stays(self, state: Path) -> None:
        whole = _attributes(state, '{"user.content_type": "application/json"}')
        said: list[str] = []
        _drop(state, said)
        assert (whole.exists(), said) == (True, [])

    def test_those_of_the_locks_and_the_history_are_looked_at_too(self, state: Path) -> None:
        top = state.parents[2]
        places = ("locks/organization/ytempire/sandbox", "history/ytempire/sandbox")
        folders = [top / place for place in places]
        for folder in folders:
            folder.mkdir(parents=True)
            (folder / "a.json.attrs").touch()
        _drop(state, [])
        assert [list(folder.iterdir()) for folder in folders] == [[], []]

    def test_other_stacks_are_left_alone(self, state: Path) -> None:
        other = state.with_name("production.json.attrs")
        other.touch()
        _drop(state, [])
        assert other.exists()

    def test_a_bucket_has_none(self) -> None:
        drop_cut_attributes("s3://bucket", "ytempire", "sandbox", print)


def _attributes(state: Path, text: str) -> Path:
    file = state.with_name(f"{state.name}.attrs")
    file.write_text(text)
    return file


def _drop(state: Path, said: list[str]) -> None:
    drop_cut_attributes(f"file://{state.parents[3]}", "ytempire", "sandbox", said.append)
