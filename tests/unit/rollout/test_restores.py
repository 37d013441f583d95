"""What can be restored, and the SQL for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rollout.backups import DATABASE, MANIFEST, Catalogue, Folder, Stored
from rollout.records import BackupManifest, Check, Status, Verification
from rollout.restores import (
    NEWEST,
    SPARE_BYTES,
    Column,
    aside,
    choose,
    copy_back,
    database_bytes,
    lacking,
    literal,
    missing_roles,
    points,
    renamed,
    wanting,
)
from rollout.retention import Series

NOON = datetime(2027, 6, 16, 12, tzinfo=UTC)
GB = 1 << 30


def found(check: Check, status: Status, place: str = "drive1", hours: int = 1) -> Verification:
    at = NOON + timedelta(hours=hours)
    return Verification(check=check, status=status, at=at, place=place)


def stored(*verifications: Verification, at: datetime = NOON) -> Stored:
    folder = Folder.of(Series.DAILY, at)
    manifest = BackupManifest.model_validate(
        {
            "series": folder.series,
            "stack": "sandbox",
            "started": at,
            "finished": at,
            "artifacts": [{"key": folder.key(DATABASE), "bytes": 10, "sha256": "ab" * 32}],
            "tools": {"pg_dump": "15.13"},
            "verifications": verifications,
        }
    )
    return Stored(folder, (folder.key(DATABASE), folder.key(MANIFEST)), manifest)


def places(**catalogues: Stored) -> dict[str, Catalogue]:
    return {name: Catalogue(name, (one,)) for name, one in catalogues.items()}


def test_a_point_is_had_from_the_fast_places_first() -> None:
    (point,) = points(places(drive1=stored(), drive2=stored(), bucket=stored()))
    assert point.copies == ("drive1", "drive2", "bucket")
    assert point.stamp == "20270616T120000Z"


def test_a_copy_whose_bytes_were_found_wrong_is_no_choice_and_the_others_are() -> None:
    bad = stored(found("checksum", Status.FAIL, "drive1"))
    (point,) = points(places(drive1=bad, bucket=bad))
    assert (point.copies, point.damaged) == (("bucket",), ("drive1",))


def test_a_copy_that_is_good_again_is_a_choice_again() -> None:
    good = stored(
        found("checksum", Status.FAIL, "drive1", hours=1),
        found("checksum", Status.PASS, "drive1", hours=2),
    )
    (point,) = points(places(drive1=good))
    assert point.copies == ("drive1",)


def test_a_backup_that_could_not_be_restored_is_no_choice_anywhere() -> None:
    bad = stored(found("counts", Status.FAIL, "bucket"))
    (point,) = points(places(drive1=bad, bucket=bad))
    assert point.copies == ()
    assert choose([point], NEWEST) is None
    assert choose([point], point.stamp) == point


def test_the_newest_is_the_newest_that_is_whole_anywhere() -> None:
    old, new = stored(at=NOON - timedelta(days=1)), stored(found("restore", Status.FAIL))
    there = points({"drive1": Catalogue("drive1", (new, old))})
    chosen = choose(there, NEWEST)
    assert chosen
    assert chosen.folder == old.folder
    assert choose(there, str(new.folder)) == there[0]
    assert choose(there, "20010101T000000Z") is None


@pytest.mark.parametrize(
    ("size", "dumps", "data", "same", "lacks"),
    [
        (10 * GB, 21 * GB, 21 * GB, True, 0),
        (10 * GB, 20 * GB, 20 * GB, True, SPARE_BYTES),
        (10 * GB, 11 * GB, 11 * GB, False, 0),
        (10 * GB, 1 * GB, 90 * GB, False, 10 * GB),
    ],
)
def test_the_disk_has_to_take_the_dump_and_the_database(
    size: int, dumps: int, data: int, same: bool, lacks: int
) -> None:
    assert wanting(size, dumps, data, same) == lacks


def test_a_manifest_that_does_not_say_how_large_is_guessed_too_large() -> None:
    manifest = stored().manifest
    assert manifest
    assert database_bytes(manifest, live=7) == 40
    assert database_bytes(manifest, live=70) == 70
    assert database_bytes(manifest.model_copy(update={"database_bytes": 5}), live=70) == 5


def test_a_name_that_postgresql_would_cut_off_is_cut_off_where_it_does_no_harm() -> None:
    assert aside("ytempire", NOON) == "ytempire_before_20270616t120000z"
    long = aside("x" * 63, NOON)
    assert len(long) == 63
    assert long.endswith("_before_20270616t120000z")


PROPERTIES = r"""
\restrict x
CREATE DATABASE ytempire WITH TEMPLATE = template0 ENCODING = 'UTF8';
ALTER DATABASE ytempire OWNER TO ytempire;
\connect ytempire
COMMENT ON DATABASE ytempire IS 'of DATABASE ytempire';
ALTER DATABASE ytempire SET work_mem TO '9MB';
ALTER ROLE "a b" IN DATABASE ytempire SET search_path TO 'a';
REVOKE CONNECT,TEMPORARY ON DATABASE ytempire FROM PUBLIC;
"""


def test_a_dump_s_database_is_made_under_another_name() -> None:
    assert renamed(PROPERTIES, "x_restore").strip().splitlines() == [
        "CREATE DATABASE \"x_restore\" WITH TEMPLATE = template0 ENCODING = 'UTF8';",
        'ALTER DATABASE "x_restore" OWNER TO ytempire;',
        "COMMENT ON DATABASE \"x_restore\" IS 'of DATABASE ytempire';",
        "ALTER DATABASE \"x_restore\" SET work_mem TO '9MB';",
        'ALTER ROLE "a b" IN DATABASE "x_restore" SET search_path TO \'a\';',
        'REVOKE CONNECT,TEMPORARY ON DATABASE "x_restore" FROM PUBLIC;',
    ]


GLOBALS = """
SET client_encoding = 'UTF8';
CREATE ROLE reader;
ALTER ROLE reader WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x';
CREATE ROLE "Team A";
CREATE ROLE ytempire;
ALTER ROLE ytempire WITH SUPERUSER PASSWORD 'SCRAM-SHA-256$4096:old';
ALTER ROLE reader SET work_mem TO '8MB';
GRANT "Team A" TO reader GRANTED BY ytempire;
GRANT "Team A" TO ytempire GRANTED BY ytempire;
"""


def test_only_roles_that_are_missing_are_made() -> None:
    assert missing_roles(GLOBALS, ["ytempire", "Team A"]).splitlines() == [
        "CREATE ROLE reader;",
        "ALTER ROLE reader WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:x';",
        "ALTER ROLE reader SET work_mem TO '8MB';",
        'GRANT "Team A" TO reader GRANTED BY ytempire;',
    ]
    assert missing_roles(GLOBALS, ["ytempire", "Team A", "reader"]) == ""


def test_what_the_restored_database_is_from_before_of() -> None:
    assert lacking(("a.1", "a.2"), ("a.1",)) == ("a.2",)
    assert lacking(None, ("a.1",)) == ()


def test_rows_come_back_and_do_not_replace_any() -> None:
    columns = [Column("id", always=True), Column("name")]
    assert copy_back('"r"."users"', '"public"."users"', columns) == (
        'INSERT INTO "public"."users" ("id", "name") OVERRIDING SYSTEM VALUE '
        'SELECT "id", "name" FROM "r"."users" ON CONFLICT DO NOTHING;'
    )


def test_a_literal_is_what_it_says_whatever_is_in_it() -> None:
    assert literal("it's") == "'it''s'"
    assert literal("a\\b") == " E'a\\\\b'"
