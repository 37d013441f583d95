"""What a rollback goes to, and what is said when there is nothing."""

from __future__ import annotations

import pytest

from ops.verbs._exit import Refused
from ops.verbs._target import Candidate, at_once, choose
from rollout.plan import View, plan
from rollout.state import Slot
from tests.unit.cli.happy import NEW, OLD, state, view, withdrawn
from tests.unit.rollout.host_model import release


def test_it_is_the_other_slots_release() -> None:
    assert choose(view(), "") == Candidate("1.0.0", OLD.identity, "blue", "1.0.0")
    assert choose(view(), "1.0.0") == choose(view(), "")


def test_the_plan_agrees_that_only_traffic_has_to_move() -> None:
    decided = plan(view(), release("1.0.0", "today's configuration"))
    assert (decided.action, decided.kind) == ("switch", "rollback")


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (
            view(withdrawn=withdrawn(OLD)),
            "There is nothing to roll back to: 1.0.0+aaaa on blue was withdrawn (p95 812 ms).\n"
            "Next: `ytops up 1.0.0` deploys it on purpose.",
        ),
        (
            view(
                slots={**state().slots, "blue": Slot(identity=OLD.identity, claim=3, was_live=True)}
            ),
            "There is nothing to roll back to: 1.0.0+aaaa does not stand ready on blue.\n"
            "Next: `ytops up 1.0.0` deploys it on purpose.",
        ),
        (
            view(slots={"green": state().slots["green"]}),
            "There is nothing to roll back to: blue holds no release.\n"
            "Next: `ytops releases` lists what has served; `ytops up VERSION` deploys one again.",
        ),
        (
            View(),
            "There is nothing to roll back to: no release serves.\nNext: `ytops up VERSION`",
        ),
    ],
)
def test_without_a_target_the_reason_and_the_next_command_are_said(broken: View, said: str) -> None:
    with pytest.raises(Refused) as caught:
        choose(broken, "")
    assert str(caught.value) == said


def test_a_version_that_is_not_warm_is_sent_to_up() -> None:
    with pytest.raises(Refused) as caught:
        choose(view(), "0.9.0")
    assert str(caught.value) == (
        "0.9.0 does not stand ready; what can be rolled back to at once is 1.0.0.\n"
        "Next: `ytops up 0.9.0` deploys it again, with backup and migrations."
    )


def test_the_live_version_is_no_target() -> None:
    with pytest.raises(Refused, match=r"1\.1\.0 is live already"):
        choose(view(), "1.1.0")


TWIN = release("1.1.0", "cccc")


def twins() -> View:
    """1.1.0 in both slots: the old configuration is warm in blue."""
    blue = Slot(identity=TWIN.identity, claim=3, status="ready", was_live=True)
    slots = {**state().slots, "blue": blue}
    return view(slots=slots, releases={NEW.identity: NEW, TWIN.identity: TWIN})


@pytest.mark.parametrize("asked", ["", "1.1.0", TWIN.identity])
def test_where_both_slots_hold_one_version_its_identity_says_which(asked: str) -> None:
    assert choose(twins(), asked) == Candidate("1.1.0", TWIN.identity, "blue", TWIN.identity)


def test_the_plan_agrees_that_the_identity_is_a_rollback() -> None:
    decided = plan(twins(), None, pinned=at_once(twins()).name)  # type: ignore[union-attr]
    assert (decided.action, decided.kind) == ("switch", "rollback")


def test_the_live_identity_is_no_target() -> None:
    with pytest.raises(Refused, match=r"1\.1\.0\+bbbb is live already"):
        choose(twins(), NEW.identity)
