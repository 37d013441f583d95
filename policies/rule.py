"""How a rule is written: a plain function that yields what is wrong with one resource's inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

Inputs = Mapping[str, Any]
Check = Callable[[Inputs], Iterator[str]]


def rule(resource_type: str, name: str, description: str, check: Check) -> ResourceValidationPolicy:
    """A mandatory rule about one type of resource; `check` yields sentences about its subject."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type == resource_type:
            for wrong in check(args.props):
                report(f"{args.name} {wrong}", None)

    return ResourceValidationPolicy(
        name=name,
        description=description,
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
    )
