"""The checklist's rules: a good night passes, what does not hold is refused by its own rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel, Severity

from policies.checklist import POLICIES
from policies.steps import COMMAND
from rollout.checklist import ITEMS
from rollout.items import Item
from rollout.steps import Gate
from tests.policies.judge import violations
from tests.unit.rollout.night import NOON, ONE_BROKEN, emergency, items, load, release, requested

ADVICE = "checklist-on-the-night"


def judged(found: dict[str, Item], name: str = "gate") -> list[str]:
    carried = Gate(
        action="deploy", reason="", target=None, serial=1, checklist=tuple(found.values())
    )
    inputs = {"environment": {"STEP": carried.json()}}
    return violations(POLICIES, COMMAND, inputs, name)


def test_a_night_on_which_all_is_well_passes() -> None:
    assert judged(items()) == []


REFUSALS = {
    "tests": (
        "all tests pass must hold (manual 7.1, Code Readiness), and it is fail: 95 of 100 "
        "passed (95.0 %), 0 skipped; the limit: more than 95 % passed, of the release's "
        "commit [the probe at 2026-11-23 06:30 UTC]. Next: run the tests of the release's "
        "commit, commit the JUnit report and name it as `tests` in releases/1.2.0.yaml"
    ),
    "review": (
        "the code was reviewed must hold (manual 7.1, Code Readiness), and it is fail: "
        "approved by its own authors only: author; the limit: approved by somebody who did "
        "not write it [the probe at 2026-11-23 06:30 UTC]. Next: have somebody review it who "
        "did not write it, and name them as `reviewed_by` in releases/1.2.0.yaml"
    ),
    "critical-bugs": (
        "no critical bug is open must hold (manual 7.1, Code Readiness), and it is fail: "
        "open: #12; the limit: none open [the probe at 2026-11-23 06:30 UTC]. Next: close "
        "them; without a forge, sign the statement `critical_bugs` in releases/1.2.0.yaml"
    ),
    "documentation": (
        "the documentation is up to date must hold (manual 7.1, Code Readiness), and it is "
        "fail: docs/thumbnails.md does not name 1.2.0; the limit: there, changed since the "
        "last release, naming 1.2.0 [the probe at 2026-11-23 06:30 UTC]. Next: write it, name "
        "1.2.0 in it, and list it as `documentation` in releases/1.2.0.yaml"
    ),
    "release-notes": (
        "the release notes are written must hold (manual 7.1, Code Readiness), and it is "
        "fail: releases/1.2.0.md did not change since 1.1.0; the limit: there, changed since "
        "the last release, naming 1.2.0 [the probe at 2026-11-23 06:30 UTC]. Next: write "
        "them, name 1.2.0 in them, and name them as `notes` in releases/1.2.0.yaml"
    ),
    "server-resources": (
        "the server has CPU and memory to spare must hold (manual 7.1, Infrastructure Check), "
        "and it is fail: CPU 83 %, memory 41 %, averaged over 3 s; the limit: CPU below 70 "
        "%, memory below 80 % [the probe at 2026-11-23 06:30 UTC]. Next: see what takes them "
        "(`docker stats`), then `ytops checklist 1.2.0`"
    ),
    "disk-space": (
        "the disks have room must hold (manual 7.1, Infrastructure Check), and it is fail: "
        "/mnt/backup1 20 % free; the limit: more than 20 % free on each [the probe at "
        "2026-11-23 06:30 UTC]. Next: make room (`docker system df`; `docker image prune` "
        "keeps what runs), then `ytops checklist 1.2.0`"
    ),
    "backup": (
        "a backup was completed must hold (manual 7.1, Infrastructure Check), and it is fail: "
        "there is no verified backup; the limit: verified, and younger than 4 h [the probe "
        "at 2026-11-23 06:30 UTC]. Next: `ytops backup run`, then `ytops checklist "
        "1.2.0`"
    ),
    "migrations": (
        "the database migrations were tested must hold (manual 7.1, Infrastructure Check), "
        "and it is unknown: 1.2.0 was not rehearsed; the limit: rehearsed with this very "
        "image, the old release working [the probe at 2026-11-23 06:30 UTC]. Next: `ytops "
        "rehearse 1.2.0`"
    ),
    "network": (
        "the host reaches what a deploy needs must hold (manual 7.1, Infrastructure Check), "
        "and it is fail: registry (https://registry.ytempire.example/v2/) does not answer; "
        "the limit: all answer the host, its clock within 5 s of theirs [the probe at "
        "2026-11-23 06:30 UTC]. Next: name the endpoints as `checklistEndpoints` in the stack "
        "file, and see to those that do not answer; then `ytops checklist 1.2.0`"
    ),
    "team-notified": (
        "the team was told must hold (manual 7.1, Communication), and it is fail: nobody was "
        "told; the limit: announced to the team, for a time that is not over [the probe at "
        "2026-11-23 06:30 UTC]. Next: `ytops announce 1.2.0`"
    ),
    "window-announced": (
        "the maintenance window was announced, if needed must hold (manual 7.1, "
        "Communication), and it is fail: nobody was told; the limit: announced to users "
        "beforehand, where the release needs it [the probe at 2026-11-23 06:30 UTC]. Next: "
        "`ytops announce 1.2.0 --to users`"
    ),
    "on-call": (
        "the on-call engineer is confirmed must hold (manual 7.1, Communication), and it is "
        "fail: on-call engineer did not acknowledge; the limit: tonight's primary has "
        "acknowledged [the probe at 2026-11-23 06:30 UTC]. Next: enter tonight's shift in "
        "rota.yaml with its `acknowledged`, and commit it (docs/schemas/rota.schema.json)"
    ),
    "rollback-plan": (
        "the rollback plan was reviewed must hold (manual 7.1, Communication), and it is "
        "unknown: releases/1.2.0.yaml has no section `rollback`; the limit: reviewed in the "
        "release record. Next: have it reviewed: `rollback` with its `reviewed_by` and "
        "`reviewed_at` in releases/1.2.0.yaml"
    ),
    "rollback-ready": (
        "the release to go back to is warm and healthy must hold (manual 7.1, Communication), "
        "and it is fail: 1.1.0+ab on blue: app is gone; the limit: warm and healthy [the "
        "probe at 2026-11-23 06:30 UTC]. Next: `ytops status`; `ytops up` mends what was "
        "stopped"
    ),
    "window": (
        "deploys go in the window must hold (manual 7.1, Deployment Approach), and it is "
        "fail: it is 2026-11-22 21:30 there; the limit: 22:00-02:00 America/Los_Angeles "
        "[clock at 2026-11-23 05:30 UTC]. Next: wait until 2026-11-23 06:00 UTC, or request "
        "an emergency: `ytops change new --emergency`"
    ),
    "once-daily": (
        "one deploy a night at most must hold (manual 7.1, Deployment Approach), and it is "
        "fail: 1.1.0+a at 2026-11-23T06:00:00+00:00; the limit: 1 a night [the probe at "
        "2026-11-23 06:30 UTC]. Next: wait until 2026-11-24 06:00 UTC, or request an "
        "emergency: `ytops change new --emergency`; `ytops rollback` is always free"
    ),
    "change-approved": (
        "the change is approved must hold (manual 5.2, Change Categories), and it is fail: "
        "CR-17 (normal) has no signature, and not a team lead's approval; the limit: a change "
        "request that is approved [the probe at 2026-11-23 06:30 UTC]. Next: `ytops change "
        "approve CR-17 --role team-lead`, by another than its requestor"
    ),
    "lead-time": (
        "the change was requested in time must hold (manual 5.2, Change Categories), and it "
        "is fail: CR-17 was requested 0.0 h ago; the limit: 24 h between a normal change's "
        "request and its deploy [the probe at 2026-11-23 06:30 UTC]. Next: wait until "
        "2026-11-24 06:30 UTC, then `ytops up 1.2.0`"
    ),
    "emergencies-documented": (
        "earlier emergencies are documented must hold (manual 5.2, Change Categories), and it "
        "is fail: not documented: CR-16; the limit: every emergency is documented [the probe "
        "at 2026-11-23 06:30 UTC]. Next: `ytops change close CR-16 --document TEXT`"
    ),
}


@pytest.mark.parametrize("name", ONE_BROKEN)
def test_an_item_that_does_not_hold_is_refused_by_its_own_rule(name: str) -> None:
    assert judged(items(**ONE_BROKEN[name])) == [
        f"checklist-{name}: gate is closed: {name}: {REFUSALS[name]}"
    ]


def test_every_item_has_a_rule_and_every_rule_a_night_that_it_refuses() -> None:
    ids = [entry.id for entry in ITEMS]
    assert [policy.name for policy in POLICIES] == [*(f"checklist-{id}" for id in ids), ADVICE]
    assert list(ONE_BROKEN) == list(REFUSALS) == ids


def test_only_advice_about_the_night_is_not_mandatory() -> None:
    levels = {policy.name: policy.enforcement_level for policy in POLICIES}
    assert levels.pop(ADVICE) is EnforcementLevel.ADVISORY
    assert set(levels.values()) == {EnforcementLevel.MANDATORY}


def test_a_rule_says_how_grave_it_is_and_where_it_comes_from() -> None:
    policy = next(p for p in POLICIES if p.name == "checklist-backup")
    assert policy.severity is Severity.CRITICAL
    assert policy.framework is not None
    assert policy.framework.reference == "7.1, Infrastructure Check"


@pytest.mark.parametrize("entry", ITEMS, ids=lambda entry: str(entry.id))
def test_in_a_preview_what_belongs_to_the_night_is_advice(entry: Any) -> None:
    (refused,) = judged(items("preview", **ONE_BROKEN[entry.id]))
    rule = ADVICE if entry.tonight else f"checklist-{entry.id}"
    words = "will close on the night, as it is now" if entry.tonight else "is closed"
    assert refused == f"{rule}: gate {words}: {entry.id}: {REFUSALS[entry.id]}"


def test_an_emergency_passes_what_the_checklist_says_and_nothing_else() -> None:
    urgent: dict[str, Any] = {
        "now": NOON,
        "change": requested(emergency(), emergencies=("CR-16",)),
        "release": release(announcement=False),
    }
    assert judged(items(**urgent)) == []
    (refused,) = judged(items(**urgent, load=load(cpu_percent=99)))
    assert refused.startswith("checklist-server-resources: gate is closed: server-resources: ")


def test_a_gate_that_nobody_asks_for_the_checklist_passes() -> None:
    assert judged({}) == []


def test_other_steps_carry_no_checklist() -> None:
    assert judged(items(**ONE_BROKEN["tests"]), name="blue-migrate") == []


def test_what_an_older_program_recorded_passes() -> None:
    recorded: dict[str, Any] = {
        "action": "deploy",
        "reason": "",
        "target": None,
        "serial": 1,
        "slots": [],
    }
    inputs = {"environment": {"STEP": json.dumps(recorded)}}
    assert violations(POLICIES, COMMAND, inputs, "gate") == []
