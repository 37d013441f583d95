"""A preview says what a deploy will do, all of it and nothing else, and does nothing."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.world import Outcome, World, docker

STEPS = ("claim", "backup", "image", "migrate", "healthy", "workers", "verify")
MOVING = {"gate", "switch", "cache", "notify"}


def test_a_preview_of_the_next_version_shows_exactly_the_intended_changes(shared: World) -> None:
    with shared.setting("version", "1.2.0"):
        outcome = shared.run("pulumi", "preview", "--diff", "--color=never", check=True)
    changed = _changed(outcome)
    idle = shared.idle
    assert {_plain(name) for name in changed if changed[name] != "delete"} == _declared(idle)
    assert {_plain(name) for name, op in changed.items() if op == "delete"} == _taken_down(
        shared.state()["slots"][idle]["identity"].split("+")[0]
    )


@pytest.mark.parametrize(
    "command",
    [
        ("pulumi", "preview", "--diff"),
        ("pulumi", "preview", "--refresh"),
        ("ytops", "preview", "1.2.0"),
        ("ytops", "preview", "1.2.0", "--markdown"),
    ],
    ids=" ".join,
)
def test_a_preview_changes_nothing_on_the_host(shared: World, command: tuple[str, ...]) -> None:
    with shared.setting("version", "1.2.0"):
        before = _everything(shared)
        outcome = shared.run(*command)
        assert outcome.ok, outcome.text
        assert _everything(shared) == before


def test_a_preview_names_what_it_would_do(shared: World) -> None:
    outcome = shared.ytops("preview", "1.2.0")
    assert outcome.ok, outcome.text
    live = shared.live()[0]
    for name in ("gate", f"{shared.idle}-migrate", f"{shared.idle}-app", "switch"):
        assert re.search(rf"\b{name}\b", outcome.text), outcome.text
    assert live not in re.sub(r"plan:.*", "", outcome.text)


def test_a_preview_for_a_pull_request_tells_all_of_it(shared: World) -> None:
    """In the order of the text. The checklist has no record to go by here."""
    version = "2.1.0-breaks-previous"
    outcome = shared.ytops("preview", version, "--markdown")
    assert outcome.ok, outcome.text
    colour, version_live = shared.live()
    for words in (
        f"## {version} on {shared.stack}",
        f"goes into {shared.idle} beside {version_live}+",
        f"- live now: {version_live}+",
        f" on {colour}\n",
        "- expected to take: about ",
        "`app.0003_rename_channel_name`\n\n```sql\n",
        "ALTER TABLE",
        "Not rehearsed on a copy of the data.",
        "| item | measured | next |",
        "### Policies",
        "✓ All are kept.",
        f"{shared.idle}-migrate",
    ):
        before, found, rest = outcome.text.partition(words)
        assert found, f"{words!r} is not in:\n{before}"
        outcome = replace(outcome, text=rest)


def test_a_preview_for_a_pull_request_needs_no_host(shared: World) -> None:
    with shared.setting("dockerHost", "unix:///nowhere/docker.sock"):
        outcome = shared.ytops("preview", "1.2.0", "--markdown")
    assert "> The host was not asked (The Docker host unix:///nowhere/docker.sock does not" in (
        outcome.text
    )
    assert "The SQL plan is not known: the host was not asked." in outcome.text
    assert "- plan: deploy: 1.2.0+" in outcome.text
    assert outcome.ok, outcome.text


def test_a_preview_of_what_serves_has_nothing_to_show(shared: World) -> None:
    outcome = shared.run("pulumi", "preview", "--expect-no-changes")
    assert outcome.ok, outcome.text


def test_a_preview_without_access_to_the_host_says_what_it_plans_from(shared: World) -> None:
    with shared.setting("dockerHost", "unix:///nowhere/docker.sock"):
        outcome = shared.run("pulumi", "preview", "--color=never")
    assert "This preview plans from the record of the last run alone." in outcome.text
    assert f"{shared.outputs()['release']} is live" in outcome.text


@pytest.mark.parametrize("version", ["9.9.9", "latest"])
def test_a_version_that_does_not_exist_is_refused_in_the_preview(
    shared: World, version: str
) -> None:
    before = _everything(shared)
    outcome = shared.ytops("preview", version)
    assert outcome.code == 2, outcome.text
    assert version in outcome.text
    assert _everything(shared) == before


def _changed(outcome: Outcome) -> dict[str, str]:
    """Resources by name, as the diff shows them, with what happens to each."""
    return {
        name: operation
        for operation, name in re.findall(
            r"^\s*[-+~]+ ?\S+: \((\w+)\)\n(?:\s+\[(?!urn)[^\n]*\n)*\s+\[urn=\S*::([^\]]+)\]",
            outcome.text,
            re.M,
        )
    }


def _declared(colour: str) -> set[str]:
    """What a deploy into a slot creates or replaces."""
    slot = {f"{colour}-{step}" for step in STEPS} | {f"{colour}-app"}
    return MOVING | slot | {"workers-1.2.0", "worker-1.2.0-1", "beat-1.2.0"}


def _taken_down(version: str) -> set[str]:
    """What the slot's release before leaves."""
    return {f"workers-{version}", f"worker-{version}-1", f"beat-{version}"}


def _plain(name: str) -> str:
    return re.sub(r"\+[0-9a-f]{12}", "", name)


def _everything(world: World) -> dict[str, object]:
    """What a run may change: the host's parts as Docker has them, the files that steer it, the
    database's schema; the engine's state and the stack file."""
    mine = f"label=ytempire.stack={world.stack}"
    found = json.loads(docker("inspect", *world.containers()))
    volumes = docker("volume", "ls", "--quiet", "--filter", mine).split()
    return {
        "containers": {c["Name"]: _container(c) for c in found},
        "networks": sorted(docker("network", "ls", "--no-trunc", "-qf", mine).split()),
        # Not CreatedAt: it is the time of the folder, which the agent writes in.
        "volumes": {
            v["Name"]: (v["Driver"], v["Mountpoint"], v["Labels"], v["Options"])
            for v in json.loads(docker("volume", "inspect", *volumes))
        },
        "images": sorted(
            docker("image", "ls", "--no-trunc", "-qf", "reference=ytempire*/*").split()
        ),
        "files": {
            name: found
            for folder in ("control", "edge", "live")
            for name, found in _files(world.name("switch"), folder).items()
        },
        "migrations": world.sql("select string_agg(name, ',' order by id) from django_migrations"),
        "state": world.run("pulumi", "stack", "export").text,
        "stack file": world.stack_file.read_text(),
    }


def _container(found: dict[str, Any]) -> tuple[object, ...]:
    state = found["State"]
    networks = {name: n["NetworkID"] for name, n in found["NetworkSettings"]["Networks"].items()}
    return (
        found["Id"],
        found["Image"],
        state["Status"],
        state["StartedAt"],
        found["RestartCount"],
        found["HostConfig"],
        networks,
    )


def _files(container: str, folder: str) -> dict[str, tuple[object, ...]]:
    """What the agent reports of the workers changes by itself."""
    copied = subprocess.run(
        ["docker", "cp", f"{container}:/{folder}", "-"], capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(copied.stdout)) as archive:
        return {
            entry.name: (entry.mode, entry.mtime, _content(archive, entry))
            for entry in archive
            if entry.isfile() and not entry.name.endswith("workers.json")
        }


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    return file.read() if file else b""
