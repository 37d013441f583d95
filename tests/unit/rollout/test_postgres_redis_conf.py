"""The datastores' configuration files."""

from __future__ import annotations

from hashlib import sha256

import pytest

from rollout.postgres import SHARED_MB, hba, postgresql_conf, shared_mb
from rollout.redis import redis_conf, users_acl
from rollout.settings import Settings, load
from tests.unit.stack_files import raw


def configured(**changes: str) -> Settings:
    return load("sandbox", {**raw("sandbox"), **changes})


def conf(**changes: str) -> dict[str, str]:
    lines = postgresql_conf(configured(**changes).postgres, "/etc/ytempire").splitlines()[1:]
    return dict(line.split(" = ", 1) for line in lines)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("wal_level", "'replica'"),
        ("max_wal_senders", "'10'"),
        ("max_slot_wal_keep_size", "'4GB'"),
        ("password_encryption", "'scram-sha-256'"),
        ("timezone", "'UTC'"),
        ("hba_file", "'/etc/ytempire/pg_hba.conf'"),
    ],
)
def test_the_server_is_ready_for_streaming_and_keeps_utc(setting: str, value: str) -> None:
    assert conf()[setting] == value


def test_memory_follows_the_containers_limit() -> None:
    sized = conf(postgresMemory="8192")
    assert (sized["shared_buffers"], sized["effective_cache_size"]) == ("'2048MB'", "'4096MB'")


def test_a_stack_may_set_more_and_has_the_last_word() -> None:
    sized = conf(postgresSettings='{"max_connections": "300", "work_mem": "32MB"}')
    assert (sized["max_connections"], sized["work_mem"]) == ("'300'", "'32MB'")


@pytest.mark.parametrize(
    ("said", "megabytes"),
    [("1GB", 1024 + 256), ("512MB", 512 + 256), ("65536", 64 + 256), ("2048 kB", 2 + 256)],
)
def test_a_parallel_vacuum_finds_room_for_all_that_it_may_take(said: str, megabytes: int) -> None:
    settings = f'{{"maintenance_work_mem": "{said}"}}'
    assert shared_mb(configured(postgresSettings=settings).postgres) == megabytes


@pytest.mark.parametrize("said", ["{}", '{"maintenance_work_mem": "a lot"}'])
def test_what_says_no_memory_is_postgresqls_to_refuse(said: str) -> None:
    assert shared_mb(configured(postgresSettings=said).postgres) == SHARED_MB


def test_quotes_are_doubled() -> None:
    assert conf(postgresSettings='{"log_line_prefix": "it\'s "}')["log_line_prefix"] == "'it''s '"


def test_only_the_application_and_replication_come_in_and_only_from_the_data_network() -> None:
    rows = hba(configured().postgres, "172.30.2.0/24", "replicator").splitlines()[1:]
    assert rows == [
        "local\tall\tall\t\ttrust",
        "host\tytempire,ytempire_restore\tytempire,ytempire_b\t172.30.2.0/24\tscram-sha-256",
        "host\treplication\treplicator\t172.30.2.0/24\tscram-sha-256",
    ]


@pytest.mark.parametrize(
    "line", ["appendonly yes", "maxmemory 192mb", "maxmemory-policy noeviction"]
)
def test_redis_keeps_the_queue_on_disk_and_never_evicts(line: str) -> None:
    assert line in redis_conf(configured().redis, "/etc/ytempire").splitlines()


def test_redis_conf_holds_no_password() -> None:
    assert "placeholder" not in redis_conf(configured().redis, "/etc/ytempire")


def test_nobody_can_be_the_unnamed_user_who_may_replay_all_that_is_on_disk() -> None:
    assert (
        users_acl([configured().redis.logins.a], "operator").splitlines()[0]
        == "user default off resetpass ~* &* +@all"
    )


def test_the_application_may_flush_a_database_but_not_all() -> None:
    user = users_acl([configured().redis.logins.a], "operator").splitlines()[1]
    hashed = sha256(b"placeholder-redis").hexdigest()
    assert user.startswith(f"user app on #{hashed} ")
    assert "-@dangerous" in user
    assert "+flushdb" in user
    assert "flushall" not in user


def test_the_operator_sets_limits_and_users_and_sees_no_data() -> None:
    user = users_acl([configured().redis.logins.a], "operator").splitlines()[2]
    assert user.startswith("user ops on #")
    assert user.endswith(
        " -@all +ping +config|get +config|set +acl|setuser +acl|deluser +acl|users"
    )
    assert "operator" not in user
