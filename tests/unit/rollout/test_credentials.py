"""Which credentials there are, and what a rotation begins with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rollout.credentials import AgeKey, Beginning, beginning, credential, present, unfinished
from rollout.settings import load, secret_keys
from tests.unit.stack_files import raw

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECURE = {"secure": "v1:abc"}
DJANGO = "backendSecrets.DJANGO_SECRET_KEY"


def begun(*names: str, **changes: str) -> Beginning:
    return beginning(load("sandbox", {**raw("sandbox"), **changes}), names, {}, AT)


def test_every_secret_key_is_a_credential_or_a_place_of_some() -> None:
    places = {"backendSecrets", "postgresPasswordB", "redisPasswordB"}
    assert [key for key in secret_keys() - places if credential(key) is None] == []


@pytest.mark.parametrize("name", ["version", "backendSecrets", "backendSecrets.", "x"])
def test_other_keys_are_none(name: str) -> None:
    assert credential(name) is None


def test_a_stack_file_shows_what_it_holds_without_opening_it() -> None:
    values: dict[str, Any] = {
        "version": "1.0.0",
        "notifyWebhook": "",
        "redisPasswordB": SECURE,
        "postgresPassword": SECURE,
        "backendSecrets": {"DJANGO_SECRET_KEY": SECURE, "API_KEY": SECURE},
    }
    names = [one.name for one in present(values)]
    inner = [DJANGO, "backendSecrets.API_KEY"]
    assert sorted(names) == sorted(["backupKeys", "postgresPassword", "redisPassword", *inner])


def test_the_login_out_of_use_gets_the_new_password_and_the_turn() -> None:
    new = begun("postgresPassword")
    assert list(new.secrets) == ["postgresPasswordB"]
    assert new.plain == {
        "postgresLogin": "b",
        'secretsRotated["postgresPassword"]': "2026-01-02T03:04:05+00:00",
    }


def test_and_back() -> None:
    new = begun("redisPassword", redisLogin="b", redisPasswordB="x", redisPassword="")
    assert (list(new.secrets), new.plain["redisLogin"]) == (["redisPassword"], "a")


def test_no_two_are_alike_and_none_is_short() -> None:
    new = begun("postgresPassword", "redisPassword", "fingerprintKey", DJANGO)
    assert len({*new.secrets.values()}) == 4
    assert min(map(len, new.secrets.values())) >= 48


def test_what_others_issue_is_taken_as_it_is_given() -> None:
    settings = load("sandbox", raw("sandbox"))
    new = beginning(settings, ["notifyWebhook"], {"notifyWebhook": "https://x"}, AT)
    assert new.secrets == {"notifyWebhook": "https://x"}


def test_a_new_key_of_the_backups_takes_the_place_of_the_old_which_opens_what_is_older() -> None:
    mine, others = f"age1{'a' * 58}", f"age1{'b' * 58}"
    values = {**raw("sandbox"), "backupRecipients": f'["{others}", "{mine}"]'}
    settings = load("sandbox", values)
    age = AgeKey(settings.backups.identity, mine), AgeKey("NEW", "age1new")
    new = beginning(settings, ["backupIdentity"], {}, AT, age)
    assert new.secrets == {"backupIdentity": f"NEW {settings.backups.identity}"}
    assert new.plain["backupRecipients[1]"] == "age1new"


def test_a_rotation_is_under_way_while_the_login_out_of_use_has_a_password() -> None:
    def stores(**changes: str) -> list[str]:
        settings = load("sandbox", {**raw("sandbox"), **changes})
        return [store.a.key for store in unfinished(settings.datastores)]

    assert stores() == []
    assert stores(redisLogin="b", redisPasswordB="x") == ["redisPassword"]
    assert stores(redisLogin="b", redisPasswordB="x", redisPassword="") == []
