"""Storage: the backup bucket keeps what it is given, and a deploy takes no data away.

A rule sees one resource, neither what is done to it nor what was there before. So what must not be
replaced or deleted is protected, and the engine refuses both: a replacement where the flag was
recorded and stands today, a deletion where the last run recorded it (docs/decisions/0011). Stacks
that protect nothing (the sandbox) are free.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pulumi_policy import PolicyResource, Severity

from policies.containers import CONTAINER
from policies.rule import Limit, Subject, rule, stack_rule
from policies.told import maintains, protects
from rollout.names import DATASTORES, EDGE, PART_LABEL
from rollout.retention import LIFECYCLE, TAG, UNDO_DAYS, LifecycleRule

VOLUME = "docker:index/volume:Volume"
BUCKET = "aws:s3/bucket:Bucket"
ACCESS_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
ENCRYPTION = (
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
)
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LIFETIMES = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"

# A bucket is these together: each is a resource of its own, and S3's default without it.
SETTINGS = {
    ACCESS_BLOCK: "its public access blocked",
    OWNERSHIP: "its access lists off",
    ENCRYPTION: "its encryption",
    VERSIONING: "versions",
    LIFETIMES: "a lifecycle",
}

_ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")

Rule = Mapping[str, Any]


# The bucket


def public_access_is_blocked(block: Subject) -> Iterator[str]:
    for key in _BLOCKS:
        if block.get(key) is not True:
            yield f"must block public access in all four ways: set {key}"


def access_lists_are_off(controls: Subject) -> Iterator[str]:
    ownership = (controls.get("rule") or {}).get("objectOwnership")
    if ownership != "BucketOwnerEnforced":
        yield (
            f"must have no access lists, and {ownership or 'nothing'} allows them: set "
            "objectOwnership to BucketOwnerEnforced"
        )


def nobody_else_is_let_in(policy: Subject) -> Iterator[str]:
    """A principal in an Allow; who may come in has a policy of their own."""
    for statement in _statements(policy):
        principal = statement.get("Principal")
        if statement.get("Effect") == "Allow" and principal is not None:
            yield (
                f"must let nobody in by {statement.get('Sid', 'a statement')} "
                f"({_compact(principal)}): give an identity a policy of its own in "
                "rollout/bucket_policies.py"
            )


def speaks_tls(policy: Subject) -> Iterator[str]:
    if not any(_denies_plain_text(statement) for statement in _statements(policy)):
        yield (
            "must refuse whoever speaks without TLS: deny s3:* on the bucket and its objects "
            "where aws:SecureTransport is false"
        )


def _denies_plain_text(statement: Rule) -> bool:
    secure = ((statement.get("Condition") or {}).get("Bool") or {}).get("aws:SecureTransport")
    return (
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and "s3:*" in _listed(statement.get("Action"))
        and {str(arn).endswith("/*") for arn in _listed(statement.get("Resource"))} == {True, False}
        and str(secure).lower() == "false"
        and len(statement["Condition"]) == 1
    )


def is_encrypted(encryption: Subject) -> Iterator[str]:
    rules = list(encryption.get("rules") or ())
    if not rules:
        yield "must encrypt by default: give it a rule with an algorithm"
    for item in rules:
        default = item.get("applyServerSideEncryptionByDefault") or {}
        if default.get("sseAlgorithm") not in _ALGORITHMS:
            yield f"must encrypt by default: set sseAlgorithm to {' or '.join(_ALGORITHMS[:2])}"


def is_versioned(versioning: Subject) -> Iterator[str]:
    status = (versioning.get("versioningConfiguration") or {}).get("status")
    if status != "Enabled":
        yield (
            f"must keep versions, or what is deleted is gone, and is {status or 'not set'}: set "
            "status to Enabled"
        )


def expires_as_retention_says(lifecycle: Subject) -> Iterator[str]:
    rules = [rule for rule in lifecycle.get("rules") or () if rule.get("status") == "Enabled"]
    found = {_scope(rule.get("filter") or {}): rule for rule in rules}
    for wanted in LIFECYCLE:
        scope = _wanted_scope(wanted)
        there = found.pop(scope, None)
        if there is None:
            yield f"must have a rule for {scope}: {wanted.id} of rollout/retention.py"
        else:
            yield from _as_wanted(scope, there, wanted, lifecycle.limit("undo_days"))
    for scope in found:
        yield f"must expire nothing but what rollout/retention.py names: remove {scope}"


def _as_wanted(scope: str, there: Rule, wanted: LifecycleRule, undo: float) -> Iterator[str]:
    days = (there.get("expiration") or {}).get("days") or 0
    if days != (wanted.expire_days or 0):
        yield (
            f"must expire {scope} {_after(wanted.expire_days)}, as rollout/retention.py says, not "
            f"{_after(days)}"
        )
    gone = (there.get("noncurrentVersionExpiration") or {}).get("noncurrentDays") or 0
    if gone < undo:
        yield (
            f"must keep what is deleted of {scope} for {undo:g} days or longer, not {gone:g}: "
            "raise noncurrentDays"
        )
    if wanted.upload_days and not there.get("abortIncompleteMultipartUpload"):
        yield f"must clean interrupted uploads of {scope}: set abortIncompleteMultipartUpload"


def _after(days: float | None) -> str:
    return f"after {days:g} days" if days else "never"


def _wanted_scope(wanted: LifecycleRule) -> str:
    if wanted.tag is not None:
        return _scope({"tag": {"key": TAG, "value": wanted.tag}})
    return _scope({"prefix": wanted.prefix})


def _scope(chosen: Rule) -> str:
    """What a rule is for, in words: `retention=30d`, `logs/*`."""
    tag = chosen.get("tag")
    others = {key: value for key, value in chosen.items() if key not in ("tag", "prefix") and value}
    if others or (tag and chosen.get("prefix")):
        return _compact(dict(chosen))
    return f"{tag['key']}={tag['value']}" if tag else f"{chosen.get('prefix') or ''}*"


def has_its_settings(resources: Iterable[PolicyResource]) -> Iterator[tuple[str, str]]:
    """Each bucket, and what is set on it by resources of their own. Where something else stands in
    for AWS, the bucket policy isn't asked for: there its conditions are not evaluated."""
    every = list(resources)
    for bucket in (r for r in every if r.resource_type == BUCKET):
        there = {
            r.resource_type for r in every if bucket in r.property_dependencies.get("bucket", [])
        }
        wanted = (
            SETTINGS if _is_elsewhere(bucket) else {**SETTINGS, BUCKET_POLICY: "a bucket policy"}
        )
        for kind, words in wanted.items():
            if kind not in there:
                name = kind.rpartition(":")[2]
                yield bucket.urn, f"{bucket.name} must have {words}: declare a {name} for it"


