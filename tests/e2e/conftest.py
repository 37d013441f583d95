"""Stacks for the end-to-end tests; each is made for a file of tests and removed after it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.world import World, docker

_numbers = itertools.count(1)


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
        number = next(_numbers)
        folder: Path = tmp_path_factory.mktemp(f"stack{number}") / "project"
        world = World(f"e2e{number}", folder, number, dict(settings))
        _sweep(world)
        made.append(world)
        world.create()
        return world

    yield make
    for world in made:
        world.destroy()


@pytest.fixture(scope="module")
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def _sweep(world: World) -> None:
    """Remove what an interrupted earlier run of these tests left under this name."""
    for kind, names in world.leftovers().items():
        for name in names:
            docker(*kind.split(), name, check=False)
