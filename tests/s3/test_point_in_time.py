"""The database's log and base backups: a real PostgreSQL whose log is received and shipped, two
drives that are volumes, S3 by moto; recovery to a moment between two statements."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ops.backup import wal
from ops.errors import StepFailed
from ops.verbs import _transfer, restore
from ops.verbs import backup as verb
from ops.verbs._exit import DONE, FAILED, Failed, Misused
from rollout.postgres import hba, postgresql_conf
from rollout.scheduler import CONFIG, FILE, WAL, SchedulerConfig
from rollout.settings import REPLICATION_USER
from rollout.wal import CLOSE_SECONDS, RECEIVE, RECEIVED, SLOT, Piece, Segment, is_segment, pieces
from tests.e2e.world import docker, wait_until
from tests.s3 import site as site_of_a_database
from tests.s3.backup_site import run_scheduler
from tests.s3.site import IMAGE, PASSWORD, found_by, made, remove, run_postgres
from tests.s3.store import Moto

TABLES = f"""
CREATE ROLE {REPLICATION_USER} LOGIN REPLICATION PASSWORD '{PASSWORD}';
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO users SELECT n, 'recognizable-' || n FROM generate_series(1, 500) n;
"""


@dataclass
class Site(site_of_a_database.Site):
    """A stack of which only the database and the receiver of its log run."""

    def now(self) -> str:
        """The database's own clock, between two statements."""
        return self.sql("SELECT pg_sleep(0.1)", "SELECT clock_timestamp()", "SELECT pg_sleep(0.1)")

    def pieces(self) -> list[Piece]:
        return list(pieces(self.objects()))

    def numbers(self) -> list[int]:
        """A receiver that was killed may have one twice."""
        return sorted({Segment.of(p.name).number for p in self.pieces() if is_segment(p.name)})

    def receive(self) -> None:
        names = self.place.names
        docker(
            "run", "--detach", "--name", names.wal, "--init", "--stop-signal", "SIGINT",
            "--restart", "unless-stopped",
            "--network", names.network("data"), "--tmpfs", "/tmp", "--user", "999:999",
            "--volume", f"{names.volume('wal')}:{RECEIVED}",
            "--volume", f"{names.volume('wal-config')}:/etc/ytempire:ro",
            "--env", f"PGHOST={names.postgres}", "--env", f"PGUSER={REPLICATION_USER}",
            "--env", "PASSWORD_FILE=/etc/ytempire/password",
            "--env", f"SLOT={SLOT}", "--env", "LIMIT_MB=4096", IMAGE, "sh", "-c", RECEIVE,
        )  # fmt: skip
        self.is_received()

    def is_received(self) -> None:
        active = f"SELECT active FROM pg_replication_slots WHERE slot_name = '{SLOT}'"
        wait_until(lambda: self.sql(active) == "t", "the log is not received")


