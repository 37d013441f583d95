"""The backup job: a real PostgreSQL, two drives that are volumes, and S3 by moto. Each test
twice: by hand, through containers on the host, and as the scheduler does it, inside its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ops.backup import lock
from ops.backup.host import HostArgs
from ops.backup.shell import ContainerShell
from ops.backup.stores import stores
from ops.errors import OpsError
from ops.probes.backup import backup as newest_backup
from ops.steps import drives
from ops.steps._undisturbed import connected, undisturbed
from ops.verbs import backup as verb
from ops.verbs._database import ourselves
from ops.verbs._exit import DONE, FAILED, REFUSED, Refused
from ops.verbs._night import sources
from ops.verbs._store import configured
from rollout.backups import DATABASE, Folder
from rollout.evidence import Backup
from rollout.retention import Series
from rollout.steps import Drives
from tests.e2e.world import docker, wait_until
from tests.s3.backup_site import BY_HAND, SCHEDULED, Site, standing, start_scheduler
from tests.s3.site import IMAGE, PASSWORD
from tests.s3.store import Near


@pytest.fixture(scope="module", params=[BY_HAND, SCHEDULED])
def site(
    request: pytest.FixtureRequest, near: Near, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with standing(near.moto, tmp_path_factory.mktemp("checkout"), request.param) as found:
        if found.way == SCHEDULED:
            # Nothing in it goes by the clock.
            start_scheduler(found, near.network, ("sleep", "infinity"))
            found.tell(found.settings)
        yield found


@pytest.fixture(scope="module")
def first(site: Site) -> Folder:
    """The first backup of all: the month's."""
    code, said = site.does("dump")
    assert code == DONE, said
    (folder,) = site.folders()
    return folder


@pytest.fixture(scope="module")
def proved(site: Site, first: Folder) -> Folder:
    code, said = site.does("verify")
    assert code == DONE, said
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
        assert site.inside(drive, f"sha256sum {key}").split()[0] == told["sha256"]
    head = site.s3.head_object(Bucket=site.bucket, Key=key)
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


@pytest.mark.usefixtures("proved")
def test_what_is_young_stays(site: Site) -> None:
    before = site.objects()
    code, said = site.does("prune")
    assert code == DONE, said
    assert "0 objects " in said
    assert site.objects() == before


@pytest.mark.usefixtures("proved")
def test_a_failed_dump_leaves_nothing_anywhere(site: Site) -> None:
    before = site.objects()
    code, said = site.does("dump", postgres={"database": "elsewhere"})
    assert code == FAILED
    assert "pg_dump of elsewhere failed" in said
    assert PASSWORD not in said
    assert site.objects() == before
    assert not site.s3.list_multipart_uploads(Bucket=site.bucket).get("Uploads")
    assert site.inside("drive1", "find . -name '*.partial'") == ""


@pytest.mark.usefixtures("proved")
def test_a_drive_that_is_gone_is_a_failure_that_leaves_the_other_copies(site: Site) -> None:
    code, said = site.does("dump", backups={"drives": ("drive1", "drive2", "/mnt/not-there")})
    assert code == FAILED
    assert "/mnt/not-there: " in said
    newest = site.folders()[0]
    assert newest.series == Series.DAILY
    assert newest.key(DATABASE) in site.objects()
    assert site.inside("drive1", f"ls {newest}")
    assert not Path("/mnt/not-there").exists()


@pytest.mark.usefixtures("proved")
def test_two_jobs_never_run_at_once_and_looking_waits_for_none(site: Site) -> None:
    place, host = site.place, HostArgs(IMAGE, ourselves())
    with stores(place.docker, place.names, configured(place), host, offsite=True):
        code, said = site.does("dump")
        assert code == REFUSED
        assert re.search(
            r"A backup or restore of \w+ is under way, by \S+@\S+ \(process \d+\)", said
        )
        assert verb.listed(place) == DONE


@pytest.mark.usefixtures("proved")
def test_a_job_by_hand_waits_for_the_scheduler_s(site: Site) -> None:
    if site.way == BY_HAND:
        pytest.skip("the scheduler does not run")
    names, ours = site.place.names, replace(ourselves(), who=lock.SCHEDULER)
    inside = ContainerShell(site.place.docker, names.scheduler)
    with lock.held(inside, "backup", names, ours), pytest.raises(Refused) as caught:
        verb.run(site.place)
    assert "by scheduler@" in str(caught.value)
    assert f"`docker restart {names.scheduler}` ends it" in str(caught.value)
    assert site.does("dump")[0] == DONE


