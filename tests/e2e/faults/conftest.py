"""The stage of the faults: one world with two releases, and a load that goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.faults.results import write_page
from tests.e2e.faults.scene import PATHS, RATE, Stage
from tests.e2e.load import Load
from tests.e2e.world import World

# A shared machine is slow for a while without a release being at fault: p95 is not judged here.
SETTINGS = {"watchSeconds": 2, "watchP95Ms": 14_000}


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
