"""What was stopped is started: the engine ignores every change of a kept slot, this one too. And
what missed its process limit gets it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pulumi
import pulumi_command as command

from components.site import Site
from components.step import EVERYTHING, step
from ops.amiss import Amiss
from rollout import steps
from rollout.names import Names
from rollout.plan import DeclaredSlot, Plan


def awake(
    plan: Plan, amiss: Amiss, site: Site, after: Sequence[pulumi.Resource]
) -> command.local.Command:
    """Declare it. It runs when something of a kept slot stands still, or anything lacks its limit;
    while nothing does, it is declared as it was, so that a run without a change shows none."""
    names = site.names
    kept = {name for slot in plan.slots if slot.frozen for name in _containers(slot, names)}
    standing = [one for one in amiss.stopped if one.name in kept]
    keys = [one.key for one in standing] + [one.key for one in amiss.unlimited]
    live = plan.source
    return step(
        "awake",
        steps.Awake(
            app=names.app(live.colour) if live else "",
            containers=tuple(one.name for one in standing),
            limits={one.name: one.pids for one in amiss.unlimited},
            waits=not plan.changes_traffic,
            timeout=site.settings.backend.boot_timeout,
        ),
        site.settings,
        pulumi.ResourceOptions(
            depends_on=[site.gate, *after], ignore_changes=None if keys else EVERYTHING
        ),
        key=" ".join(keys) or "nothing",
        shows_logs=True,
    )


def _containers(slot: DeclaredSlot, names: Names) -> Iterator[str]:
    release = slot.release
    yield names.app(slot.colour)
    yield from names.workers(release.identity, release.worker_replicas)
    if release.beat_command:
        yield names.beat(release.identity)
