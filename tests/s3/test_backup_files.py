"""Backups of files: a real volume, two drives that are volumes, and S3 by moto."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from ops.backup import files, lock, packing
from ops.backup import prune as pruning
from ops.backup.host import HostArgs
from ops.backup.stores import stores
from ops.verbs import backup as verb
from ops.verbs._database import ourselves
from ops.verbs._exit import DONE, FAILED
from ops.verbs._place import Place
from ops.verbs._store import configured
from rollout.backups import Folder, folder_of, still_needed
from rollout.retention import Series
from rollout.settings import Settings, load
from tests.e2e.world import ROOT, docker, wait_until
from tests.s3.store import CREDENTIALS, REGION, Moto
from tests.unit.stack_files import raw

IMAGE = "ytempire-sandbox/postgres:15"
BUCKET = "files"
# As an app's user leaves them: private, odd, empty, linked, and one of several pieces.
FILES = r"""
umask 077
mkdir -p clips empty 'with blank'
head -c 20000000 /dev/urandom >clips/long.mp4
head -c 300000 /dev/urandom >clips/short.mp4
cp clips/short.mp4 'with blank/copy.mp4'
printf 'recognizable' >"$(printf 'new\nline: and colon')"
printf 'bytes' >"$(printf 'latin-\351')"
ln -s clips/short.mp4 link
: >none
chmod 0640 clips/short.mp4
touch -d '2020-01-02 03:04:05.678901234 UTC' clips/short.mp4
chown -R 10001:10001 .
"""


@dataclass
class Site:
    """A stack of which only the volumes are."""

    place: Place
    moto: Moto
    settings: Settings

    @property
    def s3(self) -> Any:
        return self.moto.client("s3")

    def objects(self) -> dict[str, str]:
        """Each key, with what tells whether it was written anew."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return {o["Key"]: o["ETag"] for page in pages for o in page.get("Contents", ())}

    def packs(self) -> set[str]:
        return _packs(self.objects())

    def folders(self) -> list[Folder]:
        """The newest first."""
        found = {at[0] for key in self.objects() if (at := folder_of(key))}
        return sorted(found, reverse=True)

    def manifest(self, folder: Folder) -> dict[str, Any]:
        body = self.s3.get_object(Bucket=BUCKET, Key=folder.key("manifest.json"))["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found

    def inside(self, volume: str, script: str) -> str:
        """As root, in a volume of the stack."""
        return docker(
            "run", "--rm", "--user", "0:0", "--network", "none", "--entrypoint", "sh",
            "--volume", f"{self.place.names.volume(volume)}:/at", "--workdir", "/at",
            IMAGE, "-c", script,
        )  # fmt: skip


@pytest.fixture(scope="module")
def site(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        found = _site(moto, tmp_path_factory.mktemp("checkout"))
        patch.setattr(verb, "settings_of", lambda place: found.settings)
        patch.setattr(verb, "_live", lambda place: "1.0.0+aaaaaaaaaaaa")
        patch.setattr(verb, "live_image", lambda place, what: IMAGE)
        # So that 20 MB are several packs.
        patch.setattr(files, "PIECE_BYTES", 1 << 20)
        patch.setattr(files, "PACK_BYTES", 4 << 20)
        moto.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        volumes = [found.place.names.volume(v) for v in ("media", "drive1", "drive2", lock.VOLUME)]
        docker("volume", "create", volumes[0])
        try:
            found.inside("media", FILES)
            yield found
        finally:
            docker("rm", "--force", found.place.names.part("backup"), check=False)
            docker("volume", "rm", "--force", *volumes, check=False)


def _site(moto: Moto, checkout: Path) -> Site:
    secret, public = packing.new_key()
    stack = f"fl{os.getpid()}"
    own = {
        "postgresImage": IMAGE,
        "backupBucket": BUCKET,
        "backupRegion": REGION,
        "backupEndpoint": moto.address,
        "backupRecipients": json.dumps([public]),
    }
    (checkout / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    lines = [f"  ytempire:{key}: {value}\n" for key, value in own.items()]
    (checkout / f"Pulumi.{stack}.yaml").write_text("config:\n" + "".join(lines))
    settings = load(stack, {**raw("sandbox"), "version": "1.0.0", **own, "backupIdentity": secret})
    return Site(Place(checkout, stack), moto, settings)


@pytest.fixture(scope="module")
def first(site: Site) -> Folder:
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    (folder,) = site.folders()
    return folder


def test_every_file_is_stored_once_and_names_tell_nothing(site: Site, first: Folder) -> None:
    manifest = site.manifest(first)
    assert manifest["objects"] == 6
    assert manifest["contents"]["bytes"] == 20_600_017
    stored = sum(site.s3.head_object(Bucket=BUCKET, Key=k)["ContentLength"] for k in site.packs())
    assert 20_300_000 < stored < 20_400_000
    for key in site.objects():
        body = site.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        assert b"recognizable" not in body
        assert b"clips" not in body


def test_what_is_there_is_not_sent_again(site: Site, first: Folder) -> None:
    packs = site.packs()
    site.inside("media", "mv clips/long.mp4 moved.mp4; rm none; echo more >>link-to-come")
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    second = site.folders()[0]
    new = site.packs() - packs
    assert len(new) == 1
    assert next(iter(new)).startswith(f"{second}/")
    assert {a["key"] for a in site.manifest(second)["artifacts"]} > packs
    for drive in ("drive1", "drive2"):
        assert site.inside(drive, f"cd {second} && ls").split() == [
            "index.zst.age",
            "known.zst",
            "manifest.json",
            "pack-00001.pieces",
            "pack-00001.tar.zst.age",
        ]


def test_a_run_that_was_killed_is_taken_up_and_sends_nothing_twice(
    site: Site, first: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    site.inside("media", "head -c 30000000 /dev/urandom >more.mp4; chown 10001:10001 more.mp4")
    before = site.objects()
    child = get_context("fork").Process(target=verb.run_files, args=(site.place, Series.MEDIA))
    child.start()
    wait_until(lambda: len(site.packs()) >= len(_packs(before)) + 3, "nothing is stored")
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    sent = site.objects()
    (cut_off,) = {at[0] for key in sent if (at := folder_of(key))} - {
        at[0] for key in before if (at := folder_of(key))
    }
    assert cut_off.key("manifest.json") not in sent
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    assert "that a run stored before it was cut off are taken up" in capsys.readouterr().out
    now = site.objects()
    assert sent.items() <= now.items()
    new = _packs(now) - _packs(before)
    stored = sum(site.s3.head_object(Bucket=BUCKET, Key=k)["ContentLength"] for k in new)
    # All of it once, and at most the one pack that was not listed yet.
    assert 30_000_000 < stored < 30_000_000 + 5_000_000
    needed = {a["key"] for a in site.manifest(site.folders()[0])["artifacts"]}
    assert needed & {key for key in new if key.startswith(str(cut_off))}
    assert site.inside("drive1", "find . -name '*.partial'") == ""


def test_a_new_drive_gets_what_it_lacks(site: Site, first: Folder) -> None:
    site.inside("drive2", "rm -rf files")
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    needed = [a["key"] for a in site.manifest(site.folders()[0])["artifacts"]]
    assert site.inside("drive2", "ls " + " ".join(needed)).split()


def test_a_drive_lets_a_backup_go_and_keeps_what_later_ones_need(site: Site, first: Folder) -> None:
    args = HostArgs(IMAGE, ourselves())
    with stores(
        site.place.docker, site.place.names, configured(site.place), args, offsite=True
    ) as found:
        stays = still_needed(found.catalogues()["drive1"], [first])
        pruning.carry_out(found, pruning.Plan({}, {"drive1": (first,)}, {"drive1": stays}))
        after = found.drives[0].catalogue()
    assert stays & {s for s in site.objects() if s.startswith(f"{first}/")}
    assert set(site.inside("drive1", f"cd {first} && ls").split()) == {
        key.rpartition("/")[2] for key in stays if key.startswith(f"{first}/")
    }
    assert site.folders()[0] in {s.folder for s in after.backups}


def test_what_is_damaged_is_found_and_not_built_on(
    site: Site, first: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.verify(site.place) == DONE, capsys.readouterr().out
    assert "its new files open, piece by piece" in capsys.readouterr().out
    newest = site.folders()[0]
    packs = [a["key"] for a in site.manifest(newest)["artifacts"] if "pack-" in a["key"]]
    body = bytearray(site.s3.get_object(Bucket=BUCKET, Key=packs[0])["Body"].read())
    body[5000] ^= 1
    site.s3.put_object(Bucket=BUCKET, Key=packs[0], Body=bytes(body), ChecksumAlgorithm="SHA256")
    site.inside("drive2", f"printf '\\377' | dd of={packs[1]} bs=1 seek=5000 conv=notrunc")
    assert verb.verify(site.place) == FAILED
    said = capsys.readouterr().out
    assert f"bucket: {packs[0]}: expected checksum" in said
    assert f"drive2: {packs[1]}: its SHA-256 is not the manifest's" in said
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    needed = {a["key"] for a in site.manifest(site.folders()[0])["artifacts"]}
    assert packs[0] not in needed
    assert packs[1] in needed
    told = {a["key"]: a["sha256"] for a in site.manifest(site.folders()[0])["artifacts"]}
    assert site.inside("drive2", f"sha256sum {packs[1]}").split()[0] == told[packs[1]]
    capsys.readouterr()
    assert verb.verify(site.place) == FAILED
    assert f"{site.folders()[0]}, bucket: its new files open" in capsys.readouterr().out


def _packs(objects: dict[str, str]) -> set[str]:
    return {key for key in objects if key.endswith(".tar.zst.age")}
