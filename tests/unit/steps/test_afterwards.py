"""cache, notify, files, edge-files, roles."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest
from msgspec import structs

from ops.steps import _files, files
from rollout.steps import Notify
from tests.unit.steps.host import HOST, NAMES, Host, state_of
from tests.unit.steps.parameters import CACHE, EDGE_FILES, FILES, ROLES

DONE = Notify(stack="test", switch=NAMES.switch, serial=2)
LAST = {
    "at": "2026-01-10T06:00:00+00:00", "kind": "rollback", "serial": 2,
    "source": "1.1.0+b", "target": "1.0.0+a", "who": "bob@desk",
}  # fmt: skip
PASSWORDS = {
    "LOGINS": json.dumps({"ytempire": "it's\\hush"}),
    "REPLICATION_PASSWORD": "hush-hush",
}


def test_only_the_cache_s_database_is_flushed(host: Host) -> None:
    host.answers("exec", out="OK\n")
    ran = host.step("cache", CACHE, REDISCLI_AUTH="hush-hush")
    (call,) = host.calls("exec")
    assert call["argv"] == [
        "exec", "--env", "REDISCLI_AUTH", NAMES.redis, "redis-cli", "--no-auth-warning",
        "--user", "app", "-n", "1", "FLUSHDB", "ASYNC",
    ]  # fmt: skip
    assert ran.out == f"database 1 of {NAMES.redis} flushed; the queue is untouched\n"


def test_the_broker_s_database_is_never_flushed(host: Host) -> None:
    ran = host.step("cache", structs.replace(CACHE, database=0))
    assert ran.error == (
        f"Database 0 of {NAMES.redis} holds the queue of jobs and is not flushed. "
        "Next: give the cache a database of its own (CACHE_DATABASE)\n"
    )
    assert not host.calls("exec")


def test_a_refused_flush_is_a_failure_though_redis_cli_exits_with_0(host: Host) -> None:
    host.answers("exec", out="NOAUTH Authentication required.\n")
    assert host.step("cache", CACHE).error == (
        f"The cache (database 1 of {NAMES.redis} on {HOST}) was not flushed: "
        "NOAUTH Authentication required.\n"
        "The switch is done; pages may show old data. "
        f"Next: `docker logs {NAMES.redis}`, then `ytops up`\n"
    )


def test_without_a_webhook_nobody_is_told(host: Host) -> None:
    assert host.step("notify", DONE).out == "no webhook is configured: nobody is told\n"


def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """What is sent to the webhook from here on."""
    sent: list[tuple[str, dict[str, object]]] = []

    def send(url: str, text: str, fields: dict[str, object], say: object) -> bool:
        sent.append((text, fields))
        return True

    monkeypatch.setattr("ops.notify.send", send)
    return sent


def test_people_are_told_what_the_host_remembers_of_the_switch(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = told(monkeypatch)
    failed = {**LAST, "kind": "revert", "serial": 3}
    host.agent("state", state_of(last_switch=LAST, last=failed))
    assert host.step("notify", DONE, WEBHOOK="http://hook").out == "told the webhook\n"
    ((text, fields),) = sent
    assert text == "YTEMPIRE test: rollback of 1.0.0+a is done (before: 1.1.0+b)"
    assert fields == {
        "event": "done", "stack": "test", "source": "1.1.0+b", "target": "1.0.0+a",
        "kind": "rollback", "serial": 2, "who": "bob@desk",
    }  # fmt: skip


@pytest.mark.parametrize("last", [None, {**LAST, "serial": 3}])
def test_nothing_is_told_of_a_switch_that_the_host_does_not_remember(
    host: Host, monkeypatch: pytest.MonkeyPatch, last: dict[str, object] | None
) -> None:
    sent = told(monkeypatch)
    host.agent("state", state_of(last_switch=last))
    ran = host.step("notify", DONE, WEBHOOK="http://hook")
    assert ran.out == "nobody was told: the host does not remember switch 2\n"
    assert not sent


def test_an_agent_that_does_not_answer_fails_no_notification(host: Host) -> None:
    host.agent("state", {"error": "the switch agent failed in state"})
    ran = host.step("notify", DONE, WEBHOOK="http://hook")
    assert (ran.code, ran.error) == (0, "")
    assert ran.out == "nobody was told: the switch agent failed in state\n"


def test_a_dead_webhook_fails_nothing_and_keeps_its_secret(host: Host) -> None:
    host.agent("state", state_of(last_switch=LAST))
    ran = host.step("notify", DONE, WEBHOOK="http://127.0.0.1:9/services/T0/hush")
    assert (ran.code, ran.error) == (0, "")
    assert ran.out == (
        "nobody was told: the webhook at 127.0.0.1 can't be reached ([Errno 111] Connection "
        "refused)\n"
    )


@pytest.mark.parametrize("url", ["hush", "http://hush hush/", "http://[hush"])
def test_a_webhook_that_is_no_url_fails_nothing(host: Host, url: str) -> None:
    host.agent("state", state_of(last_switch=LAST))
    ran = host.step("notify", DONE, WEBHOOK=url)
    assert ran.code == 0
    assert "hush" not in ran.out


def test_files_reach_the_volume_as_an_archive_on_stdin(host: Host) -> None:
    host.no_container(NAMES.redis)
    ran = host.step("files", FILES, FILES=json.dumps({"redis.conf": "hush", "a/b": "x"}))
    (call,) = host.calls("run")
    with tarfile.open(fileobj=io.BytesIO(call["stdin"].encode())) as tar:
        assert {(m.name, m.mode) for m in tar} == {("redis.conf", 0o440), ("a/b", 0o440)}
    assert not any("hush" in word for word in call["argv"])
    assert ran.out == f"2 files in {NAMES.volume('redis-config')}\n"


def test_a_server_that_does_not_run_is_not_told(host: Host) -> None:
    host.no_container(NAMES.redis)
    assert host.step("files", FILES, FILES='{"a": "b"}').code == 0
    assert not host.calls("exec")


def test_a_fresh_volume_is_given_to_its_user(host: Host) -> None:
    host.no_container(NAMES.redis)
    host.answers("run", code=73, then=({}, {}))
    assert host.step("files", FILES, FILES='{"a": "b"}').code == 0
    assert host.calls("run")[1]["argv"][-3:] == ["redis:7", "999:999", "/target"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
def test_no_file_leaves_the_volume(host: Host, name: str) -> None:
    ran = host.step("files", FILES, FILES=json.dumps({name: "x"}))
    assert ran.error == f"FILES: {name!r} is not a path below the volume\n"
    assert not host.calls("run")


def test_files_that_are_no_object_are_refused_without_being_shown(host: Host) -> None:
    ran = host.step("files", FILES, FILES='["hush"]')
    assert ran.error == "The variable FILES does not hold a JSON object of name to text\n"


def unpack(folder: Path, wanted: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    text = files.SCRIPT.replace("/target", str(folder)).replace("/tmp/names", f"{folder}.names")
    return subprocess.run(
        ["sh", "-c", text], input=_files.archive(wanted), capture_output=True, timeout=5
    )


def test_the_script_replaces_files_and_leaves_the_others(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "redis.conf").write_text("old")
    (volume / "other").write_text("mine")
    (volume / ".incoming.killed").mkdir()
    assert unpack(volume, {"redis.conf": "new", "tls/key.pem": "k"}).returncode == 0
    found = {str(p.relative_to(volume)): p for p in volume.rglob("*") if p.is_file()}
    assert {name: path.read_text() for name, path in found.items()} == {
        "redis.conf": "new", "other": "mine", "tls/key.pem": "k",
    }  # fmt: skip
    assert found["tls/key.pem"].stat().st_mode & 0o777 == 0o440
    assert not list(volume.glob(".incoming*"))


def test_edge_files_go_through_the_switch(host: Host) -> None:
    host.agent("edge", {"result": {"running": True}})
    ran = host.step("edge-files", EDGE_FILES, FILES='{"nginx.conf": "hi"}')
    (asked,) = host.asked("edge")
    assert asked["files"] == {"nginx.conf": "aGk="}
    assert ran.out == "1 files: nginx serves them\n"


def test_a_configuration_that_nginx_refuses_shows_its_log(host: Host) -> None:
    host.agent("edge", {"error": "nginx did not take the configuration"})
    host.answers("logs", "--tail", "25", NAMES.edge, error="[emerg] unknown directive\n")
    assert host.step("edge-files", EDGE_FILES, FILES='{"nginx.conf": "hi"}').error == (
        f"The edge on {HOST} keeps its configuration: nginx did not take the configuration.\n"
        f"The last lines of {NAMES.edge}:\n"
        "  [emerg] unknown directive\n"
        "Traffic goes on as before. Next: correct the configuration, then `pulumi up`\n"
    )


def test_passwords_reach_psql_on_stdin_only(host: Host) -> None:
    host.container(NAMES.postgres)
    ran = host.step("roles", ROLES, **PASSWORDS)
    (call,) = host.calls("exec", "--interactive")
    assert "\\set password 'it''s\\\\hush'\n" in call["stdin"]
    assert not any("hush" in word for c in host.calls() for word in c["argv"])
    assert ran.out.startswith("roles ytempire, replicator have their passwords (")


def test_the_server_logs_no_password(host: Host) -> None:
    host.container(NAMES.postgres)
    host.step("roles", ROLES, **PASSWORDS)
    (call,) = host.calls("exec", "--interactive")
    script = call["stdin"]
    assert script.index("SET log_statement = 'none'") < script.index("ALTER ROLE")


def test_a_failed_role_shows_psql_s_words_without_the_password(host: Host) -> None:
    host.container(NAMES.postgres)
    host.answers("exec", "--interactive", error="ERROR: near 'hush-hush'", code=3)
    assert host.step("roles", ROLES, **PASSWORDS).error == (
        f"The roles of ytempire ({NAMES.postgres} on {HOST}) were not set: ERROR: near '***'\n"
        f"Next: `docker logs {NAMES.postgres}`, then `pulumi up`\n"
    )


def test_a_database_that_does_not_come_up_shows_its_log(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.steps.roles.BOOT_SECONDS", 0)
    host.container(NAMES.postgres)
    host.answers("exec", "--user", error="no response", code=2)
    host.answers("logs", "--tail", "25", NAMES.postgres, out="FATAL: disk\n")
    assert host.step("roles", ROLES, **PASSWORDS).error == (
        f"PostgreSQL ({NAMES.postgres} on {HOST}) accepts no connections after 0 s: no response\n"
        f"The last lines of {NAMES.postgres}:\n"
        "  FATAL: disk\n"
        f"Next: `docker logs {NAMES.postgres}`, then `pulumi up`\n"
    )


def test_a_second_login_acts_as_the_owner_and_the_locked_one_is_cut_off(host: Host) -> None:
    host.container(NAMES.postgres)
    turned = structs.replace(ROLES, may_log_in=("ytempire_b",), locked=("ytempire",))
    logins = json.dumps({"ytempire_b": "hush"})
    ran = host.step("roles", turned, LOGINS=logins, REPLICATION_PASSWORD="hush-hush")
    (call,) = host.calls("exec", "--interactive")
    opened, locked = call["stdin"].split("\\set login 'ytempire'\n")
    assert "\\set login 'ytempire_b'\n\\set password 'hush'\n" in opened
    assert "ALTER ROLE %2$I SET role = %1$L" in opened
    assert "PASSWORD NULL" in locked
    assert "pg_terminate_backend" in locked
    assert ran.out.endswith("ytempire can't log in\n")


def test_an_empty_password_is_refused(host: Host) -> None:
    host.container(NAMES.postgres)
    ran = host.step("roles", ROLES, LOGINS='{"ytempire": ""}', REPLICATION_PASSWORD="x")
    assert ran.error == "The variable LOGINS must hold a password: one line, not empty\n"
