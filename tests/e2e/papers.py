"""What a release needs on paper to pass the gate, in the checkout of a world; and what a refusal
says, what the gate carried, what is on the host."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from ops.docker import Docker
from ops.observe import image_identity
from rollout.backups import MANIFEST, Folder
from rollout.items import Item
from rollout.records import Change
from rollout.retention import Series
from tests.e2e.world import Outcome, World, docker
from tests.unit.checkout import Checkout
from tests.unit.rollout import night

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
BACKUP = Folder.of(Series("database/daily"), NOW)
LONG_AGO = [{"at": NOW - 48 * HOUR, "by": "deployer", "state": "new"}]
LEAD = {"role": "team-lead", "by": "team-lead@example.org", "at": NOW - HOUR}
REPORT = """\
<testsuite name="all">
 <properties><property name="commit" value="{commit}"/></properties>
 <testcase name="one"/>{more}
</testsuite>
"""


def checkout(world: World) -> Checkout:
    return Checkout(world.folder)


def begun(world: World) -> Checkout:
    """The world's folder as a checkout in git, with all that is not of one release."""
    place = checkout(world)
    place.write(".gitignore", "/state/\nPulumi.*\n")
    place.git("init", "--quiet", "--initial-branch", "main")
    place.git("config", "user.name", "Author")
    place.git("config", "user.email", "author@example.com")
    tonight(place, world.stack)
    return place


def tonight(place: Checkout, stack: str) -> None:
    """What is not of one release: the rota, the backup."""
    mine = {"by": "on-call engineer", "at": NOW - HOUR}
    on_call(place, acknowledged=mine)
    artifact = {"key": BACKUP.key("dump"), "bytes": 4, "sha256": "ab" * 32}
    finished = night.manifest(stack=stack, started=NOW, finished=NOW, artifacts=[artifact])
    place.write(f"backups/{BACKUP.key('dump')}", "rows")
    place.record(f"backups/{BACKUP.key(MANIFEST)}", finished)
    place.commit("tonight")


def on_call(place: Checkout, acknowledged: dict[str, Any] | None) -> None:
    shift = {"begins": NOW - 48 * HOUR, "ends": NOW + 48 * HOUR, "acknowledged": acknowledged}
    place.record("rota.yaml", night.rota(**shift))


def report(place: Checkout, version: str, more: str = "") -> None:
    commit = place.git("rev-list", "--max-parents=0", "HEAD")
    place.write(f"reports/{version}.xml", REPORT.format(commit=commit, more=more))


def record(place: Checkout, version: str, change: Change, **changes: Any) -> None:
    """All that a release needs, reviewed and committed; but for `changes` of its record."""
    digest = image_identity(Docker(), f"ytempire/backend:{version}").digest
    usual: dict[str, Any] = {
        "version": version,
        "digest": digest,
        "commit": place.git("rev-list", "--max-parents=0", "HEAD"),
        "notes": f"releases/{version}.md",
        "documentation": [f"manual/{version}.md"],
        "tests": f"reports/{version}.xml",
        "reviewed_by": ["Reviewer <reviewer@example.org>"],
        "critical_bugs": {"status": "pass", "by": "team-lead@example.org", "at": NOW},
        "change": change.id,
        "announcement": False,
    }
    release = night.release(**usual | changes)
    told: dict[str, Any] = {"begins": NOW - HOUR, "ends": NOW + 5 * HOUR, "sent": NOW - HOUR}
    report(place, version)
    place.write(f"releases/{version}.md", f"What {version} brings.\n")
    place.write(f"manual/{version}.md", f"How {version} is used.\n")
    place.record(f"releases/{version}.yaml", release)
    place.record(f"changes/{change.id}.yaml", change)
    place.record(
        f"announcements/{version}.yaml", night.announcement(id=version, release=version, **told)
    )
    place.record(
        f"rehearsals/{version}.json", night.rehearsal(version=version, digest=digest, started=NOW)
    )
    place.commit(version)


def normal(name: str, version: str, **changes: Any) -> Change:
    """A change that was asked for and approved in time."""
    return night.change(
        **{"id": name, "release": version, "approvals": [LEAD], "history": LONG_AGO, **changes}
    )


def urgent(name: str, version: str, **changes: Any) -> Change:
    """An emergency that was asked for, and approved on the telephone, just now."""
    asked = {"at": NOW, "by": "deployer", "state": "new"}
    word = {"role": "platform-ops-lead", "by": "ops lead", "at": NOW, "verbal": True}
    usual = {"id": name, "release": version, "approvals": [word], "history": [asked]}
    return night.emergency(**{**usual, **changes})


def host(world: World) -> dict[str, str]:
    """All that the stack has on the host, and what the switch remembers."""
    label = f"label=ytempire.stack={world.stack}"
    seen = {
        kind: docker(*kind.split(), "--filter", label)
        for kind in ("ps --all --no-trunc --format {{.ID}}{{.Names}}{{.State}}", "network ls -q")
    }
    seen["volumes"] = docker("volume", "ls", "-q", "--filter", label)
    return seen | {"state": json.dumps(world.state()) if seen["volumes"] else ""}


def refused(outcome: Outcome) -> set[str]:
    """The items whose rules refused."""
    assert not outcome.ok, outcome.text
    return set(re.findall(r"gate is closed: ([\w-]+): ", flat(outcome)))


def flat(outcome: Outcome) -> str:
    """Without the engine's line breaks."""
    return " ".join(outcome.text.split())


def carried(world: World) -> dict[str, Item]:
    """What the recorded gate has of the checklist."""
    file = world.folder / "state/.pulumi/stacks/ytempire" / f"{world.stack}.json"
    resources = json.loads(file.read_text())["checkpoint"]["latest"]["resources"]
    (gate,) = (r for r in resources if r["urn"].endswith("::gate"))
    items = json.loads(gate["inputs"]["environment"]["STEP"])["checklist"]
    return {item["id"]: msgspec.convert(item, Item) for item in items}
