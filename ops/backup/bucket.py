"""The bucket: every object is sent with its checksum, under a name that was never used."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import wraps
from typing import Any, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.backup.packing import Reader
from ops.backup.place import Written
from ops.errors import OpsError
from rollout.backups import MANIFEST, Catalogue, Folder, catalogue, folder_of, is_pack, is_text
from rollout.bucket_policies import Identity, encryption
from rollout.records import Artifact
from rollout.retention import KEEP, TAG, RetentionTag, Series
from rollout.settings import Backups
from rollout.wal import Piece, pieces

AT_ONCE = 8
# S3 takes 10,000 parts: they grow, so that the last of them ends at 240 GB and memory stays small.
PART_BYTES = 8 << 20
PARTS_OF_A_SIZE = 2000
# Nothing is told to expire before; whether it was is not asked of what is younger.
YOUNGEST_TAGGED = timedelta(days=min(keep.days for keep in KEEP.values()))
F = TypeVar("F", bound=Callable[..., Any])


def _worded(call: F) -> F:
    """What AWS says, as an error of ours."""

    @wraps(call)
    def worded(self: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return call(self, *arguments, **options)
        except (BotoCoreError, ClientError) as error:
            raise OpsError(f"{self.where}: {error}") from None

    return cast(F, worded)


def client(settings: Backups, identity: Identity) -> Any:
    """S3 as one of the bucket's identities. None where nobody's credentials are at hand."""
    session = _session(settings, identity)
    if session.get_credentials() is None:
        return None
    style = {"addressing_style": "path"} if settings.endpoint else {}
    return session.client(
        "s3",
        endpoint_url=settings.endpoint or None,
        config=Config(
            s3=style,
            retries={"mode": "standard", "max_attempts": 5},
            connect_timeout=10,
            max_pool_connections=AT_ONCE,
        ),
    )


def _session(settings: Backups, identity: Identity) -> Any:
    """By the configured key, else the profile that is named like its user, else by what the
    environment has."""
    key = settings.keys.get(identity)
    if key:
        return boto3.Session(key.id, key.secret, region_name=settings.region)
    name = f"{settings.bucket}-{identity}"
    known = name in boto3.Session().available_profiles
    return boto3.Session(profile_name=name if known else None, region_name=settings.region)


@dataclass
class BucketFile:
    """An upload in parts, each checked by S3 as it comes. Until the end there is no object.

    One part is on its way while the next is filled: whoever writes waits for the network only where
    that is what is slow.
    """

    bucket: Bucket
    key: str
    upload: str
    _part: bytearray = field(default_factory=bytearray, repr=False)
    _parts: list[dict[str, Any]] = field(default_factory=list)
    _count: int = 0
    _sender: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, "upload"), repr=False
    )
    _sending: Future[dict[str, Any]] | None = None

    @property
    def where(self) -> str:
        return self.bucket.where

    @_worded
    def write(self, data: bytes) -> int:
        self._part += data
        if len(self._part) >= PART_BYTES * (1 + self._count // PARTS_OF_A_SIZE):
            self._send()
        return len(data)

    @_worded
    def finish(self) -> Written:
        self._send()
        self._await()
        self._sender.shutdown()
        answer = self.bucket.s3.complete_multipart_upload(
            **self._at, MultipartUpload={"Parts": self._parts}, IfNoneMatch="*"
        )
        sums = b"".join(base64.b64decode(part["ChecksumSHA256"]) for part in self._parts)
        expected = f"{_sha256(sums)}-{len(self._parts)}"
        told = answer.get("ChecksumSHA256", expected)
        if told not in (expected, expected.partition("-")[0]):
            raise OpsError(f"{self.where}: {self.key}: expected checksum {expected}, got {told}")
        return Written(s3_sha256=expected)

    def abort(self) -> None:
        self._sender.shutdown()  # a part that comes later would stay
        with suppress(BotoCoreError, ClientError):  # else the bucket's own rule cleans up
            self.bucket.s3.abort_multipart_upload(**self._at)

    def _send(self) -> None:
        self._await()
        self._count += 1
        self._sending = self._sender.submit(self._upload, self._count, bytes(self._part))
        self._part.clear()

    def _await(self) -> None:
        """The part that is on its way has come. Raises what went wrong with it."""
        if self._sending:
            sent, self._sending = self._sending, None
            self._parts.append(sent.result())

    def _upload(self, number: int, body: bytes) -> dict[str, Any]:
        checksum = _sha256(body)
        answer = self.bucket.s3.upload_part(
            **self._at, PartNumber=number, Body=body, ChecksumSHA256=checksum
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    @property
    def _at(self) -> dict[str, str]:
        return {"Bucket": self.bucket.bucket, "Key": self.key, "UploadId": self.upload}


@dataclass(frozen=True)
class Bucket:
    """The configured one. s3: as who reads, and who adds where anything is added."""

    s3: Any
    settings: Backups
    stack: str
    name: str = "bucket"

    @property
    def bucket(self) -> str:
        return self.settings.bucket

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}"

    @_worded
    def catalogue(self, tags: bool = False) -> Catalogue:
        """`tags`: also which of them were told to expire."""
        keys = [key for page in self._pages() for key in page]
        now = self.now()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            names = [key for key in keys if is_text(key)]
            texts = dict(zip(names, pool.map(self._text, names), strict=True))
            old = [key for key in keys if tags and _may_be_tagged(key, now)]
            tagged = [k for k, is_so in zip(old, pool.map(self._tagged, old), strict=True) if is_so]
        return catalogue(self.where, self.stack, keys, texts, frozenset(tagged))

    @_worded
    def now(self) -> datetime:
        """The store's clock, which the bucket expires by."""
        answer = self.s3.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
        told = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        return parsedate_to_datetime(told).astimezone(UTC) if told else datetime.now(UTC)

    @_worded
    def wal(self, since: datetime | None = None) -> tuple[Piece, ...]:
        """By their folders' names it goes on from where it is asked to."""
        before = f"{Folder.of(Series.WAL, since)}" if since else ""
        return pieces(self._keys(Series.WAL.prefix, before))

    def begin(self, folder: Folder, name: str) -> BucketFile:
        return self.add(folder.key(name))

    @_worded
    def add(self, key: str) -> BucketFile:
        answer = self.s3.create_multipart_upload(
            Bucket=self.bucket, Key=key, ChecksumAlgorithm="SHA256", **self._encrypted
        )
        return BucketFile(self, key, answer["UploadId"])

    @_worded
    def seal(self, folder: Folder, manifest: str) -> None:
        self.note(folder.key(MANIFEST), manifest)
        keep = KEEP.get(folder.series)
        if not (keep and keep.locked and self.settings.object_lock):
            return
        until = self.now() + timedelta(days=keep.days) - timedelta(minutes=1)
        locker = self._as(Identity.LOCKER)
        for key in self._keys(f"{folder}/"):
            locker.put_object_retention(
                Bucket=self.bucket,
                Key=key,
                Retention={"Mode": "GOVERNANCE", "RetainUntilDate": until},
            )

    @_worded
    def note(self, key: str, text: str) -> None:
        body = text.encode()
        self.s3.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=body,
            ChecksumSHA256=_sha256(body),
            ContentType="application/json",
            IfNoneMatch="*",
            **self._encrypted,
        )

    @_worded
    def text(self, key: str) -> str:
        return self._text(key)

    def discard(self, folder: Folder) -> None:
        """Nobody may delete; what has no manifest is no backup, and expires in time."""

    @_worded
    def wrong(self, artifacts: Iterable[Artifact]) -> dict[str, str]:
        """By what S3 says of each object: it checked every part on its way in, and reads its own
        disks against it. Nothing is downloaded."""
        named = list(artifacts)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = zip(named, pool.map(self._wrong, named), strict=True)
            return {a.key: f"{a.key}: {why}" for a, why in found if why}

    @contextmanager
    def read(self, artifact: Artifact) -> Iterator[Reader]:
        try:
            body = self.s3.get_object(Bucket=self.bucket, Key=artifact.key)["Body"]
            with body:
                yield body
        except (BotoCoreError, ClientError) as error:
            raise OpsError(f"{self.where}: {artifact.key}: {error}") from None

    @_worded
    def tag(self, tags: Mapping[str, RetentionTag]) -> None:
        """In this order."""
        pruner = self._as(Identity.PRUNER)
        for key, value in tags.items():
            told = {"TagSet": [{"Key": TAG, "Value": value}]}
            pruner.put_object_tagging(Bucket=self.bucket, Key=key, Tagging=told)

    def _as(self, identity: Identity) -> Any:
        found = client(self.settings, identity)
        if found is None:
            raise OpsError(f"{self.where}: there is no AWS profile {self.bucket}-{identity}")
        return found

    def _pages(self) -> Iterator[list[str]]:
        for series in sorted(set(Series) - {Series.WAL}):
            yield self._keys(series.prefix)

    def _keys(self, prefix: str, after: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=after
        )
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def _text(self, key: str) -> str:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body.decode(errors="replace")

    def _tagged(self, key: str) -> bool:
        found = self.s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        return any(tag["Key"] == TAG for tag in found)

    def _wrong(self, artifact: Artifact) -> str:
        found = self.s3.head_object(Bucket=self.bucket, Key=artifact.key, ChecksumMode="ENABLED")
        if artifact.bytes and found["ContentLength"] != artifact.bytes:
            return f"expected {artifact.bytes} bytes, got {found['ContentLength']}"
        told, expected = found.get("ChecksumSHA256", "none"), artifact.s3_sha256
        if told not in (expected, expected.partition("-")[0]):
            return f"expected checksum {expected}, got {told}"
        return ""

    @property
    def _encrypted(self) -> dict[str, str]:
        kms_key = self.settings.kms_key
        key = {"SSEKMSKeyId": kms_key} if kms_key else {}
        return {"ServerSideEncryption": encryption(kms_key), **key}


def _may_be_tagged(key: str, now: datetime) -> bool:
    found = None if is_pack(key) else folder_of(key)
    return found is not None and now - found[0].taken >= YOUNGEST_TAGGED


def _sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
