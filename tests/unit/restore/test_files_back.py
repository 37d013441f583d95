"""Files out of their packs: every piece is held against its name, and what one copy has lost comes
from another."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from ops.backup import packing
from ops.backup.packing import Reader
from ops.backup.place import Place
from ops.errors import OpsError
from ops.restore.files import Copy, Source, parents
from rollout.backups import Folder, Stored, pack_name
from rollout.files import Entry, Index, Naming, Pack, head
from rollout.records import Artifact, BackupManifest
from rollout.retention import Series

SECRET, PUBLIC = packing.new_key()
KEY, RECIPIENT = packing.identity(SECRET), packing.recipient(PUBLIC)
NAMES = Naming.of("a key")
AT = Folder.of(Series.MEDIA, datetime(2027, 6, 15, 11, tzinfo=UTC))
A, B, C = b"a" * 10, b"b" * 2000, b"c"


def sealed(data: bytes) -> bytes:
    target = io.BytesIO()
    packing.pack(io.BytesIO(data), target, (RECIPIENT,))
    return target.getvalue()


def artifact(name: str, data: bytes) -> Artifact:
    digest = hashlib.sha256(data).hexdigest()
    return Artifact(key=AT.key(name), bytes=len(data), sha256=digest, encryption="age")


@dataclass
class Kept:
    """A place in memory."""

    name: str
    files: dict[str, bytes] = field(default_factory=dict)
    where: str = "memory"

    @contextmanager
    def read(self, asked: Artifact) -> Iterator[Reader]:
        if asked.key not in self.files:
            raise OpsError(f"{asked.key}: it is not there")
        yield io.BytesIO(self.files[asked.key])


def entry(path: str, *pieces: bytes, **changes: Any) -> Entry:
    usual: dict[str, Any] = {"type": "f", "mode": 0o640, "uid": 1, "gid": 2, "mtime": 1_500_000_001}
    size = sum(map(len, pieces))
    names = tuple(map(NAMES.piece, pieces))
    return Entry(path=path, size=size, pieces=names, **{**usual, **changes})


ENTRIES = [
    entry("media/d/long", A, B, A, C),
    entry("media/d/a", A),
    entry("media/d/also-a", A),
    entry("media/none"),
    entry("media/d", type="d", mode=0o750),
    entry("media/link", type="l", target="d/a"),
]


def backup(*places: Kept) -> Source:
    """The same in each."""
    packs: list[Pack] = []
    files: dict[str, bytes] = {}
    for number, pieces in enumerate(((A, B), (C,)), start=1):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for piece in pieces:
                info = tarfile.TarInfo(NAMES.piece(piece))
                info.size = len(piece)
                tar.addfile(info, io.BytesIO(piece))
        data = sealed(packed.getvalue())
        told = artifact(pack_name(number), data)
        files[told.key] = data
        packs.append(Pack(told, tuple(map(NAMES.piece, pieces))))
    lines = [head(NAMES), *(e.line for e in ENTRIES), *(p.line for p in packs)]
    data = sealed("".join(lines).encode())
    index = artifact("index.zst.age", data)
    manifest = BackupManifest(
        series=Series.MEDIA,
        stack="x",
        started=AT.taken,
        finished=AT.taken,
        artifacts=(index, *(one.artifact for one in packs)),
        tools={},
    )
    for place in places:
        place.files |= {**files, index.key: data}
    said: list[str] = []
    copies = [Copy(cast(Place, place), Stored(AT, (), manifest)) for place in places]
    return Source(copies, KEY, said.append)


def unpacked(source: Source, entries: list[Entry], index: Index) -> dict[str, bytes]:
    stream = io.BytesIO()
    source.write(index, entries, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        found = ((one, tar.extractfile(one)) for one in tar.getmembers() if one.isfile())
        return {one.name: content.read() for one, content in found if content}


WHOLE = {
    "media/none": b"",
    "media/d/a": A,
    "media/d/also-a": A,
    "media/d/long": A + B + A + C,
}


def test_every_file_is_made_of_its_pieces_in_their_order() -> None:
    source = backup(Kept("drive1"))
    index = source.index()
    assert unpacked(source, index.entries, index) == WHOLE


def test_what_has_come_of_how_much_is_told_on_the_way() -> None:
    source, told = backup(Kept("drive1")), list[tuple[str, int, int]]()
    source.watch = lambda *what: told.append(what)
    index = source.index()
    source.write(index, index.entries, io.BytesIO())
    whole = sum(map(len, WHOLE.values()))
    assert told[0] == ("files", len(A), whole)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("files", whole, whole)


def test_folders_come_first_with_what_belongs_to_them() -> None:
    source = backup(Kept("drive1"))
    index, stream = source.index(), io.BytesIO()
    source.write(index, index.entries, stream)
    stream.seek(0)
    with tarfile.open(fileobj=stream) as tar:
        members = {one.name: one for one in tar}
    assert next(iter(members)) == "media/d"
    assert (members["media/d"].mode, members["media/d/a"].uid) == (0o750, 1)
    assert members["media/link"].linkname == "d/a"
    assert members["media/d/a"].pax_headers["mtime"] == "1.500000001"


def test_what_one_copy_has_lost_comes_from_another() -> None:
    first, second = Kept("drive1"), Kept("bucket")
    source = backup(first, second)
    index = source.index()
    key = index.packs[0].artifact.key
    first.files[key] = first.files[key][:-20] + bytes(20)
    second.files.pop(index.packs[1].artifact.key)
    assert unpacked(source, index.entries, index) == WHOLE


def test_what_no_copy_has_is_told_before_a_wrong_file_is_made() -> None:
    place = Kept("drive1")
    source = backup(place)
    index = source.index()
    place.files[index.packs[1].artifact.key] = sealed(b"something else")
    with pytest.raises(OpsError, match=r"pack-00002.* is whole in no place"):
        unpacked(source, index.entries, index)
    assert unpacked(source, [ENTRIES[1]], index) == {"media/d/a": A}


def test_a_path_comes_with_the_folders_that_it_is_in() -> None:
    index = backup(Kept("drive1")).index()
    found = parents(index, index.under(["media/d/a"]))
    assert [one.path for one in found] == ["media/d", "media/d/a"]
