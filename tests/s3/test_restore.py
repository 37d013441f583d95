"""A restore, on a real PostgreSQL: what it finds before it touches anything, and that it can be
killed at any moment."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator

import pytest

from ops.backup import packing
from ops.errors import OpsError
from ops.restore import story, swap
from ops.restore.beside import Beside, NoRoom
from ops.restore.server import Server
from ops.verbs import backup
from ops.verbs import restore as verb
from ops.verbs._exit import DONE, Interrupted, Misused, Refused
from rollout.backups import DATABASE, Folder
from rollout.dumps import STAMP
from rollout.records import Restored
from tests.e2e.world import docker
from tests.s3.site import IMAGE, Site, standing
from tests.s3.store import Moto

COUNT = "SELECT count(*) FROM videos"
DATABASES = "SELECT datname FROM pg_database WHERE datname LIKE 'ytempire%' ORDER BY 1"


@pytest.fixture(scope="module")
def site(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with standing(moto, tmp_path_factory.mktemp("checkout")) as found:
        found.sql("ALTER DATABASE ytempire SET work_mem = '9MB'")
        found.sql('ALTER DATABASE ytempire SET search_path = public, "$user"')
        yield found


@pytest.fixture(scope="module")
def point(site: Site) -> Folder:
    """What every test goes back to."""
    assert backup.run(site.place) == DONE
    (folder,) = site.folders()
    return folder


@pytest.fixture
def clean(site: Site, point: Folder) -> Iterator[None]:
    """Before each test the database is damaged since the backup, and nothing is set aside; after it
    nothing is left of what it did."""
    site.sql("DROP TABLE IF EXISTS videos")
    site.sql("INSERT INTO users VALUES (501, 'came later') ON CONFLICT DO NOTHING")
    yield
    for kept in swap.kept(_server(site)):
        swap.drop(_server(site), kept.name)
    assert site.sql(DATABASES) == "ytempire"
    assert not site.place.docker.inspect(site.place.names.part("backup"))


def _server(site: Site) -> Server:
    return Server(site.place.docker, site.place.names, "ytempire", IMAGE)


@pytest.mark.usefixtures("clean")
def test_the_database_is_brought_back_and_the_one_before_is_kept(
    site: Site, point: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.restore(site.place, "newest", yes=True) == DONE
    said = capsys.readouterr().out
    assert f"{point}: " in said
    assert "from drive1, then drive2, then bucket" in said
    assert site.sql(COUNT) == "20000"
    assert site.sql("SELECT count(*) FROM users") == "500"
    assert site.sql("SHOW work_mem") == "9MB"
    assert site.sql("SHOW search_path") == 'public, "$user"'
    assert site.sql("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == "0"
    assert int(site.sql("SELECT reltuples FROM pg_class WHERE relname = 'videos'")) == 20000
    (kept,) = swap.kept(_server(site))
    assert site.sql("SELECT max(id) FROM users", database=kept.name) == "501"
    assert site.sql("SELECT count(*) FROM pg_stat_activity WHERE datname LIKE '%restore'") == "0"


@pytest.mark.usefixtures("clean")
def test_undo_brings_back_what_was_live_and_a_second_one_the_restored(
    site: Site, point: Folder
) -> None:
    assert verb.restore(site.place, f"{point.taken:{STAMP}}", yes=True) == DONE
    site.sql("INSERT INTO users VALUES (600, 'after the restore')")
    assert verb.undo(site.place, yes=True) == DONE
    assert site.sql("SELECT max(id) FROM users") == "501"
    assert verb.undo(site.place, yes=True) == DONE
    assert site.sql("SELECT max(id) FROM users") == "600"


@pytest.mark.usefixtures("clean")
def test_what_was_set_aside_is_listed_until_it_is_dismissed(
    site: Site, point: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.restore(site.place, "newest", yes=True) == DONE
    capsys.readouterr()
    assert verb.listed(site.place, as_json=True) == DONE
    told = json.loads(capsys.readouterr().out)
    assert [p["places"] for p in told["points"]] == [["drive1", "drive2", "bucket"]]
    (kept,) = told["kept"]
    assert (kept["source"], kept["place"]) == (str(point), "drive1")
    with pytest.raises(Misused, match="nobody can type here"):
        verb.dismiss(site.place)
    assert kept["database"] in site.sql(DATABASES)
    site.sql(f"ALTER DATABASE {kept['database']} RENAME TO ytempire_x")
    verb.dismiss(site.place, yes=True)
    assert site.sql(DATABASES) == "ytempire"


@pytest.mark.usefixtures("clean")
def test_another_key_is_found_before_anything_is_touched(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, _ = packing.new_key()
    backups = site.settings.backups.model_copy(update={"identity": other})
    settings = site.settings.model_copy(update={"backups": backups})
    monkeypatch.setattr(verb, "settings_of", lambda place: settings)
    _nothing_is_touched(site, "can't be opened with this key")


@pytest.mark.usefixtures("clean")
def test_a_server_of_another_major_version_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "major", 16)
    _nothing_is_touched(site, "is of PostgreSQL 15, the server on .* is 16")


@pytest.mark.usefixtures("clean")
def test_a_disk_that_is_too_small_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "free", lambda self: (1 << 20, 1 << 20, True))
    _nothing_is_touched(site, "The disk of .* has 1.0 MB left")


@pytest.mark.usefixtures("clean")
def test_a_disk_that_fills_meanwhile_is_left_its_last_gigabyte(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "free", lambda self: ((1 << 30) + (1 << 18), 1 << 40, False))
    monkeypatch.setattr(Beside, "require_room", lambda self, expected: None)
    with pytest.raises(NoRoom, match="larger than what the host's disk can spare"):
        verb.restore(site.place, "newest", yes=True)


@pytest.mark.usefixtures("clean")
def test_a_point_that_is_not_there_and_a_place_without_it_are_named(site: Site) -> None:
    with pytest.raises(Misused, match="There is no restore point 20010101T000000Z"):
        verb.restore(site.place, "20010101T000000Z", yes=True)
    with pytest.raises(Misused, match="expected one of drive1, drive2, bucket, got drive9"):
        verb.restore(site.place, "newest", from_place="drive9", yes=True)


@pytest.mark.usefixtures("clean")
def test_nobody_restores_beside_a_backup_and_nobody_asks_for_what_can_not_be_typed(
    site: Site,
) -> None:
    with verb._locked(site.place), pytest.raises(Refused, match="A backup or restore of"):
        verb.restore(site.place, "newest", yes=True)
    _nothing_is_touched(site, "nobody can type here", yes=False)


@pytest.mark.usefixtures("clean")
def test_a_damaged_copy_is_left_for_the_next_one(
    site: Site, point: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    key = point.key(DATABASE)
    flip = f"cp {key} /at/whole && printf '\\377' | dd of={key} bs=1 seek=5000 conv=notrunc"
    site.inside("drive1", flip)
    try:
        with pytest.raises(OpsError, match="does not decrypt"):
            verb.restore(site.place, "newest", from_place="drive1", yes=True)
        assert site.sql(DATABASES) == "ytempire"
        assert verb.restore(site.place, "newest", yes=True) == DONE
    finally:
        site.inside("drive1", f"cat /at/whole >{key}; rm /at/whole")
    said = capsys.readouterr().out
    assert "drive1: The backup was changed or cut off" in said
    assert "from drive2: whole" in said
    assert site.sql(COUNT) == "20000"


@pytest.mark.usefixtures("clean")
def test_single_tables_come_beside_the_live_ones_with_the_sql_that_copies_them_back(
    site: Site, point: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    site.sql("DELETE FROM users WHERE id <= 100")
    site.sql("UPDATE users SET name = 'new' WHERE id = 200")
    with pytest.raises(Misused, match="expected tables of that backup"):
        verb.single(site.place, "newest", "users,nothing")
    assert verb.single(site.place, "newest", "users,videos") == DONE
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    (back,) = (line for line in lines if line.startswith("INSERT"))
    (drop,) = (line for line in lines if line.startswith("DROP SCHEMA"))
    schema = drop.split()[2]
    assert site.sql(f"SELECT count(*) FROM {schema}.videos") == "20000"
    site.sql(back)
    assert site.sql("SELECT count(*) FROM users") == "501"
    assert site.sql("SELECT name FROM users WHERE id = 200") == "new"
    site.sql(drop)


# Interrupted, and killed


@pytest.mark.usefixtures("clean")
def test_interrupted_it_removes_what_it_began(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Beside, "load", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(Interrupted, match="what was begun is removed"):
        verb.restore(site.place, "newest", yes=True)
    assert site.sql(DATABASES) == "ytempire"
    assert ".restore" not in docker("exec", site.place.names.postgres, "ls", "-A", "/backups")


@pytest.mark.usefixtures("clean")
def test_interrupted_after_the_swap_it_says_which_data_is_live(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = swap.swap

    def instead(server: Server, incoming: str, note: Restored) -> None:
        real(server, incoming, note)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(swap, "swap", instead)
    with pytest.raises(Interrupted, match="after the databases had changed places"):
        verb.restore(site.place, "newest", yes=True)
    assert site.sql(COUNT) == "20000"


def _dies(where: object, name: str, after: bool = False) -> Callable[[Site], None]:
    """In a process of its own, by kill -9 before or after this call."""

    def run(site: Site) -> None:
        real = getattr(where, name)

        def instead(*arguments: object, **options: object) -> object:
            found = real(*arguments, **options) if after else None
            os.kill(os.getpid(), signal.SIGKILL)
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, instead)
            verb.restore(site.place, "newest", yes=True)

    return run


def _dies_during(where: object, name: str) -> Callable[[Site], None]:
    """While what it called is at work on the server."""

    def run(site: Site) -> None:
        real = getattr(where, name)

        def instead(*arguments: object, **options: object) -> object:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, 0.15)
            return real(*arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, instead)
            verb.restore(site.place, "newest", yes=True)

    return run


MOMENTS = {
    "while the dump is read": _dies_during(Beside, "stage"),
    "while it is loaded": _dies_during(Beside, "load"),
    "before the swap": _dies(swap, "swap"),
    "during the swap": _dies_during(swap, "swap"),
    "after the swap": _dies(swap, "swap", after=True),
}


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_any_moment_the_live_data_is_whole_and_the_next_run_goes_through(
    site: Site, point: Folder, moment: str
) -> None:
    process = multiprocessing.get_context("fork").Process(target=MOMENTS[moment], args=(site,))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    assert process.exitcode < 0, "it was not killed"
    swap._settle(_server(site))
    before = swap.kept(_server(site))
    damaged, restored = ("501", ""), ("500", "videos")
    live = (
        site.sql("SELECT max(id) FROM users"),
        site.sql("SELECT to_regclass('videos')"),
    )
    assert live == (restored if before else damaged)
    if "the swap" not in moment:
        assert not before
    assert verb.restore(site.place, "newest", yes=True) == DONE
    assert site.sql(COUNT) == "20000"


DEPLOY_DUMP = "20260102T030405Z-1.2.0+ab12cd34ef56.dump"


@pytest.fixture
def deployed(site: Site, clean: None) -> Iterator[str]:
    """What the deploy of 1.2.0 left on the host before it changed anything; its stamp."""
    site.sql("INSERT INTO users VALUES (700, 'before the deploy')")
    _server(site).own_folder()
    script = f"""
        cd /backups &&
        pg_dump -U ytempire -Fc -d ytempire --file {DEPLOY_DUMP} &&
        sha256sum {DEPLOY_DUMP} >{DEPLOY_DUMP}.sha256
    """
    docker("exec", site.place.names.postgres, "sh", "-c", script)
    yield DEPLOY_DUMP[:16]
    docker("exec", site.place.names.postgres, "sh", "-c", f"rm /backups/{DEPLOY_DUMP}*")
    site.sql("DELETE FROM users WHERE id > 500")


def test_what_a_deploy_took_before_it_is_listed_with_its_release_and_brought_back(
    site: Site, deployed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.listed(site.place) == DONE
    listed = capsys.readouterr().out
    assert listed.splitlines()[-2].split()[0] == deployed
    assert "host; before 1.2.0+ab12cd34ef56" in listed
    site.sql("INSERT INTO users VALUES (701, 'after the deploy')")
    assert verb.restore(site.place, deployed, yes=True) == DONE
    assert site.sql("SELECT max(id) FROM users") == "700"
    (kept,) = swap.kept(_server(site))
    assert (kept.note.source, kept.note.place) == (DEPLOY_DUMP, "host")
    assert verb.single(site.place, deployed, "users") == DONE
    assert verb.dismiss(site.place, yes=True) == DONE


def test_a_deploy_s_dump_that_the_disk_has_damaged_is_found_before_anything_is_touched(
    site: Site, deployed: str
) -> None:
    spoil = f"printf x | dd of=/backups/{DEPLOY_DUMP} bs=1 seek=9000 conv=notrunc"
    docker("exec", site.place.names.postgres, "sh", "-c", spoil)
    with pytest.raises(OpsError, match="its SHA-256 is not what it was"):
        verb.restore(site.place, deployed, yes=True)
    assert site.sql(DATABASES) == "ytempire"
    assert site.sql("SELECT max(id) FROM users") == "700"


def _nothing_is_touched(site: Site, words: str, yes: bool = True) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(story.Restore, "go", lambda self: pytest.fail("it went on"))
        with pytest.raises(OpsError, match=words):
            verb.restore(site.place, "newest", yes=yes)
    assert site.sql(DATABASES) == "ytempire"
