"""The backup job: a real PostgreSQL, two drives that are volumes, and S3 by moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.backup.host import HostArgs
from ops.backup.stores import stores
from ops.errors import OpsError
from ops.probes.backup import backup as newest_backup
from ops.verbs import backup as verb
from ops.verbs._database import ourselves
from ops.verbs._exit import DONE, FAILED, Refused
from ops.verbs._night import sources
from ops.verbs._store import configured
from rollout.backups import DATABASE, Folder
from rollout.evidence import Backup
from rollout.retention import Series
from tests.s3.site import BUCKET, IMAGE, Site, standing
from tests.s3.store import Moto


@pytest.fixture(scope="module")
def site(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing(moto, tmp_path_factory.mktemp("checkout")) as found:
        yield found


@pytest.fixture(scope="module")
def first(site: Site) -> Folder:
    """The first backup of all: the month's."""
    assert verb.run(site.place) == DONE
    (folder,) = site.folders()
    return folder


@pytest.fixture(scope="module")
def proved(site: Site, first: Folder) -> Folder:
    assert verb.verify(site.place) == DONE
    return first


def test_the_first_backup_is_the_month_s_and_lies_in_three_places(
    site: Site, first: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert first.series == Series.MONTHLY
    manifest = site.manifest(first)
    assert manifest["rows"] == {
        "public.django_migrations": 2,
        "public.users": 500,
        "public.videos": 20000,
    }
    assert manifest["schema_revision"] == {"app": "0002_title"}
    assert manifest["release"] == "1.0.0+aaaaaaaaaaaa"
    assert verb.listed(site.place, as_json=True) == DONE
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["places"] == ["drive1", "drive2", "bucket"]


def test_what_is_stored_is_encrypted_locked_and_the_same_everywhere(
    site: Site, first: Folder
) -> None:
    key = first.key(DATABASE)
    body = site.body(key)
    assert body.startswith(b"age-encryption.org/v1")
    assert b"recognizable" not in body
    (told,) = (a for a in site.manifest(first)["artifacts"] if a["key"] == key)
    for drive in ("drive1", "drive2"):
        assert site.on_drive(drive, f"sha256sum {key}").split()[0] == told["sha256"]
    head = site.s3.head_object(Bucket=BUCKET, Key=key)
    assert head["ServerSideEncryption"] == "AES256"
    assert head["ObjectLockMode"] == "GOVERNANCE"


def test_a_restore_proves_it_and_the_checklist_sees_it(
    site: Site, proved: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.status(site.place, as_json=True) == FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["damaged"], told["restored"]) == ([], proved.taken.isoformat())
    assert told["kinds"]["media"]["newest"] is None, "which is why not all is well"
    found = newest_backup(sources(site.place).backups)
    assert isinstance(found, Backup)
    assert found.newest is not None
    assert {v.check for v in found.newest.verifications} == {
        "list",
        "checksum",
        "restore",
        "counts",
        "amcheck",
    }


def test_what_is_young_stays(
    site: Site, proved: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = site.objects()
    assert verb.prune(site.place) == DONE
    assert "0 objects of the bucket" in capsys.readouterr().out
    assert site.objects() == before


@pytest.mark.usefixtures("proved")
def test_a_failed_dump_leaves_nothing_anywhere(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.objects()
    wrong = site.settings.postgres.model_copy(update={"database": "elsewhere"})
    settings = site.settings.model_copy(update={"postgres": wrong})
    monkeypatch.setattr(verb, "settings_of", lambda place: settings)
    with pytest.raises(OpsError, match="pg_dump of elsewhere failed"):
        verb.run(site.place)
    assert site.objects() == before
    assert not site.s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads")
    assert site.on_drive("drive1", "find . -name '*.partial'") == ""


@pytest.mark.usefixtures("proved")
def test_a_drive_that_is_gone_is_a_failure_that_leaves_the_other_copies(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = site.settings.backups.model_copy(update={"drives": ("drive1", "/mnt/not-there")})
    settings = site.settings.model_copy(update={"backups": gone})
    monkeypatch.setattr(verb, "settings_of", lambda place: settings)
    assert verb.run(site.place) == FAILED
    assert "/mnt/not-there: there is no folder /mnt/not-there" in capsys.readouterr().out
    newest = site.folders()[0]
    assert newest.series == Series.DAILY
    assert newest.key(DATABASE) in site.objects()
    assert site.on_drive("drive1", f"ls {newest}")
    assert not Path("/mnt/not-there").exists()


@pytest.mark.usefixtures("proved")
def test_two_jobs_never_run_at_once_and_looking_waits_for_none(site: Site) -> None:
    place, host = site.place, HostArgs(IMAGE, ourselves())
    with stores(place.docker, place.names, configured(place), host, offsite=True):
        with pytest.raises(Refused, match=r"A backup or restore of \w+ is under way, by "):
            verb.run(place)
        assert verb.listed(place) == DONE


def test_a_damaged_copy_is_found_that_day(
    site: Site, proved: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last test of this file: from here on nothing is well."""
    key = proved.key(DATABASE)
    flip = f"printf '\\377' | dd of={key} bs=1 seek=5000 conv=notrunc"
    site.on_drive("drive2", flip)
    body = bytearray(site.body(key))
    body[5000] ^= 1
    site.s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(body), ChecksumAlgorithm="SHA256")
    assert verb.verify(site.place) == FAILED
    said = capsys.readouterr().out
    assert f"drive2: {key}: its SHA-256 is not the manifest's" in said
    assert f"bucket: {key}: expected checksum " in said
    assert f"drive1: {key}" not in said
    assert verb.status(site.place) == FAILED
    assert f"damaged: {proved}" in capsys.readouterr().out
