"""An upload in parts, on an S3 that keeps them waiting."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from ops.backup.bucket import PART_BYTES, Bucket, BucketFile
from ops.errors import OpsError
from rollout.settings import Backups, load
from tests.unit.stack_files import raw

PART = bytes(PART_BYTES)
WAIT_SECONDS = 10


class Slow:
    """Takes a part when it is let. `fails`: the number of the part that it refuses."""

    def __init__(self, fails: int = 0) -> None:
        self.let = threading.Semaphore(0)
        self.fails = fails
        self.told: list[Any] = []

    def upload_part(self, PartNumber: int, **_: Any) -> dict[str, str]:  # noqa: N803
        assert self.let.acquire(timeout=WAIT_SECONDS)
        self.told.append(PartNumber)
        if PartNumber == self.fails:
            raise ClientError({"Error": {"Code": "500", "Message": "no room"}}, "UploadPart")
        return {"ETag": str(PartNumber)}

    def complete_multipart_upload(self, MultipartUpload: Any, **_: Any) -> dict[str, str]:  # noqa: N803
        self.told.append([part["PartNumber"] for part in MultipartUpload["Parts"]])
        return {}

    def abort_multipart_upload(self, **_: Any) -> None:
        self.told.append("aborted")


def file(s3: Slow) -> BucketFile:
    settings: Backups = load("sandbox", {**raw("sandbox"), "version": "1.0.0"}).backups
    return BucketFile(Bucket(cast(Any, s3), settings, "sandbox"), "key", "upload")


def test_who_writes_goes_on_while_a_part_is_on_its_way() -> None:
    s3 = Slow()
    found = file(s3)
    found.write(PART)
    found.write(b"the next part begins")
    assert s3.told == []
    s3.let.release(2)
    found.finish()
    assert s3.told == [1, 2, [1, 2]]


def test_a_part_that_is_refused_is_told_at_the_next_and_nothing_is_completed() -> None:
    s3 = Slow(fails=1)
    s3.let.release(2)
    found = file(s3)
    found.write(PART)
    with pytest.raises(OpsError, match="no room"):
        found.write(PART)
    found.abort()
    assert s3.told == [1, "aborted"]


def test_the_last_part_s_refusal_is_told_at_the_end() -> None:
    s3 = Slow(fails=1)
    s3.let.release()
    found = file(s3)
    found.write(b"a small file")
    with pytest.raises(OpsError, match="no room"):
        found.finish()
    assert s3.told == [1]


def test_what_is_given_up_waits_for_its_part_which_would_stay_otherwise() -> None:
    s3 = Slow()
    found = file(s3)
    found.write(PART)
    giving_up = threading.Thread(target=found.abort)
    giving_up.start()
    s3.let.release()
    giving_up.join(WAIT_SECONDS)
    assert s3.told == [1, "aborted"]
