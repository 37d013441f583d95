"""How a rule is written: a plain function that yields what is wrong with one resource.

A rule says how grave a violation is, how it is mended, and where it comes from: the benchmark's
check or the manual's section. What may be set per site is a `Limit`, in the pack's own
configuration (`pulumi up --policy-pack-config FILE`); levels can be set there as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Subject:
    """What a rule looks at. `limits` are the rule's own, configured or by default."""

    name: str
    inputs: Inputs
    protected: bool = False
    limits: Mapping[str, float] | None = None

    def get(self, key: str, otherwise: Any = None) -> Any:
        return self.inputs.get(key, otherwise)

    def limit(self, name: str) -> float:
        return (self.limits or {})[name]


Check = Callable[[Subject], Iterator[str]]
StackCheck = Callable[[Iterable[PolicyResource]], Iterator[tuple[str, str]]]


@dataclass(frozen=True)
class Limit:
    """A number that a site may set otherwise, from `least` to `most`."""

    default: float
    description: str
    least: float | None = None
    most: float | None = None

    @property
    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.least, "maximum": self.most}
        return {
            "type": "number",
            "default": self.default,
            "description": self.description,
            **{key: value for key, value in bounds.items() if value is not None},
        }


def rule(
    kind: str | tuple[str, ...],
    name: str,
    description: str,
    check: Check,
    *,
    severity: Severity,
    remedy: str,
    source: str,
    limits: Mapping[str, Limit] | None = None,
    level: EnforcementLevel = EnforcementLevel.MANDATORY,
) -> ResourceValidationPolicy:
    """A rule about resources of some types; `check` yields sentences about one."""
    known = limits or {}
    kinds = (kind,) if isinstance(kind, str) else kind

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type not in kinds:
            return
        given = args.get_config() if known else {}
        values = {key: float(given.get(key, limit.default)) for key, limit in known.items()}
        subject = Subject(args.name, args.props, args.opts.protect, values)
        for wrong in check(subject):
            report(f"{args.name} {wrong}", None)

    return ResourceValidationPolicy(
        name=name,
        description=description,
        validate=validate,
        enforcement_level=level,
        severity=severity,
        remediation_steps=remedy,
        framework=_framework(source),
        config_schema=_schema(known) if known else None,
    )


def stack_rule(
    name: str,
    description: str,
    check: StackCheck,
    *,
    severity: Severity,
    remedy: str,
    source: str,
) -> StackValidationPolicy:
    """A mandatory rule about what belongs together; `check` yields whom each sentence is about.
    An update is judged by it when all is done, so what must not happen wants a rule of its own."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for urn, wrong in check(args.resources):
            report(wrong, urn)

    return StackValidationPolicy(
        name=name,
        description=description,
        validate=validate,
        enforcement_level=EnforcementLevel.MANDATORY,
        severity=severity,
        remediation_steps=remedy,
        framework=_framework(source),
    )


def _framework(source: str) -> PolicyComplianceFramework:
    name, _, reference = source.partition(": ")
    return PolicyComplianceFramework(name=name, reference=reference)


def _schema(limits: Mapping[str, Limit]) -> PolicyConfigSchema:
    return PolicyConfigSchema({name: limit.schema for name, limit in limits.items()})
