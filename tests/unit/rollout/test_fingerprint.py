"""A release's fingerprint, and the references to secrets in its environment."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.fingerprint import fingerprint, referenced, resolve
from rollout.shapes import Limits
from tests.unit.rollout.host_model import release

SECRETS = {"postgresPassword": "s3cret/word"}
BEFORE = fingerprint(release(), SECRETS, "key")


def test_it_is_twelve_hex_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", BEFORE)


def test_it_does_not_depend_on_what_the_record_calls_itself() -> None:
    assert fingerprint(release("1.0.0", "other"), SECRETS, "key") == BEFORE


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "sha256:other"),
        ("digest", "sha256:other"),
        ("environment", {"A": "b"}),
        ("app_command", ("gunicorn",)),
        ("queues", ("celery", "slow")),
        ("app_limits", Limits(memory=1, cpus=1, pids=1)),
        ("worker_replicas", 3),
        ("user", "1:1"),
    ],
)
def test_whatever_starts_a_container_changes_it(field: str, value: Any) -> None:
    assert fingerprint(replace(release(), **{field: value}), SECRETS, "key") != BEFORE


def test_the_tag_does_not_count() -> None:
    assert fingerprint(replace(release(), tag="x:y"), SECRETS, "key") == BEFORE


def test_a_changed_secret_changes_it() -> None:
    assert fingerprint(release(), {"postgresPassword": "other"}, "key") != BEFORE


def test_a_secret_that_is_not_referred_to_does_not() -> None:
    assert fingerprint(release(), {**SECRETS, "redisPassword": "x"}, "key") == BEFORE


def test_another_key_gives_another_fingerprint() -> None:
    assert fingerprint(release(), SECRETS, "other") != BEFORE


def test_references_are_found_wherever_they_stand() -> None:
    assert referenced({"A": "${a} and ${b.c}", "B": "plain $x"}) == {"a", "b.c"}


def test_a_secret_in_a_url_is_percent_encoded() -> None:
    assert (
        resolve("postgres://u:${postgresPassword}@h/d", SECRETS) == "postgres://u:s3cret%2Fword@h/d"
    )


def test_a_secret_by_itself_is_taken_as_it_is() -> None:
    assert resolve("${postgresPassword}", SECRETS) == "s3cret/word"


def test_a_secret_that_is_gone_is_an_error() -> None:
    with pytest.raises(KeyError, match="gone"):
        resolve("${gone}", SECRETS)


@given(st.text())
def test_a_secret_is_never_searched_for_references(secret: str) -> None:
    assert resolve("${a}", {"a": secret, "b": "no"}) == secret
