"""A log that nobody receives is told of while all that waits was shipped."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from ops.backup import wal
from ops.backup.local import LocalShell
from ops.docker import Answer
from ops.errors import StepFailed
from rollout.wal import Slot

RECEIVED = {"state": "reserved", "active": True, "behind": 4096}


class Database(LocalShell):
    """Answers in turn, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.answers = list(answers)

    def run(
        self,
        script: str,
        *words: str,
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float = 1,
    ) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def _says(slot: dict[str, object] | None) -> Answer:
    return Answer(0, json.dumps(slot) if slot else "")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "AWAY_SECONDS", 0.05)
    monkeypatch.setattr(wal, "ASK_SECONDS", 0.01)


@pytest.mark.parametrize("slot", [None, {"state": "reserved", "active": False, "behind": 0}])
def test_nobody_receives_it(slot: dict[str, object] | None) -> None:
    with pytest.raises(StepFailed, match=r"nobody receives slot ytempire_wal\. Next: `ytops logs"):
        wal.require_received(Database(_says(slot)), {})


def test_the_slot_is_lost() -> None:
    with pytest.raises(StepFailed, match=r"given up slot .* Next: `ytops backup run base`"):
        wal.require_received(Database(_says({**RECEIVED, "state": "lost"})), {})


def test_a_receiver_that_comes_back_is_waited_for() -> None:
    wal.require_received(Database(_says(None), _says(RECEIVED)), {})


def test_a_database_that_is_away_is_not_its_receivers_fault() -> None:
    wal.require_received(Database(Answer(2, "", "could not connect")), {})


def test_what_the_server_says_of_its_slot() -> None:
    assert Slot.of(RECEIVED) == Slot("reserved", True, 4096)
    assert Slot.of(RECEIVED).wrong == ""
    assert Slot.of(None) == Slot()
