"""Credentials are rotated while users and jobs go on."""

from __future__ import annotations

from tests.e2e import jobs
from tests.e2e.jobs import SHORT, Stream
from tests.e2e.world import World, docker, wait_until

OLD = ("postgresPassword", "redisPassword", "postgresReplicationPassword", "fingerprintKey")
DONE_SECONDS = 120


def test_every_credential_is_rotated_under_load_and_the_old_ones_are_refused(world: World) -> None:
    assert world.up("1.0.0").ok
    old = {key: world.secret(key) for key in OLD}
    with world.load() as load, Stream(world, SHORT, 30) as stream:
        outcome = world.ytops("secrets", "rotate", "--all")
    assert outcome.ok, outcome.text
    assert all(world.secret(key) != old[key] for key in OLD[2:])
    assert not any(password in outcome.text for password in old.values())
    assert not load.failures, load.summary()
    wait_until(lambda: not jobs.unfinished(world, stream.ids), "jobs are lost", DONE_SECONDS)
    assert jobs.effects(world, stream.ids) == sorted(stream.ids)
    assert (stream.asked_again, world.live()[1]) == (0, "1.0.0")
    assert not _postgres_takes(world, "ytempire", old["postgresPassword"])
    assert not _postgres_takes(world, "replicator", old["postgresReplicationPassword"])
    assert not _redis_takes(world, "app", old["redisPassword"])
    assert _postgres_takes(world, "ytempire_b", world.secret("postgresPasswordB"))
    assert _redis_takes(world, "app_b", world.secret("redisPasswordB"))
    assert world.get("postgresPassword") is None
    assert "does not stand ready" in world.ytops("rollback").text
    assert world.ytops("status").ok
    assert world.up(None, "--expect-no-changes").ok


def _postgres_takes(world: World, user: str, password: str) -> bool:
    """Over the network, from inside the server's own container."""
    database = "replication=true" if user == "replicator" else "dbname=ytempire"
    query = "IDENTIFY_SYSTEM" if user == "replicator" else "SELECT 1"
    script = 'psql -w -X -d "host=postgres user=$0 $1" -c "$2" 2>&1; true'
    said = docker(
        "exec", "-e", f"PGPASSWORD={password}", world.name("postgres"),
        "sh", "-c", script, user, database, query,
    )  # fmt: skip
    assert "(1 row)" in said or "password authentication failed" in said, said
    return "(1 row)" in said


def _redis_takes(world: World, user: str, password: str) -> bool:
    said = docker(
        "exec", "-e", f"REDISCLI_AUTH={password}", world.name("redis"),
        "redis-cli", "--no-auth-warning", "--user", user, "PING",
    )  # fmt: skip
    assert said.strip() in ("PONG", "NOAUTH Authentication required."), said
    return said.strip() == "PONG"
