"""What keeps a dump and a migration apart is a lease in the real database: it is held for as long
as somebody is there, and no longer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from ops.steps import _undisturbed as lock
from rollout.dumps import MIGRATING
from tests.e2e.world import wait_until
from tests.s3.site import Site, database, made
from tests.s3.store import Moto

TAKE = f"SELECT pg_try_advisory_lock({MIGRATING})"


@pytest.fixture(scope="module")
def site(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place, settings = made(moto, tmp_path_factory.mktemp("checkout"), "ml")
    found = Site(place, moto, settings)
    with database(found):
        yield found


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE_SECONDS", 3)
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.5)


def _connected(site: Site) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return lock.connected(site.place.docker, site.place.names.postgres, "ytempire", "ytempire")


def _is_free(site: Site) -> bool:
    return site.sql(TAKE) == "t"


def test_it_is_held_beyond_its_lease_and_given_up_at_the_end(site: Site) -> None:
    with _connected(site) as session, lock.undisturbed(session, "ytempire", print):
        time.sleep(2 * lock.LEASE_SECONDS)
        assert not _is_free(site)
    wait_until(lambda: _is_free(site), "it is held after its end")


def test_a_session_that_nobody_ends_gives_it_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an engine that restarts beside its containers leaves one: its input stays open."""
    monkeypatch.setattr(lock, "BEAT_SECONDS", 600)
    with _connected(site) as session, lock.undisturbed(session, "ytempire", print):
        assert not _is_free(site)
        wait_until(lambda: _is_free(site), "nobody is there, and it is held for ever")
