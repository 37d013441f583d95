"""The records that people and programs hand each other: what a release, a rehearsal, a backup, a
change is, and where each is kept.

Evidence that isn't there is `unknown`, never assumed: whoever judges decides what that means.
`python -m rollout.records` writes docs/schemas/.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from rollout.dumps import STAMP
from rollout.items import Status as Status
from rollout.retention import Kind, Series
from rollout.state import Event, Record

SCHEMAS = Path("docs/schemas")
DRILLS = Path("drills")


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time with its zone, such as 2025-01-10T06:00:00Z")
    return value.astimezone(UTC)


Time = Annotated[datetime, AfterValidator(_utc)]
Text = Annotated[str, Field(min_length=1)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}$")]
ChangeId = Annotated[str, Field(pattern=r"^CR-[0-9]+$")]
Natural = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Evidence(Record):
    """One statement and what it rests on. A waiver names who gave it and why."""

    status: Status = Status.UNKNOWN
    source: str = ""
    detail: str = ""
    by: str = ""
    at: Time | None = None


# Releases (manual 7.1, the checklist's "Code Readiness")


class RollbackPlan(Record):
    """How to go back, and who looked at it."""

    steps: tuple[Text, ...] = Field(min_length=1)
    data: Text
    """What becomes of data written meanwhile: nothing, or which restore by which command."""
    reviewed_by: str = ""
    reviewed_at: Time | None = None


class CriticalBugs(Record):
    """The statement that no critical bug is open: by whom, when, and where they looked."""

    status: Status = Status.UNKNOWN
    open: tuple[str, ...] = ()
    source: str = ""
    by: str = ""
    at: Time | None = None


class ReleaseRecord(Record):
    """`releases/VERSION.yaml`, reviewed in the pull request that deploys the version."""

    version: Version
    digest: Digest | None = None
    commit: Commit | None = None
    """The product's commit that the image was built from."""
    notes: str = ""
    """Path of the release notes: what users get, in their words."""
    documentation: tuple[Text, ...] = ()
    """Paths of what was written or changed for this version; each names it."""
    tests: str = ""
    """Path of the JUnit report, whose property `commit` says what was tested."""
    reviewed_by: tuple[Text, ...] = ()
    """Names or addresses as git knows them; who wrote a commit can't approve it."""
    rollback: RollbackPlan | None = None
    change: ChangeId | None = None
    critical_bugs: CriticalBugs = CriticalBugs()
    migrations: bool | None = None
    """Whether the schema changes; unsaid is unknown."""
    announcement: bool | None = None
    """Whether users have to be told beforehand; unsaid is unknown."""


# Rehearsals ("Database migrations tested")


class Schema(Record):
    """A database's schema: the newest migration of each app, and a checksum of its definition."""

    migrations: dict[str, str]
    checksum: Sha256


class Statement(Record):
    """One that a migration ran, without the values that it carried. `lock`: the strongest that it
    took on a table that was there before, `relation`."""

    sql: Text
    seconds: Seconds
    lock: str = ""
    relation: str = ""


class TableLock(Record):
    """The longest time that a migration held a lock of this mode on a table."""

    relation: Text
    mode: Text
    seconds: Seconds
    blocks: Literal["", "writers", "readers and writers"] = ""
    """Whom it keeps out of the table."""


class Rehearsal(Record):
    """`rehearsals/VERSION.json`: the release's migrations, run on a restored copy of the data,
    and the previous release run on what they left."""

    version: Version
    digest: Digest
    release: str = ""
    """VERSION+FINGERPRINT of what was rehearsed; with other settings it is another release."""
    previous: str = ""
    """VERSION+FINGERPRINT that was live, and can be rolled back to; empty when none was."""
    backup: Text
    """The dump or manifest that the copy was restored from."""
    started: Time
    before: Schema
    after: Schema | None = None
    applied: tuple[Text, ...] = ()
    """The migrations that ran, in their order."""
    seconds: dict[Literal["restore", "migrate", "verify", "total"], Seconds]
    longest_lock_seconds: Seconds | None = None
    """How long a table was closed to writers at most; unknown where the migrations failed."""
    locks: tuple[TableLock, ...] = ()
    statements: tuple[Statement, ...] = ()
    release_works: Evidence = Evidence()
    previous_release_works: Evidence = Evidence()
    """On what the migrations left, also where they failed half-way."""
    verdict: Status = Status.UNKNOWN
    detail: str = ""


