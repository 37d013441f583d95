"""The scheduler in a stack of its own: deployed by the real engine, it makes the first backup by
itself, and no deploy is in its way or it in a deploy's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rollout.scheduler import PORT, REPORT
from tests.e2e.world import World, docker, wait_until

TASKS = {"dump", "base", "wal", "media", "application", "verify", "prune"}
ASK = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())
"""


@pytest.fixture(scope="module")
def scheduled(make_world: Callable[..., World]) -> World:
    return make_world(backupSchedule=True)


def report(world: World) -> dict[str, Any]:
    text = docker("exec", world.name("scheduler"), "cat", REPORT, check=False)
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def ended(world: World) -> set[str]:
    """The tasks that were done, well or badly."""
    return set(report(world).get("last", {}))


def _log(world: World) -> str:
    return docker("logs", world.name("scheduler"))


def test_the_first_deploy_brings_a_scheduler_that_makes_and_proves_a_backup(
    scheduled: World,
) -> None:
    outcome = scheduled.up("1.0.0")
    assert outcome.ok, outcome.text
    assert scheduled.up(None, "--expect-no-changes").ok
    wait_until(lambda: ended(scheduled) >= TASKS, lambda: _log(scheduled), seconds=240)
    assert all(last["ok"] for last in report(scheduled)["last"].values()), _log(scheduled)
    assert report(scheduled)["kinds"]["dump"]["proved"]
    told = scheduled.ytops("backup", "list", "--json")
    assert told.ok
    made = {backup["folder"].rpartition("/")[0]: backup for backup in json.loads(told.text)}
    assert set(made) == {"database/monthly", "database/base", "files/media", "files/application"}
    assert all(backup["places"] == ["drive1", "drive2"] for backup in made.values())


def test_the_next_deploy_leaves_it_alone_and_a_restart_makes_no_second_backup(
    scheduled: World,
) -> None:
    before = _started(scheduled)
    outcome = scheduled.up("1.1.0")
    assert outcome.ok, outcome.text
    assert _started(scheduled) == before
    made = scheduled.ytops("backup", "list", "--json").text
    docker("restart", scheduled.name("scheduler"))
    wait_until(lambda: report(scheduled).get("kinds"), "it looks at nothing after a restart")
    assert json.loads(scheduled.ytops("backup", "list", "--json").text) == json.loads(made)


def test_its_metrics_are_on_the_data_network_alone(scheduled: World) -> None:
    said = _metrics(scheduled, "net-data")
    assert 'ytempire_backup_verified_timestamp_seconds{kind="dump"}' in said
    assert _metrics(scheduled, "net-app") == ""


def test_a_receiver_that_is_away_is_told_of_and_its_return_too(scheduled: World) -> None:
    """The log that waits was all shipped, so that nothing else would tell."""
    docker("stop", scheduled.name("wal"))
    wait_until(lambda: _wal_words(scheduled), lambda: _log(scheduled), seconds=180)
    assert _wal_words(scheduled).startswith("nobody receives slot ytempire_wal. Next: `ytops logs")
    docker("start", scheduled.name("wal"))
    docker("restart", scheduled.name("scheduler"))  # or it tries again in five minutes
    wait_until(lambda: _wal(scheduled).get("ok"), lambda: _log(scheduled), seconds=180)


def _wal_words(world: World) -> str:
    return str(_wal(world).get("words", ""))


def _wal(world: World) -> dict[str, Any]:
    last: dict[str, Any] = report(world).get("last", {})
    return dict(last.get("wal", {}))


def _metrics(world: World, network: str) -> str:
    """As the switch, which is on both networks, gets them."""
    at = f'{{{{(index .NetworkSettings.Networks "{world.name(network)}").IPAddress}}}}'
    address = docker("inspect", world.name("scheduler"), "-f", at).strip()
    ask = ("python3", "-c", ASK, f"http://{address}:{PORT}/")
    return docker("exec", world.name("switch"), *ask, check=False)


def _started(world: World) -> str:
    return docker("inspect", world.name("scheduler"), "-f", "{{.State.StartedAt}}").strip()
