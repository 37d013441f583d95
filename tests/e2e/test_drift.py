"""What was changed behind the engine's back is found, said, and put right."""

from __future__ import annotations

import ssl
import urllib.request
from typing import Any

import msgspec
import pytest

from rollout.edge import ACTIVE_CONF, render_active, side
from rollout.names import address
from rollout.shapes import Pointer, Release
from tests.e2e.world import World, docker, wait_until


def test_a_container_removed_by_hand_shows_as_unchanged_until_the_engine_looks(
    shared: World,
) -> None:
    docker("rm", "-f", shared.name(shared.idle))
    blind = shared.up(None, "--expect-no-changes")
    looking = shared.up(None, "--refresh")
    assert blind.ok, blind.text
    assert looking.ok, looking.text
    assert shared.name(shared.idle) in shared.containers()


def test_a_live_container_removed_by_hand_is_said_and_comes_back_as_it_was(shared: World) -> None:
    live = shared.state()["live"]
    app = shared.name(live["colour"])
    docker("rm", "-f", app)
    outcome = shared.ytops("up")
    assert outcome.ok, outcome.text
    assert f"{app} is gone" in outcome.text
    wait_until(lambda: _served(shared) == live["identity"], "it does not serve again")
    assert _label(app) == live["identity"]
    assert shared.state()["live"] == live
    assert shared.up(None, "--expect-no-changes").ok


@pytest.mark.parametrize("flags", [(), ("--refresh",)], ids=["as it is", "refreshed"])
def test_what_was_stopped_by_hand_runs_again(shared: World, flags: tuple[str, ...]) -> None:
    live = shared.state()["live"]
    parts = [
        name
        for name, _ in sorted(shared.containers().items())
        if name == shared.name(live["colour"]) or f"-{live['identity'].split('+')[1]}" in name
    ]
    before = shared.containers()
    docker("stop", "-t", "2", *parts)
    outcome = shared.up(None, *flags)
    assert outcome.ok, outcome.text
    assert _served(shared) == live["identity"]
    assert shared.containers() == before
    assert all(docker("inspect", p, "-f", "{{.State.Running}}").strip() == "true" for p in parts)
    assert shared.up(None, "--expect-no-changes").ok
    assert shared.up(None, "--refresh", "--expect-no-changes").ok


def test_a_namesake_that_a_killed_run_left_does_not_stop_the_next(shared: World) -> None:
    app = shared.name(shared.idle)
    docker("rm", "-f", app)
    _create(app, f"ytempire.stack={shared.stack}")
    outcome = shared.up(None, "--refresh")
    assert outcome.ok, outcome.text
    assert _label(app) == shared.state()["slots"][shared.idle]["identity"]


def test_a_namesake_of_somebody_else_is_refused_and_left_alone(shared: World) -> None:
    app = shared.name(shared.idle)
    docker("rm", "-f", app)
    stranger = _create(app, "somebody=else")
    refused = shared.up(None, "--refresh")
    assert docker("inspect", app, "-f", "{{.Id}}").strip() == stranger
    docker("rm", "-f", app)
    assert not refused.ok
    assert "that this stack did not make" in refused.text
    assert "Traceback" not in refused.text
    assert shared.ytops("up").ok
    assert shared.up(None, "--expect-no-changes").ok


def test_traffic_moved_by_hand_is_put_back(shared: World) -> None:
    live = shared.state()["live"]
    _move_by_hand(shared)
    wait_until(lambda: _served(shared) != live["identity"], "nginx did not take it")
    with shared.load() as load:
        outcome = shared.up(None)
    assert outcome.ok, outcome.text
    assert not load.failures, load.summary()
    assert shared.state()["live"] == live
    assert _served(shared) == live["identity"]
    assert shared.up(None, "--expect-no-changes").ok


@pytest.fixture(autouse=True)
def _settled(shared: World) -> None:
    """Each test finds the idle slot's app there, and healthy."""
    app = shared.name(shared.idle)
    docker("start", app, check=False)
    wait_until(lambda: _health(app) == "healthy", f"{app} does not become healthy")


def _create(name: str, label: str) -> str:
    return docker("create", "--name", name, "--label", label, "ytempire-sandbox/redis:7").strip()


def _health(name: str) -> str:
    return docker("inspect", name, "-f", "{{.State.Health.Status}}", check=False).strip()


def _label(name: str) -> str:
    return docker("inspect", name, "-f", '{{index .Config.Labels "ytempire.release"}}').strip()


def _served(world: World) -> str:
    """Which release answers a user; empty when none does."""
    context = ssl._create_unverified_context()
    url = f"https://127.0.0.1:{world.https_port}/health"
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return str(answer.headers["X-Release"])
    except OSError:
        return ""


def _move_by_hand(world: World) -> None:
    """As somebody with a shell on the host might: the include, then a reload."""
    state: dict[str, Any] = world.state()
    identity = state["slots"][world.idle]["identity"]
    release = msgspec.convert(state["releases"][identity], Release)
    place = address(world.get("networkAppSubnet"), world.idle)
    pointer = Pointer(colour=world.idle, identity=identity)
    text = render_active(side(pointer, release, place), state["serial"], "byhand")
    world.write("switch", f"/edge/{ACTIVE_CONF}", text)
    world.reload_edge()
