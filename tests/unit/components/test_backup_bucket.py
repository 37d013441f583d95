"""The backup bucket's declaration: what it holds back from deletion, and what is optional in it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pulumi
import pytest

from components.backup_bucket import BackupBucket, BackupBucketArgs, provider
from rollout.bucket_policies import Identity, bucket_policy, identity_policy
from rollout.settings import Backups, load
from tests.unit.components.program import Declaration, Declared, declare
from tests.unit.stack_files import raw

KEY = "arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
FULL = BackupBucketArgs(bucket="ytempire-backups", kms_key=KEY, log_bucket="access-logs")
PLAIN = BackupBucketArgs(bucket="ytempire-backups", object_lock=False)


def declared(args: BackupBucketArgs) -> Declaration:
    return declare(lambda: pulumi.export("keys", BackupBucket("backups", args).keys))


def only(declaration: Declaration, kind: str) -> dict[str, Any]:
    (found,) = (r for r in declaration.resources if r.type.endswith(f":{kind}"))
    return found.inputs


def custom(declaration: Declaration) -> list[Declared]:
    return [r for r in declaration.resources if r.custom]


@pytest.mark.parametrize("protect", [True, False])
def test_the_bucket_is_protected_with_all_its_settings(protect: bool) -> None:
    found = declared(dataclasses.replace(FULL, protect=protect))
    assert {r.protect for r in custom(found) if ":s3/" in r.type} == {protect}
    assert only(found, "Bucket")["forceDestroy"] is not protect


def test_keys_are_not_protected_so_that_they_can_be_replaced() -> None:
    assert {r.protect for r in custom(declared(FULL)) if ":iam/" in r.type} == {False}


def test_everything_belongs_to_the_component() -> None:
    assert {r.parent for r in custom(declared(FULL))} == {"backups"}


def test_public_access_is_blocked_in_all_four_ways() -> None:
    block = only(declared(PLAIN), "BucketPublicAccessBlock")
    assert [value for key, value in block.items() if key != "bucket"] == [True] * 4


def test_access_lists_are_off() -> None:
    controls = only(declared(PLAIN), "BucketOwnershipControls")
    assert controls["rule"] == {"objectOwnership": "BucketOwnerEnforced"}


def test_it_is_versioned_before_its_lifecycle_is_set() -> None:
    found = declared(PLAIN)
    lifecycle = next(r for r in found.resources if r.name == "backups-lifecycle")
    assert "backups-versioning" in found.after(lifecycle)


def test_no_lifecycle_rule_combines_a_tag_with_a_prefix() -> None:
    for rule in only(declared(PLAIN), "BucketLifecycleConfiguration")["rules"]:
        assert len(rule["filter"]) == 1, rule


def test_a_rule_by_tag_has_nothing_that_s3_refuses_in_one() -> None:
    for rule in only(declared(PLAIN), "BucketLifecycleConfiguration")["rules"]:
        if "tag" in rule["filter"]:
            assert "abortIncompleteMultipartUpload" not in rule
            assert "expiredObjectDeleteMarker" not in rule["expiration"]


def test_uploads_that_were_never_finished_are_cleaned_in_the_whole_bucket() -> None:
    rules = only(declared(PLAIN), "BucketLifecycleConfiguration")["rules"]
    (everything,) = (r for r in rules if r["filter"] == {"prefix": ""})
    assert everything["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}


def test_a_key_of_ours_encrypts_once_per_bucket_key() -> None:
    (rule,) = only(declared(FULL), "BucketServerSideEncryptionConfiguration")["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {
        "sseAlgorithm": "aws:kms",
        "kmsMasterKeyId": KEY,
    }
    assert rule["bucketKeyEnabled"] is True


def test_without_a_key_s3_encrypts_with_its_own() -> None:
    (rule,) = only(declared(PLAIN), "BucketServerSideEncryptionConfiguration")["rules"]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}


def test_the_bucket_policy_is_declared_where_its_conditions_are_evaluated() -> None:
    found = only(declared(FULL), "BucketPolicy")
    assert json.loads(found["policy"]) == bucket_policy("ytempire-backups", KEY)
    elsewhere = declared(dataclasses.replace(FULL, enforced=False))
    assert not [r for r in elsewhere.resources if r.type.endswith(":BucketPolicy")]


def test_access_is_logged_only_where_a_bucket_for_that_is_named() -> None:
    assert only(declared(FULL), "BucketLogging")["targetBucket"] == "access-logs"
    assert not [r for r in declared(PLAIN).resources if r.type.endswith(":BucketLogging")]


def test_each_identity_has_a_user_a_policy_and_a_key() -> None:
    found = declared(FULL)
    for identity in Identity:
        mine = [r for r in found.resources if r.name == f"backups-{identity}"]
        assert sorted(r.type.rsplit(":", 1)[-1] for r in mine) == [
            "AccessKey",
            "User",
            "UserPolicy",
        ]
        (policy,) = (r.inputs["policy"] for r in mine if "policy" in r.inputs)
        assert json.loads(policy) == identity_policy(identity, "ytempire-backups", KEY)


@pytest.mark.parametrize("identity", list(Identity))
def test_a_policy_fits_into_a_user(identity: Identity) -> None:
    """2048 characters, which moto does not check; with the longest bucket name there is."""
    text = json.dumps(identity_policy(identity, "b" * 55, KEY), separators=(",", ":"))
    assert len(text) <= 2048


def test_nobody_locks_where_nothing_can_be_locked() -> None:
    found = declared(PLAIN)
    assert only(found, "Bucket")["objectLockEnabled"] is False
    assert not [r for r in found.resources if r.name == f"backups-{Identity.LOCKER}"]


# Where it is


def configured(**changes: str) -> Backups:
    return load("sandbox", {**raw("sandbox"), **changes}).backups


def asked(settings: Backups) -> list[Declared]:
    def lines() -> None:
        provider(settings)

    return declare(lines).resources


def test_aws_is_asked_with_the_credentials_of_the_environment() -> None:
    (found,) = asked(configured())
    assert set(found.inputs) <= {
        "region",
        "skipCredentialsValidation",
        "skipMetadataApiCheck",
        "skipRegionValidation",
    }
    assert not {"accessKey", "secretKey"} & set(found.inputs)


def test_an_endpoint_stands_in_for_all_of_aws() -> None:
    settings = configured(backupEndpoint="http://127.0.0.1:5000")
    (found,) = asked(settings)
    (endpoints,) = json.loads(found.inputs["endpoints"])
    assert set(endpoints.values()) == {"http://127.0.0.1:5000"}
    assert not BackupBucketArgs.of(settings, protect=True).enforced


def test_at_aws_the_bucket_policy_is_enforced() -> None:
    assert BackupBucketArgs.of(configured(), protect=True).enforced
