"""The happy path that the tests of the checklist break in one place: 1.2.0 goes out in the window,
and everything that the manual asks for is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rollout import checklist
from rollout.evidence import (
    Announced,
    Backup,
    Bugs,
    Connectivity,
    Document,
    Documents,
    Evidence,
    History,
    Image,
    Load,
    Mount,
    OnCall,
    Reach,
    Rehearsed,
    Requested,
    Review,
    Standby,
    Suite,
)
from rollout.items import Item
from rollout.judge import Limits, Phase
from rollout.records import (
    Announcement,
    Approval,
    BackupManifest,
    Change,
    Rehearsal,
    ReleaseRecord,
    Rota,
)
from rollout.settings import load_checklist
from rollout.state import Event
from tests.unit.stack_files import raw

VERSION = "1.2.0"
DIGEST = f"sha256:{'ab' * 32}"
COMMIT = "24e200f5c1a0"
NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)  # 22:30 in Los Angeles
EVENING = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
FACT: dict[str, Any] = {"by": "the probe", "at": NOW}
LEAD = Approval(role="team-lead", by="team lead", at=NOW - timedelta(hours=20))
IMPACT = {"systems": ["backend"], "users": "minimal", "downtime_minutes": 0, "risk": "low"}
ROLLBACK = {
    "steps": ["ytops rollback"],
    "data": "nothing: the schema only grew",
    "reviewed_by": "platform ops lead",
    "reviewed_at": EVENING,
}


def limits(stack: str = "production") -> Limits:
    return Limits(*load_checklist(stack, raw(stack)))


def change(**changes: Any) -> Change:
    usual: dict[str, Any] = {
        "id": "CR-17",
        "requestor": "deployer",
        "date": "2026-11-21",
        "category": "normal",
        "kind": "feature-deployment",
        "priority": "medium",
        "description": "Deploy 1.2.0: thumbnails can be chosen.",
        "impact": {
            "systems": ["backend"],
            "users": "minimal",
            "downtime_minutes": 0,
            "risk": "low",
        },
        "implementation": ["ytops up 1.2.0"],
        "rollback": ROLLBACK,
        "approvals": [LEAD],
        "release": VERSION,
        "history": [
            {"at": NOW - timedelta(hours=30), "by": "deployer", "state": "new"},
            {"at": LEAD.at, "by": "team lead", "state": "approved"},
        ],
    }
    return Change.model_validate({**usual, **changes})


def emergency(**changes: Any) -> Change:
    usual: dict[str, Any] = {
        "category": "emergency",
        "kind": "critical-bug-fix",
        "reason": "uploads are lost",
        "approvals": [Approval(role="platform-ops-lead", by="ops lead", at=NOW, verbal=True)],
        "history": [{"at": NOW, "by": "deployer", "state": "new"}],
    }
    return change(**{**usual, **changes})


def release(**changes: Any) -> ReleaseRecord:
    usual = {
        "version": VERSION,
        "digest": DIGEST,
        "commit": COMMIT,
        "notes": "releases/1.2.0.md",
        "rollback": ROLLBACK,
        "change": "CR-17",
        "announcement": True,
    }
    return ReleaseRecord.model_validate({**usual, **changes})


def announcement(audience: str = "team", **changes: Any) -> Announcement:
    usual = {
        "id": f"1.2.0-{audience}",
        "kind": "deploy",
        "audience": audience,
        "channels": ["#platform-ops"],
        "begins": EVENING,
        "ends": EVENING + timedelta(hours=4),
        "sent": EVENING - timedelta(hours=24),
        "message_id": "1763877600.0001",
        "text": "1.2.0 goes out tonight.",
        "release": VERSION,
        "delivered": {"status": "pass"},
    }
    return Announcement.model_validate({**usual, **changes})


def manifest(**changes: Any) -> BackupManifest:
    usual = {
        "series": "database/daily",
        "stack": "production",
        "started": NOW - timedelta(hours=2),
        "finished": NOW - timedelta(hours=2),
        "artifacts": [
            {"key": "database/daily/20261123T043000Z/x", "bytes": 10, "sha256": "ab" * 32}
        ],
        "tools": {"pg_dump": "15.13"},
        "verifications": [{"check": "list", "status": "pass", "at": NOW}],
    }
    return BackupManifest.model_validate({**usual, **changes})


def rehearsal(**changes: Any) -> Rehearsal:
    usual = {
        "version": VERSION,
        "digest": DIGEST,
        "backup": "dump/20261122T060000Z/manifest.json",
        "started": NOW,
        "before": {"migrations": {"app": "0001"}, "checksum": "ab" * 32},
        "seconds": {"total": 46.5},
        "previous_release_works": {"status": "pass"},
        "verdict": "pass",
    }
    return Rehearsal.model_validate({**usual, **changes})


def rota(**changes: Any) -> Rota:
    shift = {
        "person": "on-call engineer",
        "contact": "on-call@ytempire.com",
        "begins": NOW - timedelta(days=2),
        "ends": NOW + timedelta(days=2),
        "acknowledged": {"by": "on-call engineer", "at": NOW - timedelta(days=1)},
    }
    return Rota.model_validate({"shifts": [{**shift, **changes}]})


def documents(path: str = "docs/thumbnails.md", **changes: Any) -> Documents:
    good = {"exists": True, "changed": True, "names_version": True}
    file = Document.model_validate({"path": path, **good, **changes})
    return Documents(since="1.1.0", files=(file,), **FACT)


def load(**changes: Any) -> Load:
    mounts = (Mount(path="/", free_percent=61), Mount(path="/mnt/backup1", free_percent=45))
    usual = {"seconds": 3, "cpu_percent": 22, "memory_percent": 41, "mounts": mounts}
    return Load.model_validate({**usual, **changes, **FACT})


def network(**changes: Any) -> Connectivity:
    usual = {"name": "registry", "url": "https://registry.ytempire.example/v2/", "clock": 0.4}
    return Connectivity(endpoints=(Reach.model_validate({**usual, **changes}),), **FACT)


def deploy(at: datetime) -> Event:
    return Event(
        at=at.isoformat(), kind="deploy", serial=4, source="", target="1.1.0+a", who="deployer"
    )


def history(*events: Event) -> History:
    return History(events=events, **FACT)


def requested(found: Change | None, **more: Any) -> Requested:
    return Requested(change=found, **more, **FACT)


def evidence(**changes: Any) -> Evidence:
    usual = Evidence(
        version=VERSION,
        release=release(),
        tests=Suite(commit=COMMIT[:7], passed=412, failed=3, skipped=2, **FACT),
        review=Review(authors=("Author", "author@x"), approvers=("Reviewer",), **FACT),
        bugs=Bugs(open=(), **FACT),
        documentation=documents(),
        notes=documents("releases/1.2.0.md"),
        load=load(),
        backup=Backup(newest=manifest(), **FACT),
        image=Image(tag="ytempire/backend:1.2.0", digest=DIGEST, **FACT),
        rehearsal=Rehearsed(record=rehearsal(), **FACT),
        network=network(),
        announced=Announced(announcements=(announcement(), announcement("users")), **FACT),
        on_call=OnCall(rota=rota(), **FACT),
        standby=Standby(identity="1.1.0+ab12cd34ef56", colour="blue", **FACT),
        history=history(deploy(NOW - timedelta(days=1))),
        change=requested(change()),
    )
    return usual.model_copy(update=changes)


ONE_BROKEN: dict[str, dict[str, Any]] = {
    "tests": {"tests": Suite(commit=COMMIT, passed=95, failed=5, skipped=0, **FACT)},
    "review": {"review": Review(authors=("Author",), approvers=("author",), **FACT)},
    "critical-bugs": {"bugs": Bugs(open=("#12",), **FACT)},
    "documentation": {"documentation": documents(names_version=False)},
    "release-notes": {"notes": documents("releases/1.2.0.md", changed=False)},
    "server-resources": {"load": load(cpu_percent=83)},
    "disk-space": {"load": load(mounts=[Mount(path="/mnt/backup1", free_percent=20)])},
    "backup": {"backup": Backup(newest=None, **FACT)},
    "migrations": {"rehearsal": Rehearsed(record=None, **FACT)},
    "network": {"network": network(error="does not answer")},
    "team-notified": {"announced": Announced(announcements=(announcement("users"),), **FACT)},
    "window-announced": {"announced": Announced(announcements=(announcement(),), **FACT)},
    "on-call": {"on_call": OnCall(rota=rota(acknowledged=None), **FACT)},
    "rollback-plan": {"release": release(rollback=None)},
    "rollback-ready": {
        "standby": Standby(identity="1.1.0+ab", colour="blue", wrong=("app is gone",), **FACT)
    },
    "window": {
        "now": NOW - timedelta(hours=1),
        "release": release(announcement=False),
        "history": history(),
    },
    "once-daily": {"history": history(deploy(EVENING))},
    "change-approved": {"change": requested(change(approvals=[]))},
    "lead-time": {
        "change": requested(change(history=[{"at": NOW, "by": "deployer", "state": "new"}]))
    },
    "emergencies-documented": {"change": requested(change(), emergencies=("CR-16",))},
}
"""For each item of the checklist a night on which it alone does not hold, as `items` takes it."""


def items(
    phase: Phase = "up", now: datetime = NOW, kind: checklist.Kind = "deploy", **changes: Any
) -> dict[str, Item]:
    """By id."""
    found = checklist.evaluate(evidence(**changes), limits(), now, phase, kind)
    return {item.id: item for item in found}