def _is_elsewhere(bucket: PolicyResource) -> bool:
    provider = bucket.provider
    return provider is not None and bool(provider.props.get("endpoints"))


# What must stay


def is_protected(kept: Subject) -> Iterator[str]:
    if protects() and not kept.protected:
        yield (
            "must be protected, because the stack is: a deploy neither replaces nor deletes it. "
            "Take its options from Site.options"
        )


def bucket_is_protected(bucket: Subject) -> Iterator[str]:
    yield from is_protected(bucket)
    if protects() and bucket.get("forceDestroy"):
        yield "must not be deleted with what is in it: unset forceDestroy"


def _of_parts(parts: frozenset[str]) -> Callable[[Subject], Iterator[str]]:
    def check(container: Subject) -> Iterator[str]:
        labels = {item["label"]: item["value"] for item in container.get("labels") or ()}
        if labels.get(PART_LABEL) in parts and not maintains():
            yield from is_protected(container)

    return check


# Documents


def _statements(policy: Subject) -> list[Rule]:
    document = policy.get("policy")
    document = json.loads(document) if isinstance(document, str) else document or {}
    found = document.get("Statement") or []
    return [found] if isinstance(found, Mapping) else list(found)


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else list(value or ())


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=dict)


_FSBP = "AWS FSBP: "
_UNDO = {
    "undo_days": Limit(
        UNDO_DAYS, "Least days that what was deleted can be brought back.", least=1, most=365
    )
}

