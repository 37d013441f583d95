"""A table is dropped while people are at work, and comes back, with the loss of what came later."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e import jobs
from tests.e2e.jobs import Stream
from tests.e2e.load import Load
from tests.e2e.world import World, docker, wait_until

USERS = "SELECT count(*) FROM users WHERE email = 'later@example.org'"
VIDEOS = "SELECT count(*) FROM videos"
MIGRATED = "SELECT name FROM django_migrations WHERE app = 'app' ORDER BY id"
# Whoever was in the database at the moment of the swap, and whoever came in it: on a quiet machine
# a tenth of a second.
SWAP_SECONDS = 5
RATE = 25


@pytest.fixture(scope="module")
def backed_up(make_world: Callable[..., World]) -> Iterator[World]:
    """1.1.0 serves; the backup is from before its migration."""
    world = make_world()
    first = world.up("1.0.0")
    assert first.ok, first.text
    docker("exec", world.name("blue"), "python", "manage.py", "seed")
    world.ytops("backup", "run")
    second = world.up("1.1.0")
    assert second.ok, second.text
    yield world
    for volume in ("drive1", "drive2", "backup-lock"):
        docker("volume", "rm", "--force", world.name(f"vol-{volume}"))


def test_a_dropped_table_comes_back_under_load_with_the_loss_that_the_backup_s_age_promises(
    backed_up: World,
) -> None:
    world = backed_up
    assert "host; before 1.1.0+" in world.ytops("restore").text
    videos = world.sql(VIDEOS)
    world.sql("INSERT INTO users (email, created_at) VALUES ('later@example.org', now())")
    with world.load(RATE) as load, Stream(world, (0.2,), least=0) as stream:
        stream.add(6)  # under way when its session ends
        world.sql("DROP TABLE videos CASCADE")
        outcome = world.ytops("restore", "newest", "--yes")
        assert outcome.ok, outcome.text
        after = stream.add(0.1)
        wait_until(lambda: not jobs.unfinished(world, [after]), "no worker takes jobs any more")
    print(load.summary(), outcome.text, sep="\n")
    assert "1.1.0+" in outcome.text
    assert "applied app.0002_video_thumbnail" in outcome.text
    assert world.sql(VIDEOS) == videos
    assert world.sql(USERS) == "0"
    assert world.sql(MIGRATED).split()[-1] == "0002_video_thumbnail"
    assert _seconds_of_failure(load) < SWAP_SECONDS, load.summary()
    _is_remembered_until_it_is_dismissed(world)


def _is_remembered_until_it_is_dismissed(world: World) -> None:
    assert world.state()["hold"] is None
    status = world.ytops("status")
    assert status.ok, status.text
    assert "is kept: `ytops restore --dismiss`" in status.text
    dismissed = world.ytops("restore", "--dismiss", "--yes")
    assert dismissed.ok, dismissed.text
    assert "is kept" not in world.ytops("status").text
    assert world.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_before\\_%'") == "0"
    unchanged = world.up(None, "--expect-no-changes")
    assert unchanged.ok, unchanged.text


def _seconds_of_failure(load: Load) -> float:
    """From the first failed request to the last."""
    times = [answer.at for answer in load.failures]
    return max(times) - min(times) if times else 0.0
