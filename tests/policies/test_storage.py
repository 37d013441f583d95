"""Each rule about storage: what the program declares passes, one broken property is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pulumi
import pytest
from pulumi_policy import EnforcementLevel, StackValidationPolicy, policy

from components.backup_bucket import BackupBucket, BackupBucketArgs
from policies import told
from policies.containers import CONTAINER
from policies.storage import (
    ACCESS_BLOCK,
    BUCKET,
    BUCKET_POLICY,
    ENCRYPTION,
    LIFETIMES,
    OWNERSHIP,
    POLICIES,
    SETTINGS,
    VERSIONING,
    VOLUME,
)
from rollout.bucket_policies import bucket_policy
from rollout.names import PART_LABEL
from tests.policies.judge import resource_rules, violations
from tests.unit.components.program import Declared, declare

RULES = resource_rules(POLICIES)
(STACK_RULE,) = (policy for policy in POLICIES if isinstance(policy, StackValidationPolicy))

ARGS = BackupBucketArgs(bucket="ytempire-backups")
KINDS = (BUCKET, BUCKET_POLICY, *SETTINGS)


@pytest.fixture(scope="module")
def bucket() -> dict[str, Declared]:
    found = declare(lambda: pulumi.export("keys", BackupBucket("backups", ARGS).keys))
    return {r.type: r for r in found.resources if r.type in KINDS}


@pytest.fixture(autouse=True)
def free() -> None:
    """A stack that protects nothing."""
    told.hear({"ytempire:protect": "false"})


@pytest.fixture
def protected(free: None) -> None:
    """A stack that protects what it has."""
    told.hear({"ytempire:protect": "true"})


def judged(declared: Declared, **changes: Any) -> list[str]:
    inputs = {**copy.deepcopy(declared.inputs), **changes}
    return violations(RULES, declared.type, inputs, "backups", protect=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("protected")
def test_the_backup_bucket_passes(bucket: dict[str, Declared], kind: str) -> None:
    assert judged(bucket[kind]) == []


@pytest.mark.parametrize(
    "key",
    ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"],
)
def test_each_way_of_public_access_must_be_blocked(bucket: dict[str, Declared], key: str) -> None:
    assert judged(bucket[ACCESS_BLOCK], **{key: False}) == [
        f"bucket-blocks-public-access: backups must block public access in all four ways: set {key}"
    ]


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        (
            OWNERSHIP,
            {"rule": {"objectOwnership": "ObjectWriter"}},
            "bucket-has-no-access-lists: backups must have no access lists, and ObjectWriter "
            "allows them: set objectOwnership to BucketOwnerEnforced",
        ),
        (
            ENCRYPTION,
            {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "none"}}]},
            "bucket-is-encrypted: backups must encrypt by default: set sseAlgorithm to AES256 or "
            "aws:kms",
        ),
        (
            ENCRYPTION,
            {"rules": []},
            "bucket-is-encrypted: backups must encrypt by default: give it a rule with an "
            "algorithm",
        ),
        (
            VERSIONING,
            {"versioningConfiguration": {"status": "Suspended"}},
            "bucket-is-versioned: backups must keep versions, or what is deleted is gone, and is "
            "Suspended: set status to Enabled",
        ),
    ],
)
def test_one_broken_setting_is_named_with_its_remedy(
    bucket: dict[str, Declared], kind: str, changes: dict[str, Any], expected: str
) -> None:
    assert judged(bucket[kind], **changes) == [expected]


# The bucket policy


def changed(*changes: dict[str, Any], without: str = "") -> str:
    document = bucket_policy("ytempire-backups")
    kept = [s for s in document["Statement"] if s["Sid"] != without]
    return json.dumps({**document, "Statement": [*kept, *changes]})


def tls(**changes: Any) -> dict[str, Any]:
    (statement,) = (s for s in bucket_policy("b")["Statement"] if s["Sid"] == "TlsOnly")
    return {**statement, **changes}


NO_TLS = (
    "bucket-speaks-tls: backups must refuse whoever speaks without TLS: deny s3:* on the bucket "
    "and its objects where aws:SecureTransport is false"
)


def test_the_policy_must_refuse_plain_text(bucket: dict[str, Declared]) -> None:
    assert judged(bucket[BUCKET_POLICY], policy=changed(without="TlsOnly")) == [NO_TLS]


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Allow", "Principal": None},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:user/one"}},
        {"Action": "s3:GetObject"},
        {"Resource": ["arn:aws:s3:::b/*"]},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Condition": {**tls()["Condition"], "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    ],
)
def test_a_denial_that_leaves_something_out_is_none(
    bucket: dict[str, Declared], changes: dict[str, Any]
) -> None:
    partial = changed(tls(**changes), without="TlsOnly")
    assert judged(bucket[BUCKET_POLICY], policy=partial) == [NO_TLS]


def test_the_policy_must_let_nobody_in(bucket: dict[str, Declared]) -> None:
    public = {"Sid": "Open", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    assert judged(bucket[BUCKET_POLICY], policy=changed(public)) == [
        'bucket-is-private: backups must let nobody in by Open ("*"): give an identity a policy '
        "of its own in rollout/bucket_policies.py"
    ]


# The lifecycle


def lifecycle(bucket: dict[str, Declared]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = copy.deepcopy(bucket[LIFETIMES].inputs["rules"])
    return found


@pytest.mark.parametrize(
    ("scope", "days"),
    [("retention=14d", 14), ("retention=30d", 30), ("retention=93d", 93), ("logs/*", 30)],
)
def test_each_class_must_expire_when_the_manual_says(
    bucket: dict[str, Declared], scope: str, days: int
) -> None:
    rules = lifecycle(bucket)
    (rule,) = (r for r in rules if scope in (r["id"].replace("-", "=", 1), f"{r['id']}/*"))
    rule["expiration"]["days"] = days - 1
    assert judged(bucket[LIFETIMES], rules=rules) == [
        f"bucket-expires-as-retention-says: backups must expire {scope} after {days} days, as "
        f"rollout/retention.py says, not after {days - 1} days"
    ]


@pytest.mark.parametrize("status", ["Disabled", None])
def test_each_class_must_have_its_rule(bucket: dict[str, Declared], status: str | None) -> None:
    rules = lifecycle(bucket)
    if status:
        rules[0]["status"] = status
    else:
        del rules[0]
    assert judged(bucket[LIFETIMES], rules=rules) == [
        "bucket-expires-as-retention-says: backups must have a rule for retention=14d: "
        "retention-14d of rollout/retention.py"
    ]


def test_nothing_else_may_expire(bucket: dict[str, Declared]) -> None:
    extra = {
        "id": "config",
        "status": "Enabled",
        "filter": {"prefix": "config/"},
        "expiration": {"days": 365},
    }
    assert judged(bucket[LIFETIMES], rules=[*lifecycle(bucket), extra]) == [
        "bucket-expires-as-retention-says: backups must expire nothing but what "
        "rollout/retention.py names: remove config/*"
    ]


def test_the_rule_for_all_must_expire_nothing(bucket: dict[str, Declared]) -> None:
    rules = lifecycle(bucket)
    rules[-1]["expiration"]["days"] = 400
    assert judged(bucket[LIFETIMES], rules=rules) == [
        "bucket-expires-as-retention-says: backups must expire * never, as rollout/retention.py "
        "says, not after 400 days"
    ]


def test_what_is_deleted_must_stay_for_a_while(bucket: dict[str, Declared]) -> None:
    rules = lifecycle(bucket)
    rules[0]["noncurrentVersionExpiration"]["noncurrentDays"] = 1
    assert judged(bucket[LIFETIMES], rules=rules) == [
        "bucket-expires-as-retention-says: backups must keep what is deleted of retention=14d for "
        "7 days or longer, not 1: raise noncurrentDays"
    ]
    longer = {"undo_days": 14}
    found = violations(RULES, LIFETIMES, bucket[LIFETIMES].inputs, "backups", config=longer)
    assert len([v for v in found if "for 14 days or longer, not 7" in v]) == 4


def test_interrupted_uploads_must_be_cleaned(bucket: dict[str, Declared]) -> None:
    rules = lifecycle(bucket)
    del rules[-1]["abortIncompleteMultipartUpload"]
    assert judged(bucket[LIFETIMES], rules=rules) == [
        "bucket-expires-as-retention-says: backups must clean interrupted uploads of *: set "
        "abortIncompleteMultipartUpload"
    ]


# What must stay

KEPT = "must be protected, because the stack is: a deploy neither replaces nor deletes it. Take "
KEPT += "its options from Site.options"


def labelled(part: str) -> dict[str, Any]:
    return {"labels": [{"label": PART_LABEL, "value": part}]}


@pytest.mark.parametrize(
    ("kind", "inputs", "rule"),
    [
        (VOLUME, {}, "volume-is-protected"),
        (BUCKET, {}, "bucket-is-protected"),
        (VERSIONING, {"versioningConfiguration": {"status": "Enabled"}}, "bucket-settings-are-"
         "protected"),
        (CONTAINER, labelled("postgres"), "datastore-is-protected"),
        (CONTAINER, labelled("redis"), "datastore-is-protected"),
        (CONTAINER, labelled("nginx"), "edge-is-protected"),
    ],
)  # fmt: skip
def test_what_a_protected_stack_keeps_must_be_protected(
    kind: str, inputs: dict[str, Any], rule: str, request: pytest.FixtureRequest
) -> None:
    assert violations(RULES, kind, inputs, "it") == []  # of a sandbox
    request.getfixturevalue("protected")
    assert violations(RULES, kind, inputs, "it") == [f"{rule}: it {KEPT}"]
    assert violations(RULES, kind, inputs, "it", protect=True) == []


@pytest.mark.usefixtures("protected")
def test_a_maintenance_may_replace_datastores_and_edge_and_no_volume() -> None:
    told.hear({"ytempire:protect": "true", "ytempire:maintenance": "CR-7"})
    for part in ("postgres", "redis", "nginx", "switch"):
        assert violations(RULES, CONTAINER, labelled(part), "it") == []
    assert violations(RULES, VOLUME, {}, "it") == [f"volume-is-protected: it {KEPT}"]


def test_a_pack_that_was_told_nothing_demands_protection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_told", [])
    assert violations(RULES, VOLUME, {}, "it") == [f"volume-is-protected: it {KEPT}"]


def test_the_engine_s_message_is_read_and_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told.listen()
    servicer = policy._PolicyAnalyzerServicer
    request = SimpleNamespace(config={"ytempire:protect": "true", "a:b": "c"}, tags={"tag": "x"})
    pack = servicer("x", "1", [STACK_RULE], EnforcementLevel.MANDATORY)
    pack.ConfigureStack(cast(Any, request), None)
    assert told.protects()
    request.config = {}
    pack.ConfigureStack(cast(Any, request), None)
    assert not told.protects()


@pytest.mark.usefixtures("protected")
def test_a_slot_is_not_kept_by_these_rules() -> None:
    assert violations(RULES, CONTAINER, labelled("app"), "blue-app") == []


@pytest.mark.usefixtures("protected")
def test_a_protected_bucket_must_not_go_with_what_is_in_it(bucket: dict[str, Declared]) -> None:
    assert judged(bucket[BUCKET], forceDestroy=True) == [
        "bucket-is-protected: backups must not be deleted with what is in it: unset forceDestroy"
    ]


# What belongs together


def of_stack(bucket: dict[str, Declared], without: str = "", endpoints: Any = None) -> list[str]:
    """What the stack's rule says of a bucket and what is set on it."""
    provider = SimpleNamespace(props={"endpoints": endpoints})
    root = _resource(bucket[BUCKET], provider, {})
    settings = [
        _resource(declared, provider, {"bucket": [root]})
        for kind, declared in bucket.items()
        if kind not in (BUCKET, without)
    ]
    found: list[str] = []

    def report(message: str, urn: str | None = None) -> None:
        found.append(message)

    STACK_RULE.validate(cast(Any, SimpleNamespace(resources=[root, *settings])), report)
    return found


def _resource(declared: Declared, provider: object, dependencies: dict[str, Any]) -> object:
    return SimpleNamespace(
        resource_type=declared.type,
        name=declared.name,
        urn=declared.urn,
        provider=provider,
        property_dependencies=dependencies,
    )


def test_a_bucket_with_all_its_settings_passes(bucket: dict[str, Declared]) -> None:
    assert of_stack(bucket) == []


def _missing() -> Iterator[tuple[str, str]]:
    yield from SETTINGS.items()
    yield BUCKET_POLICY, "a bucket policy"


@pytest.mark.parametrize(("kind", "words"), list(_missing()))
def test_each_setting_must_be_declared(bucket: dict[str, Declared], kind: str, words: str) -> None:
    name = kind.rpartition(":")[2]
    assert of_stack(bucket, without=kind) == [f"backups must have {words}: declare a {name} for it"]


def test_a_stand_in_for_aws_needs_no_bucket_policy(bucket: dict[str, Declared]) -> None:
    assert of_stack(bucket, without=BUCKET_POLICY, endpoints="[{}]") == []
