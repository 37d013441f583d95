"""The main story, in order, on one stack: deploys, rollback, configuration, and what breaks.

Each change happens under a constant load through nginx; none may fail a request.
"""

from __future__ import annotations

import time

import pytest

from tests.e2e.load import Load
from tests.e2e.world import World, docker, wait_until


def test_before_the_first_release_the_edge_answers_503(world: World) -> None:
    world.up(None).ok or pytest.fail("the system without a release did not come up")
    load = Load(world.port, rate=10)
    with load:
        time.sleep(1)
    assert {answer.status for answer in load.answers} == {503}


def test_the_first_release_serves(world: World) -> None:
    outcome = world.up("1.0.0")
    assert outcome.ok, outcome.text
    assert world.live() == ("blue", "1.0.0")
    assert world.outputs()["release"].startswith("1.0.0+")


def test_the_second_run_changes_nothing(world: World) -> None:
    outcome = world.up(None, "--expect-no-changes")
    assert outcome.ok, outcome.text


def test_the_log_of_the_database_is_received(world: World) -> None:
    active = "SELECT active FROM pg_replication_slots"
    wait_until(lambda: world.sql(active) == "t", "nobody receives the database's log")


def test_a_second_release_follows_without_a_failed_request(world: World) -> None:
    with Load(world.port) as load:
        time.sleep(1)
        outcome = world.up("1.1.0")
        time.sleep(1)
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert _versions(load) == ["1.0.0", "1.1.0"]
    assert world.live() == ("green", "1.1.0")


def test_nothing_to_do_is_nothing_done_after_a_second_release(world: World) -> None:
    assert world.up(None, "--expect-no-changes").ok


def test_a_rollback_moves_traffic_and_runs_no_other_step(world: World) -> None:
    boots = _started(world, "blue")
    with Load(world.port) as load:
        outcome = world.up("1.0.0")
        time.sleep(1)
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert _versions(load) == ["1.1.0", "1.0.0"]
    assert world.live() == ("blue", "1.0.0")
    assert _started(world, "blue") == boots
    for step in ("blue-backup", "blue-migrate", "blue-app", "green-migrate"):
        assert not outcome.step_ran(step), f"{step} ran:\n{outcome.text}"
    assert outcome.step_ran("switch")


def test_a_withdrawn_release_does_not_return_by_itself(world: World) -> None:
    outcome = world.up("1.1.0")
    assert not outcome.ok
    assert "was withdrawn at" in outcome.text
    assert "Traceback" not in outcome.text
    assert world.live() == ("blue", "1.0.0")
    world.set("version", "1.0.0")


def test_a_withdrawn_release_returns_when_a_person_says_so(world: World) -> None:
    with Load(world.port) as load:
        outcome = world.ytops("up", "1.1.0")
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert world.live() == ("green", "1.1.0")


def test_a_third_release_takes_the_slot_of_the_first(world: World) -> None:
    with Load(world.port) as load:
        outcome = world.up("1.2.0")
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert world.live() == ("blue", "1.2.0")


def test_answers_flip_once_with_every_change_also_when_many_ask(world: World) -> None:
    """Each change loads nginx anew, and its old processes and new ones accept side by side for a
    moment: with many requests about, some meet both."""
    with Load(world.port, rate=200, paths=("/health",)) as load:
        time.sleep(1)
        for version in ("1.1.0", "1.2.0"):
            outcome = world.ytops("up", version)
            assert outcome.ok, outcome.text
        time.sleep(1)
    assert not load.failures, load.summary()
    assert _versions(load) == ["1.2.0", "1.1.0", "1.2.0"]
    assert world.live() == ("blue", "1.2.0")


def test_a_changed_configuration_is_a_new_release_of_the_same_version(world: World) -> None:
    before = world.state()["live"]["identity"]
    world.set("backendEnvironment", {"FEATURE": "on"})
    with Load(world.port) as load:
        outcome = world.up(None)
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert world.live() == ("green", "1.2.0")
    assert world.state()["live"]["identity"] != before
    assert "FEATURE=on" in docker("inspect", world.name("green"), "-f", "{{.Config.Env}}")


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("2.0.0-never-healthy", "unhealthy"),
        ("2.0.1-crashes-at-boot", "Error"),
        ("2.0.2-failing-migration", "migrat"),
        ("2.0.4-wrong-name", "9.9.9"),
    ],
)
def test_a_broken_release_stops_before_the_switch(world: World, version: str, words: str) -> None:
    live = world.live()
    with Load(world.port) as load:
        outcome = world.up(version)
    assert not outcome.ok
    assert words in outcome.text, outcome.text
    assert "Traceback" not in outcome.text.replace("Traceback (most recent call last)", "", 1)
    assert not load.failures, load.summary()
    assert world.live() == live


def test_a_release_that_breaks_after_the_switch_is_moved_back(world: World) -> None:
    live, outputs = world.live(), world.outputs()
    with Load(world.port) as load:
        outcome = world.up("2.0.3-errors-after-switch")
        time.sleep(1)
    assert not outcome.ok
    assert world.live() == live
    assert world.outputs() == outputs
    assert "through the edge: expected 200, got 500; everything was moved back" in outcome.text
    # It may be moved back so soon that nobody met it.
    assert _versions(load) in ([live[1]], [live[1], "2.0.3-errors-after-switch", live[1]])
    bad = [a for a in load.failures if not a.release.startswith("2.0.3")]
    assert not bad, f"failed elsewhere than on the bad release: {bad[:3]}"
    tail = [a for a in load.answers if a.at > load.answers[-1].at - 1]
    assert not [a for a in tail if a.failed]


def test_going_on_after_the_broken_ones_takes_one_run(world: World) -> None:
    with Load(world.port) as load:
        outcome = world.up("2.0.5-slow-boot")
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert world.live()[1] == "2.0.5-slow-boot"


def _versions(load: Load) -> list[str]:
    """Those that answered, in turn."""
    return [release.split("+")[0] for release in load.releases()]


def _started(world: World, part: str) -> str:
    return docker("inspect", world.name(part), "-f", "{{.State.StartedAt}}").strip()
