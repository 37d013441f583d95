"""The checklist's probes on a real host: they measure what is there, and leave nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.docker import Docker
from ops.errors import OpsError
from ops.probes import load, network
from rollout.evidence import Connectivity
from rollout.names import Names
from tests.e2e.world import World, docker
from tests.unit.checkout import serving

IMAGE = "ytempire/ops:0.1.0"


def items(world: World) -> dict[str, Any]:
    outcome = world.ytops("checklist", "1.2.0", "--json")
    assert outcome.code == 1, outcome.text  # there is no release record
    return {item["id"]: item for item in json.loads(outcome.text)["items"]}


def test_what_only_the_host_knows_is_measured_there(shared: World) -> None:
    before = (shared.state(), shared.containers())
    found = items(shared)
    assert found["server-resources"]["measured"].endswith("averaged over 1 s")
    mounts = found["disk-space"]["measured"]
    for place in ("Docker's data", "volume backups", "volume postgres", "volume media"):
        assert f"{place} " in mounts
    live = shared.outputs()["release"]
    standby = found["rollback-ready"]
    assert standby["status"] == "pass", standby["measured"]
    assert live in standby["measured"]
    assert live in found["once-daily"]["measured"]
    assert (shared.state(), shared.containers()) == before


def test_the_host_reaches_an_endpoint_of_its_own_network() -> None:
    with serving() as site:
        found = network.network(Docker(), IMAGE, {"here": site.url, "gone": "http://127.0.0.1:1/"})
    assert isinstance(found, Connectivity)
    here, gone = found.endpoints
    assert (here.error, gone.error) == ("", "can't be reached (Connection refused)")
    assert here.clock is not None
    assert abs(here.clock) < 5


def test_a_backup_drive_that_is_not_mounted_is_said_and_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "drive"
    with pytest.raises(OpsError, match=f"{missing}"):
        load.load(Docker(), Names("nowhere"), IMAGE, 0.1, (str(missing),))
    assert not missing.exists()


def test_a_probe_leaves_no_container() -> None:
    load.load(Docker(), Names("nowhere"), IMAGE, 0.1)
    everything = docker("ps", "--all", "--format", "{{.Image}} {{.Command}}")
    assert '"python3 - 0.1' not in str(everything)
