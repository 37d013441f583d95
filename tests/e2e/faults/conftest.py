"""The stage of the faults: one world with two releases, and a load that goes on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.e2e.faults.remote import Remote
from tests.e2e.faults.results import write_page
from tests.e2e.faults.scene import PATHS, RATE, Stage
from tests.e2e.load import Load
from tests.e2e.world import World

SETTINGS = {"watchSeconds": 2}
MOST = 2_000_000  # requests, of a whole night


class Stages:
    """One at a time: on two cores, the load of one would fall on the other."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._rate: float = request.config.getoption("rate", default=RATE)
        self._open = ExitStack()
        self._stage: Stage | None = None

    def of(self, remote: bool) -> Stage:
        """The stage on this host, or the one on a host of its own."""
        if self._stage is None or (self._stage.remote is not None) != remote:
            self.close()
            self._stage = self._open.enter_context(self._second() if remote else self._here())
        return self._stage

    def close(self) -> None:
        self._stage = None
        self._open.close()

    @contextmanager
    def _here(self) -> Iterator[Stage]:
        world: World = self._request.getfixturevalue("shared")
        before = {key: world.get(key) for key in SETTINGS}
        for key, value in SETTINGS.items():
            world.set(key, value)
        with Load(world.https_port, self._rate, PATHS, tls=True, most=MOST) as load:
            yield Stage(world, load)
        for key, value in before.items():
            world.set(key, value)

    @contextmanager
    def _second(self) -> Iterator[Stage]:
        """Reached by ssh. Its network is its own: no number is needed."""
        factory: pytest.TempPathFactory = self._request.getfixturevalue("tmp_path_factory")
        folder = factory.mktemp("remote")
        with Remote(f"yte2e{os.environ.get('YTEMPIRE_E2E_OFFSET', '0')}", folder) as remote:
            with remote.entered():
                settings = {**SETTINGS, "dockerHost": remote.sshd.host}
                world = World("remote", folder / "project", 1, settings)
                world.create()
                for version in ("1.0.0", "1.1.0"):
                    outcome = world.up(version)
                    assert outcome.ok, outcome.text
                load = Load(world.port, self._rate, PATHS, most=MOST)
                load.__enter__()
            yield Stage(world, load, remote=remote)
            load.__exit__()
            with remote.entered():
                world.destroy()


@pytest.fixture(scope="session")
def stages(request: pytest.FixtureRequest) -> Iterator[Stages]:
    found = Stages(request)
    yield found
    found.close()
    if request.config.getoption("faults", default="bounded") != "bounded":
        write_page()
