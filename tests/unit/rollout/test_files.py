"""What backups of files call things, what they remember, and what they may build on."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollout.backups import Catalogue, Folder, Stored, pack_name
from rollout.files import (
    Entry,
    Index,
    Known,
    Naming,
    Pack,
    complaints,
    forget_line,
    head,
    nanoseconds,
    pieces_name,
    seen_line,
    usable,
    why_line,
)
from rollout.records import Artifact
from rollout.retention import Series

NOW = datetime(2027, 6, 16, 12, tzinfo=UTC)
AT = Folder.of(Series.MEDIA, datetime(2027, 6, 15, 11, tzinfo=UTC))
NAMES = Naming.of("a key")
A, B = NAMES.piece(b"a"), NAMES.piece(b"b")

paths = st.binary(min_size=1, max_size=30).map(lambda b: b.decode("utf-8", "surrogateescape"))


def pack(number: int, *pieces: str) -> Pack:
    key = AT.key(pack_name(number))
    return Pack(Artifact(key=key, bytes=1, sha256="ab" * 32, encryption="age"), pieces)


def entry(path: str, *pieces: str) -> Entry:
    return Entry(path=path, type="f", mode=0o640, uid=1, gid=2, mtime=3, size=2, pieces=pieces)


def place(where: str, *packs: Pack, problems: tuple[str, ...] = ()) -> Catalogue:
    keys = (*(one.artifact.key for one in packs), AT.key(pieces_name(1)))
    return Catalogue(where, (Stored(AT, keys),), problems)


def test_content_is_called_the_same_under_one_key_and_otherwise_under_another() -> None:
    assert NAMES.piece(b"a") == Naming.of("a key").piece(b"a")
    assert NAMES.piece(b"a") != Naming.of("another").piece(b"a")


def test_a_list_of_pieces_lies_beside_its_pack() -> None:
    assert (pack_name(7), pieces_name(7)) == ("pack-00007.tar.zst.age", "pack-00007.pieces")


@given(paths)
def test_any_name_comes_back_as_it_was(path: str) -> None:
    lines = [head(NAMES), entry(path, A, B).line, why_line(path, "changed"), pack(1, A, B).line]
    index = Index.read(lines)
    assert index.entries == [entry(path, A, B)]
    assert (index.told, index.packs, index.naming) == ({path: "changed"}, [pack(1, A, B)], NAMES)


def test_what_was_read_is_not_read_again_unless_a_pack_of_it_is_away() -> None:
    lines = [pack(1, A).line, pack(2, B).line, seen_line("01" * 16, [A]), seen_line("02" * 16, [B])]
    known = Known()
    known.read(lines, {pack(1).artifact.key})
    assert known.pieces("01" * 16) == (A,)
    assert known.pieces("02" * 16) is None
    assert (known.has(A), known.has(B)) == (True, False)


def test_what_changed_while_it_was_read_is_read_again() -> None:
    known = Known()
    lines = [seen_line("01" * 16, [A]), forget_line("01" * 16), pack(1, A).line]
    known.read(lines, {pack(1).artifact.key})
    assert known.pieces("01" * 16) is None


def test_a_file_looks_otherwise_when_anything_of_it_changes() -> None:
    seen = {
        NAMES.seen(b"a", 1, 2, 3),
        NAMES.seen(b"b", 1, 2, 3),
        NAMES.seen(b"a", 2, 2, 3),
        NAMES.seen(b"a", 1, 3, 3),
        NAMES.seen(b"a", 1, 2, 4),
    }
    assert len(seen) == 5


def test_a_pack_may_be_built_on_where_the_bucket_keeps_it_or_never_had_it() -> None:
    one, two = pack(1, A), pack(2, B)
    bucket, drive = place("bucket", one), place("drive1", one, two)
    both = frozenset({one.artifact.key, two.artifact.key})
    assert usable(bucket, [drive], NOW, {}) == both
    assert usable(None, [drive], NOW, {}) == both


def test_what_is_bad_in_the_bucket_or_may_expire_there_is_not_built_on() -> None:
    one = pack(1, A)
    bucket, drive = place("bucket", one), place("drive1", one)
    assert usable(bucket, [drive], NOW, {"bucket": {one.artifact.key}}) == frozenset()
    unclear = place("bucket", one, problems=("a manifest can't be read",))
    assert usable(unclear, [drive], NOW, {}) == frozenset()


def test_what_is_bad_on_a_drive_is_built_on_where_the_bucket_has_it() -> None:
    one = pack(1, A)
    bad = {"drive1": {one.artifact.key}}
    assert usable(place("bucket", one), [place("drive1", one)], NOW, bad) == {one.artifact.key}
    assert usable(None, [place("drive1", one)], NOW, bad) == frozenset()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (r"tar: media/a: file changed as we read it", [("media/a", "file changed as we read it")]),
        (
            r"tar: media/new\nline\: x: Cannot open: Permission denied",
            [("media/new\nline: x", "Cannot open: Permission denied")],
        ),
        (
            r"tar: media/latin-\351: File shrank by 5 bytes; padding with zeros",
            [("media/latin-\udce9", "File shrank by 5 bytes; padding with zeros")],
        ),
        ("tar: Exiting with failure status due to previous errors", []),
    ],
)
def test_what_tar_says_is_told_of_the_file_that_it_means(
    line: str, told: list[tuple[str, str]]
) -> None:
    assert list(complaints(line)) == told


@given(st.integers(0, 4 * 10**18))
def test_times_are_exact(ns: int) -> None:
    whole, part = divmod(ns, 10**9)
    assert nanoseconds(f"{whole}.{part:09}0") == ns
    assert nanoseconds(f"{whole}.{part:09}".rstrip("0").rstrip(".")) == ns


def test_paths_are_asked_for_by_themselves_or_by_their_folder() -> None:
    index = Index(NAMES, entries=[entry("media/a"), entry("media/ab"), entry("media/b/c")])
    assert [e.path for e in index.under(["media/a", "/media/b/"])] == ["media/a", "media/b/c"]
    assert index.under([]) == index.entries


def test_a_line_is_ascii() -> None:
    assert json.loads(entry("ü\udcff", A).line)["path"] == "ü\udcff"
    assert entry("ü\udcff", A).line.isascii()
