"""What a backup of the configuration and of the secrets holds, and when it is another."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.backup.bundle import Bundle
from ops.backup.configuration import Sources, steady
from ops.docker import Answer, Docker
from ops.engine import Engine
from rollout.retention import Series

STATE = {
    "version": 3,
    "deployment": {
        "manifest": {"time": "2027-01-01T00:00:00Z"},
        "resources": [
            {
                "urn": "urn:pulumi:production::ytempire::x",
                "modified": "2027-01-01T00:00:00Z",
                "inputs": {
                    "password": {
                        "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
                        "ciphertext": "v1:abc",
                    },
                    "memory": 512,
                },
            }
        ],
    },
}
CONTAINER = {
    "Name": "/ytempire-production-blue",
    "Image": "sha256:abc",
    "Config": {
        "Image": "ytempire/backend:1.0.0",
        "Cmd": ["serve"],
        "Env": ["DJANGO_SECRET_KEY=nobody-is-told", "PORT=8000"],
        "Labels": {"ytempire.stack": "production"},
    },
    "HostConfig": {"Memory": 1 << 29, "RestartPolicy": {"Name": "always"}},
    "NetworkSettings": {"Networks": {"app": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}}}},
    "Mounts": [{"Name": "media", "Destination": "/media"}],
}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sources:
    (tmp_path / "Pulumi.yaml").write_text("name: ytempire\n")
    stack_file = "secretsprovider: awskms://alias/ytempire\nconfig:\n  ytempire:version: 1.0.0\n"
    (tmp_path / "Pulumi.production.yaml").write_text(stack_file)
    for words in (
        ("init", "--quiet"),
        ("add", "."),
        ("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "first"),
    ):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(Engine, "exported", lambda self: json.dumps(STATE))
    values = {"version": "1.0.0", "redisPassword": "nobody-is-told"}
    told = (values, frozenset({"redisPassword"}))
    monkeypatch.setattr(Engine, "configuration", lambda self: told)
    job = {"Config": {"Labels": {"ytempire.part": "backup"}}}
    known = {"ytempire-production-blue": CONTAINER, "ytempire-production-backup": job}
    monkeypatch.setattr(Docker, "call", lambda *_, **__: Answer(0, "\n".join(known)))
    monkeypatch.setattr(Docker, "details", lambda _, name: known[name])
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "a phrase")
    return Sources(
        tmp_path, "production", Engine(tmp_path, "production"), Docker("unix:///x"), "a key"
    )


def read(bundle: Bundle, name: str) -> Any:
    return json.loads(bundle.members[name])


def test_a_configuration_is_commit_state_stack_file_and_what_runs(sources: Sources) -> None:
    bundle = sources.configuration()
    assert sorted(bundle.members) == [
        "Pulumi.production.yaml",
        "Pulumi.yaml",
        "commit.json",
        "running.json",
        "state.json",
    ]
    assert read(bundle, "commit.json")["clean"] is True
    assert read(bundle, "state.json") == STATE
    (running,) = read(bundle, "running.json")
    assert running["environment"] == ["DJANGO_SECRET_KEY", "PORT"]
    assert b"nobody-is-told" not in bundle.tar()


def test_a_checkout_that_is_not_clean_is_told_with_what_differs(sources: Sources) -> None:
    (sources.root / "Pulumi.yaml").write_text("name: other\n")
    bundle = sources.configuration()
    assert read(bundle, "commit.json")["clean"] is False
    assert b"+name: other" in bundle.members["changes.patch"]


def test_it_is_another_when_something_changes_and_not_when_it_is_told_anew(
    sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sources.configuration().content
    later = json.dumps(STATE).replace("2027-01-01", "2027-01-02").replace("v1:abc", "v1:xyz")
    monkeypatch.setattr(Engine, "exported", lambda self: later)
    assert sources.configuration().content == before
    monkeypatch.setattr(Engine, "exported", lambda self: later.replace("512", "1024"))
    assert sources.configuration().content != before


def test_secrets_are_each_secret_key_and_what_the_others_are_sealed_with(sources: Sources) -> None:
    told = read(sources.secrets(), "secrets.json")
    assert told["secrets"] == {"redisPassword": "nobody-is-told"}
    assert told["sealed_by"] == {"secretsprovider": "awskms://alias/ytempire"}
    assert told["passphrase"] == "a phrase"


def test_a_hash_of_secrets_needs_the_key_too(sources: Sources) -> None:
    other = Sources(sources.root, sources.stack, sources.engine, sources.docker, "another")
    assert sources.secrets().content != other.secrets().content
    assert sources.secrets().content == sources.secrets().content


def test_a_bundle_is_unpacked_for_its_owner_alone() -> None:
    listing = subprocess.run(
        ["tar", "-tv"], input=Bundle(Series.SECRETS, {"a": b"b"}, "").tar(), capture_output=True
    ).stdout
    assert listing.startswith(b"-rw-------")


def test_what_is_sealed_is_not_compared_by_how() -> None:
    assert steady(STATE) == {
        "version": 3,
        "deployment": {
            "resources": [
                {
                    "urn": "urn:pulumi:production::ytempire::x",
                    "inputs": {"password": "sealed", "memory": 512},
                }
            ]
        },
    }
