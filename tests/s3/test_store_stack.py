"""The store as a stack of its own: the real program, the real engine and AWS provider."""

from __future__ import annotations

import json
from collections.abc import Iterator

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
