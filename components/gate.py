"""The gate: the custom resource that everything which changes production depends on.

A component without children gates nothing, so this is a step. It carries the plan; the deploy
checklist adds its evidence here, and policies judge both before anything else is touched.
"""

from __future__ import annotations

import pulumi
import pulumi_command as command

from components.step import DESCRIPTION, step
from rollout import steps
from rollout.plan import Plan
from rollout.settings import Settings


def gate(plan: Plan, settings: Settings) -> command.local.Command:
    """Declare it. A run that changes no traffic declares the gate of the run before it, be it one
    whose switch failed."""
    settled = None if plan.changes_traffic else [*DESCRIPTION, "triggers"]
    return step(
        "gate",
        steps.Gate(
            action=plan.action,
            reason=plan.reason,
            target=plan.target,
            serial=plan.serial,
        ),
        settings,
        pulumi.ResourceOptions(ignore_changes=settled),
        key=f"{plan.target.identity if plan.target else ''}@{plan.serial}",
    )
