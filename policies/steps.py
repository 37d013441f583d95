"""Steps: the commands of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pulumi_policy import (
    EnforcementLevel,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

from policies.rule import Inputs, rule
from rollout.names import COLOURS

COMMAND = "command:local:Command"
# VERSION+FINGERPRINT#CLAIM
_KEY = re.compile(r"[\w.-]+\+[0-9a-f]+#[0-9]+")


def is_not_undone(step: Inputs) -> Iterator[str]:
    if step.get("delete"):
        yield (
            "must not have a delete: it runs when a later run forgets the step, long after its "
            "release was replaced; remove it"
        )


def slot_step_is_keyed(args: ResourceValidationArgs, report: ReportViolation) -> None:
    """The name says that it is a slot's: this rule looks at more than inputs."""
    if args.resource_type != COMMAND or args.name.split("-")[0] not in COLOURS:
        return
    triggers = [str(trigger) for trigger in args.props.get("triggers") or ()]
    if len(triggers) != 1 or not _KEY.fullmatch(triggers[0]):
        report(
            f"{args.name} must be keyed by its slot's release, not {', '.join(triggers) or 'none'}:"
            " give step() the slot's key, VERSION+FINGERPRINT#CLAIM",
            None,
        )


POLICIES = [
    rule(
        COMMAND,
        "step-is-not-undone",
        "A step has no delete: what it did stays done when a later run forgets it.",
        is_not_undone,
    ),
    ResourceValidationPolicy(
        name="slot-step-is-keyed",
        description="A slot's step runs once for each release that enters the slot, and only then.",
        validate=slot_step_is_keyed,
        enforcement_level=EnforcementLevel.MANDATORY,
    ),
]