# Backups (manuals 7.3 and 5.3)

# How a backup is looked at: the bytes of a copy, the archive's table of contents, all of it in a
# server, that server's rows and pages.
Check = Literal["checksum", "list", "restore", "counts", "amcheck"]
CHECKS: tuple[Check, ...] = get_args(Check)


class Artifact(Record):
    """One file of a backup, at its key in each place that holds it."""

    key: Text
    bytes: Natural
    sha256: Sha256
    """Of the file as it lies there: compressed and encrypted."""
    s3_sha256: str = ""
    """What S3 says of it: the checksum of its parts' checksums, and their number."""
    encryption: Literal["", "age"] = ""


class Verification(Record):
    """One check of a finished backup: which, when, where, and what it found. `place`: the copy that
    was read; empty: the one that was about to be made."""

    check: Check
    status: Status = Status.UNKNOWN
    at: Time
    place: str = ""
    seconds: Seconds = 0
    detail: str = ""


class BackupManifest(Record):
    """`SERIES/STAMP/manifest.json`, beside the artifacts and written last: a backup without one
    is none. What was found later lies beside it (rollout/backups.py)."""

    series: Series
    stack: Text
    started: Time
    finished: Time
    release: str = ""
    """VERSION+FINGERPRINT that was live; empty when none was."""
    schema_revision: dict[str, str] = Field(default_factory=dict)
    rows: dict[str, Natural] = Field(default_factory=dict)
    """Rows per table, counted in the snapshot that was dumped."""
    database_bytes: Natural = 0
    """What the database took on the disk, its indexes included."""
    objects: Natural | None = None
    """Entries of `pg_restore --list`, or files of an archive."""
    contents: dict[str, Natural] = Field(default_factory=dict)
    """Of files: their bytes, and how many could not be read; their number is `objects`."""
    content: str = ""
    """Of what is kept on change: a keyed hash of what is in it."""
    artifacts: tuple[Artifact, ...] = Field(min_length=1)
    tools: dict[str, str]
    """Name to version of what wrote it: a restore needs the same major version."""
    image: str = ""
    """The datastore's image; a physical restore needs the same."""
    system: str = ""
    """Of a base backup: the database system's identifier, which each of its WAL segments bears."""
    timeline: Natural = 0
    wal_from: str = ""
    wal_to: str = ""
    """Where in the log it begins and ends; from here on, the log leads to any later time."""
    verifications: tuple[Verification, ...] = ()

    @property
    def kind(self) -> Kind:
        return self.series.kind

    @property
    def bytes(self) -> int:
        return sum(artifact.bytes for artifact in self.artifacts)

    def status(self, check: Check) -> Status:
        """The newest word on one check; unknown where it was never made. A copy that failed is
        not made good by another's success."""
        newest = {v.place: v.status for v in sorted(self._said(check), key=lambda v: v.at)}
        for status in (Status.FAIL, Status.PASS):
            if status in newest.values():
                return status
        return Status.UNKNOWN

    def _said(self, check: Check) -> list[Verification]:
        return [v for v in self.verifications if v.check == check]


# Drills (manual 7.3, "Recovery Testing")

# A recovery in order; the record has them as far as it came.
DrillPhase = Literal["find", "stack", "restore", "counts", "release", "endpoints", "job"]


class DrillStage(Record):
    """One phase of a drill: how long it took, and what it found."""

    phase: DrillPhase
    seconds: Seconds
    status: Status
    detail: str = ""


