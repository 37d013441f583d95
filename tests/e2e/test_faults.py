"""Whatever dies in the middle of a deploy, no request fails, and one `ytops up` arrives.

The engine is killed at the boundaries of the steps, the step that switches and the agent that it
asks are killed while traffic has moved and nobody has confirmed it, and people press Ctrl-C.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.world import Outcome, Running, World, docker, wait_until

WATCHING = "verified in"


@pytest.mark.parametrize("moment", ["migrate creating", "app creating"])
def test_an_engine_killed_while_it_prepares_a_slot_is_gone_on_from(
    shared: World, moment: str
) -> None:
    turn = shared.change()
    live = shared.state()["live"]
    with shared.load() as load:
        killed = shared.begin_up()
        killed.wait_for(f"{shared.idle}-{moment}")
        killed.kill()
        assert shared.state()["live"] == live
        _recovers(shared)
    assert not load.failures, load.summary()
    assert shared.live_release()["environment"]["TURN"] == turn.split("=")[1]


def test_the_commands_that_are_printed_recover_as_well(shared: World) -> None:
    turn = shared.change()
    with shared.load() as load:
        killed = shared.begin_up()
        killed.wait_for(f"{shared.idle}-healthy creating")
        killed.kill()
        assert shared.run("pulumi", "cancel", "--yes").ok
        outcome = shared.up(None, "--refresh")
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert shared.live_release()["environment"]["TURN"] == turn.split("=")[1]
    assert shared.up(None, "--expect-no-changes").ok


def test_an_engine_killed_while_the_switch_is_watched_is_undone_or_confirmed(shared: World) -> None:
    before, asked = shared.state()["live"]["identity"], shared.ask_for_the_idle()
    with shared.load() as load:
        killed = _watched(shared)
        killed.kill()
        _settles(shared, {before, asked})
        _recovers(shared)
    assert not load.failures, load.summary()
    assert shared.state()["live"]["identity"] == asked


def test_a_killed_switch_step_is_undone_and_the_run_says_so(shared: World) -> None:
    before, asked = shared.state()["live"]["identity"], shared.ask_for_the_idle()
    with shared.load() as load:
        run = _watched(shared)
        os.kill(_step(shared, "switch"), signal.SIGKILL)
        failed = run.end()
        _settles(shared, {before})
        _recovers(shared)
    assert not failed.ok
    assert "Traceback" not in failed.text
    assert not load.failures, load.summary()
    assert shared.state()["live"]["identity"] == asked


@pytest.mark.parametrize("times", [1, 2])
def test_a_switch_that_is_interrupted_is_moved_back(shared: World, times: int) -> None:
    before, asked = shared.state()["live"]["identity"], shared.ask_for_the_idle()
    with shared.load() as load:
        run = _watched(shared)
        for _ in range(times):
            run.interrupt()
        stopped = run.end()
        _settles(shared, {before})
        _recovers(shared)
    assert not stopped.ok
    for word in ("Traceback", "KeyboardInterrupt"):
        assert word not in stopped.text, stopped.text
    assert not load.failures, load.summary()
    assert shared.state()["live"]["identity"] == asked


def test_a_ytops_up_that_is_interrupted_says_what_serves(shared: World) -> None:
    before, asked = shared.state()["live"]["identity"], shared.ask_for_the_idle()
    run = shared.begin("ytops", "up")
    wait_until(lambda: _pending(shared), "the switch has not begun")
    run.process.send_signal(signal.SIGINT)
    stopped = run.end()
    assert stopped.code == 130, stopped.text
    assert f"{before} is live" in stopped.text
    _recovers(shared)
    assert shared.state()["live"]["identity"] == asked


def test_an_agent_that_crashes_while_it_watches_moves_back_when_it_returns(shared: World) -> None:
    before, asked = shared.state()["live"]["identity"], shared.ask_for_the_idle()
    with shared.load() as load:
        run = _watched(shared)
        agent = docker("inspect", shared.name("switch"), "-f", "{{.State.Pid}}")
        os.kill(int(agent), signal.SIGKILL)  # Docker starts it again
        failed = run.end()
        _settles(shared, {before})
        _recovers(shared)
    assert not failed.ok
    assert not load.failures, load.summary()
    assert shared.state()["live"]["identity"] == asked


def test_an_agent_that_a_person_kills_is_started_again_and_one_run_arrives(shared: World) -> None:
    asked = shared.ask_for_the_idle()
    with shared.load() as load:
        run = _watched(shared)
        docker("kill", shared.name("switch"))  # a person's kill: Docker leaves it so
        failed = run.end()
        _recovers(shared)
    assert not failed.ok
    assert not load.failures, load.summary()
    assert shared.state()["live"]["identity"] == asked


def test_outputs_go_on_naming_what_serves_after_a_failed_deploy(shared: World) -> None:
    before = shared.outputs()
    with shared.setting("version", "2.0.2-failing-migration"):
        assert not shared.up(None).ok
        assert shared.outputs() == before
    assert shared.ytops("up").ok


@pytest.fixture(autouse=True)
def _quiet(shared: World) -> None:
    """Each test begins when nothing is left at work of the one before."""
    shared.quiet()


def _watched(world: World) -> Running:
    """A deploy at the point where traffic has moved and nobody has confirmed it."""
    run = world.begin_up()
    run.wait_for(WATCHING)
    return run


def _settles(world: World, allowed: set[str]) -> None:
    """Nothing is pending any more, and edge and record agree on one of these releases."""
    wait_until(lambda: _pending(world) is None, "the switch stays pending", 60)
    assert world.state()["live"]["identity"] in allowed


def _pending(world: World) -> object:
    try:
        return world.state()["pending"]
    except AssertionError:
        return "the agent is starting"


def _recovers(world: World) -> Outcome:
    """One `ytops up`, and then there is nothing left to do."""
    outcome = world.ytops("up")
    assert outcome.ok, outcome.text
    again = world.up(None, "--expect-no-changes")
    assert again.ok, again.text
    return outcome


def _step(world: World, name: str) -> int:
    """The process that runs this step."""
    for process in world.processes():
        words = (Path("/proc") / str(process) / "cmdline").read_bytes().split(b"\0")
        if name.encode() in words and any(word.endswith(b"ytops-step") for word in words):
            return process
    raise AssertionError(f"{name} does not run")
