"""The gate on a real host: a release that keeps to the checklist goes out; what does not hold stops
`pulumi up` before anything is changed; an emergency and a rollback pass."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.changes import Changes
from rollout.changes import approve
from rollout.checklist import ITEMS
from rollout.records import Approval
from tests.e2e.broken import BROKEN, a_deploy_tonight, a_shut_window, no_backup
from tests.e2e.papers import (
    HOUR,
    LEAD,
    NOW,
    begun,
    carried,
    checkout,
    flat,
    host,
    normal,
    record,
    refused,
    tonight,
    urgent,
)  # fmt: skip
from tests.e2e.world import World
from tests.unit.checkout import serving


@pytest.fixture(scope="module")
def world(make_world: Callable[..., World]) -> Iterator[World]:
    """A stack that is held to the checklist, whose window is open and whose limits a busy machine
    meets; and the records of 1.0.0, which lack nothing."""
    with serving() as site:
        world = make_world(
            checklistRequired=True,
            checklistMemoryPercent=100,
            checklistDiskFreePercent=1,
            checklistSampleSeconds=0.5,
            checklistBackups="backups",
            deployMaxPerDay=9,
            checklistEndpoints={"registry": site.url},
            deployWindow=f"{NOW - HOUR:%H:%M}-{NOW + 5 * HOUR:%H:%M}",
            deployTimezone="UTC",
        )
        record(begun(world), "1.0.0", normal("CR-1", "1.0.0"))
        yield world


def test_on_an_empty_host_a_release_that_nobody_recorded_makes_nothing(world: World) -> None:
    outcome = world.up("1.2.0")
    assert refused(outcome) >= {"tests", "review", "change-approved", "migrations"}
    assert "There is no releases/1.2.0.yaml." in outcome.text
    assert not any(world.leftovers().values())


def test_a_release_that_keeps_to_the_checklist_goes_out(world: World) -> None:
    outcome = world.up("1.0.0")
    assert outcome.ok, outcome.text
    assert world.live() == ("blue", "1.0.0")
    assert [item.id for item in carried(world).values() if item.status != "pass"] == []
    record(checkout(world), "1.1.0", normal("CR-2", "1.1.0"))


def test_with_nothing_to_deploy_the_recorded_evidence_stands(world: World) -> None:
    before = carried(world)
    outcome = world.run("pulumi", "up", "--yes", "--skip-preview", "--expect-no-changes")
    assert outcome.ok, outcome.text
    assert carried(world) == before
    assert len(before) == len(ITEMS)


# One item after the other


def test_each_item_of_the_checklist_can_be_broken() -> None:
    assert list(BROKEN) == [entry.id for entry in ITEMS]


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_hold_stops_the_deploy_before_anything_changes(
    world: World, name: str
) -> None:
    broken, words = BROKEN[name]
    with broken(world):
        before = host(world)
        outcome = world.up("1.1.0")
        assert refused(outcome) == {name}
        assert words in flat(outcome)
        assert re.search(rf"gate is closed: {name}: .* Next: `?\w+", flat(outcome))
        assert host(world) == before


def test_a_preview_is_advised_and_the_update_behind_it_refused(world: World) -> None:
    with a_shut_window(world):
        before = host(world)
        preview = world.run("pulumi", "preview", "--color=never")
        assert preview.ok, preview.text
        assert "gate will close on the night, as it is now: window: " in flat(preview)
        outcome = world.run("pulumi", "up", "--yes", "--color=never")
        assert refused(outcome) == {"window"}
        assert host(world) == before


def test_a_pack_whose_rules_are_configured_away_does_not_open_the_gate(
    world: World, tmp_path: Path
) -> None:
    levels = tmp_path / "levels.json"
    levels.write_text('{"all": "disabled"}')
    with no_backup(world):
        before = host(world)
        outcome = world.up("1.1.0", "--policy-pack-config", str(levels))
        assert not outcome.ok
        assert "gate is closed" not in flat(outcome)
        assert "The checklist stops this deploy, and nothing was changed: backup: " in flat(outcome)
        assert host(world) == before


def test_an_emergency_passes_the_window_and_the_night_s_deploy_and_says_so(world: World) -> None:
    record(checkout(world), "1.1.0", urgent("CR-4", "1.1.0"))
    with a_shut_window(world), a_deploy_tonight(world):
        outcome = world.ytops("up", "1.1.0")
        assert outcome.ok, outcome.text
    assert world.live() == ("green", "1.1.0")
    waived = {name for name, item in carried(world).items() if item.waived_by == "CR-4"}
    assert waived == {"window", "once-daily", "change-approved", "lead-time"}


def test_a_rollback_at_noon_passes(world: World) -> None:
    checkout(world).write("rota.yaml", "shifts: nobody\n")
    with a_shut_window(world), a_deploy_tonight(world):
        outcome = world.ytops("rollback")
        assert outcome.ok, outcome.text
    assert world.live() == ("blue", "1.0.0")
    assert carried(world) == {}


def test_what_no_deploy_replaces_a_maintenance_does_and_a_deploy_inside_it_goes_as_usual(
    world: World,
) -> None:
    place = checkout(world)
    tonight(place, world.stack)
    documented = ("change", "close", "CR-4", "--document", "uploads were lost")
    assert world.ytops(*documented).ok
    record(place, "1.1.0", normal("CR-5", "1.1.0"))
    place.record("changes/CR-6.yaml", normal("CR-6", "", release=None, approvals=[]))
    place.commit("CR-6")
    with world.setting("protect", True):
        settle(world)  # the engine goes by what the run before has recorded
        before, moved = host(world), world.setting("edgeBindAddress", "127.0.0.2")
        with moved, world.setting("maintenance", "CR-6"):
            outcome = world.ytops("up", "1.1.0", "--yes")
            assert outcome.code == 3
            assert "CR-6 allows no maintenance, and all stays protected: CR-6 (normal) has no " in (
                flat(outcome)
            )
            assert "nginx is protected, and no deploy replaces it" in flat(outcome)
            assert "`pulumi config set maintenance CR-N`" in flat(outcome)
            assert host(world) == before
            asked = Changes(world.folder).get("CR-6")
            place.record("changes/CR-6.yaml", approve(asked, Approval.model_validate(LEAD)))
            place.commit("CR-6 is approved")
            world.change()
            kept = world.containers()
            outcome = world.ytops("up", "1.1.0", "--yes")
            assert outcome.ok, outcome.text
            assert "The maintenance of CR-6 is done" in outcome.text
        now, nginx, postgres = world.containers(), world.name("nginx"), world.name("postgres")
        assert now[nginx] != kept[nginx]
        assert now[postgres] == kept[postgres]
        assert world.live() == ("green", "1.1.0")
        done = Changes(world.folder).get("CR-6").history[-1]
        assert (str(done.state), done.note) == (
            "done",
            "CR-6 (normal) was approved by team-lead@example.org as team-lead",
        )
    settle(world)


def test_after_a_maintenance_protection_stands_again(world: World) -> None:
    """The change is still named: that it is done is enough."""
    with world.setting("protect", True), world.setting("maintenance", "CR-6"):
        settle(world)
        before = host(world)
        with world.setting("edgeBindAddress", "127.0.0.2"):
            outcome = world.up(None)
            assert not outcome.ok
            assert "the maintenance of CR-6 is done" in flat(outcome)
            assert "currently marked for protection" in flat(outcome)
            assert host(world) == before
    settle(world)


def settle(world: World) -> None:
    """Have the engine know what the stack file says now."""
    outcome = world.up(None)
    assert outcome.ok, outcome.text
