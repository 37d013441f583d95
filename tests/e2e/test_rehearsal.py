"""A release is tried on a copy of the data first; and where a migration fails all the same, it is
told what holds."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.world import Running, World, docker, wait_until

MIGRATED = "SELECT name FROM django_migrations WHERE app = 'app' ORDER BY id"


@pytest.fixture(scope="module")
def serving(world: World) -> World:
    """1.0.0 serves; its backup is from before its first migration."""
    outcome = world.up("1.0.0")
    assert outcome.ok, outcome.text
    docker("exec", world.name("blue"), "python", "manage.py", "seed")
    return world


def test_a_rehearsal_that_was_killed_is_cleared_away_by_the_next_which_passes(
    serving: World,
) -> None:
    with untouched(serving):
        killed = _begun(serving)
        second = serving.ytops("rehearse", "1.1.0")
        killed.kill()
        passed = serving.ytops("rehearse", "1.1.0")
    assert second.code == 3, second.text
    assert "A rehearsal or trial restore of e2e" in second.text
    assert "is under way" in second.text
    assert passed.code == 0, passed.text
    assert "was cut off: its rest is removed" in passed.text
    assert "ACCESS EXCLUSIVE on videos" in passed.text
    assert "and rolled back to 1.0.0+" in passed.text
    record = recorded(serving, "1.1.0")
    assert record["verdict"] == "pass"
    assert record["applied"] == ["app.0002_video_thumbnail"]
    assert record["before"]["migrations"] == {"app": "0001_initial"}
    assert record["after"]["migrations"] == {"app": "0002_video_thumbnail"}
    assert record["before"]["checksum"] != record["after"]["checksum"]
    # Of the framework's own table, whoever looks each 50 ms sees the lock on a slow machine only.
    locks = {lock["relation"]: lock["seconds"] for lock in record["locks"]}
    assert locks.keys() <= {"videos", "django_migrations"}
    assert record["longest_lock_seconds"] == locks["videos"]
    assert record["previous_release_works"]["status"] == "pass"


def test_a_rehearsal_that_is_interrupted_leaves_nothing(serving: World) -> None:
    with untouched(serving):
        run = _begun(serving)
        run.process.send_signal(signal.SIGINT)
        stopped = run.end()
        assert stopped.code == 130, stopped.text
        assert "nothing was recorded" in stopped.text


def test_a_release_that_breaks_the_one_before_is_told_with_the_statement(serving: World) -> None:
    with untouched(serving):
        broken = serving.ytops("rehearse", "2.1.0-breaks-previous", "--fresh")
    assert broken.code == 1, broken.text
    statement = 'ALTER TABLE "channels" RENAME COLUMN "name" TO "title"'
    assert (
        "✗ 1.0.0 on the new schema: /api/v1/channels: expected 200, got 500\n"
        "  PostgreSQL: column channels.name does not exist\n"
    ) in broken.text
    assert f"  the migration: {statement}\n" in broken.text
    assert "✗ 2.1.0" not in broken.text
    assert "2.1.0-breaks-previous must not be deployed as it is" in broken.text
    record = recorded(serving, "2.1.0-breaks-previous")
    assert record["verdict"] == "fail"
    assert record["release_works"]["status"] == "pass"
    assert statement in record["previous_release_works"]["detail"]


def test_a_migration_that_fails_is_told_with_the_statement(serving: World) -> None:
    with untouched(serving):
        failed = serving.ytops("rehearse", "2.0.2-failing-migration", "--json")
    assert failed.code == 1, failed.text
    record = json.loads(failed.text)
    assert record == recorded(serving, "2.0.2-failing-migration")
    assert record["applied"] == ["app.0002_video_thumbnail"]
    assert record["previous_release_works"]["status"] == "pass"  # on the half that was applied
    assert record["detail"] == (
        "The migrations of 2.0.2-failing-migration fail (exit code 1): app.0003_require_transcripts"
    )


def test_a_migration_that_fails_in_production_is_told_and_the_next_tries_go_through(
    serving: World,
) -> None:
    with serving.load() as load:
        failed = serving.ytops("up", "2.0.2-failing-migration")
        assert not failed.ok
        assert "Applied before that, and kept: app.0002_video_thumbnail." in failed.text
        assert "Failed: app.0003_require_transcripts." in failed.text
        assert (
            "The statement: ALTER TABLE videos ALTER COLUMN transcript SET NOT NULL" in failed.text
        )
        assert serving.live() == ("blue", "1.0.0")
        other = serving.ytops("up", "1.1.0")
        assert other.ok, other.text
        serving.sql("ALTER TABLE videos ADD COLUMN transcript text DEFAULT ''")
        again = serving.ytops("up", "2.0.2-failing-migration")
        assert again.ok, again.text
    assert not load.failures, load.summary()
    assert serving.live()[1] == "2.0.2-failing-migration"
    assert serving.sql(MIGRATED).split()[-1] == "0003_require_transcripts"


@contextmanager
def untouched(world: World) -> Iterator[None]:
    """What serves goes on serving, as it was, and nothing else is there afterwards."""
    before = (world.containers(), world.state(), world.sql(MIGRATED), world.leftovers())
    with world.load() as load:
        yield
    assert not load.failures, load.summary()
    assert (world.containers(), world.state(), world.sql(MIGRATED), world.leftovers()) == before


def recorded(world: World, version: str) -> dict[str, Any]:
    path = world.folder / "rehearsals" / f"{version}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _begun(world: World) -> Running:
    """A rehearsal that has its copy by now."""
    run = world.begin("ytops", "rehearse", "1.1.0")
    place = world.name("rehearsal-postgres")
    wait_until(lambda: run.process.poll() is not None or place in world.containers(), "no copy yet")
    assert run.process.poll() is None, run.text
    return run
