"""Who may do what with the backup bucket, as IAM policy documents.

The job acts as one of these at a time, each with a key of its own, so that no single stolen key
can destroy what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from rollout.retention import KEEP, TAG, RetentionTag, Series

Policy = dict[str, Any]
Statement = dict[str, Any]


class Identity(StrEnum):
    """uploader: adds and reads. pruner: tags what may go. locker: locks what must stay.
    restore: reads."""

    UPLOADER = "uploader"
    PRUNER = "pruner"
    LOCKER = "locker"
    RESTORE = "restore"


def identity_policy(identity: Identity, bucket: str, kms_key: str = "") -> Policy:
    """What an identity may do; everything else is denied by default."""
    match identity:
        case Identity.UPLOADER:
            statements = [_put(bucket), *_read(bucket), *_key(kms_key, "kms:GenerateDataKey")]
        case Identity.PRUNER:
            statements = [_tag(bucket, tag) for tag in sorted({k.tag for k in KEEP.values()})]
        case Identity.LOCKER:
            statements = [_lock(bucket, series) for series in KEEP if KEEP[series].locked]
        case Identity.RESTORE:
            statements = [*_read(bucket), *_key(kms_key)]
    return _policy(statements)


def bucket_policy(bucket: str, kms_key: str = "") -> Policy:
    """What nobody may do, whoever it is: speak without TLS, store in the clear or with a foreign
    key, put another object in the place of one."""
    return _policy([_tls(bucket), *_encrypted(bucket, kms_key), _once(bucket)])


def encryption(kms_key: str) -> str:
    """The algorithm that the bucket encrypts by, and that each upload must name."""
    return "aws:kms" if kms_key else "AES256"


def arn(bucket: str, key: str = "") -> str:
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"


def _put(bucket: str) -> Statement:
    actions = ("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
    return _allow("Add", actions, [arn(bucket, f"{series.prefix}*") for series in Series])


def _read(bucket: str) -> list[Statement]:
    objects = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTagging")
    listing = ("s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads")
    return [
        _allow("Read", objects, [arn(bucket, "*")]),
        _allow("List", (*listing, "s3:GetBucketLocation"), [arn(bucket)]),
    ]


def _tag(bucket: str, tag: RetentionTag) -> Statement:
    """Only the one tag, and only where it belongs: the month's backup can't be told to expire like
    a day's."""
    where = [arn(bucket, f"{series.prefix}*") for series, keep in KEEP.items() if keep.tag == tag]
    return {
        **_allow(f"Tag{tag}", ("s3:PutObjectTagging",), where),
        "Condition": {
            "StringEquals": {f"s3:RequestObjectTag/{TAG}": tag},
            "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": [TAG]},
        },
    }


def _lock(bucket: str, series: Series) -> Statement:
    """Governance mode, and not beyond the day on which it expires."""
    actions = ("s3:PutObjectRetention",)
    return {
        **_allow(f"Lock{KEEP[series].tag}", actions, [arn(bucket, f"{series.prefix}*")]),
        "Condition": {
            "StringEquals": {"s3:object-lock-mode": "GOVERNANCE"},
            "NumericLessThanEquals": {
                "s3:object-lock-remaining-retention-days": str(KEEP[series].days)
            },
        },
    }


def _key(kms_key: str, *actions: str) -> list[Statement]:
    return [_allow("Key", ("kms:Decrypt", *actions), [kms_key])] if kms_key else []


def _tls(bucket: str) -> Statement:
    everything = [arn(bucket), arn(bucket, "*")]
    return _deny("TlsOnly", "s3:*", everything, {"Bool": {"aws:SecureTransport": "false"}})


def _encrypted(bucket: str, kms_key: str) -> Iterable[Statement]:
    """A negated operator also matches a header that isn't there: without a key's name S3 would take
    its own, whatever the bucket's default is."""
    header = "s3:x-amz-server-side-encryption"
    yield _deny(
        "EncryptedOnly",
        "s3:PutObject",
        [arn(bucket, "*")],
        {"StringNotEquals": {header: encryption(kms_key)}},
    )
    if kms_key:
        yield _deny(
            "OurKeyOnly",
            "s3:PutObject",
            [arn(bucket, "*")],
            {"StringNotEquals": {f"{header}-aws-kms-key-id": kms_key}},
        )


def _once(bucket: str) -> Statement:
    """Each upload must say `If-None-Match: *`. Starting a multipart upload and sending its parts
    can't; they create nothing yet."""
    return _deny(
        "NeverOverwrite",
        "s3:PutObject",
        [arn(bucket, "*")],
        {
            "Null": {"s3:if-none-match": "true"},
            "Bool": {"s3:ObjectCreationOperation": "true"},
        },
    )


def _policy(statements: list[Statement]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(sid: str, actions: Iterable[str], resources: list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}


def _deny(sid: str, action: str, resources: list[str], condition: dict[str, Any]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": condition,
    }
