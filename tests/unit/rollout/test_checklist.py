"""The checklist: everything there passes; each item is broken in one place, and says so."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from rollout.checklist import ITEMS, evaluate
from rollout.evidence import (
    Announced,
    Backup,
    Bugs,
    Evidence,
    Image,
    OnCall,
    Rehearsed,
    Review,
    Standby,
    Suite,
    Unknown,
)
from rollout.items import blocking, refusal, waived
from rollout.judge import is_verified
from rollout.records import Rota, Status
from tests.unit.rollout.night import (
    COMMIT,
    EVENING,
    FACT,
    NOON,
    NOW,
    VERSION,
    announcement,
    change,
    deploy,
    documents,
    emergency,
    evidence,
    history,
    items,
    limits,
    load,
    manifest,
    network,
    rehearsal,
    release,
    requested,
    rota,
)

# The manual's own lines, in its order, and the items that answer each.
MANUAL = {
    "All tests passing (>95% pass rate)": {"tests"},
    "Code review approved": {"review"},
    "No critical bugs open": {"critical-bugs"},
    "Documentation updated": {"documentation"},
    "Release notes prepared": {"release-notes"},
    "Server resources available (CPU <70%, Memory <80%)": {"server-resources"},
    "Disk space sufficient (>20% free)": {"disk-space"},
    "Backup completed successfully": {"backup"},
    "Database migrations tested": {"migrations"},
    "Network connectivity verified": {"network"},
    "Team notified via Slack": {"team-notified"},
    "Maintenance window announced (if needed)": {"window-announced"},
    "On-call engineer confirmed": {"on-call"},
    "Rollback plan reviewed": {"rollback-plan", "rollback-ready"},
    "Window: 10 PM - 2 AM PST": {"window"},
    "Frequency: Once daily maximum": {"once-daily"},
    "Approval: Team Lead": {"change-approved"},
    "Lead Time: 24 hours": {"lead-time"},
    "Approval: Verbal (documented later)": {"emergencies-documented"},
}
TONIGHT = {
    "server-resources",
    "disk-space",
    "backup",
    "network",
    "team-notified",
    "window-announced",
    "on-call",
    "rollback-ready",
    "window",
    "once-daily",
    "lead-time",
}


def suite(**changes: Any) -> Suite:
    usual = {"commit": COMMIT, "passed": 96, "failed": 4, "skipped": 0}
    return Suite.model_validate({**usual, **changes, **FACT})


def test_every_line_of_the_manual_has_an_item_and_every_item_a_line() -> None:
    answered = [name for names in MANUAL.values() for name in sorted(names)]
    assert sorted(answered) == sorted(entry.id for entry in ITEMS)


def test_everything_there_passes() -> None:
    found = items()
    assert {name: item.measured for name, item in found.items() if item.status != "pass"} == {}
    assert blocking(found.values()) == ()
    assert all(item.next == "" for item in found.values())


def test_what_nobody_looked_at_is_unknown_and_stops_the_deploy() -> None:
    nothing = evaluate(Evidence(version=VERSION), limits(), NOW, "up")
    assert {item.id for item in nothing if item.status is Status.PASS} == {"window"}
    assert len(blocking(nothing)) == len(ITEMS) - 1
    assert all(item.next for item in blocking(nothing))


def test_an_item_says_what_was_measured_when_and_by_what() -> None:
    item = items()["server-resources"]
    assert (item.measured, item.limit, item.by, item.at) == (
        "CPU 22 %, memory 41 %, averaged over 3 s",
        "CPU below 70 %, memory below 80 %",
        "the probe",
        NOW,
    )


BROKEN: list[tuple[str, dict[str, Any], Status, str]] = [
    ("tests", {"tests": suite(passed=95, failed=5)}, Status.FAIL, "95 of 100 passed (95.0 %)"),
    ("tests", {"tests": suite(passed=0, failed=0)}, Status.FAIL, "holds no test that ran"),
    (
        "tests",
        {"tests": suite(commit="9999999")},
        Status.FAIL,
        "tested was 9999999, the release is 24e200f5c1a0",
    ),
    ("tests", {"tests": suite(commit="")}, Status.UNKNOWN, "the report names no commit"),
    (
        "tests",
        {"release": release(commit=None)},
        Status.UNKNOWN,
        "releases/1.2.0.yaml names no commit",
    ),
    (
        "review",
        {"review": Review(authors=("Author",), approvers=("author",), **FACT)},
        Status.FAIL,
        "approved by its own authors only: author",
    ),
    (
        "review",
        {"review": Review(authors=("a@x",), approvers=("Author <A@x>",), **FACT)},
        Status.FAIL,
        "approved by its own authors only: Author <A@x>",
    ),
    (
        "review",
        {"review": Review(authors=("Author",), approvers=(), **FACT)},
        Status.FAIL,
        "nobody has approved it",
    ),
    (
        "review",
        {"review": Review(authors=(), approvers=("Reviewer",), unreviewed=("#7",), **FACT)},
        Status.FAIL,
        "without an approval: #7",
    ),
    (
        "critical-bugs",
        {"bugs": Bugs(open=("#12", "#31"), signed_by="team lead", **FACT)},
        Status.FAIL,
        "open: #12, #31, signed by team lead",
    ),
    (
        "documentation",
        {"documentation": documents(changed=False, names_version=False)},
        Status.FAIL,
        "docs/thumbnails.md did not change since 1.1.0 and does not name 1.2.0",
    ),
    (
        "documentation",
        {"documentation": documents().model_copy(update={"files": ()})},
        Status.UNKNOWN,
        "releases/1.2.0.yaml names no file as `documentation`",
    ),
    (
        "release-notes",
        {"notes": documents("releases/1.2.0.md", exists=False, changed=False)},
        Status.FAIL,
        "releases/1.2.0.md is not there",
    ),
    ("server-resources", {"load": load(cpu_percent=70)}, Status.FAIL, "CPU 70 %, memory 41 %"),
    ("server-resources", {"load": load(memory_percent=80)}, Status.FAIL, "CPU 22 %, memory 80 %"),
    (
        "disk-space",
        {"load": load(mounts=[{"path": "/mnt/backup1", "free_percent": 20}])},
        Status.FAIL,
        "/mnt/backup1 20 % free",
    ),
    ("disk-space", {"load": load(mounts=[])}, Status.UNKNOWN, "no mount was measured"),
    (
        "backup",
        {"backup": Backup(newest=manifest(finished=NOW - timedelta(hours=4)), **FACT)},
        Status.FAIL,
        "dump of 2026-11-23 02:30 UTC, 4.0 h old",
    ),
    ("backup", {"backup": Backup(newest=None, **FACT)}, Status.FAIL, "no verified backup"),
    (
        "migrations",
        {"rehearsal": Rehearsed(record=None, **FACT)},
        Status.UNKNOWN,
        "1.2.0 was not rehearsed",
    ),
    (
        "migrations",
        {"rehearsal": Rehearsed(record=rehearsal(digest=f"sha256:{'cd' * 32}"), **FACT)},
        Status.FAIL,
        "rehearsed was sha256:cdcdcdcdcdcd, the release is sha256:abababababab",
    ),
    (
        "migrations",
        {"rehearsal": Rehearsed(record=rehearsal(verdict="fail", detail="0003 failed"), **FACT)},
        Status.FAIL,
        "verdict fail, previous release works: pass (0003 failed)",
    ),
    (
        "migrations",
        {"rehearsal": Rehearsed(record=rehearsal(previous_release_works={}), **FACT)},
        Status.UNKNOWN,
        "verdict pass, previous release works: unknown",
    ),
    (
        "migrations",
        {"image": Image(tag="backend:1.2.0", digest=f"sha256:{'cd' * 32}", **FACT)},
        Status.UNKNOWN,
        "releases/1.2.0.yaml names sha256:abababababab, and backend:1.2.0 is sha256:cdcdcdcdcdcd",
    ),
    (
        "migrations",
        {"image": Unknown(why="the host does not answer")},
        Status.UNKNOWN,
        "the host does not answer",
    ),
    (
        "network",
        {"network": network(error="does not answer", clock=None)},
        Status.FAIL,
        "registry (https://registry.ytempire.example/v2/) does not answer",
    ),
    ("network", {"network": network(clock=-61)}, Status.FAIL, "the host's clock is -61 s off"),
    ("network", {"network": network(clock=None)}, Status.UNKNOWN, "but none told the time"),
    (
        "team-notified",
        {"announced": Announced(announcements=(announcement("users"),), **FACT)},
        Status.FAIL,
        "nobody was told",
    ),
    (
        "team-notified",
        {"announced": Announced(announcements=(announcement(delivered={}),), **FACT)},
        Status.FAIL,
        "1.2.0-team was not delivered",
    ),
    (
        "team-notified",
        {"announced": Announced(announcements=(announcement(ends=NOW),), **FACT)},
        Status.FAIL,
        "for 2026-11-23 06:00 to 06:30 UTC",
    ),
    (
        "window-announced",
        {"announced": Announced(announcements=(announcement(),), **FACT)},
        Status.FAIL,
        "nobody was told",
    ),
    (
        "window-announced",
        {"announced": Announced(announcements=(announcement("users", sent=NOW),), **FACT)},
        Status.FAIL,
        "1.2.0-users (message 1763877600.0001)",
    ),
    (
        "window-announced",
        {"release": release(announcement=None)},
        Status.UNKNOWN,
        "releases/1.2.0.yaml does not say whether users have to be told",
    ),
    (
        "on-call",
        {"on_call": OnCall(rota=rota(acknowledged=None), **FACT)},
        Status.FAIL,
        "on-call engineer did not acknowledge",
    ),
    (
        "on-call",
        {"on_call": OnCall(rota=Rota(shifts=()), **FACT)},
        Status.UNKNOWN,
        "nobody is on call at 2026-11-23 06:30 UTC",
    ),
    (
        "rollback-plan",
        {"release": release(rollback=None)},
        Status.UNKNOWN,
        "releases/1.2.0.yaml has no section `rollback`",
    ),
    (
        "rollback-plan",
        {"release": release(rollback={"steps": ["ytops rollback"], "data": "nothing"})},
        Status.FAIL,
        "releases/1.2.0.yaml: nobody has reviewed `rollback`",
    ),
    (
        "rollback-ready",
        {"standby": Standby(identity="1.1.0+a", colour="blue", wrong=("app is dead",), **FACT)},
        Status.FAIL,
        "1.1.0+a on blue: app is dead",
    ),
    (
        "once-daily",
        {"history": history(deploy(EVENING))},
        Status.FAIL,
        "1.1.0+a at 2026-11-23T06:00:00+00:00",
    ),
    (
        "change-approved",
        {"change": requested(None)},
        Status.FAIL,
        "releases/1.2.0.yaml names no change request",
    ),
    (
        "change-approved",
        {"change": requested(change(), tampered=("changes/CR-9.yaml: was removed",))},
        Status.FAIL,
        "changes/CR-9.yaml: was removed",
    ),
    (
        "change-approved",
        {"change": requested(change(), uncommitted=("releases/1.2.0.yaml",))},
        Status.FAIL,
        "not committed, so that nobody reviewed it: releases/1.2.0.yaml",
    ),
    (
        "change-approved",
        {"change": requested(change(approvals=[]))},
        Status.FAIL,
        "CR-17 (normal) has no signature, and not a team lead's approval",
    ),
    (
        "lead-time",
        {"change": requested(change(history=[{"at": NOW, "by": "deployer", "state": "new"}]))},
        Status.FAIL,
        "CR-17 was requested 0.0 h ago",
    ),
    (
        "emergencies-documented",
        {"change": requested(change(), emergencies=("CR-16",))},
        Status.FAIL,
        "not documented: CR-16",
    ),
]


@pytest.mark.parametrize(("name", "broken", "status", "words"), BROKEN)
def test_what_is_wrong_stops_the_deploy_and_says_so(
    name: str, broken: dict[str, Any], status: Status, words: str
) -> None:
    item = items(**broken)[name]
    assert (item.status, item.stops) == (status, True)
    assert words in item.measured
    assert item.next


def test_outside_the_window_one_waits() -> None:
    item = items(now=NOON)["window"]
    assert (item.measured, item.limit, item.next) == (
        "it is 2026-11-22 12:00 there",
        "22:00-02:00 America/Los_Angeles",
        "wait until 2026-11-23 06:00 UTC, or request an emergency: `ytops change new --emergency`",
    )


def test_every_item_is_broken_by_some_test() -> None:
    assert {name for name, *_ in BROKEN} | {"window"} == {entry.id for entry in ITEMS}


def test_each_item_that_nobody_measured_is_unknown_by_itself() -> None:
    for name in Evidence.model_fields.keys() - {"version"}:
        nothing: dict[str, Any] = {name: Unknown(why="the host does not answer")}
        found = items(**nothing)
        assert any(i.status is Status.UNKNOWN and i.stops for i in found.values()), name


def test_a_refusal_names_item_value_limit_section_and_the_next_command() -> None:
    item = items(load=load(cpu_percent=83))["server-resources"]
    assert refusal(item) == (
        "server-resources: the server has CPU and memory to spare must hold (manual 7.1, "
        "Infrastructure Check), and it is fail: CPU 83 %, memory 41 %, averaged over 3 s; the "
        "limit: CPU below 70 %, memory below 80 % [the probe at 2026-11-23 06:30 UTC]. "
        "Next: see what takes them (`docker stats`), then `ytops checklist 1.2.0`"
    )


def test_each_next_step_is_filled_in() -> None:
    nothing = evaluate(Evidence(version=VERSION), limits(), NOON, "up")
    assert not [item.next for item in nothing if re.search(r"[{}]", item.next)]


# Phases


def test_in_a_pull_request_what_belongs_to_the_night_is_shown_and_stops_nothing() -> None:
    found = items("preview", now=NOON)
    assert {name for name, item in found.items() if not item.required} == TONIGHT
    assert (found["window"].status, found["window"].stops) == (Status.FAIL, False)
    assert blocking(found.values()) == ()


@pytest.mark.parametrize("name", sorted({entry.id for entry in ITEMS} - TONIGHT))
def test_the_rest_stops_a_preview_too(name: str) -> None:
    broken = next(broken for other, broken, *_ in BROKEN if other == name)
    assert items("preview", now=NOON, **broken)[name].stops


def test_a_preview_without_the_host_takes_the_record_s_digest() -> None:
    away = Unknown(why="the host does not answer")
    assert items("preview", image=away)["migrations"].status is Status.PASS
    nameless = items("preview", image=away, release=release(digest=None))["migrations"]
    assert nameless.status is Status.UNKNOWN


def test_a_preview_looks_at_the_rota_of_the_night_to_come() -> None:
    evening_only = OnCall(rota=rota(begins=EVENING), **FACT)
    assert items("preview", now=NOON, on_call=evening_only)["on-call"].status is Status.PASS
    assert items("up", now=NOON, on_call=evening_only)["on-call"].status is Status.UNKNOWN


def test_a_rollback_at_noon_is_never_blocked() -> None:
    nothing = evaluate(Evidence(version=VERSION), limits(), NOON, "up", "rollback")
    assert blocking(nothing) == ()


# Emergencies


def test_an_emergency_passes_window_frequency_and_approval_and_nothing_else() -> None:
    urgent = requested(emergency(), emergencies=("CR-16",))
    done = history(deploy(NOON - timedelta(hours=1)))
    found = items(now=NOON, change=urgent, history=done, load=load(cpu_percent=99))
    assert waived(found.values()) == (
        "window",
        "once-daily",
        "change-approved",
        "lead-time",
        "emergencies-documented",
    )
    assert "server-resources" in {item.id for item in blocking(found.values())}


def test_a_waiver_names_who_and_why() -> None:
    item = items(now=NOON, change=requested(emergency()))["window"]
    assert item.measured == (
        "it is 2026-11-22 12:00 there; waived by CR-17, ops lead: uploads are lost"
    )


def test_an_emergency_in_records_that_were_rewritten_excuses_nothing() -> None:
    urgent = requested(emergency(), tampered=("changes/CR-17.yaml: history[0]: was edited",))
    assert waived(items(now=NOON, change=urgent).values()) == ()


# What counts as verified


@pytest.mark.parametrize(
    ("checks", "verified"),
    [
        ({"list": "pass"}, True),
        ({"restore": "pass", "checksum": "pass"}, True),
        ({"checksum": "pass"}, False),
        ({"list": "pass", "restore": "fail"}, False),
        ({}, False),
    ],
)
def test_a_backup_is_verified_by_its_content(checks: dict[str, str], verified: bool) -> None:
    made = [{"check": check, "status": status, "at": NOW} for check, status in checks.items()]
    assert is_verified(manifest(verifications=made)) == verified


def test_the_evidence_travels_as_json() -> None:
    text = evidence().model_dump_json()
    assert Evidence.model_validate_json(text) == evidence()


def test_a_stricter_limit_is_held() -> None:
    strict = limits()
    checklist = strict.checklist.model_copy(update={"cpu_percent": 20.0})
    found = evaluate(evidence(), type(strict)(checklist, strict.operations), NOW, "up")
    assert [item.id for item in blocking(found)] == ["server-resources"]


def test_later_is_not_now() -> None:
    late: datetime = NOW + timedelta(hours=4)
    assert {item.id for item in blocking(items(now=late).values())} >= {"window", "backup"}
