"""The manual's pre-deployment checklist (7.1), judged from evidence.

`ITEMS` is the one table of items. `evaluate` gives each a status: what nobody measured is unknown,
and unknown is not passed. Pure: probes gather (`ops/probes/`), the gate and its policies enforce.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rollout import changes, judge
from rollout.evidence import Evidence, Unknown
from rollout.items import Item, Severity, Status
from rollout.judge import Case, Found, Limits, Phase

Kind = Literal["deploy", "rollback"]

CODE, HOST, PEOPLE = (
    "7.1, Code Readiness",
    "7.1, Infrastructure Check",
    "7.1, Communication",
)
APPROACH, CHANGES = "7.1, Deployment Approach", "5.2, Change Categories"


Judge = Callable[[Case], Found]


@dataclass(frozen=True)
class Entry:
    """One item of the table. `tonight`: it can only be true on the night, so that a pull request's
    preview merely shows it. `waivable`: an emergency change may pass it by (manual 5.2)."""

    id: str
    title: str
    section: str
    judge: Judge
    next: str
    severity: Severity = "high"
    tonight: bool = False
    waivable: bool = False


def evaluate(
    evidence: Evidence, limits: Limits, now: datetime, phase: Phase, kind: Kind = "deploy"
) -> tuple[Item, ...]:
    """Every item of the checklist, in the manual's order. A rollback is never blocked: nothing is
    required of it."""
    case = Case(evidence, limits, now, phase)
    return tuple(_item(entry, case, _excuse(evidence), kind) for entry in ITEMS)


def _excuse(evidence: Evidence) -> str:
    """An emergency's, unless the records of changes can't be believed."""
    found = evidence.change
    if isinstance(found, Unknown) or found.tampered:
        return ""
    return changes.excuse(found.change, evidence.version)


def _item(entry: Entry, case: Case, excuse: str, kind: Kind) -> Item:
    found = entry.judge(case)
    status, measured = found.status, found.measured
    if excuse and entry.waivable and status in (Status.FAIL, Status.UNKNOWN):
        status, measured = Status.WAIVED, f"{measured}; waived by {excuse}"
    good = status in (Status.PASS, Status.WAIVED)
    return Item(
        id=entry.id,
        title=entry.title,
        section=entry.section,
        severity=entry.severity,
        status=status,
        measured=measured,
        limit=found.limit,
        by=found.by,
        at=found.at,
        next="" if good else (found.next or entry.next.format(version=case.version)),
        required=kind == "deploy" and not (case.phase == "preview" and entry.tonight),
        waived_by=_change(case.evidence) if status is Status.WAIVED else "",
    )


def _change(evidence: Evidence) -> str:
    """The id of the change that the deploy names."""
    found = evidence.change
    return found.change.id if not isinstance(found, Unknown) and found.change else ""


RECORD = "releases/{version}.yaml"

ITEMS = (
    # Code Readiness
    Entry(
        "tests",
        "all tests pass",
        CODE,
        judge.tests,
        f"run the tests of the release's commit, commit the JUnit report and name it as `tests` "
        f"in {RECORD}",
    ),
    Entry(
        "review",
        "the code was reviewed",
        CODE,
        judge.review,
        f"have somebody review it who did not write it, and name them as `reviewed_by` in {RECORD}",
    ),
    Entry(
        "critical-bugs",
        "no critical bug is open",
        CODE,
        judge.bugs,
        f"close them; without a forge, sign the statement `critical_bugs` in {RECORD}",
        severity="critical",
    ),
    Entry(
        "documentation",
        "the documentation is up to date",
        CODE,
        judge.documentation,
        f"write it, name {{version}} in it, and list it as `documentation` in {RECORD}",
        severity="medium",
    ),
    Entry(
        "release-notes",
        "the release notes are written",
        CODE,
        judge.notes,
        f"write them, name {{version}} in them, and name them as `notes` in {RECORD}",
        severity="medium",
    ),
    # Infrastructure Check
    Entry(
        "server-resources",
        "the server has CPU and memory to spare",
        HOST,
        judge.resources,
        "see what takes them (`docker stats`), then `ytops checklist {version}`",
        tonight=True,
    ),
    Entry(
        "disk-space",
        "the disks have room",
        HOST,
        judge.disk,
        "make room (`docker system df`; `docker image prune` keeps what runs), then "
        "`ytops checklist {version}`",
        tonight=True,
    ),
    Entry(
        "backup",
        "a backup was completed",
        HOST,
        judge.backup,
        "`ytops backup run`, then `ytops checklist {version}`",
        severity="critical",
        tonight=True,
    ),
    Entry(
        "migrations",
        "the database migrations were tested",
        HOST,
        judge.migrations,
        "`ytops rehearse {version}`",
        severity="critical",
    ),
    Entry(
        "network",
        "the host reaches what a deploy needs",
        HOST,
        judge.network,
        "name the endpoints as `checklistEndpoints` in the stack file, and see to those that do "
        "not answer; then `ytops checklist {version}`",
        tonight=True,
    ),
    # Communication
    Entry(
        "team-notified",
        "the team was told",
        PEOPLE,
        judge.team,
        "`ytops announce {version}`",
        severity="medium",
        tonight=True,
    ),
    Entry(
        "window-announced",
        "the maintenance window was announced, if needed",
        PEOPLE,
        judge.announced,
        "`ytops announce {version} --to users`",
        severity="medium",
        tonight=True,
    ),
    Entry(
        "on-call",
        "the on-call engineer is confirmed",
        PEOPLE,
        judge.on_call,
        "enter tonight's shift in rota.yaml with its `acknowledged`, and commit it "
        "(docs/schemas/rota.schema.json)",
        tonight=True,
    ),
    Entry(
        "rollback-plan",
        "the rollback plan was reviewed",
        PEOPLE,
        judge.plan_reviewed,
        f"have it reviewed: `rollback` with its `reviewed_by` and `reviewed_at` in {RECORD}",
    ),
    Entry(
        "rollback-ready",
        "the release to go back to is warm and healthy",
        PEOPLE,
        judge.standby,
        "`ytops status`; `ytops up` mends what was stopped",
        severity="critical",
        tonight=True,
    ),
    # Deployment Approach
    Entry(
        "window",
        "deploys go in the window",
        APPROACH,
        judge.window,
        "",
        tonight=True,
        waivable=True,
    ),
    Entry(
        "once-daily",
        "one deploy a night at most",
        APPROACH,
        judge.daily,
        "`ytops status`: the host's history is needed to count",
        tonight=True,
        waivable=True,
    ),
    # Change Management
    Entry(
        "change-approved",
        "the change is approved",
        CHANGES,
        judge.change,
        f"`ytops change new`, and name it as `change` in {RECORD}",
        severity="critical",
    ),
    Entry(
        "lead-time",
        "the change was requested in time",
        CHANGES,
        judge.lead_time,
        f"`ytops change new`, and name it as `change` in {RECORD}",
        severity="medium",
        tonight=True,
        waivable=True,
    ),
    Entry(
        "emergencies-documented",
        "earlier emergencies are documented",
        CHANGES,
        judge.emergencies,
        "`ytops change list`",
        waivable=True,
    ),
)
"""In the manual's order: 7.1's fourteen (the last is two here: the plan, and what it goes back to),
then 7.1's window and frequency, then 5.2."""
