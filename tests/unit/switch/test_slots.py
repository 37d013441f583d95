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


def crowded() -> HostState:
    """A host that knows more releases than it keeps, the oldest first."""
    more = {(r := release(f"0.{n}.0")).identity: r for n in range(slots.RELEASES_KEPT + 2)}
    state = host_state()
    return state.model_copy(update={"releases": {**more, **state.releases}})


def test_old_releases_in_no_slot_are_forgotten() -> None:
    left = claimed(crowded()).releases
    assert release("0.2.0").identity not in left
    assert release("0.3.0").identity in left
    assert set(left) > {OLD.identity, NEW.identity, NEXT.identity}


def test_a_release_whose_workers_answer_is_remembered() -> None:
    first = release("0.0.0").identity
    assert first in claimed(crowded(), working={first}).releases


def test_while_nobody_knows_which_workers_there_are_nothing_is_forgotten() -> None:
    state = crowded()
    assert set(slots.claim(state, ask(), BLUE, None).releases) > set(state.releases)


def test_a_release_that_is_claimed_again_counts_as_new() -> None:
    once = slots.claim(crowded(), ask(release=release("0.0.0")), BLUE, set())
    assert list(once.releases)[-1] == release("0.0.0").identity


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
