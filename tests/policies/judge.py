"""A rule at work without an engine: one resource, and what the rules say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, cast

from pulumi_policy import Policy, ResourceValidationPolicy


def violations(
    policies: Iterable[ResourceValidationPolicy],
    kind: str,
    inputs: Mapping[str, Any],
    name: str,
    *,
    protect: bool = False,
    config: Mapping[str, Any] | None = None,
) -> list[str]:
    """`POLICY: MESSAGE` of each violation."""
    found: list[str] = []
    args = SimpleNamespace(
        resource_type=kind,
        props=inputs,
        name=name,
        opts=SimpleNamespace(protect=protect),
        get_config=lambda: config or {},
    )
    for policy in policies:
        policy.validate(cast(Any, args), lambda m, *_, p=policy: found.append(f"{p.name}: {m}"))
    return found


def resource_rules(
    policies: Iterable[Policy],
) -> list[ResourceValidationPolicy]:
    """Those about one resource."""
    return [policy for policy in policies if isinstance(policy, ResourceValidationPolicy)]
