"""What a fault left behind is found: cut-off operations, containers taken away by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ops.docker import Answer, Docker
from ops.engine import CONTAINER, Recorded, read_state
from ops.verbs import _recover
from ops.verbs._containers import Seen, _seen
from ops.verbs._recover import drift, exchanged, forget_endpoints, renamed
from tests.unit.cli.happy import NAMES, containers, place, stopped


def test_the_state_tells_its_containers_and_what_was_cut_off() -> None:
    urn = "urn:pulumi:sandbox::ytempire::command:local:Command::green-healthy"
    deployment = {
        "resources": [
            {"type": CONTAINER, "id": "1", "outputs": {"name": "ytempire-sandbox-blue"}},
            {"type": CONTAINER, "id": "2", "outputs": {"name": "old"}, "delete": True},
            {"type": "docker:index/network:Network", "id": "3"},
        ],
        "pending_operations": [{"type": "creating", "resource": {"urn": urn}}],
    }
    recorded = read_state(json.dumps({"deployment": deployment}))
    assert recorded.containers == ("ytempire-sandbox-blue",)
    assert recorded.pending == ("green-healthy (creating)",)


def test_a_new_stack_has_neither() -> None:
    assert read_state('{"version": 3, "deployment": {}}').pending == ()


def test_what_runs_is_no_drift() -> None:
    assert drift(Recorded(containers=(*containers(),)), containers()) == []


def test_what_was_removed_or_stopped_by_hand_is() -> None:
    found = stopped(containers(), NAMES.redis)
    del found[NAMES.app("blue")]
    assert drift(Recorded(containers=(*containers(),)), found) == [
        f"{NAMES.redis} is exited",
        f"{NAMES.app('blue')} is gone",
    ]


def test_one_that_a_step_starts_may_stand_still() -> None:
    """After migrations that failed the new app was never started."""
    app, store = NAMES.app("blue"), NAMES.redis
    resources = [
        {"type": CONTAINER, "id": "1", "outputs": {"name": name}}
        | ({"inputs": {"mustRun": False}} if name == app else {})
        for name in (app, store)
    ]
    recorded = read_state(json.dumps({"deployment": {"resources": resources}}))
    found = {name: Seen(name, "created", id="1") for name in (app, store)}
    assert drift(recorded, found) == [f"{store} is created"]
    assert drift(recorded, {app: Seen(app, "paused"), store: Seen(store, "running")}) == [
        f"{app} is paused"
    ]


def test_a_container_that_the_state_knows_by_an_older_id_is_found() -> None:
    app = Seen(NAMES.app("blue"), "running", release="1.0.0+aaaa", id="new")
    recorded = Recorded(containers=(app.name,), ids=("old",))
    assert exchanged(recorded, {app.name: app}) == {app.name: ("old", "new")}
    assert exchanged(replace(recorded, ids=("new",)), {app.name: app}) == {}


def test_what_was_renamed_by_hand_is_found_by_its_id() -> None:
    app = Seen("mine", "running", id="1")
    recorded = Recorded(containers=(NAMES.app("blue"),), ids=("1",))
    assert renamed(recorded, {"mine": app}) == {"mine": NAMES.app("blue")}


def test_a_name_that_somebody_has_taken_meanwhile_is_left_to_them() -> None:
    name = NAMES.app("blue")
    recorded = Recorded(containers=(name,), ids=("1",))
    found = {"mine": Seen("mine", "running", id="1"), name: Seen(name, "running", id="2")}
    assert renamed(recorded, found) == {}


def test_addresses_that_a_killed_engine_kept_are_taken_away_where_a_run_failed_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the engine said is from a real one; the host is a fake that answers as it did."""
    migration, network = NAMES.part("migrate", "blue"), NAMES.network("app")
    endpoints = {"ep-1": {"Name": migration}, "ep-2": {"Name": "old"}, "c0ffee": {"Name": "app"}}
    answers = {
        "ls": "n1\n",
        "inspect": json.dumps([{"Name": network, "Containers": endpoints}]),
        "disconnect": "",
    }
    asked: list[tuple[str, ...]] = []

    def call(self: Docker, *arguments: str, check: bool = True) -> Answer:
        asked.append(arguments)
        return Answer(0, answers[arguments[1]])

    monkeypatch.setattr(Docker, "call", call)
    monkeypatch.setattr(_recover, "seen", lambda docker, stack: {})
    said: list[str] = []
    words = (
        "docker start failed on ssh://root@host: endpoint with name "
        f"{migration} already exists in network {network}"
    )
    assert not forget_endpoints(place(tmp_path), "something else", said.append)
    assert not asked
    assert forget_endpoints(place(tmp_path), words, said.append)
    gone = [words[-1] for words in asked if words[1] == "disconnect"]
    assert gone == ["old", migration]
    assert (
        said[1] == f"{network} kept {migration} from before the engine's restart: it is forgotten."
    )


def test_docker_ps_is_read_with_health_and_labels() -> None:
    found = _seen(
        {
            "Names": "ytempire-sandbox-green",
            "State": "running",
            "Status": "Up 5 seconds (health: starting)",
            "Labels": "ytempire.part=app,ytempire.colour=green,ytempire.release=1.1.0+bbbb",
        }
    )
    assert (found.health, found.fine, found.release) == ("starting", True, "1.1.0+bbbb")
    assert found.words == "starting, up 5 seconds"
