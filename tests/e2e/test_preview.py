"""A preview says what a deploy will do, all of it and nothing else, and does nothing."""

from __future__ import annotations

import re

import pytest

from tests.e2e.world import Outcome, World

STEPS = ("claim", "backup", "image", "migrate", "healthy", "workers", "verify")
MOVING = {"gate", "switch", "cache", "notify"}


def test_a_preview_of_the_next_version_shows_exactly_the_intended_changes(shared: World) -> None:
    with shared.setting("version", "1.2.0"):
        outcome = shared.run("pulumi", "preview", "--diff", "--color=never", check=True)
    changed = _changed(outcome)
    idle = shared.idle
    assert {_plain(name) for name in changed if changed[name] != "delete"} == _declared(idle)
    assert {_plain(name) for name, op in changed.items() if op == "delete"} == _taken_down(
        shared.state()["slots"][idle]["identity"].split("+")[0]
    )


def test_a_preview_changes_nothing(shared: World) -> None:
    before = _everything(shared)
    outcome = shared.ytops("preview", "1.2.0")
    assert outcome.ok, outcome.text
    assert _everything(shared) == before
    live = shared.live()[0]
    for name in ("gate", f"{shared.idle}-migrate", f"{shared.idle}-app", "switch"):
        assert re.search(rf"\b{name}\b", outcome.text), outcome.text
    assert live not in re.sub(r"plan:.*", "", outcome.text)


def test_a_preview_of_what_serves_has_nothing_to_show(shared: World) -> None:
    outcome = shared.run("pulumi", "preview", "--expect-no-changes")
    assert outcome.ok, outcome.text


def test_a_preview_without_access_to_the_host_says_what_it_plans_from(shared: World) -> None:
    with shared.setting("dockerHost", "unix:///nowhere/docker.sock"):
        outcome = shared.run("pulumi", "preview", "--color=never")
    assert "This preview plans from the record of the last run alone." in outcome.text
    assert f"{shared.outputs()['release']} is live" in outcome.text


@pytest.mark.parametrize("version", ["9.9.9", "latest"])
def test_a_version_that_does_not_exist_is_refused_in_the_preview(
    shared: World, version: str
) -> None:
    before = _everything(shared)
    outcome = shared.ytops("preview", version)
    assert outcome.code == 2, outcome.text
    assert version in outcome.text
    assert _everything(shared) == before


def _changed(outcome: Outcome) -> dict[str, str]:
    """Resources by name, as the diff shows them, with what happens to each."""
    return {
        name: operation
        for operation, name in re.findall(
            r"^\s*[-+~]+ ?\S+: \((\w+)\)\n(?:\s+\[(?!urn)[^\n]*\n)*\s+\[urn=\S*::([^\]]+)\]",
            outcome.text,
            re.M,
        )
    }


def _declared(colour: str) -> set[str]:
    """What a deploy into a slot creates or replaces."""
    slot = {f"{colour}-{step}" for step in STEPS} | {f"{colour}-app"}
    return MOVING | slot | {"workers-1.2.0", "worker-1.2.0-1", "beat-1.2.0"}


def _taken_down(version: str) -> set[str]:
    """What the slot's release before leaves."""
    return {f"workers-{version}", f"worker-{version}-1", f"beat-{version}"}


def _plain(name: str) -> str:
    return re.sub(r"\+[0-9a-f]{12}", "", name)


def _everything(world: World) -> tuple[object, ...]:
    """The host's memory, its containers, the engine's state, the stack file."""
    state = world.run("pulumi", "stack", "export").text
    return world.state(), world.containers(), state, world.stack_file.read_text()
