"""The records: their schemas, an example of each, and what is never assumed."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from rollout.records import (
    KINDS,
    RECORDS,
    BackupManifest,
    Change,
    ReleaseRecord,
    Rota,
    Status,
    change_path,
    release_path,
    schema_text,
)

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"
NOW = "2025-01-10T06:00:00Z"
SUM = "ab" * 32
DIGEST = f"sha256:{SUM}"
ROLLBACK = {"steps": ["ytops rollback"], "data": "nothing: the schema only grew"}

EXAMPLES: dict[str, dict[str, Any]] = {
    "release": {
        "version": "1.2.0",
        "digest": DIGEST,
        "commit": "24e200f",
        "notes": "releases/1.2.0.md",
        "documentation": ["docs/thumbnails.md"],
        "tests": "reports/1.2.0.xml",
        "reviewed_by": ["team lead"],
        "rollback": {**ROLLBACK, "reviewed_by": "platform ops lead", "reviewed_at": NOW},
        "change": "CR-17",
        "critical_bugs": {"status": "pass", "source": "tracker", "by": "team lead", "at": NOW},
        "migrations": True,
        "announcement": False,
    },
    "rehearsal": {
        "version": "1.2.0",
        "digest": DIGEST,
        "backup": "database/daily/20250110T060000Z/manifest.json",
        "started": NOW,
        "before": {"migrations": {"app": "0001_initial"}, "checksum": SUM},
        "after": {"migrations": {"app": "0002_video_thumbnail"}, "checksum": SUM},
        "seconds": {"restore": 41.0, "migrate": 2.5, "verify": 3.0, "total": 46.5},
        "longest_lock_seconds": 0.1,
        "previous_release_works": {"status": "pass", "detail": "3 of 3 endpoints"},
        "verdict": "pass",
    },
    "backup": {
        "series": "database/daily",
        "stack": "production",
        "started": NOW,
        "finished": "2025-01-10T06:01:10Z",
        "release": "1.1.0+ab12cd34ef56",
        "schema_revision": {"app": "0001_initial"},
        "rows": {"app_video": 120_000},
        "objects": 148,
        "artifacts": [{"key": "database/daily/20250110T060000Z/x", "bytes": 10, "sha256": SUM}],
        "tools": {"pg_dump": "15.13"},
        "image": "postgres:15.13-bookworm",
        "verifications": [{"check": "list", "status": "pass", "at": NOW}],
    },
    "drill": {
        "started": NOW,
        "stack": "production",
        "environment": "production",
        "host": "ssh://deploy@standby.example",
        "by": "on-call@desk",
        "backup": "database/daily/20250110T060000Z",
        "place": "bucket",
        "taken": NOW,
        "bytes": 120_000_000,
        "release": "1.1.0+ab12cd34ef56",
        "rows": {"public.users": 1200},
        "stages": [{"phase": "find", "seconds": 1.5, "status": "pass"}],
        "rto_seconds": 412.0,
        "rpo_seconds": 5400.0,
        "rto_goal_seconds": 1800,
        "rpo_goal_seconds": 14400,
        "verdict": "pass",
    },
    "announcement": {
        "id": "2025-01-10-release-1.2.0",
        "kind": "deploy",
        "audience": "team",
        "channels": ["#platform-ops"],
        "begins": NOW,
        "ends": "2025-01-10T06:10:00Z",
        "sent": "2025-01-09T06:00:00Z",
        "message_id": "1736402400.000100",
        "text": "1.2.0 goes out tonight.",
        "release": "1.2.0",
        "delivered": {"status": "pass", "source": "the chat's answer"},
    },
    "rota": {
        "shifts": [
            {
                "person": "on-call engineer",
                "contact": "on-call@ytempire.com",
                "begins": NOW,
                "ends": "2025-01-17T06:00:00Z",
                "acknowledged": {"by": "on-call engineer", "at": NOW},
            }
        ]
    },
    "change": {
        "id": "CR-17",
        "requestor": "deployer",
        "date": "2025-01-09",
        "category": "normal",
        "kind": "feature-deployment",
        "priority": "medium",
        "description": "Deploy 1.2.0: thumbnails can be chosen.",
        "impact": {
            "systems": ["backend", "database"],
            "users": "minimal",
            "downtime_minutes": 0,
            "risk": "low",
        },
        "implementation": ["set version to 1.2.0", "ytops up"],
        "rollback": ROLLBACK,
        "testing": {"unit": {"status": "pass", "source": "reports/1.2.0.xml"}},
        "approvals": [{"role": "team-lead", "by": "team lead", "at": NOW}],
        "release": "1.2.0",
        "history": [
            {"at": "2025-01-09T05:00:00Z", "by": "deployer", "state": "new"},
            {"at": NOW, "by": "team lead", "state": "approved"},
        ],
    },
    "restored": {
        "at": NOW,
        "by": "on-call@host",
        "what": "restore",
        "source": "database/daily/20250110T100000Z",
        "place": "drive1",
        "data_of": NOW,
        "release": "1.1.0+ab12cd34ef56",
        "kept": "ytempire_before_20250110t120000z",
    },
    "event": {
        "at": NOW,
        "kind": "deploy",
        "serial": 2,
        "source": "1.0.0+ab12cd34ef56",
        "target": "1.1.0+ab12cd34ef56",
        "who": "deployer",
        "seconds": 84.2,
    },
}

every_record = pytest.mark.parametrize("name", sorted(RECORDS))


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    return Draft202012Validator(schema, format_checker=FormatChecker())


@every_record
def test_the_schema_in_the_docs_is_current(name: str) -> None:
    text = (SCHEMAS / f"{name}.schema.json").read_text()
    assert text == schema_text(name), "run `python -m rollout.records`"


def test_the_docs_hold_no_other_schema() -> None:
    assert {p.name for p in SCHEMAS.glob("*")} == {f"{name}.schema.json" for name in RECORDS}


@every_record
def test_the_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(schema_text(name)))


@every_record
def test_an_example_is_accepted_by_schema_and_program_alike(name: str) -> None:
    validator(name).validate(EXAMPLES[name])
    RECORDS[name].model_validate_json(json.dumps(EXAMPLES[name]))


@every_record
def test_what_the_program_writes_passes_the_schema(name: str) -> None:
    record = RECORDS[name].model_validate_json(json.dumps(EXAMPLES[name]))
    validator(name).validate(json.loads(record.model_dump_json()))


@every_record
def test_an_unknown_key_is_refused_by_schema_and_program_alike(name: str) -> None:
    wrong = {**EXAMPLES[name], "verzion": 1}
    assert [e.message for e in validator(name).iter_errors(wrong)] == [
        "Additional properties are not allowed ('verzion' was unexpected)"
    ]
    with pytest.raises(ValidationError, match="verzion"):
        RECORDS[name].model_validate(wrong)


def test_an_unknown_key_is_refused_inside_too() -> None:
    wrong = copy.deepcopy(EXAMPLES["change"])
    wrong["impact"]["revenue"] = 1
    assert not validator("change").is_valid(wrong)


def test_evidence_that_is_not_there_is_unknown() -> None:
    release = ReleaseRecord(version="1.2.0")
    assert release.critical_bugs.status == Status.UNKNOWN
    assert (release.digest, release.migrations, release.announcement) == (None, None, None)


def test_a_change_that_says_nothing_of_its_tests_leaves_them_unknown() -> None:
    change = Change.model_validate_json(json.dumps({**EXAMPLES["change"], "testing": {}}))
    testing = change.testing
    statuses = {e.status for e in (testing.unit, testing.integration, testing.staging)}
    assert statuses == {Status.UNKNOWN}


@pytest.mark.parametrize("value", ["ok", "", "PASS", True])
def test_a_status_is_one_of_four_words(value: object) -> None:
    assert not validator("rehearsal").is_valid({**EXAMPLES["rehearsal"], "verdict": value})


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="a time with its zone"):
        BackupManifest.model_validate({**EXAMPLES["backup"], "started": "2025-01-10T06:00:00"})


def test_a_backup_without_artifacts_is_none() -> None:
    assert not validator("backup").is_valid({**EXAMPLES["backup"], "artifacts": []})


def test_the_newest_verification_of_a_kind_counts() -> None:
    checks = [
        {"check": "restore", "status": "pass", "at": "2025-01-12T06:00:00Z"},
        {"check": "restore", "status": "fail", "at": "2025-01-11T06:00:00Z"},
    ]
    text = json.dumps({**EXAMPLES["backup"], "verifications": checks})
    manifest = BackupManifest.model_validate_json(text)
    assert (manifest.status("restore"), manifest.status("list")) == (Status.PASS, Status.UNKNOWN)


def test_a_copy_that_failed_is_not_made_good_by_another() -> None:
    checks = [
        {"check": "checksum", "status": "pass", "at": "2025-01-12T06:00:00Z", "place": "bucket"},
        {"check": "checksum", "status": "fail", "at": "2025-01-11T06:00:00Z", "place": "drive1"},
    ]
    text = json.dumps({**EXAMPLES["backup"], "verifications": checks})
    assert BackupManifest.model_validate_json(text).status("checksum") == Status.FAIL


@pytest.mark.parametrize(
    ("at", "acknowledged", "expected"),
    [
        (datetime(2025, 1, 11, tzinfo=UTC), True, Status.PASS),
        (datetime(2025, 1, 11, tzinfo=UTC), False, Status.FAIL),
        (datetime(2025, 2, 1, tzinfo=UTC), True, Status.UNKNOWN),
    ],
)
def test_on_call_is_confirmed_only_by_an_acknowledgement(
    at: datetime, acknowledged: bool, expected: Status
) -> None:
    shift = dict(EXAMPLES["rota"]["shifts"][0])
    if not acknowledged:
        del shift["acknowledged"]
    rota = Rota.model_validate_json(json.dumps({"shifts": [shift]}))
    assert rota.confirmed(at) == expected


def test_on_call_is_not_confirmed_by_somebody_else() -> None:
    shift = {**EXAMPLES["rota"]["shifts"][0], "acknowledged": {"by": "deployer", "at": NOW}}
    rota = Rota.model_validate_json(json.dumps({"shifts": [shift]}))
    assert rota.confirmed(datetime(2025, 1, 11, tzinfo=UTC)) == Status.FAIL


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (
            {"category": "standard"},
            "kind: expected one of security-patch, log-rotation, certificate-renewal, "
            "backup-verification, because category is standard, got 'feature-deployment'",
        ),
        (
            {"category": "emergency", "kind": "critical-bug-fix"},
            "reason: expected why an emergency can't wait, got none",
        ),
        (
            {"history": [{"at": NOW, "by": "deployer", "state": "approved"}]},
            "history[0].state: expected 'new', got 'approved'",
        ),
    ],
)
def test_a_change_does_not_contradict_itself(broken: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Change.model_validate_json(json.dumps({**EXAMPLES["change"], **broken}))
    assert str(caught.value.errors()[0]["ctx"]["error"]) == words


def test_every_kind_of_change_has_a_category() -> None:
    listed = {kind for kinds in KINDS.values() for kind in kinds}
    schema = json.loads(schema_text("change"))
    assert set(schema["properties"]["kind"]["enum"]) == listed


def test_records_lie_where_they_are_looked_for() -> None:
    assert str(release_path("1.2.0")) == "releases/1.2.0.yaml"
    assert str(change_path("CR-17")) == "changes/CR-17.yaml"
