"""The two logins of a datastore, and whose turn it is."""

from __future__ import annotations

import pytest

from rollout.fingerprint import changed_secrets
from rollout.release import ImageIdentity, container_environment, wanted_release
from rollout.settings import Settings, SettingsError, load
from rollout.shapes import Release
from tests.unit.stack_files import raw

IMAGE = ImageIdentity(image="sha256:abc", digest="sha256:abc")
SECOND = {"postgresLogin": "b", "postgresPasswordB": "second"}


def configured(**changes: str) -> Settings:
    return load("sandbox", {**raw("sandbox"), "version": "1.0.0", **changes})


def started(**changes: str) -> Release:
    return wanted_release(configured(**changes), IMAGE)


def users(settings: Settings, *kept: Release) -> list[str]:
    return [login.user for login in settings.postgres.logins.open(kept)]


def test_a_release_is_started_with_the_login_in_use() -> None:
    url = started(**SECOND).environment["DATABASE_URL"]
    assert url == "postgres://ytempire_b:${postgresPasswordB}@postgres:5432/ytempire"


def test_what_refers_to_the_password_gets_that_of_the_login_in_use() -> None:
    settings = configured(**SECOND, backendEnvironment='{"PGPASSWORD": "${postgresPassword}"}')
    release = wanted_release(settings, IMAGE)
    assert container_environment(release, settings.secrets)["PGPASSWORD"] == "second"


def test_the_login_out_of_use_is_closed() -> None:
    assert users(configured()) == ["ytempire"]
    assert users(configured(**SECOND)) == ["ytempire_b"]


def test_it_stays_open_while_a_kept_release_was_started_with_it() -> None:
    assert users(configured(**SECOND), started()) == ["ytempire", "ytempire_b"]


def test_the_password_of_the_login_out_of_use_is_in_no_fingerprint() -> None:
    gone = started(**SECOND, postgresPassword="")
    assert gone.identity == started(**SECOND).identity != started().identity


def test_a_kept_release_wants_its_own_logins_password_and_no_other() -> None:
    def changed(**changes: str) -> list[str]:
        settings = configured(**changes)
        key = settings.deployment.fingerprint_key
        return changed_secrets(started(), settings.datastore_passwords, key)

    assert changed(**SECOND) == []
    assert changed(postgresPasswordB="any") == []
    assert changed(**SECOND, postgresPassword="") == ["postgresPassword"]
    assert changed(**SECOND, postgresPassword="", fingerprintKey="x") == ["postgresPassword"]
    assert changed(**SECOND, postgresPassword="another") == ["postgresPassword"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"postgresPassword": ""}, "postgresPassword"),
        ({"redisPassword": ""}, "redisPassword"),
        ({"redisLogin": "b"}, "redisPasswordB"),
    ],
)
def test_the_login_in_use_must_have_a_password(changes: dict[str, str], key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        configured(**changes)
    turn = "b" if key.endswith("B") else "a"
    assert caught.value.mistakes == [
        f"{key}: expected a value, because login {turn} is in use (it is empty), got (secret)"
    ]
