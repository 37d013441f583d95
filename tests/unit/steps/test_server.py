"""What a running server makes of changed files."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from ops.steps import _server
from tests.unit.steps.host import HOST, NAMES, Host, Ran
from tests.unit.steps.parameters import FILES, PG_FILES

RESTART = "is an outage of some seconds for the application: choose the hour\n"


def postgres(host: Host, monkeypatch: pytest.MonkeyPatch, *, wrong: str, waiting: str) -> Ran:
    monkeypatch.setattr("ops.steps._server.RELOADED_SECONDS", 0)
    host.container(NAMES.postgres)
    call = ("exec", "--user", "postgres", NAMES.postgres, "sh", "-c", _server.PSQL)
    host.answers(*call, _server.REREAD, out="t\n")
    host.answers(*call, _server.ERRORS, out=f"{wrong}\n")
    host.answers(*call, _server.PENDING, out=f"{waiting}\n")
    return host.step("files", PG_FILES, FILES='{"a": "b"}')


def test_settings_that_need_a_restart_are_named_with_its_price(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = postgres(host, monkeypatch, wrong="", waiting="max_connections, shared_buffers")
    assert ran.out.endswith(
        f"{NAMES.postgres} reads them again\n"
        "note: max_connections, shared_buffers takes effect at the next start only. "
        f"`docker restart {NAMES.postgres}` {RESTART}"
    )


def test_settings_that_postgres_takes_need_no_more_words(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = postgres(host, monkeypatch, wrong="", waiting="")
    assert ran.out.endswith(f"{NAMES.postgres} reads them again\n")


def test_settings_that_postgres_refuses_fail_the_run(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "work_mem: setting could not be applied"
    ran = postgres(host, monkeypatch, wrong=words, waiting="")
    assert ran.error.startswith(
        f"PostgreSQL ({NAMES.postgres} on {HOST}) does not take its configuration: {words}\n"
    )


def test_a_new_limit_of_redis_is_set_while_it_runs(host: Host) -> None:
    host.container(NAMES.redis)
    host.answers("exec", out="OK\n")
    auth = {"REDISCLI_USER": "ops", "REDISCLI_AUTH": "hush-hush"}
    ran = host.step("files", FILES, FILES='{"a": "b"}', **auth)
    (call,) = host.calls("exec")
    assert call["argv"][-4:] == ["CONFIG", "SET", "maxmemory", "384mb"]
    assert not any("hush" in word for word in call["argv"])
    assert ran.out.endswith(f"{NAMES.redis}: maxmemory is 384mb\n")


def test_a_redis_that_does_not_know_us_yet_says_what_is_left_to_do(host: Host) -> None:
    host.container(NAMES.redis)
    host.answers("exec", out="WRONGPASS invalid username-password pair\n")
    ran = host.step("files", FILES, FILES='{"a": "b"}')
    assert ran.code == 0
    assert ran.out.endswith(
        "did not take it: WRONGPASS invalid username-password pair\n"
        "note: what was changed takes effect at the next start only. "
        f"`docker restart {NAMES.redis}` {RESTART}"
    )


ACL = "user default off\nuser app_b on #hash ~*\nuser ops on #other\n"
USERS = structs.replace(FILES, users="users.acl")


def redis_users(host: Host, answer: str, then: str = "PONG\n") -> Ran:
    host.container(NAMES.redis)
    host.answers("exec", out=then)
    host.answers("exec", "--interactive", out=answer)
    logins = json.dumps({"app_b": "hush-hush"})
    return host.step("files", USERS, FILES=json.dumps({"users.acl": ACL}), LOGINS=logins)


def test_redis_takes_its_users_while_it_runs_and_no_process_list_shows_them(host: Host) -> None:
    ran = redis_users(host, "OK\nOK\nOK\napp\napp_b\ndefault\nops\n")
    first, second = (call["stdin"] for call in host.calls("exec", "--interactive"))
    assert first.splitlines() == [
        "ACL SETUSER default reset off",
        "ACL SETUSER app_b reset on #hash ~*",
        "ACL SETUSER ops reset on #other",
        "ACL USERS",
    ]
    assert second == "ACL DELUSER app\n"
    assert ran.out.endswith(f"{NAMES.redis} knows default, app_b, ops, and no longer app\n")
    assert not any("#hash" in word for call in host.calls("exec") for word in call["argv"])


def test_a_redis_whose_operator_may_not_do_that_is_left_if_its_users_can_log_in(host: Host) -> None:
    ran = redis_users(host, "NOPERM this user has no permissions\n" * 4)
    assert ran.code == 0
    assert f"{NAMES.redis} did not take its users: NOPERM this user has no permissions" in ran.out


def test_a_user_who_can_not_log_in_stops_the_deploy_before_it_begins(host: Host) -> None:
    ran = redis_users(host, "NOPERM this user has no permissions\n" * 4, "NOAUTH\n")
    assert ran.error == (
        f"Redis ({NAMES.redis} on {HOST}) does not take its users while it runs: NOPERM this user "
        "has no permissions\n"
        f"They are in its file. Next: `docker restart {NAMES.redis}`, an outage of some seconds "
        "for the application (its data stays), then `ytops up`\n"
    )
