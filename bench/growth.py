"""How preview and a run with nothing to do grow: with declared containers, and with kept
releases."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import tool
from bench.figures import Run
from bench.tool import Task
from tests.e2e.world import World, docker, wait_until

CONTAINERS = (10, 50, 200)
RELEASES = (2, 20, 100)  # two are in the slots
TIMES = 3  # of each run; the page shows medians
UP = ("pulumi", "up", "--yes", "--skip-preview", "--color=never")
# Something to do would be a finding, not a figure.
NOTHING = (*UP, "--expect-no-changes")
PREVIEW = ("pulumi", "preview", "--color=never", "--expect-no-changes")


def small_runs(world: World, what: str, of: int, environment: dict[str, str]) -> Iterator[Run]:
    """A preview and a run, both with nothing to do. The first one warms the files up."""
    for name, command in (("preview", PREVIEW), ("nothing to do", NOTHING)):
        task = Task(command, world.folder, {**world.environment, **environment})
        for _ in range(TIMES):
            yield measured(f"{what}{name}", of, task)


def measured(what: str, of: int, task: Task) -> Run:
    ran = tool.run(task)
    print(f"    {what} ({of}): {ran.seconds:.1f} s, {ran.memory_mb:.0f} MB", flush=True)
    return Run(what, of, ran.seconds, ran.cpu_seconds, ran.memory_mb)


def with_containers(world: World) -> Iterator[Run]:
    """A program of its own in place of the product's, on a stack of its own."""
    world.settings["version"] = ""
    world.create()
    program = world.folder / "__main__.py"
    program.unlink()
    shutil.copy(Path(__file__).with_name("sleepers.py"), program)
    for count in CONTAINERS:
        environment = {"BENCH_CONTAINERS": str(count)}
        tool.run(Task(UP, world.folder, {**world.environment, **environment}))
        yield from small_runs(world, "containers: ", count, environment)


def with_releases(world: World) -> Iterator[Run]:
    """The product's own stack, its host remembering more and more releases and deploys."""
    state, history = world.state(), world.history()
    for count in RELEASES:
        _remember(world, grown(state, count), [history[-1]] * count)
        yield from small_runs(world, "releases: ", count, {})


def grown(state: dict[str, Any], count: int) -> dict[str, Any]:
    """The same state with so many releases: those in the slots, and copies of one of them."""
    held = {slot["identity"] for slot in state["slots"].values()}
    kept = {key: release for key, release in state["releases"].items() if key in held}
    model = next(iter(kept.values()))
    copies = {}
    for number in range(count - len(kept)):
        fingerprint = f"{number:012x}"
        copies[f"{model['version']}+{fingerprint}"] = {**model, "fingerprint": fingerprint}
    return {**state, "releases": {**copies, **kept}}


def _remember(world: World, state: dict[str, Any], events: list[dict[str, Any]]) -> None:
    """Written past the agent, which therefore has to start anew."""
    world.write("switch", "/control/state.json", json.dumps(state, indent=1))
    lines = "".join(json.dumps(event) + "\n" for event in events)
    world.write("switch", "/control/history.jsonl", lines)
    docker("restart", world.name("switch"))
    ready = "test -S /run/switch.sock && echo ready"
    wait_until(
        lambda: docker("exec", world.name("switch"), "sh", "-c", ready, check=False),
        "the switch did not start again",
    )
