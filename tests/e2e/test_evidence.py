"""Evidence of a breach, kept by the runbook's own commands: as it was found, of a container and a
volume that run on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.backup import packing
from ops.forensics import CONTENTS, SUMS
from ops.verbs._exit import Misused
from ops.verbs._place import Place
from ops.verbs.evidence import evidence
from rollout.names import Names
from tests.e2e.runbook import play
from tests.e2e.world import ROOT, World, docker, wait_until

IMAGE = "ytempire-sandbox/postgres:15"
STACK = f"ev{os.getpid()}"
NAMES = Names(STACK)
SAID = "a stranger logs in"
# Someone was here, and wrote beside what the image brought and into a volume that is root's own.
BREACHED = f"""
echo '{SAID}' >&2; echo planted >/tmp/implant; echo stolen >/data/loot; chmod 0600 /data/loot
exec sleep 600
"""


@pytest.fixture
def breached() -> Iterator[str]:
    name, label = NAMES.part("app"), f"ytempire.stack={STACK}"
    docker("volume", "create", "--label", label, NAMES.volume("media"))
    docker(
        "run", "--detach", "--name", name, "--label", label, "--network", "none", "--user", "0:0",
        "--volume", f"{NAMES.volume('media')}:/data", "--env", "SECRET=in-the-environment",
        "--entrypoint", "sh", "ytempire-sandbox/redis:7", "-c", BREACHED,
    )  # fmt: skip
    try:
        wait_until(lambda: docker("exec", name, "ls", "/data/loot", check=False), "it is not there")
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)
        docker("volume", "rm", NAMES.volume("media"))


def checkout(folder: Path, *recipients: str) -> Place:
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    values = {"postgresImage": IMAGE, "backupRecipients": json.dumps(recipients)}
    lines = [f"  ytempire:{key}: {value}\n" for key, value in values.items()]
    (folder / f"Pulumi.{STACK}.yaml").write_text("config:\n" + "".join(lines))
    return Place(folder, STACK)


def test_evidence_is_all_of_a_stack_encrypted_and_checked_and_nothing_is_stopped(
    breached: str, tmp_path: Path
) -> None:
    secret, public = packing.new_key()
    checkout(tmp_path, public)
    kept = tmp_path / "kept"
    kept.mkdir()
    play(World(STACK, tmp_path, 0), "security-breach.md", {"EVIDENCE": str(kept)}, 3)
    (found,) = kept.iterdir()

    def opened(path: str) -> bytes:
        text = io.BytesIO()
        with (found / f"{path}.zst.age").open("rb") as file:
            packing.unpack(file, text, packing.identity(secret))
        return text.getvalue()

    at = f"containers/{breached}"
    assert SAID in opened(f"{at}/log.txt").decode()
    assert "A /tmp/implant" in opened(f"{at}/changes.txt").decode()
    assert "sleep 600" in opened(f"{at}/processes.txt").decode()
    assert "in-the-environment" in opened(f"{at}/inspect.json").decode()
    with tarfile.open(fileobj=io.BytesIO(opened(f"{at}/filesystem.tar"))) as files:
        implant = files.extractfile("tmp/implant")
        assert implant
        assert implant.read() == b"planted\n"
    with tarfile.open(fileobj=io.BytesIO(opened(f"volumes/{NAMES.volume('media')}.tar"))) as files:
        assert "./loot" in files.getnames()
    assert docker("inspect", "--format", "{{.State.Running}}", breached).strip() == "true"
    assert _checked(found)
    lying = b"".join(file.read_bytes() for file in found.rglob("*") if file.is_file())
    assert b"in-the-environment" not in lying
    assert not [file for file in (found, *found.rglob("*")) if file.stat().st_mode & 0o222]
    sums = (found / CONTENTS).read_text().splitlines()
    assert len(sums) == len((found / SUMS).read_text().splitlines()) == 7


def test_evidence_is_never_written_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(Misused, match="never written in the clear"):
        evidence(checkout(tmp_path), tmp_path)


def _checked(folder: Path) -> bool:
    done = subprocess.run(["sha256sum", "--check", "--quiet", SUMS], cwd=folder, timeout=60)
    return done.returncode == 0
