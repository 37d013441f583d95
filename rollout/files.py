"""Backups of files: what of the host is one, what its content is called, what an index says.

Content is cut into pieces. A piece is called by a keyed hash, so that its name tells nothing to
whoever reads the bucket, and the job finds what is stored without a key that opens anything:

    files/media/20270101T110000Z/pack-00001.tar.zst.age    pieces that no earlier backup has
    files/media/20270101T110000Z/pack-00001.pieces         their names: a cut-off run is taken up
    files/media/20270101T110000Z/index.zst.age             every path, and the pieces it is made of
    files/media/20270101T110000Z/known.zst                 keyed hashes alone: what was read already
    files/media/20270101T110000Z/manifest.json             last
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from rollout.backups import Catalogue, Stored, is_pack, pack_name
from rollout.records import Artifact
from rollout.retention import Refused, Series, reusable

INDEX = "index.zst.age"
KNOWN = "known.zst"
PIECES = ".pieces"
# A file of several GB is cut, so that memory stays small and a cut-off run repeats little.
PIECE_BYTES = 8 << 20
# Small files go together: a hundred thousand objects would each be asked for, one by one.
PACK_BYTES = 4 * PIECE_BYTES + (1 << 20)
# A file that was written just before may be written again within the same tick of the clock.
YOUNG_NS = 2_000_000_000

# The volumes of the stack that a series takes, by their names in it. What of the manual's list is
# not here, and why: docs/decisions/0039.
PARTS: Mapping[Series, tuple[str, ...]] = {
    Series.MEDIA: ("media",),
    Series.APPLICATION: ("edge", "live", "control"),
}
# 5.3's excludes. What users uploaded is all kept, whatever it is called.
EXCLUDED: Mapping[Series, tuple[str, ...]] = {
    Series.MEDIA: (),
    Series.APPLICATION: ("*.log", "*.tmp", "__pycache__", "node_modules", "cache", ".cache", "tmp"),
}
# Where a restore puts things beside, in a volume; no backup takes it.
ASIDE = ".ytops-restore"


# Names


def pieces_name(number: int) -> str:
    return pack_name(number).partition(".")[0] + PIECES


@dataclass(frozen=True)
class Naming:
    """What content and files are called. With another key everything has another name, and is
    stored once more."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: str) -> Naming:
        return cls(hmac.digest(secret.encode(), b"names of what backups of files hold", "sha256"))

    def piece(self, data: bytes) -> str:
        return hmac.new(self.key, data, hashlib.sha256).hexdigest()

    def seen(self, path: bytes, size: int, mtime: int, ctime: int) -> str:
        """A file as it was read. Whoever changes it, changes its ctime."""
        told = b"%d %d %d %s" % (size, mtime, ctime, path)
        return hmac.new(self.key, told, hashlib.sha256).hexdigest()[:32]


# What is stored


@dataclass(frozen=True)
class Pack:
    """A file of pieces, as a place has it."""

    artifact: Artifact
    pieces: tuple[str, ...]

    @property
    def line(self) -> str:
        told = self.artifact.model_dump(mode="json", exclude_defaults=True)
        return _line(pack=told, pieces=self.pieces)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Pack:
        return cls(Artifact.model_validate(told["pack"]), tuple(told["pieces"]))


@dataclass
class Known:
    """What need not be sent again. where: a piece's pack. seen: a file's pieces, by what it looked
    like when it was read."""

    packs: dict[str, Pack] = field(default_factory=dict)
    where: dict[bytes, str] = field(default_factory=dict)
    seen: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)

    def add(self, pack: Pack) -> None:
        self.packs[pack.artifact.key] = pack
        for piece in pack.pieces:
            self.where.setdefault(bytes.fromhex(piece), pack.artifact.key)

    def read(self, lines: Iterable[str], usable: Collection[str]) -> None:
        """Of the packs that are `usable`, which come last. A file with a piece elsewhere is read
        again, and so is one that changed while it was read."""
        for line in lines:
            told = json.loads(line)
            if "pack" not in told:
                seen = bytes.fromhex(told["seen"])
                self.seen[seen] = tuple(map(bytes.fromhex, told.get("pieces", ("",))))
            elif told["pack"]["key"] in usable:
                self.add(Pack.of(told))

    def pieces(self, seen: str) -> tuple[str, ...] | None:
        """Of a file that was read already; None when it must be."""
        found = self.seen.get(bytes.fromhex(seen))
        if found is None or not all(piece in self.where for piece in found):
            return None
        return tuple(piece.hex() for piece in found)

    def has(self, piece: str) -> bool:
        return bytes.fromhex(piece) in self.where


