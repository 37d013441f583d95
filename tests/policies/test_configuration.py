"""Each rule about production's configuration: the manuals' figures pass, laxer ones are named."""

from __future__ import annotations

from typing import Any

import pytest

from components.configuration import judged
from policies.configuration import POLICIES
from rollout.names import CONFIGURATION
from rollout.settings import load
from tests.policies.judge import violations
from tests.unit.stack_files import raw


def good() -> dict[str, Any]:
    return judged(load("production", {**raw("production"), "notifyWebhook": "https://chat/x"}))


def broken(**inputs: Any) -> list[str]:
    return violations(POLICIES, CONFIGURATION, {**good(), **inputs}, "configuration")


def test_production_as_it_is_passes() -> None:
    assert broken() == []


LAXER: list[tuple[dict[str, Any], str]] = [
    (
        {"protect": False},
        "production-is-protected: configuration must be protected, or `pulumi destroy` takes "
        "the data: `pulumi config set protect true`",
    ),
    (
        {"edgeTls": "self-signed"},
        "production-serves-tls: configuration must serve with a certificate that users' "
        "browsers trust, not edgeTls self-signed: `pulumi config set edgeTls provided`",
    ),
    (
        {"watchErrorPercent": 5.0},
        "production-is-watched: configuration must have watchErrorPercent of at most 1, not 5: "
        "`pulumi config set watchErrorPercent 1`",
    ),
    (
        {"watchP95Ms": 2000},
        "production-is-watched: configuration must have watchP95Ms of at most 500, not 2000: "
        "`pulumi config set watchP95Ms 500`",
    ),
    (
        {"watchSeconds": 5},
        "production-is-watched: configuration must watch a release for 30 s or longer, not 5: "
        "`pulumi config set watchSeconds 30`",
    ),
    (
        {"healthInterval": 60},
        "production-asks-for-health: configuration must have healthInterval of at most 30, "
        "not 60: `pulumi config set healthInterval 30`",
    ),
    (
        {"healthTimeout": 20},
        "production-asks-for-health: configuration must have healthTimeout of at most 10, "
        "not 20: `pulumi config set healthTimeout 10`",
    ),
    (
        {"healthRetries": 9},
        "production-asks-for-health: configuration must have healthRetries of at most 3, "
        "not 9: `pulumi config set healthRetries 3`",
    ),
    (
        {"bootTimeout": 900},
        "production-deploys-in-time: configuration must have bootTimeout of at most 300, "
        "not 900: `pulumi config set bootTimeout 300`",
    ),
    (
        {"notifies": False},
        "production-tells-the-team: configuration must tell the team of each deploy, and has "
        "no webhook: `pulumi config set --secret notifyWebhook`",
    ),
]


@pytest.mark.parametrize(("inputs", "expected"), LAXER)
def test_one_laxer_value_is_named_with_its_remedy(inputs: dict[str, Any], expected: str) -> None:
    assert broken(**inputs) == [expected]
    assert broken(**inputs, environment="staging") == []


def test_a_site_may_be_stricter() -> None:
    config = {"watch_seconds": 120}
    assert violations(POLICIES, CONFIGURATION, good(), "configuration", config=config) == [
        "production-is-watched: configuration must watch a release for 120 s or longer, not 60: "
        "`pulumi config set watchSeconds 120`"
    ]


def test_no_limit_can_be_configured_laxer_than_the_manual() -> None:
    for policy in POLICIES:
        for name, schema in (
            policy.config_schema.properties if policy.config_schema else {}
        ).items():
            strict = "minimum" if name == "watch_seconds" else "maximum"
            assert schema[strict] == schema["default"], name


def test_no_secret_is_among_what_is_judged() -> None:
    secrets = {"notifyWebhook": "https://chat/hidden", "redisPassword": "hidden"}
    assert "hidden" not in str(judged(load("production", {**raw("production"), **secrets})))
