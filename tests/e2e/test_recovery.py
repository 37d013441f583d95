"""Recovery: tried beside a stack that serves (`ytops drill`), and in earnest, by the runbooks, on a
damaged database and on an empty second host. The backups are in S3 by moto.

Not tried here: S3 itself, what production's data would take, DNS, and people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.host import NetworkKind
from rollout.drills import PAGE, STACK
from rollout.names import Names
from tests.e2e.faults.remote import IMAGES
from tests.e2e.load import Load
from tests.e2e.outside import Outside
from tests.e2e.runbook import play
from tests.e2e.second_host import SecondHost
from tests.e2e.world import ROOT, World, docker
from tests.s3.conftest import moto as moto
from tests.s3.store import CREDENTIALS, REGION, Moto

BUCKET = "drilled"
NAMES = Names(STACK)
# One run makes a dozen worlds: none has this number.
APART = 16


@pytest.fixture(scope="module")
def backed_up(moto: Moto, make_world: Callable[..., World]) -> Iterator[World]:
    """1.0.0 serves; its database is in the bucket."""
    moto.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        patch.setenv("YTOPS_WHO", "tests/e2e")
        world = make_world(
            backupBucket=BUCKET,
            backupRegion=REGION,
            backupEndpoint=moto.address,
            backupObjectLock=False,
            watchSeconds=0,
        )
        _declare_drill(world)
        assert world.up("1.0.0").ok
        docker("exec", world.name("blue"), "python", "manage.py", "seed")
        world.run("ytops", "backup", "run", check=True)
        try:
            yield world
        finally:
            world.ytops("drill", "--remove")


def _declare_drill(world: World) -> None:
    """The project's own file, on a port and networks that nobody else has."""
    content = yaml.safe_load((ROOT / f"Pulumi.{STACK}.yaml").read_text())
    net = (world.number + APART) * 4 % 256
    content["config"] |= {
        "ytempire:edgeHttpPort": world.port + APART,
        "ytempire:networkEdgeSubnet": f"172.29.{net}.0/24",
        "ytempire:networkAppSubnet": f"172.29.{net + 1}.0/24",
        "ytempire:networkDataSubnet": f"172.29.{net + 2}.0/24",
    }
    (world.folder / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump(content))


def test_a_drill_recovers_beside_what_serves_and_clears_away_one_that_was_killed(
    backed_up: World, tmp_path: Path
) -> None:
    with Load(backed_up.port, rate=10) as load:
        killed = backed_up.begin("ytops", "drill")
        killed.wait_for(r"✓ stack ")
        reached = _reached()
        second = backed_up.ytops("drill")
        killed.kill()
        good = backed_up.ytops("drill", "--metrics", str(tmp_path / "drill.prom"))
    print(good.text)
    assert reached == {"edge": True, "app": False, "data": False}
    assert second.code == 3, second.text
    assert "A drill is under way on " in second.text
    assert f"(process {killed.process.pid})" in second.text
    assert good.ok, good.text
    assert "was left standing: it is removed" in good.text
    assert not load.failures, load.summary()
    assert _left() == []
    assert "last good drill" in backed_up.ytops("status").text
    record = _record(backed_up)
    assert record["verdict"] == "pass"
    assert record["rows"]["public.users"] == int(backed_up.sql("SELECT count(*) FROM users"))
    assert [stage["status"] for stage in record["stages"]] == ["pass"] * 7
    assert 0 < record["rpo_seconds"] < record["rpo_goal_seconds"]
    assert f"{backed_up.stack} ¹ | good" in (backed_up.folder / PAGE).read_text()
    assert f'last_success{{stack="{backed_up.stack}"}} 1' in (tmp_path / "drill.prom").read_text()


def _reached() -> dict[NetworkKind, bool]:
    """From which of its networks somebody outside can be reached."""
    with Outside("ytempire-drill") as outside:
        kinds: tuple[NetworkKind, ...] = ("edge", "app", "data")
        return {kind: outside.reached_from(NAMES.network(kind)) for kind in kinds}


def _record(world: World) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(max((world.folder / "drills").glob("*.json")).read_text())
    return found


def _left() -> list[str]:
    mine = ("--quiet", "--filter", f"label=ytempire.stack={STACK}")
    kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
    return [word for kind in kinds for word in docker(*kind, *mine).split()]


def test_a_table_that_is_gone_comes_back_by_its_runbook(backed_up: World) -> None:
    rows = backed_up.sql("SELECT count(*) FROM videos")
    backed_up.sql("DROP TABLE videos CASCADE")
    play(backed_up, "database-corruption.md", {"POINT": "newest"})
    assert backed_up.sql("SELECT count(*) FROM videos") == rows


@pytest.fixture(scope="module")
def second(backed_up: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecondHost]:
    """An empty host with the images."""
    folder = tmp_path_factory.mktemp("second")
    with SecondHost(f"recover{backed_up.number}", folder, disk_mb=3000) as host:
        host.load_images(*IMAGES)
        yield host


def test_a_drill_recovers_on_another_host_from_a_drive_of_the_first(
    backed_up: World, second: SecondHost
) -> None:
    outcome = backed_up.ytops("drill", "--host", second.docker_host, "--from", "drive1")
    assert outcome.ok, outcome.text
    assert f"recovered on {second.docker_host}" in outcome.text
    record = _record(backed_up)
    assert (record["verdict"], record["rows"]["public.videos"]) == (
        "pass",
        int(backed_up.sql("SELECT count(*) FROM videos")),
    )
    assert second.docker("ps", "--all", "--quiet") == ""


def test_a_lost_host_is_replaced_by_its_runbook_from_s3_alone_with_other_credentials(
    backed_up: World, second: SecondHost
) -> None:
    rows = backed_up.sql("SELECT count(*) FROM videos")
    _lose(backed_up)
    variables = {"NEW": second.docker_host, "VERSION": "1.0.0"}
    try:
        play(backed_up, "site-outage.md", {}, 3)
        play(backed_up, "security-breach.md", {}, 6)
        play(backed_up, "server-loss.md", variables, 3, 4, 5, 6, 7)
        play(backed_up, "server-loss.md", variables, 8, inside=second.inside)
        counted = ("psql", "-U", "ytempire", "-Atc", "SELECT count(*) FROM videos")
        assert second.docker("exec", backed_up.name("postgres"), *counted).strip() == rows
        second.restart_engine()  # Docker tells more of a network after one: no news to us
        again = backed_up.up(None, "--refresh", "--expect-no-changes")
        assert again.ok, again.text
    finally:
        backed_up.run("pulumi", "destroy", "--yes", "--skip-preview")
        backed_up.set("dockerHost", None)


def _lose(world: World) -> None:
    """Host and drives: what was on it is nowhere."""
    for kind, names in world.leftovers().items():
        docker(*kind.split(), *names)