POLICIES = [
    rule(
        ACCESS_BLOCK,
        "bucket-blocks-public-access",
        "Nothing in the bucket can be made public, by list or by policy.",
        public_access_is_blocked,
        severity=Severity.CRITICAL,
        remedy="Set all four of BucketPublicAccessBlock.",
        source=_FSBP + "S3.8; Checkov CKV_AWS_53, 54, 55, 56",
    ),
    rule(
        OWNERSHIP,
        "bucket-has-no-access-lists",
        "The bucket's owner owns all in it, and policies alone say who may read it.",
        access_lists_are_off,
        severity=Severity.HIGH,
        remedy="Set objectOwnership to BucketOwnerEnforced.",
        source=_FSBP + "S3.12; Checkov CKV2_AWS_65",
    ),
    rule(
        BUCKET_POLICY,
        "bucket-is-private",
        "The bucket policy lets nobody in: it only denies.",
        nobody_else_is_let_in,
        severity=Severity.CRITICAL,
        remedy="Give each identity a policy of its own.",
        source=_FSBP + "S3.2, S3.3, S3.6; Checkov CKV_AWS_70",
    ),
    rule(
        BUCKET_POLICY,
        "bucket-speaks-tls",
        "Backups travel encrypted.",
        speaks_tls,
        severity=Severity.HIGH,
        remedy="Deny what comes without aws:SecureTransport.",
        source=_FSBP + "S3.5",
    ),
    rule(
        ENCRYPTION,
        "bucket-is-encrypted",
        "Backups are stored encrypted.",
        is_encrypted,
        severity=Severity.HIGH,
        remedy="Set sseAlgorithm.",
        source=_FSBP + "S3.17; Checkov CKV_AWS_19, 145",
    ),
    rule(
        VERSIONING,
        "bucket-is-versioned",
        "What is deleted or overwritten can be brought back.",
        is_versioned,
        severity=Severity.HIGH,
        remedy="Set status to Enabled.",
        source=_FSBP + "S3.14; Checkov CKV_AWS_21",
    ),
    rule(
        LIFETIMES,
        "bucket-expires-as-retention-says",
        "Each class of backup is kept as long as the manual says, and nothing else expires.",
        expires_as_retention_says,
        severity=Severity.CRITICAL,
        remedy="Declare the rules of rollout/retention.py, as components/backup_bucket.py does.",
        source="operations manual: 7.3; AWS FSBP S3.13, Checkov CKV2_AWS_61, CKV_AWS_300",
        limits=_UNDO,
    ),
    rule(
        BUCKET,
        "bucket-is-protected",
        "A protected stack's bucket can't be deleted, full or empty.",
        bucket_is_protected,
        severity=Severity.CRITICAL,
        remedy="Set protect, and no forceDestroy.",
        source="operations manual: 5.3",
    ),
    rule(
        (*SETTINGS, BUCKET_POLICY),
        "bucket-settings-are-protected",
        "What closes a protected stack's bucket can't be taken away from it.",
        is_protected,
        severity=Severity.HIGH,
        remedy="Set protect.",
        source="operations manual: 5.3",
    ),
    rule(
        VOLUME,
        "volume-is-protected",
        "A protected stack's volumes, with the data in them, outlive every run.",
        is_protected,
        severity=Severity.CRITICAL,
        remedy="Set protect.",
        source="operations manual: 5.3",
    ),
    rule(
        CONTAINER,
        "datastore-is-protected",
        "A deploy neither replaces nor deletes PostgreSQL or Redis; a maintenance may.",
        _of_parts(DATASTORES),
        severity=Severity.CRITICAL,
        remedy="Set protect, or name the maintenance's change.",
        source="operations manual: 7.1",
    ),
    rule(
        CONTAINER,
        "edge-is-protected",
        "A deploy neither replaces nor deletes nginx, which serves; a maintenance may.",
        _of_parts(EDGE),
        severity=Severity.CRITICAL,
        remedy="Set protect, or name the maintenance's change.",
        source="operations manual: 7.1",
    ),
    stack_rule(
        "bucket-has-its-settings",
        "A bucket comes with all that closes it. A run without a preview is told afterwards.",
        has_its_settings,
        severity=Severity.CRITICAL,
        remedy="Declare it with components/backup_bucket.py.",
        source=_FSBP + "S3.5, S3.8, S3.12, S3.13, S3.14, S3.17; Checkov CKV2_AWS_6",
    ),
]
