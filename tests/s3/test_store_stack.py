"""The store as a stack of its own: the real program, the real engine and AWS provider."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.bucket_policies import Identity
from tests.e2e.world import Outcome, World
from tests.s3.store import CREDENTIALS, Moto

BUCKET = "stored"


class StoreWorld(World):
    """A stack file that two stacks read."""

    def store(self, command: str, *arguments: str, credentials: bool = True) -> Outcome:
        return self.run(
            *("pulumi", command, "--yes", "--skip-preview", "--stack", f"{self.stack}-store"),
            *("--config-file", self.stack_file.name, *arguments),
            environment=CREDENTIALS if credentials else {},
        )


@pytest.fixture(scope="module")
def world(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreWorld]:
    settings = {"backupEndpoint": moto.address, "backupBucket": BUCKET}
    made = StoreWorld("s3", tmp_path_factory.mktemp("world") / "project", 63, settings)
    made.create()
    made.run("pulumi", "stack", "init", f"{made.stack}-store", check=True)
    outcome = made.store("up")
    assert outcome.ok, outcome.text
    yield made
    outcome = made.store("destroy")
    assert outcome.ok, outcome.text
    assert moto.client("s3").list_buckets()["Buckets"] == []


def test_it_makes_the_bucket_and_touches_no_host(world: StoreWorld, moto: Moto) -> None:
    assert [b["Name"] for b in moto.client("s3").list_buckets()["Buckets"]] == [BUCKET]
    state = json.loads(world.run("pulumi", "stack", "export", "--stack", "s3-store").text)
    kinds = {r["type"].split(":")[0] for r in state["deployment"]["resources"]}
    assert kinds == {"aws", "pulumi", "ytempire"}


def test_a_second_up_changes_nothing(world: StoreWorld) -> None:
    outcome = world.store("up", "--expect-no-changes")
    assert outcome.ok, outcome.text


def test_each_identity_s_key_is_a_secret_output(world: StoreWorld) -> None:
    output = ("pulumi", "stack", "output", "--json", "--stack", "s3-store")
    assert json.loads(world.run(*output).text) == {"bucket": BUCKET, "keys": "[secret]"}
    shown = json.loads(world.run(*output, "--show-secrets").text)
    assert set(shown["keys"]) == {str(identity) for identity in Identity}


def test_each_identity_gets_another_key_and_the_old_one_is_deleted(
    world: StoreWorld, moto: Moto, tmp_path: Path
) -> None:
    """The last test of this file."""
    iam, users = moto.client("iam"), [f"{BUCKET}-{identity}" for identity in Identity]
    old = {user: _keys(iam, user) for user in users}
    profiles = tmp_path / "credentials"
    profiles.write_text(f"[{users[0]}]\naws_access_key_id = x\naws_secret_access_key = y\n")
    outcome = world.run(
        *("ytops", "secrets", "rotate", "backupKeys"),
        environment={**CREDENTIALS, "AWS_SHARED_CREDENTIALS_FILE": str(profiles)},
    )
    assert outcome.ok, outcome.text
    new = {user: _keys(iam, user) for user in users}
    assert all(len(new[user]) == 1 and new[user] != old[user] for user in users)
    assert f"aws_access_key_id = {new[users[0]][0]}\n" in profiles.read_text()
    assert world.store("up", "--expect-no-changes").ok


def _keys(iam: Any, user: str) -> list[str]:
    found = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    return [key["AccessKeyId"] for key in found]
