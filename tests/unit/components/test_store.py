"""The store's stack, as the program declares it: the bucket, and nothing of the host."""

from __future__ import annotations

import pulumi
import pytest

from ops import pack
from tests.unit.components.program import run
from tests.unit.rollout.host_model import Host


def test_the_stack_beside_declares_the_bucket_alone() -> None:
    found = run("sandbox-store", Host(), backupEndpoint="http://127.0.0.1:5000")
    assert {r.type.split(":")[0] for r in found.resources} == {"aws", "pulumi", "ytempire"}
    assert "backups" in found.names()
    assert set(found.outputs) == {"bucket", "keys"}


@pytest.mark.parametrize(("stack", "protected"), [("sandbox", False), ("production", True)])
def test_what_is_stored_is_protected_as_its_stack_is(stack: str, protected: bool) -> None:
    found = run(f"{stack}-store", Host())
    buckets = [r for r in found.resources if r.type == "aws:s3/bucket:Bucket"]
    assert [r.protect for r in buckets] == [protected]


def test_production_s_store_wants_its_policies_too() -> None:
    with pytest.raises(pulumi.RunError, match=f"production-store .* {pack.VARIABLE} does not name"):
        run("production-store", Host(), policies="")


def test_mistakes_are_told_with_their_keys() -> None:
    with pytest.raises(pulumi.RunError, match="backupBucket: expected a bucket's name"):
        run("sandbox-store", Host(), backupBucket="Not A Bucket")