@pytest.mark.usefixtures("proved")
def test_neither_a_job_nor_a_look_leaves_a_volume_that_nobody_named(site: Site) -> None:
    before = unused()
    assert verb.run(site.place) == DONE
    assert verb.listed(site.place) == DONE
    # What runs beside this test has some that come and go.
    wait_until(lambda: unused() <= before, "a volume is left")


def unused() -> set[str]:
    """The volumes without a name of their own that no container has."""
    found = docker("volume", "ls", "--quiet", "--filter", "dangling=true").split()
    return {name for name in found if re.fullmatch("[0-9a-f]{64}", name)}


@pytest.mark.usefixtures("proved")
def test_no_dump_begins_beside_a_migration(site: Site) -> None:
    before, postgres = site.objects(), site.place.names.postgres
    database = connected(site.place.docker, postgres, "ytempire", "ytempire")
    with database as session, undisturbed(session, "ytempire", print):
        code, said = site.does("dump")
    assert code == REFUSED
    assert "A migration of ytempire is under way" in said
    assert site.objects() == before


def test_a_folder_that_is_not_there_is_named_with_the_command_that_makes_it(site: Site) -> None:
    asked = Drives(image=IMAGE, user="999:999", stack=site.place.stack, drives=("/mnt/not-there",))
    with pytest.raises(OpsError, match="`mkdir -p /mnt/not-there` there, and mount the drive"):
        drives.run(asked, print)
    assert not Path("/mnt/not-there").exists()


@pytest.mark.usefixtures("proved")
@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_job_that_is_cut_off_leaves_nothing_that_counts_and_holds_nothing_up(
    site: Site, signal: str
) -> None:
    if site.way == BY_HAND:
        pytest.skip("of a helper on the host, see tests/unit")
    before, name = site.objects(), site.place.names.scheduler
    with _table_locked(site):
        start = "echo $$ >/tmp/pid; exec python3 -m ops.scheduler dump"
        docker("exec", "--detach", name, "sh", "-c", start)
        begun = "find . -name '*.partial' | grep . || true"
        wait_until(lambda: site.inside("drive1", begun), "the dump does not begin")
        docker("exec", name, "sh", "-c", f"kill -{signal} $(cat /tmp/pid)")
        gone = ("exec", name, "sh", "-c", "kill -0 $(cat /tmp/pid) 2>/dev/null || echo gone")
        wait_until(lambda: docker(*gone), f"it goes on after SIG{signal}")
    assert site.objects() == before
    if signal == "TERM":
        assert site.inside("drive1", begun) == ""
        assert not site.s3.list_multipart_uploads(Bucket=site.bucket).get("Uploads")
    code, said = site.does("dump")
    assert code == DONE, said
    assert site.inside("drive1", begun) == ""


@contextmanager
def _table_locked(site: Site) -> Iterator[None]:
    """Whoever reads it waits."""
    psql = ("psql", "-U", "ytempire", "-d", "ytempire", "-qAtc")
    lock_it = "BEGIN; LOCK TABLE videos; SELECT pg_sleep(60)"
    docker("exec", "--detach", site.place.names.postgres, *psql, lock_it)
    holder = (
        "SELECT pid FROM pg_stat_activity WHERE query ~ '^BEGIN; LOCK' AND wait_event = 'PgSleep'"
    )
    ask = ("exec", site.place.names.postgres, *psql)
    wait_until(lambda: docker(*ask, holder), "the table is not locked")
    try:
        yield
    finally:
        docker(*ask, f"SELECT pg_terminate_backend(pid) FROM ({holder}) AS found")


def test_a_damaged_copy_is_found_that_day(
    site: Site, proved: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last test of this file: from here on nothing is well."""
    key = proved.key(DATABASE)
    flip = f"printf '\\377' | dd of={key} bs=1 seek=5000 conv=notrunc"
    site.inside("drive2", flip)
    body = bytearray(site.body(key))
    body[5000] ^= 1
    site.s3.put_object(Bucket=site.bucket, Key=key, Body=bytes(body), ChecksumAlgorithm="SHA256")
    code, said = site.does("verify")
    assert code == FAILED
    assert f"drive2: {key}: its SHA-256 is not the manifest's" in said
    assert f"bucket: {key}: expected checksum " in said
    assert f"drive1: {key}" not in said
    assert verb.status(site.place) == FAILED
    assert f"damaged: {proved}" in capsys.readouterr().out
