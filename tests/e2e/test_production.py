"""Production's own stack file on a host across the network: checklist, policies and protection.

Not production's: the machine's size, names and images; where Los Angeles lies, so that it can be
night (tests/e2e/wall_clock.py); and the figures of the host's load, because a machine that runs
tests has no CPU to spare (test_checklist.py measures it for real). The backups are a folder;
tests/s3 has the bucket.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.changes import Changes
from rollout.checklist import ITEMS
from tests.e2e.broken import BROKEN, Break
from tests.e2e.papers import (
    NOW,
    begun,
    carried,
    checkout,
    flat,
    host,
    normal,
    record,
    refused,
    urgent,
)
from tests.e2e.sshd import Sshd
from tests.e2e.wall_clock import showing
from tests.e2e.world import ROOT, World
from tests.unit.checkout import Site, serving

SSH_PORT = 18927  # not test_ssh.py's, which may run beside this
NIGHT, NOON = 23, 12
# In the place of ops/probes/inside/load.py.
LOAD = """\
import json, sys, time
free = dict.fromkeys(sys.argv[2:], 61.0)
print(json.dumps({"at": time.time(), "cpu": %d, "memory": 41.0, "free": free}))
"""
# Of production's stack file, what is another machine's.
ELSEWHERE = (
    *("appMemory", "appCpus", "workerReplicas", "workerMemory", "workerCpus"),
    *("postgresMemory", "redisMemory", "edgeMemory", "postgresSettings"),
    *("postgresImage", "redisImage", "edgeImage", "opsImage"),
    *("edgeBindAddress", "edgeHttpPort", "edgeHttpsPort", "backupDrives", "version"),
)


@pytest.fixture(scope="module")
def chat() -> Iterator[Site]:
    """The team's chat, and whatever else has to answer the host."""
    with serving() as site:
        site.pages["/hook"] = "ok"
        yield site


@pytest.fixture(scope="module")
def over_ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with (
        Sshd(tmp_path_factory.mktemp("sshd"), SSH_PORT) as sshd,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PATH", sshd.path)
        yield sshd.host


@pytest.fixture(scope="module")
def production(
    over_ssh: str,
    chat: Site,
    tmp_path_factory: pytest.TempPathFactory,
    make_world: Callable[..., World],
) -> World:  # in this order: the stack is destroyed while ssh still finds its keys
    """With the records of 1.0.0, which lack nothing."""
    folder = tmp_path_factory.mktemp("production")
    world = make_world(**settings(chat, folder) | {"dockerHost": over_ssh})
    (world.folder / "ops").unlink()
    shutil.copytree(ROOT / "ops", world.folder / "ops")
    measured(world, cpu=22)
    record(begun(world), "1.0.0", normal("CR-1", "1.0.0"))
    return world


def settings(chat: Site, folder: Path) -> dict[str, Any]:
    stack = yaml.safe_load((ROOT / "Pulumi.production.yaml").read_text())["config"]
    values = {key.removeprefix("ytempire:"): value for key, value in stack.items()}
    certificate, key = _certificate(folder, values["edgeDomain"])
    return {key: value for key, value in values.items() if key not in ELSEWHERE} | {
        "edgeCertificate": certificate,
        "edgeCertificateKey": key,
        "notifyWebhook": f"{chat.url}/hook",
        "watchSeconds": 30,
        "healthRetries": 3,
        "checklistCpuPercent": 70,
        "checklistMounts": [str(folder)],
        "checklistEndpoints": {"registry": chat.url, "notifications": chat.url},
        "checklistBackups": "backups",
    }


def _certificate(folder: Path, domain: str) -> tuple[str, str]:
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", f"/CN={domain}", "-keyout", str(key),
         "-addext", f"subjectAltName=DNS:{domain}", "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate.read_text(), key.read_text()


def measured(world: World, cpu: int) -> None:
    (world.folder / "ops/probes/inside/load.py").write_text(LOAD % cpu)


@contextmanager
def busy(world: World) -> Iterator[None]:
    measured(world, cpu=71)
    try:
        yield
    finally:
        measured(world, cpu=22)


def as_it_is(_: World) -> AbstractContextManager[None]:
    return nullcontext()


TONIGHT = {entry.id for entry in ITEMS if entry.tonight}
# Broken by other means here.
HERE: dict[str, tuple[Break, str]] = {
    "server-resources": (
        busy,
        "it is fail: CPU 71 %, memory 41 %, .* the limit: CPU below 70 %, memory below 80 % [",
    ),
    "window": (as_it_is, "the limit: 22:00-02:00 America/Los_Angeles"),
    "once-daily": (as_it_is, "the limit: 1 a night"),
}


def at(hour: int, tmp_path: Path) -> AbstractContextManager[None]:
    return showing(hour, tmp_path)


def test_a_release_that_keeps_to_the_checklist_goes_out_and_is_protected(
    production: World, tmp_path: Path
) -> None:
    with at(NIGHT, tmp_path):
        outcome = production.ytops("up", "1.0.0", "--yes")
    assert outcome.ok, outcome.text
    assert production.live() == ("blue", "1.0.0")
    assert [item.id for item in carried(production).values() if item.status != "pass"] == []
    assert production.recorded().protects


# The preview before an update refuses for what can be known by day. Whatever gets past it is the
# second deploy of the night, too.
@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_hold_stops_the_deploy_before_anything_changes(
    production: World, tmp_path: Path, name: str
) -> None:
    if not (production.folder / "releases/1.1.0.yaml").exists():
        record(checkout(production), "1.1.0", normal("CR-2", "1.1.0"))
    broken, words = {**BROKEN, **HERE}[name]
    with at(NOON if name == "window" else NIGHT, tmp_path), broken(production):
        before = host(production)
        outcome = production.ytops("up", "1.1.0", "--yes")
        assert outcome.code == 3
        assert refused(outcome) == ({name, "once-daily"} if name in TONIGHT else {name})
        assert all(part in flat(outcome) for part in words.split(".*"))
        assert host(production) == before


def test_an_emergency_at_noon_passes_and_shows_until_it_is_documented(
    production: World, chat: Site, tmp_path: Path
) -> None:
    place = checkout(production)
    asked = {"at": NOW, "by": "deployer", "state": "new"}
    history = [asked, {**asked, "state": "approved"}]
    record(place, "1.1.0", urgent("CR-3", "1.1.0", history=history))
    with at(NOON, tmp_path):
        outcome = production.ytops("up", "1.1.0", "--yes")
    assert outcome.ok, outcome.text
    assert production.live() == ("green", "1.1.0")
    passed = {"window", "once-daily", "change-approved", "lead-time"}
    assert {name for name, item in carried(production).items() if item.waived_by} == passed
    done = Changes(production.folder).get("CR-3").history[-1]
    assert (str(done.state), set(done.waived)) == ("done", passed)
    told = [json.loads(body) for path, _, body in chat.heard if path == "/hook"]
    assert "CR-3" in [message.get("change") for message in told]
    assert "CR-3: emergency for 1.1.0 (uploads are lost), passed by" in flat(
        production.ytops("status")
    )
    place.commit("CR-3 is done")
    with at(NIGHT, tmp_path):
        blocked = production.ytops("up", "1.2.0", "--yes")
    assert "emergencies-documented" in refused(blocked)
    assert production.live() == ("green", "1.1.0")


def test_a_rollback_at_noon_passes(production: World, tmp_path: Path) -> None:
    with at(NOON, tmp_path):
        outcome = production.ytops("rollback", "--yes")
    assert outcome.ok, outcome.text
    assert production.live() == ("blue", "1.0.0")
    assert carried(production) == {}
