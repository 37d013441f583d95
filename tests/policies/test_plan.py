"""Each rule about the plan: what the planner makes passes, one broken property is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.gate import carried
from policies.plan import POLICIES
from policies.steps import COMMAND
from rollout.plan import plan
from rollout.settings import load
from tests.policies.judge import violations
from tests.unit.components.program import deployed, wanted
from tests.unit.rollout.host_model import Host
from tests.unit.stack_files import raw


def planned(host: Host, version: str) -> dict[str, Any]:
    settings = load("sandbox", {**raw("sandbox"), "version": version})
    decided = plan(host.view(), wanted("sandbox", version=version))
    found: dict[str, Any] = json.loads(carried(decided, host.view().state, settings).json())
    return found


def judged(parameters: dict[str, Any], name: str = "gate") -> list[str]:
    inputs = {"environment": {"STEP": json.dumps(parameters)}}
    return violations(POLICIES, COMMAND, inputs, name)


def third_deploy() -> dict[str, Any]:
    """1.1.0 serves in green; blue is to be filled."""
    return planned(deployed("sandbox", "1.0.0", "1.1.0"), "1.2.0")


@pytest.mark.parametrize("versions", [(), ("1.0.0",), ("1.0.0", "1.1.0")])
@pytest.mark.parametrize("version", ["1.0.0", "1.1.0", "1.2.0"])
def test_what_the_planner_decides_passes(versions: tuple[str, ...], version: str) -> None:
    assert judged(planned(deployed("sandbox", *versions), version)) == []


def test_other_steps_carry_no_plan() -> None:
    assert judged({"anything": 1}, name="blue-migrate") == []


def slot(plan: dict[str, Any], colour: str) -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in plan["slots"] if s["colour"] == colour)
    return found


def test_the_live_slot_must_not_be_filled() -> None:
    broken = third_deploy()
    live = broken["source"]["identity"]
    slot(broken, "green")["frozen"] = False
    assert judged(broken) == [
        f"live-slot-is-not-touched: gate must leave green alone, where {live} serves, and fills "
        f"it with {live}"
    ]


def test_the_live_slot_must_not_be_dropped() -> None:
    broken = third_deploy()
    live = broken["source"]["identity"]
    broken["slots"] = [slot(broken, "blue")]
    assert judged(broken) == [
        f"live-slot-is-not-touched: gate must keep {live} in green, which serves, and drops it"
    ]


def test_traffic_must_go_to_a_slot_that_is_declared() -> None:
    broken = third_deploy()
    broken["target"]["identity"] = "9.9.9+0123456789ab"
    assert judged(broken) == [
        "traffic-goes-to-a-declared-slot: gate must declare 9.9.9+0123456789ab in blue before "
        "traffic goes there"
    ]


def test_one_release_must_not_be_in_both_slots() -> None:
    broken = third_deploy()
    broken["slots"][1]["identity"] = broken["source"]["identity"] = broken["target"]["identity"]
    assert judged(broken) == [
        "one-slot-consumes: gate must let the workers of one slot consume, not of blue and green"
    ]


def test_workers_of_the_target_must_not_be_wound_up() -> None:
    broken = third_deploy()
    target = broken["target"]["identity"]
    broken["draining"] = [target]
    assert judged(broken) == [
        f"one-slot-consumes: gate must not wind up the workers of {target}, which is to be live"
    ]


def test_a_withdrawn_release_must_be_asked_for_on_purpose() -> None:
    broken = third_deploy()
    target = broken["target"]["identity"]
    broken["withdrawn"] = {target: 2}
    assert judged(broken) == [
        f"withdrawn-release-returns-on-purpose: gate must not bring back {target}, which was "
        f"withdrawn by switch 2, without a word: `pulumi config set reinstate '{target}@2'`"
    ]
    assert judged({**broken, "reinstate": f"x@1,{target}@2"}) == []
    assert judged({**broken, "action": "keep"}) == []
