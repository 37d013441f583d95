"""Stacks for the end-to-end tests; each is made for a file of tests and removed after it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.world import HSTS_SECONDS, World, docker

# Two runs of these tests at once on one machine: give the second another offset. The workers of
# one run (`pytest -n 2 --dist loadfile`) are kept apart by themselves: 64 stacks have networks of
# their own (World.create), and a worker makes a dozen.
OF_ONE_WORKER = 32
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_offset = int(os.environ.get("YTEMPIRE_E2E_OFFSET", "0"))
_numbers = itertools.count(1 + _offset + _worker * OF_ONE_WORKER)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults", default="bounded", help="bounded, all, or a regular expression for their ids"
    )
    parser.addoption("--rate", type=float, default=100, help="requests a second; is written down")
    parser.addoption("--share", default="1/1", help="which of the faults: 1/2 and 2/2, by two runs")


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    """These tests stand on the real things; without them they fail, they don't skip."""
    for tool in ("pulumi", "docker", "ytops", "ytops-step"):
        if shutil.which(tool) is None:
            pytest.exit(
                f"{tool} is not on PATH. Run `make e2e`, or `source .env.sandbox` first.", 3
            )
    if subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.exit("no Docker engine answers. Run `make setup` first.", 3)


@pytest.fixture(scope="module")
def make_world(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., World]]:
    """Make a stack with these settings; all are destroyed at the end of the file."""
    made: list[World] = []

    def make(**settings: object) -> World:
        made.append(_prepared(tmp_path_factory, settings))
        made[-1].create()
        return made[-1]

    yield make
    for world in made:
        world.destroy()


@pytest.fixture(scope="module")
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One stack with TLS and two releases for the files that need no beginning of their own: it
    takes a minute to make. Whoever uses it leaves it settled: its last run changes nothing."""
    settings = {"edgeTls": "self-signed", "edgeHstsSeconds": HSTS_SECONDS, "edgeMaxBodyMb": 1}
    world = _prepared(tmp_path_factory, settings)
    try:
        world.create()
        for version in ("1.0.0", "1.1.0"):
            outcome = world.up(version)
            assert outcome.ok, outcome.text
        yield world
    finally:
        world.destroy()


def _prepared(factory: pytest.TempPathFactory, settings: Mapping[str, object]) -> World:
    """A stack's folder and number; nothing of it on the host."""
    number = next(_numbers)
    folder: Path = factory.mktemp(f"stack{number}") / "project"
    world = World(f"e2e{number}", folder, number, dict(settings))
    _sweep(world)
    return world


def _sweep(world: World) -> None:
    """Remove what an interrupted earlier run of these tests left under this name."""
    for kind, names in world.leftovers().items():
        for name in names:
            docker(*kind.split(), name, check=False)
