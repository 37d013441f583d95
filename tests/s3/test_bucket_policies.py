"""What each identity may do with the backup bucket, and what nobody may, as AWS would decide it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rollout.bucket_policies import Identity, Policy, bucket_policy, identity_policy
from rollout.retention import FOR_EVER, KEEP, TAG, Series
from tests.e2e.world import ROOT
from tests.s3.decisions import ACCOUNT, Evaluator, Request

BUCKET = "ytempire-backups"
KMS_KEY = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALL = pytest.mark.parametrize("identity", list(Identity))
DUMP = f"{Series.DAILY.prefix}20270101T100000Z/dump"
TLS = {"aws:SecureTransport": "true"}
SSE = "s3:x-amz-server-side-encryption"
PUT = {
    **TLS,
    SSE: "AES256",
    "s3:if-none-match": "*",
    "s3:ObjectCreationOperation": "true",
}
GOVERNANCE = {**TLS, "s3:object-lock-mode": "GOVERNANCE"}
READS = [
    Request("s3:GetObject", DUMP, TLS),
    Request("s3:GetObjectVersion", DUMP, TLS),
    Request("s3:GetObjectTagging", DUMP, TLS),
    Request("s3:ListBucket", told=TLS),
    Request("s3:ListBucketVersions", told=TLS),
]
# What destroys backups, or opens the bucket, or hides what was done. Nobody may.
HARM = [
    Request("s3:DeleteObject", DUMP, TLS),
    Request("s3:DeleteObjectVersion", DUMP, TLS),
    Request("s3:DeleteObjectTagging", DUMP, TLS),
    Request("s3:PutObjectVersionTagging", DUMP, TLS),
    Request("s3:PutObjectAcl", DUMP, TLS),
    Request("s3:PutObjectLegalHold", DUMP, TLS),
    Request("s3:BypassGovernanceRetention", DUMP, TLS),
    Request("s3:DeleteBucket", told=TLS),
    Request("s3:DeleteBucketPolicy", told=TLS),
    Request("s3:PutBucketPolicy", told=TLS),
    Request("s3:PutBucketVersioning", told=TLS),
    Request("s3:PutBucketObjectLockConfiguration", told=TLS),
    Request("s3:PutLifecycleConfiguration", told=TLS),
    Request("s3:PutEncryptionConfiguration", told=TLS),
    Request("s3:PutBucketPublicAccessBlock", told=TLS),
    Request("s3:PutBucketLogging", told=TLS),
]


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator.installed(ROOT / ".sandbox" / "evaluator")


def decided(
    evaluator: Evaluator, identity: Identity, requests: list[Request], kms_key: str = ""
) -> list[str]:
    policy = identity_policy(identity, BUCKET, kms_key)
    return evaluator.decide(requests, BUCKET, policy, bucket_policy(BUCKET, kms_key))


def allowed(evaluator: Evaluator, identity: Identity, requests: list[Request]) -> list[Request]:
    results = decided(evaluator, identity, requests)
    return [r for r, result in zip(requests, results, strict=True) if result == "Allowed"]


def tagging(series: Series, tag: str, name: str = TAG) -> Request:
    told = {**TLS, f"s3:RequestObjectTag/{name}": tag, "s3:RequestObjectTagKeys": name}
    return Request("s3:PutObjectTagging", f"{series.prefix}old", told)


def locking(series: Series, days: int, mode: str = "GOVERNANCE") -> Request:
    told = {
        **TLS,
        "s3:object-lock-mode": mode,
        "s3:object-lock-remaining-retention-days": str(days),
    }
    return Request("s3:PutObjectRetention", f"{series.prefix}new", told)


TAGGING = [tagging(series, "30d") for series in Series]
LOCKING = [locking(series, 30) for series in Series]


@ALL
def test_nobody_may_delete_or_change_the_bucket(evaluator: Evaluator, identity: Identity) -> None:
    assert allowed(evaluator, identity, HARM) == []


def test_the_uploader_may_put_and_read(evaluator: Evaluator) -> None:
    puts = [Request("s3:PutObject", f"{series.prefix}new", PUT) for series in Series]
    parts = {**PUT, "s3:ObjectCreationOperation": "false"}
    del parts["s3:if-none-match"]
    part = Request("s3:PutObject", DUMP, parts)
    abort = Request("s3:AbortMultipartUpload", DUMP, TLS)
    requests = [*puts, part, abort, *READS]
    assert allowed(evaluator, Identity.UPLOADER, requests) == requests


def test_the_uploader_may_neither_tag_what_exists_nor_change_retention(
    evaluator: Evaluator,
) -> None:
    assert allowed(evaluator, Identity.UPLOADER, [*TAGGING, *LOCKING]) == []


def test_the_uploader_may_put_nothing_beside_the_known_folders(evaluator: Evaluator) -> None:
    elsewhere = [Request("s3:PutObject", key, PUT) for key in ("new", "database/x", "files/x")]
    assert allowed(evaluator, Identity.UPLOADER, elsewhere) == []


def test_the_pruner_may_tag_each_series_as_it_is_kept_and_not_otherwise(
    evaluator: Evaluator,
) -> None:
    requests = [
        tagging(series, tag) for series in Series for tag in ("1d", "14d", "30d", "93d", "")
    ]
    right = [tagging(series, keep.tag) for series, keep in KEEP.items()]
    found = allowed(evaluator, Identity.PRUNER, requests)
    assert sorted(map(str, found)) == sorted(map(str, right))
    assert not any(r.key.startswith(series.prefix) for r in found for series in FOR_EVER)


def test_the_pruner_may_do_nothing_but_tag(evaluator: Evaluator) -> None:
    put = Request("s3:PutObject", DUMP, PUT)
    other = tagging(Series.DAILY, "30d", name="owner")
    requests = [*READS, put, other, *LOCKING]
    assert allowed(evaluator, Identity.PRUNER, requests) == []


def test_the_locker_may_lock_weekly_and_monthly_until_they_expire_and_do_nothing_else(
    evaluator: Evaluator,
) -> None:
    right = [locking(Series.WEEKLY, 30), locking(Series.MONTHLY, 93)]
    wrong = [
        locking(Series.DAILY, 30),
        locking(Series.WEEKLY, 31),
        locking(Series.MONTHLY, 94),
        locking(Series.MONTHLY, 93, "COMPLIANCE"),
        Request("s3:PutObject", DUMP, PUT),
        *READS,
        *TAGGING,
    ]
    assert allowed(evaluator, Identity.LOCKER, [*right, *wrong]) == right


def test_the_restore_identity_may_only_read(evaluator: Evaluator) -> None:
    put = Request("s3:PutObject", DUMP, PUT)
    requests = [*READS, put, *TAGGING, *LOCKING]
    assert allowed(evaluator, Identity.RESTORE, requests) == READS


# What the bucket refuses, whoever asks

ADMINISTRATOR: Policy = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}],
}


Ask = Callable[..., list[str]]


def without(told: dict[str, str], *names: str) -> dict[str, str]:
    return {k: v for k, v in told.items() if k not in names}


@pytest.fixture
def as_administrator(evaluator: Evaluator) -> Ask:
    def ask(requests: list[Request], kms_key: str = "") -> list[str]:
        return evaluator.decide(requests, BUCKET, ADMINISTRATOR, bucket_policy(BUCKET, kms_key))

    return ask


def test_without_tls_nothing_is_answered(as_administrator: Ask) -> None:
    clear = {"aws:SecureTransport": "false"}
    requests = [Request(r.action, r.key, clear) for r in (*READS, *HARM)]
    found = as_administrator(requests)
    assert set(found) == {"ExplicitlyDenied"}
    assert set(as_administrator(READS)) == {"Allowed"}


def test_what_is_not_encrypted_is_not_stored(as_administrator: Ask) -> None:
    requests = [
        Request("s3:PutObject", DUMP, PUT),
        Request("s3:PutObject", DUMP, without(PUT, SSE)),
        Request("s3:PutObject", DUMP, {**PUT, SSE: "aws:kms"}),
    ]
    found = as_administrator(requests)
    assert found == ["Allowed", "ExplicitlyDenied", "ExplicitlyDenied"]


def test_with_a_key_of_ours_no_other_key_is_taken(as_administrator: Ask) -> None:
    ours = {**PUT, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": KMS_KEY}
    requests = [
        Request("s3:PutObject", DUMP, ours),
        Request("s3:PutObject", DUMP, without(ours, f"{SSE}-aws-kms-key-id")),
        Request("s3:PutObject", DUMP, {**ours, f"{SSE}-aws-kms-key-id": f"{KMS_KEY}0"}),
        Request("s3:PutObject", DUMP, PUT),
    ]
    assert as_administrator(requests, KMS_KEY) == ["Allowed", *["ExplicitlyDenied"] * 3]


def test_nothing_is_put_in_the_place_of_something(as_administrator: Ask) -> None:
    requests = [
        Request("s3:PutObject", DUMP, PUT),
        Request("s3:PutObject", DUMP, without(PUT, "s3:if-none-match")),
    ]
    found = as_administrator(requests)
    assert found == ["Allowed", "ExplicitlyDenied"]


@pytest.mark.parametrize(
    ("identity", "actions"),
    [
        (Identity.UPLOADER, ["kms:Decrypt", "kms:GenerateDataKey"]),
        (Identity.RESTORE, ["kms:Decrypt"]),
        (Identity.PRUNER, []),
        (Identity.LOCKER, []),
    ],
)
def test_the_key_is_used_by_who_stores_and_by_who_reads(
    identity: Identity, actions: list[str]
) -> None:
    statements = identity_policy(identity, BUCKET, KMS_KEY)["Statement"]
    found = [s for s in statements if s["Resource"] == [KMS_KEY]]
    assert sorted(a for s in found for a in s["Action"]) == actions
