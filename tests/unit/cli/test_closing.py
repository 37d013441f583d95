"""The last words of a run: what changed, what serves where, and three commands for next."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.docker import Answer, Docker
from ops.verbs._closing import closing, following, next_version
from ops.verbs._place import Place
from rollout.plan import View
from rollout.state import HostState
from tests.unit.cli.happy import BLUE, NEW, STACK_FILE, place, view, withdrawn

NOTHING_YET = View(HostState(), None)


def test_a_run_without_changes_says_so_and_all_the_rest_as_well(tmp_path: Path) -> None:
    assert closing(place(tmp_path), view(), view(), 0, 1.24) == [
        "✓ 0 changes in 1.2 s",
        "  live         1.1.0+bbbb on green, as before",
        "  address      https://localhost",
    ]


def test_a_deploy_counts_its_changes(tmp_path: Path) -> None:
    first, live, _ = closing(place(tmp_path), view(BLUE), view(), 1, 9.0)
    assert (first, live) == ("✓ 1 change in 9.0 s", "  live         1.1.0+bbbb on green")


def test_three_commands_come_next(tmp_path: Path) -> None:
    assert following(place(tmp_path), view()) == [
        "  next release ytops up VERSION",
        "  roll back    ytops rollback     to 1.0.0, within seconds",
        "  tear down    make down",
    ]


def test_nothing_but_the_sandbox_is_offered_to_be_torn_down(tmp_path: Path) -> None:
    at = place(tmp_path)
    (tmp_path / "Pulumi.production.yaml").write_text(STACK_FILE)
    assert following(Place(at.root, "production"), view())[-1] == "  look         ytops status"


def test_a_rollback_that_can_not_be_is_not_offered(tmp_path: Path) -> None:
    shown = following(place(tmp_path), view(BLUE, live=BLUE, withdrawn=withdrawn(NEW)))[1]
    assert shown.startswith("  roll back    ytops rollback     not now: ")
    assert "no release serves" in following(place(tmp_path), NOTHING_YET)[1]


@pytest.mark.parametrize(
    ("tags", "version"),
    [
        ("1.0.0 1.1.0 1.2.0 1.10.0", "1.2.0"),
        ("1.0.0 1.1.0 1.10.0 2.0.1-crashes <none>", "1.10.0"),
        ("1.1.0", ""),
    ],
)
def test_the_next_release_is_the_next_of_the_images_here(
    tags: str, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = place(tmp_path, STACK_FILE + "  ytempire:backendImage: ytempire/backend\n")
    answer = Answer(0, "\n".join(tags.split()))
    monkeypatch.setattr(Docker, "call", lambda *_, **__: answer)
    assert next_version(at, view()) == version
