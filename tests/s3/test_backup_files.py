"""Backups of files: a real volume, two drives that are volumes, and S3 by moto."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from ops.backup import files
from ops.backup import prune as pruning
from ops.backup.host import HostArgs
from ops.backup.stores import stores
from ops.engine import Engine
from ops.errors import OpsError
from ops.verbs import _restore_kept as kept
from ops.verbs import backup as verb
from ops.verbs._backup_kind import Kept
from ops.verbs._database import ourselves
from ops.verbs._exit import DONE, FAILED, Misused
from ops.verbs._store import configured
from rollout.backups import Folder, folder_of, still_needed
from rollout.retention import Series
from tests.e2e.world import ROOT, wait_until
from tests.s3 import site as volumes
from tests.s3.site import IMAGE, found_by, made, remove
from tests.s3.store import Moto

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


class Site(volumes.Site):
    """A stack of which only the volumes are."""

    def packs(self) -> set[str]:
        return _packs(self.objects())


@pytest.fixture(scope="module")
def site(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place, settings = made(moto, tmp_path_factory.mktemp("checkout"), "fl")
    found = Site(place, moto, settings)
    with found_by(found, verb, kept, locks=False) as patch:
        patch.setattr(verb, "live_image", lambda place, what: IMAGE)
        # So that 20 MB are several packs.
        patch.setattr(files, "PIECE_BYTES", 1 << 20)
        patch.setattr(files, "PACK_BYTES", 4 << 20)
        try:
            found.inside("media", FILES)
            yield found
        finally:
            remove(place)


@pytest.fixture(scope="module")
def first(site: Site) -> Folder:
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    (folder,) = site.folders()
    return folder


def test_every_file_is_stored_once_and_names_tell_nothing(site: Site, first: Folder) -> None:
    manifest = site.manifest(first)
    assert manifest["objects"] == 6
    assert manifest["contents"]["bytes"] == 20_600_017
    stored = sum(
        site.s3.head_object(Bucket=site.bucket, Key=k)["ContentLength"] for k in site.packs()
    )
    assert 20_300_000 < stored < 20_400_000
    for key in site.objects():
        body = site.body(key)
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
    before = site.written()
    child = get_context("fork").Process(target=verb.run_files, args=(site.place, Series.MEDIA))
    child.start()
    wait_until(lambda: len(site.packs()) >= len(_packs(before)) + 3, "nothing is stored")
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    sent = site.written()
    (cut_off,) = {at[0] for key in sent if (at := folder_of(key))} - {
        at[0] for key in before if (at := folder_of(key))
    }
    assert cut_off.key("manifest.json") not in sent
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    assert "that a run stored before it was cut off are taken up" in capsys.readouterr().out
    now = site.written()
    assert sent.items() <= now.items()
    new = _packs(now) - _packs(before)
    stored = sum(site.s3.head_object(Bucket=site.bucket, Key=k)["ContentLength"] for k in new)
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


def test_what_is_no_file_is_told_and_no_mistake(
    site: Site, first: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    site.inside("media", "mkfifo pipe")
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    assert "'media/pipe': neither file, folder nor symlink: left out" in capsys.readouterr().out
    site.inside("media", "rm pipe")


# The way back

# Every path with what belongs to it, and every content.
TREE = r"""
find . -mindepth 1 -printf '%P %y %m %s %T@ %l\0' | LC_ALL=C sort -z |
    LC_ALL=C tr -c '[:print:]' '|'
