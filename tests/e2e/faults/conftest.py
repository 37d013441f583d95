"""The stage of the faults: one world with two releases, and a load that goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.faults.remote import Remote
from tests.e2e.faults.results import write_page
from tests.e2e.faults.scene import PATHS, RATE, Stage
from tests.e2e.load import Load
from tests.e2e.world import World

SETTINGS = {"watchSeconds": 2}


@pytest.fixture(scope="session")
def stage(shared: World, request: pytest.FixtureRequest) -> Iterator[Stage]:
    before = {key: shared.get(key) for key in SETTINGS}
    for key, value in SETTINGS.items():
        shared.set(key, value)
    rate = request.config.getoption("rate", default=RATE)
    load = Load(shared.https_port, rate, PATHS, tls=True, most=2_000_000)
    with load:
        yield Stage(shared, load)
    for key, value in before.items():
        shared.set(key, value)
    if request.config.getoption("faults", default="bounded") != "bounded":
        write_page()


@pytest.fixture(scope="session")
def remote_stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """The same on a second host, reached by ssh. Its network is its own: no number is needed."""
    folder = tmp_path_factory.mktemp("remote")
    rate = request.config.getoption("rate", default=RATE)
    with Remote(f"yte2e{os.environ.get('YTEMPIRE_E2E_OFFSET', '0')}", folder) as remote:
        with remote.entered():
            settings = {**SETTINGS, "dockerHost": remote.sshd.host}
            world = World("remote", folder / "project", 1, settings)
            world.create()
            for version in ("1.0.0", "1.1.0"):
                outcome = world.up(version)
                assert outcome.ok, outcome.text
            load = Load(world.port, rate, PATHS, most=2_000_000)
            load.__enter__()
        yield Stage(world, load, remote=remote)
        load.__exit__()
        with remote.entered():
            world.destroy()
