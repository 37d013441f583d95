"""Each rule about steps."""

from __future__ import annotations

from typing import Any

import pytest

from policies.steps import COMMAND, POLICIES
from tests.policies.judge import violations

GOOD: dict[str, Any] = {
    "create": "ytops-step migrate",
    "triggers": ["1.2.0+ab12cd34ef56#7"],
}


def broken(name: str = "blue-migrate", kind: str = COMMAND, **inputs: Any) -> list[str]:
    return violations(POLICIES, kind, {**GOOD, **inputs}, name)


def test_a_good_step_passes() -> None:
    assert broken() == []


def test_a_step_must_not_be_undone() -> None:
    assert broken(delete="docker rm -f x") == [
        "step-is-not-undone: blue-migrate must not have a delete: it runs when a later run "
        "forgets the step, long after its release was replaced; remove it"
    ]


@pytest.mark.parametrize(
    ("triggers", "got"),
    [(None, "none"), (["1.2.0"], "1.2.0"), (["1.2.0+ab12#7", "x"], "1.2.0+ab12#7, x")],
)
def test_a_slots_step_must_be_keyed_by_its_release(triggers: Any, got: str) -> None:
    assert broken(triggers=triggers) == [
        f"slot-step-is-keyed: blue-migrate must be keyed by its slot's release, not {got}: "
        "give step() the slot's key, VERSION+FINGERPRINT#CLAIM"
    ]


def test_steps_of_no_slot_are_keyed_as_they_like() -> None:
    assert broken(name="redis-config", triggers=None) == []


def test_other_resources_are_none_of_these_rules_business() -> None:
    assert broken(kind="docker:index/network:Network", delete="x", triggers=None) == []
