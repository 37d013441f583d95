"""The release that the configuration asks for."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from rollout.release import ImageIdentity, image_tag, wanted_release
from rollout.settings import Settings, load
from rollout.shapes import Release
from tests.unit.stack_files import PLACEHOLDERS, raw

IMAGE = ImageIdentity(image="sha256:abc", digest="sha256:abc")


def configured(**changes: str) -> Settings:
    return load("sandbox", {**raw("sandbox"), "version": "1.0.0", **changes})


@pytest.fixture(scope="module")
def wanted() -> Release:
    return wanted_release(configured(), IMAGE)


def test_the_version_is_the_images_tag() -> None:
    assert image_tag(configured()) == "ytempire/backend:1.0.0"


def test_its_identity_is_version_and_fingerprint(wanted: Release) -> None:
    assert wanted.identity == f"1.0.0+{wanted.fingerprint}"


def test_the_environment_follows_the_contract(wanted: Release) -> None:
    assert wanted.environment == {
        "DATABASE_URL": "postgres://ytempire:${postgresPassword}@postgres:5432/ytempire",
        "REDIS_URL": "redis://app:${redisPassword}@redis:6379/0",
        "CACHE_URL": "redis://app:${redisPassword}@redis:6379/1",
        "ENVIRONMENT": "sandbox",
        "API_KEY": "${backendSecrets.API_KEY}",
    }


def test_it_holds_no_secret(wanted: Release) -> None:
    text = json.dumps(asdict(wanted))
    assert not any(value in text for value in PLACEHOLDERS.values())


def test_the_same_configuration_is_the_same_release(wanted: Release) -> None:
    assert wanted_release(configured(), IMAGE) == wanted


@pytest.mark.parametrize(
    "change",
    [
        {"postgresPassword": "rotated"},
        {"appMemory": "1024"},
        {"backendEnvironment": '{"DEBUG": "1"}'},
        {"backendSecrets": '{"API_KEY": "rotated"}'},
        {"fingerprintKey": "another"},
        {"workerReplicas": "3"},
    ],
)
def test_a_change_of_what_it_runs_with_is_another_release(
    wanted: Release, change: dict[str, str]
) -> None:
    assert wanted_release(configured(**change), IMAGE).identity != wanted.identity


@pytest.mark.parametrize("change", [{"watchSeconds": "9"}, {"edgeMemory": "256"}])
def test_a_change_elsewhere_is_not(wanted: Release, change: dict[str, Any]) -> None:
    assert wanted_release(configured(**change), IMAGE) == wanted


def test_another_image_under_the_same_tag_is_another_release(wanted: Release) -> None:
    moved = ImageIdentity(image="sha256:def", digest="sha256:def")
    assert wanted_release(configured(), moved).identity != wanted.identity