@pytest.fixture(scope="module")
def site(moto: Moto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    checkout = tmp_path_factory.mktemp("checkout")
    place, settings = made(moto, checkout, "pt", postgresReplicationPassword=PASSWORD)
    found = Site(place, moto, settings)
    with found_by(found, verb, restore):
        try:
            _start_database(found)
            found.receive()
            yield found
        finally:
            remove(place)


def _start_database(site: Site) -> None:
    """As the components declare it, its configuration in a volume."""
    names, settings = site.place.names, site.settings.postgres
    files: dict[str, Any] = {
        "postgresql.conf": postgresql_conf(settings, "/etc/ytempire"),
        "pg_hba.conf": hba(settings, "0.0.0.0/0", REPLICATION_USER),
        "password": PASSWORD,
    }
    for name, text in files.items():
        docker(
            "run", "--rm", "--interactive", "--user", "0:0", "--network", "none",
            "--volume", f"{names.volume('wal-config')}:/config", "--entrypoint", "sh", IMAGE,
            "-c", f"cat >/config/{name} && chown 999:999 /config/{name}", stdin=text,
        )  # fmt: skip
    run_postgres(
        site.place, "--volume", f"{names.volume('wal-config')}:/etc/ytempire:ro",
        command=("postgres", "-c", "config_file=/etc/ytempire/postgresql.conf"),
    )  # fmt: skip
    site.sql(*(line for line in TABLES.strip().splitlines()))


def test_what_was_written_just_now_is_everywhere_and_leaves_the_receiver(site: Site) -> None:
    assert verb.run_wal(site.place, now=True) == DONE
    first = site.numbers()
    assert first == list(range(first[0], first[-1] + 1))
    left = docker("exec", site.place.names.wal, "sh", "-c", f"ls {RECEIVED}/*")
    assert not any(is_segment(name) for name in left.split())
    volume = site.place.names.volume("drive2")
    for piece in site.pieces():
        told = docker(
            "run", "--rm", "--network", "none", "--volume", f"{volume}:/drive:ro",
            "--entrypoint", "sha256sum", "--user", "0:0", IMAGE, f"/drive/{piece.key}",
        )  # fmt: skip
        assert told.split()[0] == piece.sha256


def test_a_killed_receiver_catches_up_without_loss(site: Site) -> None:
    before = site.numbers()
    docker("rm", "--force", "--volumes", site.place.names.wal)
    for _ in range(3):
        site.sql(
            "INSERT INTO users SELECT max(id) + 1, 'later' FROM users", "SELECT pg_switch_wal()"
        )
    site.receive()
    assert verb.run_wal(site.place, now=True) == DONE
    after = site.numbers()
    assert after == list(range(before[0], after[-1] + 1))
    assert len(after) >= len(before) + 3


def test_a_place_that_was_away_gets_what_it_missed_from_the_others(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = site.numbers()
    gone = site.settings.backups.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    with pytest.MonkeyPatch.context() as patch:
        settings = site.settings.model_copy(update={"backups": gone})
        patch.setattr(verb, "settings_of", lambda place: settings)
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        assert verb.run_wal(site.place, now=True) == FAILED
    assert "bucket: " in capsys.readouterr().out
    assert site.numbers() == before
    sizes = docker(
        "exec", site.place.names.wal, "sh", "-c", f"find {RECEIVED} -type f -empty ! -name '*.*'"
    )
    assert sizes.split()
    assert verb.run_wal(site.place) == DONE
    assert site.numbers() == [*before, before[-1] + 1]


def test_a_base_backup_and_the_log_are_proved_by_a_recovery(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb.run_base(site.place) == DONE
    site.sql("UPDATE users SET name = 'after the base' WHERE id = 1")
    assert verb.run_wal(site.place, now=True) == DONE
    assert verb.verify(site.place) == DONE
    assert "recovered until " in capsys.readouterr().out
    assert verb.listed(site.place, as_json=True) == DONE
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["folder"].startswith("database/base/")
    assert entry["restored"] is True


def test_a_dropped_table_is_back_as_it_was_just_before(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_transfer, "LINE_SECONDS", -1)  # a log gets every line
    site.sql("INSERT INTO users VALUES (9001, 'before it happened')")
    before = site.now()
    site.sql("INSERT INTO users VALUES (9002, 'a moment later')", "DROP TABLE users")
    assert verb.run_wal(site.place, now=True) == DONE
    assert restore.to_a_time(site.place, before, yes=True) == DONE
    assert site.sql("SELECT name FROM users WHERE id >= 9000") == "before it happened"
    told = re.findall(r"^(base|log|read|load): .* of .*/s", capsys.readouterr().out, re.MULTILINE)
    assert list(dict.fromkeys(told)) == ["base", "log", "read", "load"]


def test_nothing_after_a_time_is_no_reason_to_miss_it(site: Site) -> None:
    """PostgreSQL would refuse: it never sees anything later."""
    site.sql("CREATE TABLE quiet (id int)", "INSERT INTO quiet VALUES (7)")
    time.sleep(1)  # a segment's time has whole seconds: what it holds is from an earlier one
    assert verb.run_wal(site.place, now=True) == DONE
    newest = max(piece.closed for piece in site.pieces())
    site.sql("DROP TABLE quiet")
    assert restore.to_a_time(site.place, newest.isoformat(), yes=True) == DONE
    assert site.sql("SELECT id FROM quiet") == "7"


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2999-01-01T00:00:00Z", "is in the future"),
        ("2001-01-01T00:00:00Z", "No base backup is from before 2001-01-01 00:00:00 UTC"),
    ],
)
def test_a_time_that_can_t_be_reached_is_refused_before_anything_is_touched(
    site: Site, at: str, words: str
) -> None:
    with pytest.raises(Failed, match=words):
        restore.to_a_time(site.place, at, yes=True)


def test_a_time_without_its_zone_is_none(site: Site) -> None:
    with pytest.raises(Misused, match="expected a time with its zone"):
        restore.to_a_time(site.place, "2026-01-01T10:00:00", yes=True)


def test_the_log_s_times_and_its_loss_are_told(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    verb.status(site.place, as_json=True)
    log = json.loads(capsys.readouterr().out)["log"]
    assert log["rpo_seconds"] <= CLOSE_SECONDS
    assert log["slot"] == "reserved"
    (reach,) = log["reachable"]
    assert reach["until"] == max(piece.closed for piece in site.pieces()).isoformat()


def test_a_gap_is_named_with_the_last_time_that_can_be_reached(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody may delete in the bucket; something did."""
    for _ in range(2):
        site.sql("CREATE TABLE IF NOT EXISTS later (id int)", "INSERT INTO later VALUES (1)")
        assert verb.run_wal(site.place, now=True) == DONE
    *_, lost, _ = (n for n in site.numbers())
    for piece in site.pieces():
        if is_segment(piece.name) and Segment.of(piece.name).number == lost:
            site.s3.delete_object(Bucket=site.bucket, Key=piece.key)
    capsys.readouterr()
    assert verb.status(site.place) == FAILED
    assert f"after segment {Segment(lost, 1)}, which is missing" in capsys.readouterr().out
    with pytest.raises(Failed, match=f"WAL segment {Segment(lost, 1)} is missing on the way"):
        restore.to_a_time(site.place, site.now(), yes=True, from_place="bucket")


def test_a_slot_that_was_lost_is_made_anew_by_the_next_base_backup(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in between is gone, for all that follows."""
    docker("stop", site.place.names.wal)
    site.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'", "SELECT pg_reload_conf()")
    site.sql("ALTER SYSTEM SET wal_keep_size = '0'", "SELECT pg_reload_conf()")
    for _ in range(4):
        site.sql("INSERT INTO later VALUES (1)", "SELECT pg_switch_wal()")
    state = "SELECT wal_status FROM pg_replication_slots"
    wait_until(lambda: site.sql("CHECKPOINT", state) == "lost", "the slot is not given up")
    # Or a slow receiver loses the next one, too, to any checkpoint.
    site.sql("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
    verb.status(site.place)
    assert f"the database has given up slot {SLOT}" in capsys.readouterr().out
    monkeypatch.setattr(wal, "AWAY_SECONDS", 0)
    with pytest.raises(StepFailed, match=f"the database has given up slot {SLOT}"):
        verb.run_wal(site.place)
    assert verb.run_base(site.place) == DONE
    docker("start", site.place.names.wal)
    site.is_received()
    site.sql("INSERT INTO later VALUES (2)")
    assert verb.run_wal(site.place, now=True) == DONE
    capsys.readouterr()
    verb.status(site.place, as_json=True)
    log = json.loads(capsys.readouterr().out)["log"]
    assert log["slot"] not in ("", "lost")
    newest = max(piece.closed for piece in site.pieces())
    assert log["reachable"][-1]["until"] == newest.isoformat()


def test_the_scheduler_ships_and_proves_the_log_in_its_own_container(site: Site) -> None:
    """On the drives alone: this bucket is out of its reach. After all others, which go by what the
    bucket has."""
    names = site.place.names
    backups = site.settings.backups.model_copy(update={"access_keys": ""})
    settings = site.settings.model_copy(update={"backups": backups})
    wal = f"{names.volume('wal')}:{WAL}"
    run_scheduler(site.place, settings, ("sleep", "infinity"), wal)
    try:
        write = ("sh", "-c", f"cat >{CONFIG}/{FILE}")
        config = SchedulerConfig.of(settings).text
        docker("exec", "--interactive", names.scheduler, *write, stdin=config)
        for task in ("base", "wal", "dump", "verify"):
            if task == "wal":
                site.sql("INSERT INTO users SELECT max(id) + 1, 'more' FROM users")
                site.sql("SELECT pg_switch_wal()")
            docker("exec", names.scheduler, "python3", "-m", "ops.scheduler", task)
    finally:
        docker("rm", "--force", "--volumes", names.scheduler)
