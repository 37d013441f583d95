"""state.json survives a crash at any byte; what can't be read is kept and said."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ops.switch.state_store import StateStore
from rollout.state import Event, HostState
from tests.unit.switch.fakes import FakeClock, host_state

EVENT = Event(
    at="2026-01-10T06:00:00+00:00", kind="deploy", serial=5, source="a", target="b", who="x"
)


def store_in(folder: Path) -> StateStore:
    return StateStore(folder, FakeClock())


def loaded(folder: Path) -> StateStore:
    store = store_in(folder)
    store.load()
    return store


def two_writes(folder: Path) -> tuple[HostState, HostState]:
    """state.json with serial 5, state.json.previous with serial 4."""
    first, second = host_state(), host_state().model_copy(update={"serial": 5})
    store = store_in(folder)
    store.save(first)
    store.save(second)
    return first, second


def test_a_new_host_starts_empty(tmp_path: Path) -> None:
    store = loaded(tmp_path)
    assert store.state == HostState()
    assert not store.broken


def test_what_was_saved_is_read(tmp_path: Path) -> None:
    _, second = two_writes(tmp_path)
    assert loaded(tmp_path).state == second


def test_a_state_cut_off_at_any_byte_is_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = HostState(serial=4, last=EVENT), HostState(serial=5, last=EVENT)
    store_in(tmp_path).save(first)
    loaded(tmp_path).save(second)
    text = (tmp_path / "state.json").read_bytes().rstrip()
    monkeypatch.setattr("os.fsync", lambda descriptor: None)  # a thousand times: too slow
    caplog.set_level(logging.CRITICAL)
    for length in range(len(text)):
        (tmp_path / "state.json").write_bytes(text[:length])
        store = loaded(tmp_path)
        assert (store.recovered, store.broken, store.state) == (True, "", first)


def test_a_lost_state_is_recovered_from_the_previous_one(tmp_path: Path) -> None:
    first, _ = two_writes(tmp_path)
    (tmp_path / "state.json").unlink()
    assert loaded(tmp_path).state == first


def test_an_unreadable_state_is_kept_aside(tmp_path: Path) -> None:
    two_writes(tmp_path)
    (tmp_path / "state.json").write_text("{oops")
    loaded(tmp_path)
    (aside,) = tmp_path.glob("state.json.broken-*")
    assert aside.read_text() == "{oops"


def test_two_unreadable_states_are_said_and_not_guessed(tmp_path: Path) -> None:
    two_writes(tmp_path)
    (tmp_path / "state.json").write_text("{oops")
    (tmp_path / "state.json.previous").write_text("")
    store = loaded(tmp_path)
    assert store.broken.startswith("state.json is unusable")
    assert "kept as state.json.broken-" in store.broken
    assert store.state == HostState()


def test_a_crash_between_the_two_writes_loses_nothing(tmp_path: Path) -> None:
    _, second = two_writes(tmp_path)
    (tmp_path / ".state.json.new").write_text('{"serial": 6')
    assert loaded(tmp_path).state == second


def test_damage_on_the_disk_does_not_reach_the_previous_state(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.save(host_state())
    (tmp_path / "state.json").write_text("rotten")
    store.save(host_state().model_copy(update={"serial": 9}))
    previous = (tmp_path / "state.json.previous").read_text()
    assert HostState.model_validate_json(previous) == host_state()


def test_a_change_is_checked_like_any_state(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    with pytest.raises(ValueError, match="serial"):
        store.update(serial="many")


def test_an_event_missing_in_the_history_is_added_once(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.save(HostState(last=EVENT))
    store.repair_history()
    store.repair_history()
    assert (tmp_path / "history.jsonl").read_text() == EVENT.model_dump_json() + "\n"
