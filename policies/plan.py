"""Blue-green: what a run may do, judged on the plan that the gate carries.

Resource rules see neither the operation nor what was there before; the plan knows both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pulumi_policy import ResourceValidationPolicy, Severity

from policies.rule import Check, Subject, rule
from policies.steps import COMMAND
from rollout.names import GATE, PARAMETERS
from rollout.steps import MOVES_TRAFFIC

Plan = dict[str, Any]


def carried(gate: Subject) -> Plan | None:
    """The plan in the gate's parameters; None for any other step."""
    environment = gate.get("environment") or {}
    if gate.name != GATE or PARAMETERS not in environment:
        return None
    plan: Plan = json.loads(environment[PARAMETERS])
    return plan


def live_slot_is_not_touched(plan: Plan) -> Iterator[str]:
    source = plan.get("source")
    if source is None:
        return
    slots = {slot["colour"]: slot for slot in plan["slots"]}
    live = slots.get(source["colour"])
    if live is None:
        yield f"must keep {source['identity']} in {source['colour']}, which serves, and drops it"
    elif not live["frozen"] or live["identity"] != source["identity"]:
        yield (
            f"must leave {source['colour']} alone, where {source['identity']} serves, and fills it "
            f"with {live['identity']}"
        )


def traffic_goes_to_a_slot(plan: Plan) -> Iterator[str]:
    target = plan.get("target")
    held = {(slot["colour"], slot["identity"]) for slot in plan["slots"]}
    if target and (target["colour"], target["identity"]) not in held:
        yield f"must declare {target['identity']} in {target['colour']} before traffic goes there"


def one_slot_consumes(plan: Plan) -> Iterator[str]:
    """Workers are named by release: two slots that hold one release would both have the jobs."""
    target = plan.get("target")
    holding = [s["colour"] for s in plan["slots"] if target and s["identity"] == target["identity"]]
    if len(holding) > 1:
        yield f"must let the workers of one slot consume, not of {' and '.join(holding)}"
    if target and target["identity"] in plan["draining"]:
        yield f"must not wind up the workers of {target['identity']}, which is to be live"


def withdrawn_returns_on_purpose(plan: Plan) -> Iterator[str]:
    target = plan.get("target")
    if target is None or plan["action"] not in MOVES_TRAFFIC:
        return
    serial = plan["withdrawn"].get(target["identity"])
    token = f"{target['identity']}@{serial}"
    if serial is not None and token not in plan["reinstate"].split(","):
        yield (
            f"must not bring back {target['identity']}, which was withdrawn by switch {serial}, "
            f"without a word: `pulumi config set reinstate '{token}'`"
        )


def _rule(
    name: str, description: str, check: Any, severity: Severity, remedy: str
) -> ResourceValidationPolicy:
    def judge(step: Subject) -> Iterator[str]:
        plan = carried(step)
        if plan is not None:
            yield from check(plan)

    checked: Check = judge
    return rule(
        COMMAND,
        name,
        description,
        checked,
        severity=severity,
        remedy=remedy,
        source="operations manual: 7.1",
    )


POLICIES = [
    _rule(
        "live-slot-is-not-touched",
        "A deploy fills the slot beside the live one; what serves stays as it was started.",
        live_slot_is_not_touched,
        Severity.CRITICAL,
        "This is a defect of the plan: report it, and deploy nothing meanwhile.",
    ),
    _rule(
        "traffic-goes-to-a-declared-slot",
        "Traffic goes to a slot that the run declares, holding the release that is asked for.",
        traffic_goes_to_a_slot,
        Severity.CRITICAL,
        "This is a defect of the plan: report it, and deploy nothing meanwhile.",
    ),
    _rule(
        "one-slot-consumes",
        "The workers of exactly one slot take jobs.",
        one_slot_consumes,
        Severity.CRITICAL,
        "This is a defect of the plan: report it, and deploy nothing meanwhile.",
    ),
    _rule(
        "withdrawn-release-returns-on-purpose",
        "A release that was taken out of traffic comes back only when somebody says so.",
        withdrawn_returns_on_purpose,
        Severity.HIGH,
        "Deploy another version, or set reinstate.",
    ),
]
