"""The checklist before a deploy (manual 7.1): a rule for each item, judged on the gate's inputs.

The program has measured and said how each item stands (`rollout/checklist.py`); a rollback, a
repair and a stack that is not held to it carry none. In a preview what can only be true on the
night is advice. The gate's own step refuses the same once more: the pack's levels are a site's to
configure, and these are not to be lowered.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from pulumi_policy import EnforcementLevel, ResourceValidationPolicy, Severity

from policies.plan import carried
from policies.rule import Subject, rule
from policies.steps import COMMAND
from rollout.checklist import ITEMS, Entry
from rollout.items import Item, refusal


def items(gate: Subject) -> tuple[Item, ...]:
    """What the gate carries; nothing of any other step."""
    plan = carried(gate) or {}
    return tuple(msgspec.convert(item, Item) for item in plan.get("checklist", ()))


def is_ready_for_the_night(gate: Subject) -> Iterator[str]:
    """What does not stop a preview, and will stop the deploy."""
    for item in items(gate):
        if not item.required and not item.is_good:
            yield f"will close on the night, as it is now: {refusal(item)}"


def _rule(entry: Entry) -> ResourceValidationPolicy:
    def holds(gate: Subject) -> Iterator[str]:
        for item in items(gate):
            if item.id == entry.id and item.stops:
                yield f"is closed: {refusal(item)}"

    return rule(
        COMMAND,
        f"checklist-{entry.id}",
        f"Before a deploy: {entry.title}.",
        holds,
        severity=Severity(entry.severity),
        remedy="`ytops checklist VERSION` says what was measured and what to do next.",
        source=f"operations manual: {entry.section}",
    )


POLICIES = [
    *map(_rule, ITEMS),
    rule(
        COMMAND,
        "checklist-on-the-night",
        "What can only be true on the night of the deploy; a preview merely shows it.",
        is_ready_for_the_night,
        severity=Severity.LOW,
        remedy="`ytops checklist VERSION` on the night.",
        source="operations manual: 7.1",
        level=EnforcementLevel.ADVISORY,
    ),
]
