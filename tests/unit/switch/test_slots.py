"""Claims: one slot for one release, and only the next number."""

from __future__ import annotations

import pytest

from ops.errors import SwitchRefused
from ops.switch import slots
from ops.switch.protocol import Claim, Ready
from rollout.state import HostState
from tests.unit.switch.fakes import BLUE, NEW, OLD, host_state, release

NEXT = release("1.2.0", "cccccccccccc")


def ask(**changes: object) -> Claim:
    fields = {"colour": "green", "release": NEXT, "claim": 3, "live": BLUE, "who": "ann"}
    return Claim.model_validate({**fields, **changes})


def claimed(state: HostState | None = None, working: set[str] | None = None) -> HostState:
    return slots.claim(state or host_state(), ask(), BLUE, working or set())


def test_a_claim_takes_the_idle_slot() -> None:
    state = claimed()
    slot = state.slots["green"]
    assert (slot.identity, slot.claim, slot.status) == (NEXT.identity, 3, "preparing")
    assert state.claim == 3
    assert not slot.was_live


def test_a_release_in_no_slot_is_forgotten() -> None:
    assert set(claimed().releases) == {OLD.identity, NEXT.identity}


def test_a_release_whose_workers_answer_is_remembered() -> None:
    assert NEW.identity in claimed(working={NEW.identity}).releases


def test_the_same_claim_again_changes_nothing() -> None:
    once = claimed()
    assert slots.claim(once, ask(), BLUE, set()) is once


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"claim": 5}, "expected claim 3, got 5"),
        ({"claim": 2}, "expected claim 3, got 2"),
        ({"colour": "blue"}, "blue serves 1.0.0+aaaaaaaaaaaa: a release can only claim green"),
        ({"live": None}, "expected traffic on no release, but the edge sends it to blue"),
        ({"release": OLD}, "1.0.0+aaaaaaaaaaaa is live on blue already"),
    ],
)
def test_a_claim_that_does_not_fit_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SwitchRefused, match=words.replace("+", r"\+")):
        slots.claim(host_state(), ask(**changes), BLUE, set())


def test_markers_go_with_their_claim() -> None:
    old, other = "green-backup#1.1.0+bbbbbbbbbbbb#2", "notify#5"
    live = "blue-backup#1.0.0+aaaaaaaaaaaa#1"
    state = host_state().model_copy(update={"markers": {old: "", other: "", live: ""}})
    assert set(claimed(state).markers) == {other, live}


def test_a_prepared_slot_becomes_ready() -> None:
    done = slots.ready(claimed(), Ready(colour="green", identity=NEXT.identity, claim=3))
    assert done.slots["green"].status == "ready"


def test_a_slot_that_was_given_away_does_not_become_ready() -> None:
    with pytest.raises(SwitchRefused, match=r"green was claimed by 1.2.0\+c+ \(claim 3\), not"):
        slots.ready(claimed(), Ready(colour="green", identity=NEW.identity, claim=2))
