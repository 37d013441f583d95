"""The backup bucket on S3 by moto: what the provider made of the declaration, as boto3 sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rollout.bucket_policies import Identity, identity_policy
from rollout.retention import TAG, Series
from tests.s3.store import KEY, LOGS, Moto, Store
from tests.unit.rollout.backup_years import Years
from tests.unit.rollout.bucket_model import Bucket, declared
from tests.unit.rollout.test_backup_years import what_must_be_there

BOTH = pytest.mark.parametrize("bucket", ["plain", "full"])
# The last test takes all of it away again.
pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def s3(moto: Moto) -> Any:
    return moto.client("s3")


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def test_a_second_up_changes_nothing(store: Store) -> None:
    outcome = store.up("--expect-no-changes")
    assert outcome.ok, outcome.text


@BOTH
def test_s3_reports_the_lifecycle_rules_that_are_declared(s3: Any, bucket: str) -> None:
    assert _rules(s3, bucket) == sorted(declared(), key=lambda rule: str(rule["ID"]))


@BOTH
def test_no_rule_combines_a_tag_and_a_prefix_and_each_cleans_noncurrent_versions(
    s3: Any, bucket: str
) -> None:
    for rule in _rules(s3, bucket):
        assert len(rule["Filter"]) == 1, rule
        assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] > 0, rule


def test_the_reported_rules_keep_what_must_be_kept(s3: Any) -> None:
    Years(bucket=Bucket(rules=_rules(s3, "plain"))).run(130, what_must_be_there)


@BOTH
def test_it_is_versioned_private_and_without_access_lists(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert list(block.values()) == [True] * 4
    ownership = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert ownership["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_it_encrypts_with_s3_keys_or_with_ours(s3: Any) -> None:
    plain, full = (
        s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        for bucket in ("plain", "full")
    )
    assert plain["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    ours = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY}
    assert full["ApplyServerSideEncryptionByDefault"] == ours
    assert full["BucketKeyEnabled"] is True


def test_access_is_logged_where_that_is_asked_for(s3: Any) -> None:
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket="plain")
    logging = s3.get_bucket_logging(Bucket="full")["LoggingEnabled"]
    assert (logging["TargetBucket"], logging["TargetPrefix"]) == (LOGS, "full/")


def test_a_locked_backup_can_be_neither_deleted_nor_unlocked(s3: Any) -> None:
    key = f"{Series.WEEKLY.prefix}locked"
    until = datetime.now(UTC) + timedelta(days=30)
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    version = s3.put_object(Bucket="plain", Key=key, Body=b"dump")["VersionId"]
    s3.put_object_retention(Bucket="plain", Key=key, Retention=retention)
    which = {"Bucket": "plain", "Key": key, "VersionId": version}
    assert refusal(s3.delete_object, **which) == "AccessDenied"
    marker = s3.delete_object(Bucket="plain", Key=key)["VersionId"]
    assert s3.get_object(**which)["Body"].read() == b"dump"
    # moto fails on a marker with nothing behind it, so it is not left to the last test.
    s3.delete_object(Bucket="plain", Key=key, VersionId=marker)
    assert s3.get_object(Bucket="plain", Key=key)["Body"].read() == b"dump"


def test_without_object_lock_nothing_can_be_locked(s3: Any) -> None:
    key = f"{Series.WEEKLY.prefix}open"
    s3.put_object(Bucket="full", Key=key, Body=b"dump")
    until = datetime.now(UTC) + timedelta(days=30)
    refused = refusal(
        s3.put_object_retention,
        Bucket="full",
        Key=key,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
    )
    assert refused == "InvalidRequest"


def test_a_key_is_never_overwritten(s3: Any) -> None:
    where = {"Bucket": "plain", "Key": f"{Series.DAILY.prefix}once", "IfNoneMatch": "*"}
    s3.put_object(**where, Body=b"first")
    assert refusal(s3.put_object, **where, Body=b"second") == "PreconditionFailed"


def test_a_tag_is_set_on_what_exists(s3: Any) -> None:
    where = {"Bucket": "plain", "Key": f"{Series.DAILY.prefix}old"}
    s3.put_object(**where, Body=b"dump")
    tags = [{"Key": TAG, "Value": "30d"}]
    s3.put_object_tagging(**where, Tagging={"TagSet": tags})
    assert s3.get_object_tagging(**where)["TagSet"] == tags


@BOTH
def test_each_identity_has_its_policy_and_no_other(moto: Moto, bucket: str) -> None:
    iam = moto.client("iam")
    key = KEY if bucket == "full" else ""
    for identity in _identities(bucket):
        user = f"{bucket}-{identity}"
        assert iam.list_user_policies(UserName=user)["PolicyNames"] == [str(identity)]
        assert not iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
        found = iam.get_user_policy(UserName=user, PolicyName=str(identity))["PolicyDocument"]
        assert found == identity_policy(identity, bucket, key)


@BOTH
def test_each_identity_has_one_key_and_the_state_hides_it(
    moto: Moto, store: Store, bucket: str
) -> None:
    exported = json.loads(store.run("stack", "output", "--json", "--show-secrets").text)[bucket]
    state = store.run("stack", "export").text
    assert set(exported) == {str(identity) for identity in _identities(bucket)}
    for identity, key in exported.items():
        found = moto.client("iam").list_access_keys(UserName=f"{bucket}-{identity}")
        assert [k["AccessKeyId"] for k in found["AccessKeyMetadata"]] == [key["id"]]
        assert key["secret"]
        assert key["secret"] not in state
    assert json.loads(store.run("stack", "output", "--json").text)[bucket] == "[secret]"


def test_destroying_takes_the_buckets_with_what_is_in_them(store: Store, s3: Any) -> None:
    """The last test of this file. A locked version goes, too: nothing protects a sandbox's."""
    outcome = store.run("destroy", "--yes", "--skip-preview")
    assert outcome.ok, outcome.text
    assert [b["Name"] for b in s3.list_buckets()["Buckets"]] == [LOGS]
    assert store.moto.client("iam").list_users()["Users"] == []


def _rules(s3: Any, bucket: str) -> list[dict[str, Any]]:
    found = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    return sorted(found, key=lambda rule: str(rule["ID"]))


def _identities(bucket: str) -> list[Identity]:
    return [i for i in Identity if bucket == "plain" or i != Identity.LOCKER]
