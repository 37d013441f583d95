"""The gate: the custom resource that everything which changes production depends on.

A component without children gates nothing, so this is a step. It carries the plan and how each item
of the checklist stands; policies judge both before anything else is touched, and the step itself
once more.
"""

from __future__ import annotations

import pulumi
import pulumi_command as command

from components.configuration import Configuration
from components.step import DESCRIPTION, step
from rollout import steps
from rollout.items import Item
from rollout.names import GATE
from rollout.plan import Plan
from rollout.settings import Settings
from rollout.state import HostState


def gate(
    plan: Plan,
    state: HostState,
    settings: Settings,
    checklist: tuple[Item, ...] = (),
    maintenance: steps.Maintenance | None = None,
) -> command.local.Command:
    """Declare it, after the configuration that it stands on. A run that neither changes traffic nor
    is a maintenance declares the gate of the run before it with its evidence, be it one whose
    switch failed."""
    settled = None if plan.changes_traffic or maintenance else [*DESCRIPTION, "triggers"]
    under = [maintenance.change] if maintenance else []
    return step(
        GATE,
        carried(plan, state, settings, checklist, maintenance),
        settings,
        pulumi.ResourceOptions(
            parent=Configuration("configuration", settings), ignore_changes=settled
        ),
        key=" ".join([f"{plan.target.identity if plan.target else ''}@{plan.serial}", *under]),
    )


def carried(
    plan: Plan,
    state: HostState,
    settings: Settings,
    checklist: tuple[Item, ...] = (),
    maintenance: steps.Maintenance | None = None,
) -> steps.Gate:
    """What policies judge: the plan, what the host remembers of its target, and the checklist's
    items. Not the evidence behind them, which holds people's contacts."""
    return steps.Gate(
        action=plan.action,
        reason=plan.reason,
        target=plan.target,
        serial=plan.serial,
        source=plan.source,
        kind=plan.kind,
        slots=tuple(
            steps.GateSlot(
                colour=slot.colour,
                identity=slot.release.identity,
                claim=slot.claim,
                frozen=slot.frozen,
            )
            for slot in plan.slots
        ),
        draining=tuple(release.identity for release in plan.draining),
        withdrawn={identity: gone.serial for identity, gone in state.withdrawn.items()},
        reinstate=settings.deployment.reinstate,
        checklist=checklist,
        maintenance=maintenance,
    )