class Drill(Record):
    """`drills/STAMP.json`: one recovery that was tried, and how long it took."""

    started: Time
    stack: Text
    """Whose backup was restored."""
    environment: Text
    host: Text
    """Where it was restored."""
    by: Text
    backup: str = ""
    """The backup's folder in `place`; empty when none was found."""
    place: str = ""
    taken: Time | None = None
    """When what was restored had been dumped."""
    bytes: Natural = 0
    release: str = ""
    """VERSION+FINGERPRINT that was live when it was dumped; the drill runs the version."""
    rows: dict[str, Natural] = Field(default_factory=dict)
    """Rows of the key tables, as they were counted in the restored database."""
    stages: tuple[DrillStage, ...]
    rto_seconds: Seconds | None = None
    """From the drill's begin to the test job's end; unknown where it did not come so far."""
    rpo_seconds: Seconds | None = None
    """How old what was restored was at the drill's begin: what a loss just then would have cost."""
    rto_goal_seconds: Seconds
    rpo_goal_seconds: Seconds
    verdict: Status = Status.UNKNOWN
    detail: str = ""


class Restored(Record):
    """A change of the live database for another one: what `status` tells of it, and what the
    database that was set aside carries until it is dismissed."""

    at: Time
    by: Text
    what: Literal["restore", "undo"]
    source: Text
    """The backup, by its folder; or the database that was set aside before, and came back."""
    place: str = ""
    """The copy that was read."""
    data_of: Time
    """What was written later is not in it."""
    release: str = ""
    """VERSION+FINGERPRINT that was live."""
    kept: str = ""
    """The database that was live before, by its name on the server; empty when it is gone."""


# People (manual 7.1's "Communication", 5.4's notices)


class Announcement(Record):
    """`announcements/ID.yaml`: who was told what, and when."""

    id: Text
    kind: Literal["deploy", "maintenance", "incident"]
    audience: Literal["team", "users"]
    channels: tuple[Text, ...] = Field(min_length=1)
    begins: Time
    ends: Time
    sent: Time | None = None
    message_id: str = ""
    """The chat's own name of the message; where it gives none, `id`, which the message carries."""
    text: Text
    change: ChangeId | None = None
    release: Version | None = None
    delivered: Evidence = Evidence()


class Acknowledgement(Record):
    """Somebody on call said: I have it."""

    by: Text
    at: Time


class Shift(Record):
    """One turn on call. Without an acknowledgement nobody is confirmed."""

    person: Text
    contact: Text
    role: Literal["primary", "secondary"] = "primary"
    begins: Time
    ends: Time
    acknowledged: Acknowledgement | None = None


class Rota(Record):
    """`rota.yaml`: who is on call when."""

    shifts: tuple[Shift, ...]

    def on_call(self, at: datetime) -> tuple[Shift, ...]:
        return tuple(s for s in self.shifts if s.begins <= at < s.ends)

    def confirmed(self, at: datetime) -> Status:
        """Whether the primary of that time has acknowledged in person; unknown when nobody is
        entered."""
        primary = [s for s in self.on_call(at) if s.role == "primary"]
        if not primary:
            return Status.UNKNOWN
        own = (s.acknowledged is not None and s.acknowledged.by == s.person for s in primary)
        return Status.PASS if any(own) else Status.FAIL


# Changes (manual 5.2's template)


class Impact(Record):
    """Manual 5.2, "Impact Analysis"."""

    systems: tuple[Text, ...] = Field(min_length=1)
    users: Literal["none", "minimal", "significant"]
    downtime_minutes: Natural
    """0: none required."""
    risk: Literal["low", "medium", "high"]


class TestingPlan(Record):
    """Manual 5.2, "Testing Plan"."""

    unit: Evidence = Evidence()
    integration: Evidence = Evidence()
    staging: Evidence = Evidence()
    acceptance: Evidence = Evidence()


class Approval(Record):
    """One signature. `verbal`: an emergency's, written down later (`at` is when it was given)."""

    role: Literal["technical-lead", "security-review", "platform-ops-lead", "team-lead"]
    by: Text
    at: Time
    verbal: bool = False


Category = Literal["standard", "normal", "emergency"]

