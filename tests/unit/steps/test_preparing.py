"""claim, image, migrate, backup: what is done before the release starts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from ops.steps import backup
from rollout import dumps
from rollout.steps import Image
from tests.unit.steps.host import HOST, NAMES, Host, Ran, inspected, state_of
from tests.unit.steps.parameters import BACKUP, CLAIM, DIGEST, KEY, MIGRATE, MIGRATION

SECRET = "postgres://ytempire:hush-hush@postgres:5432/ytempire"
IMAGE = Image(tag="ytempire/backend:1.1.0", image=f"ytempire/backend@{DIGEST}", digest=DIGEST)
NOT_DONE = {"result": {"marked": False, "note": ""}}


STARTED = ("start", "--attach")


def migration(host: Host, code: int = 0, out: str = "", error: str = "", **after: Any) -> None:
    """A migration that says `out` and ends with `code`."""
    host.agent("marked", NOT_DONE)
    missing = {"error": f"No such container: {MIGRATION}", "code": 1}
    ended = {"out": inspected(MIGRATION, status="exited", code=code, **after)}
    host.answers("container", "inspect", MIGRATION, then=(ended,), **missing)
    host.answers(*STARTED, MIGRATION, out=out, error=error, code=code)
    host.answers("logs", "--follow", MIGRATION, out=out, error=error)
    host.answers("wait", MIGRATION, out=f"{code}\n")


def test_a_claim_says_who_asks_and_what_is_live(host: Host) -> None:
    ran = host.step("claim", CLAIM)
    (asked,) = host.asked("claim")
    assert (asked["who"], asked["live"]["colour"], asked["claim"]) == ("ann@laptop", "blue", 2)
    assert ran.out == "green is 1.1.0+bbbbbbbbbbbb's, beside 1.0.0+aaaaaaaaaaaa in blue\n"


def test_a_refused_claim_shows_the_switch_s_own_words(host: Host) -> None:
    host.agent("claim", {"error": "deploys are locked by ann"})
    ran = host.step("claim", CLAIM)
    assert (ran.code, ran.error) == (1, "deploys are locked by ann\n")


def test_an_image_that_is_there_is_not_pulled(host: Host) -> None:
    host.answers("image", "inspect", out=f'[{{"Id": "x", "RepoDigests": ["r@{DIGEST}"]}}]')
    assert (
        host.step("image", IMAGE).out == "ytempire/backend:1.1.0 is there (sha256:dddddddddddd)\n"
    )
    assert not host.calls("pull")


def test_an_image_that_is_not_there_is_pulled(host: Host) -> None:
    there = {"out": f'[{{"Id": "x", "RepoDigests": ["r@{DIGEST}"]}}]'}
    host.answers("image", "inspect", error="No such image: x", code=1, then=(there,))
    host.answers("pull", out="abc: Waiting\nabc: Pull complete\nStatus: Downloaded\n")
    ran = host.step("image", IMAGE)
    assert ran.out.startswith("abc: Pull complete\nStatus: Downloaded\nytempire/backend:1.1.0 pull")


@pytest.mark.parametrize("there_already", [True, False])
def test_an_image_by_digest_gets_its_tag(host: Host, there_already: bool) -> None:
    found: dict[str, Any] = {"out": f'[{{"Id": "x", "RepoDigests": ["r@{DIGEST}"]}}]'}
    missing: dict[str, Any] = {"error": "No such image: x", "code": 1}
    by_digest = found if there_already else missing
    host.answers("image", "inspect", IMAGE.image, then=(found,), **by_digest)
    host.answers("image", "inspect", IMAGE.tag, **missing)
    host.step("image", IMAGE)
    assert [call["argv"] for call in host.calls("tag")] == [["tag", IMAGE.image, IMAGE.tag]]


def test_a_local_image_that_is_missing_names_the_ways_out(host: Host) -> None:
    host.answers("image", "inspect", error="No such image: x", code=1)
    ran = host.step("image", structs.replace(IMAGE, image=DIGEST))
    assert ran.error == (
        f"The image ytempire/backend:1.1.0 ({DIGEST}) is not on {HOST}: it is a local image, and "
        "no registry knows it.\n"
        "Next: build it there, or `docker push ytempire/backend:1.1.0` to a registry that "
        f"{HOST} can reach; then `ytops up`\n"
    )


def test_a_migration_runs_hardened_with_its_secrets_by_name(host: Host) -> None:
    migration(host, out="Applying app.0002... OK\n")
    ran = host.step("migrate", MIGRATE, DATABASE_URL=SECRET, ENVIRONMENT="production")
    (create,) = host.calls("create")
    words = " ".join(create["argv"])
    assert "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges:true" in words
    assert f"--network {NAMES.network('data')} --user 10001:10001" in words
    assert "--env DATABASE_URL --env ENVIRONMENT sha256:" in words
    assert create["env"]["DATABASE_URL"] == SECRET
    assert not any("hush-hush" in word for call in host.calls() for word in call["argv"])
    assert ran.out.startswith("Applying app.0002... OK\nmigrated in ")
    assert ran.out.endswith(" s: nothing to apply\n")


def test_a_migration_joins_its_other_networks_before_it_starts(host: Host) -> None:
    migration(host)
    host.step("migrate", MIGRATE)
    verbs = [call["argv"][0] for call in host.calls() if call["argv"][0] != "container"]
    done = [verb for verb in verbs if verb != "exec"]
    assert done == ["create", "network", "start", "rm"]


def test_a_done_migration_is_marked(host: Host) -> None:
    migration(host)
    host.step("migrate", MIGRATE)
    assert [ask["key"] for ask in host.asked("mark")] == [f"green-migrate#{KEY}"]


def test_a_migration_that_was_done_is_not_done_again(host: Host) -> None:
    host.agent("marked", {"result": {"marked": True, "note": "2.0 s"}})
    assert host.step("migrate", MIGRATE).out == f"already migrated for {KEY} (2.0 s)\n"
    assert not host.calls("start")
    assert len(host.calls("create")) == len(host.calls("rm"))


def test_a_failed_migration_says_what_holds_and_what_to_do(host: Host) -> None:
    migration(host, code=1, error=f"ProgrammingError at {SECRET}\n")
    ran = host.step("migrate", MIGRATE, DATABASE_URL=SECRET)
    assert ran.error == (
        f"The migration failed with exit code 1 ({MIGRATION} on {HOST}).\n"
        "Its last lines:\n"
        "  ProgrammingError at postgres://ytempire:***@postgres:5432/ytempire\n"
        "Applied before that, and kept: nothing.\n"
        "The live release goes on serving; what was applied stays (expand/contract).\n"
        "Next: fix the cause, then the same release again, `ytops up 1.1.0`, or another one; "
        "`ytops rehearse VERSION` tries it on a copy first\n"
    )
    assert not host.asked("mark")


def recorded(host: Host, before: str, after: str) -> None:
    """What the table of migrations holds before the migration, and after it."""
    host.answers("exec", "--interactive", NAMES.postgres, out=before, then=({"out": after},))


def test_a_migration_says_what_it_applied(host: Host) -> None:
    migration(host)
    recorded(host, "app.0001_a\n", "app.0001_a\napp.0002_b\napp.0003_c\n")
    assert host.step("migrate", MIGRATE).out.endswith(" s: applied app.0002_b, app.0003_c\n")


def test_without_a_table_of_migrations_nothing_is_said_of_them(host: Host) -> None:
    migration(host)
    ran = host.step("migrate", structs.replace(MIGRATE, migrations_table=""))
    assert ran.out.startswith("migrated in ")
    assert ran.out.endswith(" s\n")
    assert not host.calls("exec", "--interactive", NAMES.postgres)


def test_a_failed_migration_says_what_was_applied_what_failed_and_what_remains(host: Host) -> None:
    said = 'column "transcript" of relation "videos" does not exist'
    output = f"  Applying app.0002_b... OK\n  Applying app.0003_c...\nerror: {said}\n"
    migration(host, code=1, out=output)
    recorded(host, "app.0001_a\n", "app.0001_a\napp.0002_b\n")
    server = (
        f"12:00:00 UTC [8] ERROR:  {said}\n"
        "12:00:00 UTC [8] STATEMENT:  ALTER TABLE videos ALTER COLUMN transcript SET NOT NULL\n"
    )
    host.answers("logs", "--tail", "500", NAMES.postgres, out=server)
    assert host.step("migrate", MIGRATE).error == (
        f"The migration failed with exit code 1 ({MIGRATION} on {HOST}).\n"
        "Its last lines:\n"
        "    Applying app.0002_b... OK\n"
        "    Applying app.0003_c...\n"
        f"  error: {said}\n"
        "Applied before that, and kept: app.0002_b.\n"
        "Failed: app.0003_c. It and what follows it remain to be applied.\n"
        "The statement: ALTER TABLE videos ALTER COLUMN transcript SET NOT NULL\n"
        "The live release goes on serving; what was applied stays (expand/contract).\n"
        "Next: fix the cause, then the same release again, `ytops up 1.1.0`, or another one; "
        "`ytops rehearse VERSION` tries it on a copy first\n"
    )


def test_a_migration_that_ran_out_of_memory_says_so(host: Host) -> None:
    migration(host, code=137, oom=True)
    ran = host.step("migrate", MIGRATE)
    assert ran.error.startswith("The migration was killed: out of memory (")


def test_a_migration_that_takes_too_long_is_stopped(host: Host) -> None:
    migration(host)
    host.answers(*STARTED, MIGRATION, sleep=20)
    ran = host.step("migrate", structs.replace(MIGRATE, timeout=1))
    assert ran.error.startswith("The migration was not over after 1 s and was stopped (")
    assert host.calls("stop")
    assert host.calls("rm")


def test_a_migration_waits_for_a_backup_that_is_under_way(host: Host) -> None:
    migration(host)
    host.answers("lock", out="busy\n", then=({"out": "held\n"},))
    ran = host.step("migrate", MIGRATE)
    assert ran.out.startswith("a backup is being made: waiting for it, 10 minutes at most\n")
    assert "migrated in " in ran.out


def test_a_backup_that_goes_on_for_long_stops_the_deploy_before_anything_is_migrated(
    host: Host,
) -> None:
    migration(host)
    host.answers("lock", out="busy\n", then=({"out": "\n"},))
    ran = host.step("migrate", MIGRATE)
    assert ran.error.startswith("A backup of ytempire has been under way for 10 minutes")
    assert not host.calls("start")
    assert host.calls("rm")


def test_an_earlier_run_s_migration_is_waited_for(host: Host) -> None:
    migration(host, out="end\n")
    labels = {"ytempire.step": "migrate", "ytempire.key": KEY}
    host.container(MIGRATION, {"labels": labels}, {"status": "exited"})
    ran = host.step("migrate", MIGRATE)
    assert ran.out.startswith(
        "an earlier run's migrate for this release is still running: waiting for it\nend\n"
    )
    assert not host.calls("create")


def test_another_release_s_migration_is_waited_for_and_then_ours_runs(host: Host) -> None:
    migration(host)
    labels = {"ytempire.step": "migrate", "ytempire.key": "0.9.0+c#1"}
    host.container(MIGRATION, {"labels": labels}, {"status": "exited"})
    ran = host.step("migrate", MIGRATE)
    assert ran.out.startswith("an earlier run's migrate for 0.9.0+c#1 is still running")
    assert host.calls("create")


def test_a_stopped_left_over_of_ours_is_removed(host: Host) -> None:
    migration(host)
    ended = {"status": "exited", "labels": {"ytempire.step": "migrate"}}
    host.container(MIGRATION, ended)
    host.step("migrate", MIGRATE)
    assert [c["argv"][0] for c in host.calls() if c["argv"][0] in ("rm", "create")] == [
        "rm", "create", "rm",
    ]  # fmt: skip


def test_a_stranger_s_container_is_never_removed(host: Host) -> None:
    migration(host)
    host.container(MIGRATION, {"status": "exited"})
    ran = host.step("migrate", MIGRATE)
    assert ran.error == (
        f"A container {MIGRATION} is in the way on {HOST}, and it was not made by a deploy. "
        f"Next: look at it, then `docker rm -f {MIGRATION}`\n"
    )
    assert not host.calls("rm")


def test_a_signal_stops_a_migration_in_order(host: Host, eventually: Any) -> None:
    migration(host)
    host.answers(*STARTED, MIGRATION, sleep=20)
    process = host.begin("migrate", MIGRATE)
    eventually(lambda: bool(host.calls(*STARTED)))
    process.terminate()
    _, error = process.communicate(timeout=8)
    assert process.returncode == 130
    assert error == "migrate was stopped by SIGTERM. Next: `ytops up`, which goes on from here.\n"
    assert host.calls("stop")
    assert host.calls("rm")


REPORT = (
    "result name 20260102T030405Z-1.1.0+bbbbbbbbbbbb.dump\nresult tables 9\nresult entries 9\n"
    "result bytes 1234567\nresult before {before}\nresult sha256 abc\n"
)
DUMP = f"{NAMES.postgres}-dump"


def dump(host: Host, out: str = "", code: int = 0) -> None:
    host.agent("marked", NOT_DONE)
    host.agent("state", state_of())
    host.container(NAMES.postgres, {"labels": {"ytempire.stack": "test"}})
    missing = {"error": f"No such container: {DUMP}", "code": 1}
    ended = {"out": inspected(DUMP, status="exited", code=code)}
    host.answers("container", "inspect", DUMP, then=(ended,), **missing)
    host.answers(*STARTED, DUMP, out=out or REPORT.format(before=""), code=code)
    host.answers("wait", DUMP, out=f"{code}\n")


def test_a_backup_says_its_size_and_marks_itself(host: Host) -> None:
    dump(host)
    ran = host.step("backup", BACKUP, PGPASSWORD="hush-hush")
    name = "20260102T030405Z-1.1.0+bbbbbbbbbbbb.dump"
    assert ran.out.startswith(f"{name}: 1.2 MB, data of 9 tables, in ")
    assert ran.out.endswith(" s\nsha256 abc\n")
    (mark,) = host.asked("mark")
    assert (mark["key"], mark["note"]) == (f"green-backup#{KEY}", f"{name}, 1.2 MB, 9 tables")


def noted(host: Host, note: str, migrated: bool) -> Ran:
    """The backup, when an earlier run left this note."""
    dump(host)
    done = {"result": {"marked": True, "note": note}}
    migration_done = {"result": {"marked": migrated, "note": "2.0 s"}}
    host.agent("marked", done, migration_done)
    return host.step("backup", BACKUP)


def test_a_fresh_dump_of_an_earlier_run_is_enough(host: Host) -> None:
    note = dumps.name(datetime.now(UTC) - timedelta(minutes=50), "1.1.0+bbbbbbbbbbbb")
    assert noted(host, note, migrated=False).out == f"already backed up for {KEY} ({note})\n"
    assert not host.calls("start")


@pytest.mark.parametrize("note", ["20250102T030405Z-1.1.0+bbbbbbbbbbbb.dump, 1 kB", "no time"])
def test_a_dump_of_last_week_is_not(host: Host, note: str) -> None:
    ran = noted(host, note, migrated=False)
    assert ran.out.startswith(f"the dump of an earlier run is too old ({note}): another one\n")
    assert host.asked("mark")


def test_after_the_migrations_an_old_dump_is_the_right_one(host: Host) -> None:
    note = "20250102T030405Z-1.1.0+bbbbbbbbbbbb.dump"
    assert noted(host, note, migrated=True).out == f"already backed up for {KEY} ({note})\n"


def test_a_backup_s_password_is_in_no_argument_list(host: Host) -> None:
    dump(host)
    host.step("backup", BACKUP, PGPASSWORD="hush-hush")
    (create,) = host.calls("create")
    assert create["env"]["PGPASSWORD"] == "hush-hush"
    assert not any("hush-hush" in word for call in host.calls() for word in call["argv"])


def test_a_much_smaller_backup_is_remarked_upon(host: Host) -> None:
    dump(host, REPORT.format(before="9000000"))
    ran = host.step("backup", BACKUP)
    assert ran.out.endswith("note: the dump before had 9.0 MB, more than twice as much\n")


def test_a_backup_without_postgres_changes_nothing(host: Host) -> None:
    dump(host)
    host.container(NAMES.postgres, {"status": "exited"})
    host.answers("logs", "--tail", "25", NAMES.postgres, out="database system is shut down\n")
    assert host.step("backup", BACKUP).error == (
        f"PostgreSQL ({NAMES.postgres} on {HOST}) does not run (exited): nothing can be backed up, "
        "so nothing is changed.\n"
        f"The last lines of {NAMES.postgres}:\n"
        "  database system is shut down\n"
        f"Next: `docker start {NAMES.postgres}`, then `ytops up`\n"
    )


def test_a_full_disk_is_told_from_other_failures(host: Host) -> None:
    dump(host, "pg_dump: error: could not write: No space left on device\n", code=1)
    assert host.step("backup", BACKUP).error.endswith(
        "Nothing was changed and no partial dump is left.\n"
        "Next: make room on the host's disk (`docker system df`), then `ytops up`\n"
    )


def test_a_fresh_volume_is_given_to_postgres_once(host: Host) -> None:
    dump(host, code=73)
    host.step("backup", BACKUP)
    (give,) = host.calls("run")
    assert give["argv"][-3:] == ["postgres:15", "postgres", "/target"]
    assert "CHOWN" in give["argv"]


class Script:
    """The backup's script, run for real with stub programs of PostgreSQL's."""

    def __init__(self, folder: Path) -> None:
        self.backups = folder / "backups"
        self.backups.mkdir()
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.tables, self.live = 2, "1.0.0+aaaaaaaaaaaa"
        self.program("psql", 'while [ "$1" != -o ]; do shift; done; echo "$TABLES" >"$2"')
        self.program("pg_dump", 'while [ "$1" != --file ]; do shift; done; echo data >"$2"')
        self.listed(2)

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def listed(self, entries: int) -> None:
        line = 'echo "215; 0 16390 TABLE DATA public t app" >>"$2"\n'
        self.program(
            "pg_restore", 'while [ "$1" != --file ]; do shift; done; : >"$2"\n' + line * entries
        )

    def run(self, name: str = "20260102T030405Z-1.1.0+bbbbbbbbbbbb.dump") -> tuple[int, str]:
        text = backup.SCRIPT.replace("/backups", str(self.backups))
        text = text.replace("/tmp/tables", str(self.programs / "tables"))
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "NAME": name,
            "LIVE": self.live,
            "TABLES": str(self.tables),
            "PGDATABASE": "ytempire",
        }
        answer = subprocess.run(
            ["sh", "-c", text], env=environment, text=True, capture_output=True, timeout=5
        )
        return answer.returncode, answer.stdout

    def files(self) -> list[str]:
        return sorted(path.name for path in self.backups.iterdir())


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


def test_the_script_leaves_a_dump_and_its_checksum(script: Script) -> None:
    name = "20260102T030405Z-1.1.0+bbbbbbbbbbbb.dump"
    checksum = hashlib.sha256(b"data\n").hexdigest()
    assert script.run() == (
        0,
        textwrap.dedent(f"""\
            result name {name}
            result tables 2
            result entries 2
            result bytes 5
            result before{" "}
            result sha256 {checksum}
            """),
    )
    assert script.files() == [name, f"{name}.sha256"]
    assert (script.backups / f"{name}.sha256").read_text() == f"{checksum}  {name}\n"


def test_a_failed_pg_dump_is_no_backup(script: Script) -> None:
    script.program("pg_dump", 'while [ "$1" != --file ]; do shift; done; echo half >"$2"; exit 3')
    assert script.run() == (3, "pg_dump failed with exit code 3\n")
    assert script.files() == []


def test_a_dump_that_can_t_be_listed_is_no_backup(script: Script) -> None:
    script.program("pg_restore", "exit 1")
    assert script.run() == (1, "listing the dump failed with exit code 1\n")
    assert script.files() == []


def test_a_dump_with_too_few_tables_is_no_backup(script: Script) -> None:
    script.listed(1)
    said = "the dump holds the data of 1 tables, the database has 2\n"
    assert script.run() == (65, said)
    assert script.files() == []


def test_an_empty_database_beside_a_live_release_is_the_wrong_one(script: Script) -> None:
    script.tables = 0
    said = "database ytempire has no tables, though 1.0.0+aaaaaaaaaaaa serves: is it the right one?"
    assert script.run() == (66, f"{said}\n")
    assert script.files() == []


def test_an_empty_database_before_the_first_release_is_backed_up(script: Script) -> None:
    script.tables, script.live = 0, ""
    script.listed(0)
    assert script.run()[0] == 0
    assert len(script.files()) == 2


def test_the_newest_ten_are_kept_and_nobody_else_s_files_touched(script: Script) -> None:
    for day in range(1, 13):
        (script.backups / f"202501{day:02d}T000000Z-1.0.0+aaaaaaaaaaaa.dump").touch()
    (script.backups / "nightly-20240101.dump").touch()
    (script.backups / "20250101T000000Z-1.0.0+aaaaaaaaaaaa.dump.partial").touch()
    script.run()
    dumps = [name for name in script.files() if name.endswith(".dump")]
    assert "nightly-20240101.dump" in dumps
    assert dumps[0] == "20250104T000000Z-1.0.0+aaaaaaaaaaaa.dump"
    assert len(dumps) == 11
    assert not any(name.endswith(".partial") for name in script.files())


def test_a_stopped_script_leaves_no_partial_dump(script: Script) -> None:
    stop = (
        'while [ "$1" != --file ]; do shift; done; echo half >"$2"; kill -TERM $PPID; exec sleep 9'
    )
    script.program("pg_dump", stop)
    assert script.run()[0] == 143
    assert script.files() == []
