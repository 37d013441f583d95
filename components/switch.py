"""The blue-green switch: web traffic, the workers' consumption and the beat, as one operation."""

from __future__ import annotations

import re

import pulumi
import pulumi_command as command

from components.site import Site
from components.step import DESCRIPTION, step
from rollout import steps
from rollout.names import CACHE_DATABASE
from rollout.plan import Plan


class BlueGreenSwitch(pulumi.ComponentResource):
    """switch → cache → notify (manual 7.1, steps 6 to 8 and its post-deployment check).

    Each is keyed by the number of the switch: the host counts them, so a run that was killed after
    the host had confirmed finds its work done. A run that moves no traffic declares the last
    switch that was confirmed again, and does not care how it was described.
    """

    moved: command.local.Command

    def __init__(
        self,
        name: str,
        plan: Plan,
        site: Site,
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:rollout:BlueGreenSwitch", name, None, opts)
        settings, key = site.settings, str(plan.serial)
        settled = None if plan.changes_traffic else DESCRIPTION
        self.moved = step(
            "switch",
            _parameters(plan, site),
            settings,
            site.options(self, after, ignore=settled, protect=False),
            key=key,
            shows_logs=True,
        )
        login = settings.redis.logins.current
        flushed = step(
            "cache",
            steps.Cache(
                redis=site.names.redis,
                user=login.user,
                database=CACHE_DATABASE,
                serial=plan.serial,
            ),
            settings,
            site.options(self, [self.moved], ignore=settled, protect=False),
            key=key,
            secrets={"REDISCLI_AUTH": login.password},
        )
        step(
            "notify",
            steps.Notify(stack=settings.stack, switch=site.names.switch, serial=plan.serial),
            settings,
            site.options(self, [flushed], ignore=settled, protect=False),
            key=key,
        )
        self.last = self.moved.stdout.apply(last_deploy)
        self.register_outputs({"serial": plan.serial, "last": self.last})


_SIGNATURE = re.compile(
    r"^(?P<kind>deploy|rollback) (?P<serial>\d+) to (?P<release>\S+)"
    r" by (?P<who>.+) at (?P<at>\S+)$",
    re.MULTILINE,
)


def last_deploy(said: str | None) -> dict[str, str] | None:
    """The last switch as the step signed it: kind, serial, release, who, at (UTC, ISO 8601)."""
    found = list(_SIGNATURE.finditer(said or ""))
    return found[-1].groupdict() if found else None


def _parameters(plan: Plan, site: Site) -> steps.Switch:
    settings, names = site.settings, site.names
    if plan.target is None or plan.asked is None:
        raise ValueError(f"a plan to {plan.action} has no switch")
    slot = next(s for s in plan.slots if s.colour == plan.target.colour)
    release = slot.release
    watch = settings.watch
    return steps.Switch(
        switch=names.switch,
        serial=plan.serial,
        source=plan.source,
        target=plan.target,
        claim=slot.claim,
        kind=plan.kind,
        asked=plan.asked,
        watch=steps.Watch(
            seconds=watch.seconds,
            error_rate=watch.error_percent / 100,
            p95_ms=watch.p95_ms,
            min_requests=watch.min_requests,
        ),
        services=steps.services_of(
            release,
            plan.target.colour,
            names,
            settings.postgres.database,
            settings.postgres.user,
        ),
        boot_timeout=settings.backend.boot_timeout,
    )