# Manual 5.2's examples, which are its lists: a standard change is approved because of its kind.
KINDS: dict[Category, tuple[str, ...]] = {
    "standard": (
        "security-patch",
        "log-rotation",
        "certificate-renewal",
        "backup-verification",
    ),
    "normal": (
        "feature-deployment",
        "configuration-update",
        "schema-change",
        "service-upgrade",
    ),
    "emergency": (
        "zero-day-patch",
        "critical-bug-fix",
        "service-restoration",
        "data-corruption-fix",
    ),
}


class ChangeState(StrEnum):
    """Where a change is in its life. Nothing is taken back: a later entry says so."""

    NEW = "new"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    DONE = "done"
    CLOSED = "closed"


class Entry(Record):
    """One step of a change's life. Entries are appended, and never edited."""

    at: Time
    by: Text
    state: ChangeState
    note: str = ""
    waived: tuple[Text, ...] = ()
    """Items of the checklist that an emergency's deploy passed by."""


class Documentation(Record):
    """What an emergency owes afterwards (manual 5.2, "documented later")."""

    by: Text
    at: Time
    text: Text
    """What happened, why the usual way would not do, and what follows."""


class Change(Record):
    """`changes/CR-N.yaml`: a change request, with all fields of manual 5.2's template."""

    id: ChangeId
    requestor: Text
    date: date
    category: Category
    kind: Literal[
        "security-patch",
        "log-rotation",
        "certificate-renewal",
        "backup-verification",
        "feature-deployment",
        "configuration-update",
        "schema-change",
        "service-upgrade",
        "zero-day-patch",
        "critical-bug-fix",
        "service-restoration",
        "data-corruption-fix",
    ]
    """What manual 5.2 lists under the category."""
    priority: Literal["high", "medium", "low"]
    description: Text
    """What is changed, and why."""
    impact: Impact
    implementation: tuple[Text, ...] = Field(min_length=1)
    rollback: RollbackPlan
    testing: TestingPlan = TestingPlan()
    approvals: tuple[Approval, ...] = ()
    release: Version | None = None
    scheduled: Time | None = None
    reason: str = ""
    """Why an emergency can't wait."""
    documented: Documentation | None = None
    history: tuple[Entry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _coherent(self) -> Change:
        if self.kind not in KINDS[self.category]:
            raise ValueError(
                f"kind: expected one of {', '.join(KINDS[self.category])}, because category is "
                f"{self.category}, got {self.kind!r}"
            )
        if self.category == "emergency" and not self.reason:
            raise ValueError("reason: expected why an emergency can't wait, got none")
        if self.history[0].state is not ChangeState.NEW:
            raise ValueError(
                f"history[0].state: expected 'new', got {str(self.history[0].state)!r}"
            )
        for index, entry in enumerate(self.history[:-1]):
            if entry.state is ChangeState.CLOSED:
                raise ValueError(f"history[{index + 1}]: expected nothing after 'closed'")
        return self

    @property
    def state(self) -> ChangeState:
        return self.history[-1].state


# Where each is kept, and its schema

RECORDS: dict[str, type[Record]] = {
    "release": ReleaseRecord,
    "rehearsal": Rehearsal,
    "backup": BackupManifest,
    "drill": Drill,
    "restored": Restored,
    "announcement": Announcement,
    "rota": Rota,
    "change": Change,
    "event": Event,
}


def release_path(version: str) -> Path:
    return Path("releases") / f"{version}.yaml"


def rehearsal_path(version: str) -> Path:
    return Path("rehearsals") / f"{version}.json"


def drill_path(started: datetime) -> Path:
    return DRILLS / f"{started.astimezone(UTC):{STAMP}}.json"


def announcement_path(name: str) -> Path:
    return Path("announcements") / f"{name}.yaml"


def change_path(name: str) -> Path:
    return Path("changes") / f"{name}.yaml"


def rota_path() -> Path:
    return Path("rota.yaml")


def schema_text(name: str) -> str:
    """The JSON schema of a record, as docs/schemas/ holds it."""
    model = RECORDS[name]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def main() -> None:
    SCHEMAS.mkdir(parents=True, exist_ok=True)
    for name in RECORDS:
        (SCHEMAS / f"{name}.schema.json").write_text(schema_text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
