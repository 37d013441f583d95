"""Steps: the commands of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pulumi_policy import Severity

from policies.rule import Subject, rule
from rollout.names import COLOURS

COMMAND = "command:local:Command"
# VERSION+FINGERPRINT#CLAIM
_KEY = re.compile(r"[\w.-]+\+[0-9a-f]+#[0-9]+")


def is_not_undone(step: Subject) -> Iterator[str]:
    if step.get("delete"):
        yield (
            "must not have a delete: it runs when a later run forgets the step, long after its "
            "release was replaced; remove it"
        )


def slot_step_is_keyed(step: Subject) -> Iterator[str]:
    """The name says that it is a slot's."""
    if step.name.split("-")[0] not in COLOURS:
        return
    triggers = [str(trigger) for trigger in step.get("triggers") or ()]
    if len(triggers) != 1 or not _KEY.fullmatch(triggers[0]):
        yield (
            f"must be keyed by its slot's release, not {', '.join(triggers) or 'none'}: "
            "give step() the slot's key, VERSION+FINGERPRINT#CLAIM"
        )


POLICIES = [
    rule(
        COMMAND,
        "step-is-not-undone",
        "A step has no delete: what it did stays done when a later run forgets it.",
        is_not_undone,
        severity=Severity.HIGH,
        remedy="Remove delete.",
        source="operations manual: 7.1",
    ),
    rule(
        COMMAND,
        "slot-step-is-keyed",
        "A slot's step runs once for each release that enters the slot, and only then.",
        slot_step_is_keyed,
        severity=Severity.HIGH,
        remedy="Give step() the slot's key.",
        source="operations manual: 7.1",
    ),
]