find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum
"""
# A folder's own time is that of what is put in place there.
NO_FOLDERS = TREE.replace("-mindepth 1", "! -type d")


def test_everything_comes_back_as_it_was(site: Site, first: Folder, tmp_path: Path) -> None:
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    assert _back(site, "newest", to=tmp_path / "back") == DONE
    tree = subprocess.run(
        ["sh", "-c", TREE], cwd=tmp_path / "back" / "media", capture_output=True, check=True
    )
    assert tree.stdout.decode(errors="replace") == site.inside("media", TREE)


def test_a_file_that_was_deleted_comes_back_from_an_older_backup(
    site: Site, first: Folder, tmp_path: Path
) -> None:
    site.inside("media", "! [ -e clips/long.mp4 ]")
    stamp = str(first).rpartition("/")[2]
    assert _back(site, stamp, "clips/long.mp4", to=tmp_path / "back") == DONE
    (found,) = (p for p in (tmp_path / "back").rglob("*") if p.is_file())
    told = site.inside("media", "sha256sum moved.mp4").split()[0]
    assert hashlib.sha256(found.read_bytes()).hexdigest() == told


def test_files_come_back_into_the_volume_and_what_stood_there_is_set_aside(
    site: Site, first: Folder
) -> None:
    before = site.inside("media", NO_FOLDERS)
    site.inside("media", "echo wrong >clips/short.mp4; rm -r 'with blank' link moved.mp4")
    site.inside("media", "echo new >since; chown 10001 since")
    assert _back(site, "newest") == DONE
    assert site.inside("media", "cat since; rm since").strip() == "new"
    aside = "cat .ytops-restore/*/clips/short.mp4"
    assert site.inside("media", aside).strip() == "wrong"
    assert site.inside("media", "stat -c %u:%a clips/short.mp4 moved.mp4").split() == [
        "10001:640",
        "10001:600",
    ]
    assert kept.dismiss(site.place) == DONE
    assert site.inside("media", NO_FOLDERS) == before


def _back(site: Site, point: str, *paths: str, to: Path | None = None) -> int:
    return kept.back(site.place, kept.Asked(Kept.FILES, point, paths, to, yes=True))


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
    site: Site, first: Folder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert verb.verify(site.place) == DONE, capsys.readouterr().out
    assert "its new files open, piece by piece" in capsys.readouterr().out
    newest = site.folders()[0]
    packs = [a["key"] for a in site.manifest(newest)["artifacts"] if "pack-" in a["key"]]
    body = bytearray(site.body(packs[0]))
    body[5000] ^= 1
    site.s3.put_object(
        Bucket=site.bucket, Key=packs[0], Body=bytes(body), ChecksumAlgorithm="SHA256"
    )
    site.inside("drive2", f"printf '\\377' | dd of={packs[1]} bs=1 seek=5000 conv=notrunc")
    assert verb.verify(site.place) == FAILED
    said = capsys.readouterr().out
    assert f"bucket: {packs[0]}: expected checksum" in said
    assert f"drive2: {packs[1]}: its SHA-256 is not the manifest's" in said
    with pytest.raises(OpsError, match="is whole in no place"):
        kept.back(site.place, kept.Asked(Kept.FILES, "newest", (), tmp_path / "a", "drive2"))
    assert _back(site, "newest", to=tmp_path / "b") == DONE
    assert verb.run_files(site.place, Series.MEDIA) == DONE
    needed = {a["key"] for a in site.manifest(site.folders()[0])["artifacts"]}
    assert packs[0] not in needed
    assert packs[1] in needed
    told = {a["key"]: a["sha256"] for a in site.manifest(site.folders()[0])["artifacts"]}
    assert site.inside("drive2", f"sha256sum {packs[1]}").split()[0] == told[packs[1]]
    capsys.readouterr()
    assert verb.verify(site.place) == FAILED
    assert f"{site.folders()[0]}, bucket: its new files open" in capsys.readouterr().out


# Configuration and secrets


def test_configuration_and_secrets_are_kept_when_they_change(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    state, values = ["{}"], {"redisPassword": "nobody-is-told"}
    monkeypatch.setattr(Engine, "exported", lambda self: state[0])
    told = (values, frozenset(values))
    monkeypatch.setattr(Engine, "configuration", lambda self: told)
    first = verb.after_deploy(site.place)
    assert [line.partition(" is backed up: ")[0] for line in first] == ["config", "secrets"]
    assert verb.after_deploy(site.place) == []
    state[0] = '{"deployment": {"resources": ["another"]}}'
    (second,) = verb.after_deploy(site.place)
    assert second.startswith("config is backed up: config/")
    asked = kept.Asked(Kept.SECRETS, "newest", to=tmp_path / "secrets.json")
    assert kept.back(site.place, asked) == DONE
    assert json.loads((tmp_path / "secrets.json").read_text())["secrets"] == values
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Misused, match="expected a file that can be made"):
        kept.back(site.place, asked)
    key_file = tmp_path / "key"
    key_file.write_text(site.settings.backups.identity)
    stamp = first[0].rpartition("/")[2]
    older = kept.Asked(Kept.CONFIG, stamp, (), tmp_path / "config", "bucket", identity=key_file)
    assert kept.back(site.place, older) == DONE
    assert (tmp_path / "config" / "state.json").read_text() == "{}"
    for key in site.objects():
        assert b"nobody-is-told" not in site.body(key)
    capsys.readouterr()
    assert verb.listed(site.place, as_json=True) == DONE
    kinds = {e["folder"].partition("/")[0] for e in json.loads(capsys.readouterr().out)}
    assert kinds == {"config", "secrets", "files"}


def test_the_runbook_opens_the_secrets_with_the_key_and_the_bucket_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Engine, "configuration", lambda self: ({"a": "b"}, frozenset({"a"})))
    assert verb.run_bundle(site.place, Series.SECRETS) == DONE
    newest = max(key.rpartition("/")[0] for key in site.objects() if key.startswith("secrets/"))
    for key in site.objects():
        if key.startswith(newest):
            site.s3.download_file(site.bucket, key, str(tmp_path / key.rpartition("/")[2]))
    (tmp_path / "key.txt").write_text(site.settings.backups.identity)
    text = (ROOT / "docs" / "runbooks" / "secrets.md").read_text()
    (commands,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    subprocess.run(["sh", "-euc", commands], cwd=tmp_path, check=True)
    assert json.loads((tmp_path / "secrets.json").read_text())["secrets"] == {"a": "b"}


def test_a_deploy_is_told_what_could_not_be_backed_up_and_stands(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "exported", lambda self: "{}")

    def away(self: Engine) -> None:
        raise OpsError("the key is away")

    monkeypatch.setattr(Engine, "configuration", away)
    assert (
        verb.after_deploy(site.place)[-1] == "What was deployed is not backed up: the key is away"
    )


def _packs(objects: Iterable[str]) -> set[str]:
    return {key for key in objects if key.endswith(".tar.zst.age")}
