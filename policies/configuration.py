"""Configuration: production's values keep to the manuals' figures. Other stacks are free.

The checklist's own limits, the window and the frequency are not here: the program itself refuses
laxer ones (rollout/settings.py), whichever pack runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pulumi_policy import ResourceValidationPolicy, Severity

from policies.rule import Check, Limit, Subject, rule
from rollout.names import CONFIGURATION


def is_protected(configuration: Subject) -> Iterator[str]:
    if configuration.get("protect") is not True:
        yield (
            "must be protected, or `pulumi destroy` takes the data: "
            "`pulumi config set protect true`"
        )


def serves_tls(configuration: Subject) -> Iterator[str]:
    if configuration.get("edgeTls") != "provided":
        yield (
            f"must serve with a certificate that users' browsers trust, not edgeTls "
            f"{configuration.get('edgeTls')}: `pulumi config set edgeTls provided`"
        )


def is_watched(configuration: Subject) -> Iterator[str]:
    yield from _at_most(configuration, "watchErrorPercent", "error_percent")
    yield from _at_most(configuration, "watchP95Ms", "p95_ms")
    least, got = configuration.limit("watch_seconds"), _number(configuration, "watchSeconds")
    if got < least:
        yield (
            f"must watch a release for {least:g} s or longer, not {got:g}: "
            f"`pulumi config set watchSeconds {least:g}`"
        )


def asks_for_health(configuration: Subject) -> Iterator[str]:
    yield from _at_most(configuration, "healthInterval", "interval")
    yield from _at_most(configuration, "healthTimeout", "timeout")
    yield from _at_most(configuration, "healthRetries", "retries")


def is_done_in_time(configuration: Subject) -> Iterator[str]:
    """The manual's 10 minutes hold everything; a boot that may take half of them leaves room."""
    yield from _at_most(configuration, "bootTimeout", "boot_seconds")


def tells_somebody(configuration: Subject) -> Iterator[str]:
    if not configuration.get("notifies"):
        yield (
            "must tell the team of each deploy, and has no webhook: "
            "`pulumi config set --secret notifyWebhook`"
        )


def _at_most(configuration: Subject, key: str, limit: str) -> Iterator[str]:
    most, got = configuration.limit(limit), _number(configuration, key)
    if got > most:
        yield (
            f"must have {key} of at most {most:g}, not {got:g}: `pulumi config set {key} {most:g}`"
        )


def _number(configuration: Subject, key: str) -> float:
    return float(configuration.get(key, 0))


def _in_production(check: Check) -> Check:
    def checked(configuration: Subject) -> Iterator[str]:
        if configuration.get("environment") == "production":
            yield from check(configuration)

    return checked


def _rule(
    name: str,
    description: str,
    check: Check,
    severity: Severity,
    remedy: str,
    section: str,
    limits: dict[str, Limit] | None = None,
) -> ResourceValidationPolicy:
    """Production's alone. A limit may be made stricter in the pack's configuration, never laxer."""
    parts: dict[str, Any] = {"severity": severity, "remedy": remedy, "limits": limits}
    source = f"operations manual: {section}"
    return rule(CONFIGURATION, name, description, _in_production(check), source=source, **parts)


POLICIES = [
    _rule(
        "production-is-protected",
        "Production's datastores, edge and live release can't be destroyed by one command.",
        is_protected,
        Severity.CRITICAL,
        "Set protect to true.",
        "5.3",
    ),
    _rule(
        "production-serves-tls",
        "Production serves with a certificate that browsers trust.",
        serves_tls,
        Severity.CRITICAL,
        "Set edgeTls to provided, and the certificate's keys.",
        "7.1",
    ),
    _rule(
        "production-is-watched",
        "A release is watched after the switch, by limits no laxer than the manual's.",
        is_watched,
        Severity.HIGH,
        "Set watchSeconds, watchErrorPercent and watchP95Ms.",
        "7.2",
        {
            "error_percent": Limit(1, "Most percent of failing requests.", least=0, most=1),
            "p95_ms": Limit(500, "Highest p95 in ms.", least=1, most=500),
            "watch_seconds": Limit(30, "Least seconds of watching.", least=30, most=600),
        },
    ),
    _rule(
        "production-asks-for-health",
        "Docker asks for the app's health at least as often as the manual does.",
        asks_for_health,
        Severity.MEDIUM,
        "Set healthInterval, healthTimeout and healthRetries.",
        "7.1",
        {
            "interval": Limit(30, "Most seconds between checks.", least=1, most=30),
            "timeout": Limit(10, "Most seconds of one check.", least=1, most=10),
            "retries": Limit(3, "Most failures before it is unhealthy.", least=1, most=3),
        },
    ),
    _rule(
        "production-deploys-in-time",
        "A release that doesn't become healthy is given up well within the manual's 10 minutes.",
        is_done_in_time,
        Severity.MEDIUM,
        "Set bootTimeout.",
        "7.1",
        {"boot_seconds": Limit(300, "Most seconds that a boot may take.", least=10, most=300)},
    ),
    _rule(
        "production-tells-the-team",
        "The team hears of each deploy.",
        tells_somebody,
        Severity.MEDIUM,
        "Set notifyWebhook.",
        "7.1",
    ),
]