def usable(
    bucket: Catalogue | None,
    drives: Iterable[Catalogue],
    now: datetime,
    wrong: Mapping[str, Collection[str]],
) -> frozenset[str]:
    """The packs that a new backup may refer to. One in the bucket that may be told to expire, or
    that was found bad there, can't be put there again under its name: its content is stored anew.
    `wrong`: by place. `now`: the bucket's clock."""
    on_drives = {
        key for one in drives for key in _packs(one) if key not in wrong.get(one.where, ())
    }
    if bucket is None:
        return frozenset(on_drives)
    there = _packs(bucket)
    try:
        kept = there & reusable(bucket.listing(), now)
    except Refused:
        kept = set()
    return frozenset((kept - set(wrong.get(bucket.where, ()))) | (on_drives - there))


def _packs(found: Catalogue) -> set[str]:
    return {key for stored in found.stored for key in stored.keys if is_pack(key)}


def newest(series: Series, found: Iterable[Stored]) -> Stored | None:
    """The last backup that was finished."""
    whole = (s for s in found if s.folder.series is series and s.manifest and not s.missing)
    return max(whole, key=lambda s: s.folder, default=None)


def begun(series: Series, found: Catalogue, after: Stored | None) -> list[str]:
    """What runs that were cut off since have stored: the keys of their packs' lists."""
    return [
        key
        for stored in found.stored
        if stored.folder.series is series and stored.manifest is None
        if after is None or stored.folder > after.folder
        for key in stored.keys
        if key.endswith(PIECES)
    ]


# The index

Type = Literal["f", "d", "l"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One path. mtime: in nanoseconds. target: a symlink's."""

    path: str
    type: Type
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    target: str = ""
    pieces: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        told = {name: getattr(self, name) for name in self.__slots__}
        return _line(**{name: value for name, value in told.items() if value not in ("", ())})

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Entry:
        return cls(**{**told, "pieces": tuple(told.get("pieces", ()))})


@dataclass
class Index:
    """An opened one. told: the paths that were not read as they should be, and why."""

    naming: Naming
    packs: list[Pack] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    told: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, lines: Iterable[str]) -> Index:
        """Each line of `head`, of packs, of entries and of what is told."""
        told = (json.loads(line) for line in lines)
        index = cls(Naming(bytes.fromhex(next(told)["names"])))
        for one in told:
            if "pack" in one:
                index.packs.append(Pack.of(one))
            elif "why" in one:
                index.told[one["path"]] = one["why"]
            else:
                index.entries.append(Entry.of(one))
        return index

    @property
    def files(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.type == "f"]

    def under(self, paths: Sequence[str]) -> list[Entry]:
        """Those at or below one of these paths; all without any."""
        wanted = [path.strip("/") for path in paths]
        if not wanted:
            return self.entries
        return [
            e
            for e in self.entries
            if any(e.path == path or e.path.startswith(f"{path}/") for path in wanted)
        ]


def head(naming: Naming) -> str:
    """An index opens with the key of its names: whoever can read it can check every piece."""
    return _line(names=naming.key.hex())


def why_line(path: str, why: str) -> str:
    return _line(path=path, why=why)


def seen_line(seen: str, pieces: Sequence[str]) -> str:
    return _line(seen=seen, pieces=tuple(pieces))


def forget_line(seen: str) -> str:
    """Of a file that changed while it was read, after its line."""
    return _line(seen=seen)


def _line(**told: object) -> str:
    """ASCII: a name of odd bytes is in it as Python keeps such, and comes back the same."""
    return json.dumps(told, separators=(",", ":")) + "\n"


# What tar says


def complaints(text: str) -> Iterator[tuple[str, str]]:
    """Path and reason of each file that tar did not read as it was listed. It escapes the colons of
    names, so the first other one ends the name."""
    for line in text.splitlines():
        rest = line.partition("tar: ")[2]
        at = next(
            (i for i in range(len(rest)) if rest[i : i + 2] == ": " and rest[i - 1] != "\\"), 0
        )
        if at and not rest.startswith("Exiting"):
            yield _unescaped(rest[:at]), rest[at + 2 :]


def _unescaped(text: str) -> str:
    """A name as `--quoting-style=escape` writes it."""
    letters = {"n": 10, "t": 9, "r": 13, "b": 8, "f": 12, "v": 11, "a": 7}
    data, found, at = text.encode("utf-8", "surrogateescape"), bytearray(), 0
    while at < len(data):
        if data[at : at + 1] != b"\\":
            found.append(data[at])
            at += 1
        elif data[at + 1 : at + 4].isdigit():
            found.append(int(data[at + 1 : at + 4], 8))
            at += 4
        else:
            letter = chr(data[at + 1])
            found.append(letters.get(letter, ord(letter)))
            at += 2
    return found.decode("utf-8", "surrogateescape")


def nanoseconds(text: str) -> int:
    """`1700000000.123` as find and tar write times, exactly."""
    whole, _, rest = text.partition(".")
    part = int(f"{rest:0<9.9}") if rest else 0
    return int(whole) * 1_000_000_000 + (-part if text.startswith("-") else part)
