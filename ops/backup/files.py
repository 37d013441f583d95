"""One backup of files: every path is looked at, what is not known is read and stored, and an index
says what each file is made of. What is there is not sent again, also after a run that was cut off.
"""

from __future__ import annotations

import io
import re
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import IO, Any, cast

import zstandard

from ops.backup.packing import Reader, Recipient, Sum
from ops.backup.place import Place, Written
from ops.backup.shell import BLOCK, Shell
from ops.backup.stores import Stores
from ops.backup.volumes import ROOT
from ops.backup.writing import Tell, Writing, known
from ops.docker import Say
from ops.errors import OpsError, StepFailed
from ops.steps.backup import megabytes
from rollout.backups import Catalogue, Folder, Stored, pack_name, text
from rollout.files import (
    ASIDE,
    EXCLUDED,
    INDEX,
    KNOWN,
    PACK_BYTES,
    PARTS,
    PIECE_BYTES,
    YOUNG_NS,
    Entry,
    Known,
    Naming,
    Pack,
    Type,
    begun,
    complaints,
    forget_line,
    head,
    nanoseconds,
    newest,
    pieces_name,
    seen_line,
    usable,
    why_line,
)
from rollout.records import Artifact, BackupManifest, Status, Verification
from rollout.retention import Series

# A record for each path: what it is, two strings that end with a NUL. The last one is empty, and
# says that find has come to its end.
LIST = f"""
cd {ROOT} && find "$@" -printf '%y %m %U %G %s %T@ %C@ %p\\0%l\\0' 2>/tmp/told
[ "$?" -le 1 ] && printf '\\0\\0'
"""
WANT = "cat >/tmp/wanted"
READ = f"""
cd {ROOT} && tar --create --format=posix --null --files-from=/tmp/wanted --no-recursion \\
    --hard-dereference --numeric-owner --quoting-style=escape --file=- 2>/tmp/told
"""
TOLD = "exec cat /tmp/told"
LEFT_OUT = "neither file, folder nor symlink: left out"
SHOWN = 10  # of what could not be read, on the screen; the index has all


@dataclass
class Files:
    """One that is being made. `reader`: a shell that has the volumes. `live`: the release that
    serves."""

    stores: Stores
    reader: Shell
    series: Series
    naming: Naming
    recipients: tuple[Recipient, ...]
    stack: str
    live: str
    tell: Tell
    say: Say
    told: dict[str, str] = field(default_factory=dict)
    """What was not read as it should be, and why."""
    _started: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    _known: Known = field(default_factory=Known)
    _needed: dict[str, None] = field(default_factory=dict)
    _remembered: _Lines = field(default_factory=lambda: _Lines())

    @property
    def unread(self) -> int:
        """How many are missing in it, or not as they were at any one time."""
        return sum(why != LEFT_OUT for why in self.told.values())

    def go(self) -> BackupManifest:
        """The manifest. Raises OpsError where there is no backup; what was stored until then is
        there for the next."""
        catalogues = self.stores.catalogues()
        before = known(self.stores, catalogues)
        wrong = self._wrong(before)
        self._recall(before, catalogues, wrong)
        for drive in self.stores.drives:
            drive.sweep()
        writing = Writing(
            self.stores, Folder.of(self.series, self._started), self.recipients, lasting=True
        )
        lines = _Lines()
        lines.write(head(self.naming))
        files, size = self._read(lines, _Packs(writing, self._known))
        index = self._index(writing, lines)
        remembered = writing.artifact(KNOWN, self._memory, clear=True)
        packs = [self._known.packs[key] for key in self._needed]
        shared = self._fill(catalogues, wrong, [pack.artifact for pack in packs])
        manifest = self._manifest(writing.folder, files, size, (index, remembered, *shared))
        writing.seal(text(manifest), self.tell)
        return manifest

    # What is known

    def _wrong(self, before: list[Stored]) -> dict[str, set[str]]:
        """What is bad, by place: asked only where the last look found something."""
        last = newest(self.series, before)
        if last is None or last.proved is not False or last.manifest is None:
            return {}
        return {
            place.where: set(place.wrong(last.manifest.artifacts)) for place in self.stores.places
        }

    def _recall(
        self,
        before: list[Stored],
        catalogues: dict[str, Catalogue],
        wrong: dict[str, set[str]],
    ) -> None:
        bucket = self.stores.bucket
        if bucket and catalogues[bucket.name].problems:
            why = "; ".join(catalogues[bucket.name].problems)
            self.say(f"What may go there is not known, so nothing in the bucket is built on: {why}")
        may = usable(
            catalogues[bucket.name] if bucket else None,
            [catalogues[drive.name] for drive in self.stores.drives],
            bucket.now() if bucket else datetime.now(UTC),
            wrong,
        )
        last = newest(self.series, before)
        if last:
            self._recall_from(last, may)
        for place in self.stores.places:
            keys = begun(self.series, catalogues[place.name], last)
            for key in keys:
                with suppress(ValueError):  # cut off while it was written
                    self._known.read([place.text(key)], may)
            if keys:
                self.say(f"{len(keys)} packs that a run stored before it was cut off are taken up")

    def _recall_from(self, last: Stored, may: frozenset[str]) -> None:
        """By the first place that has it whole; without any, everything is read again."""
        assert last.manifest
        found = (a for a in last.manifest.artifacts if a.key == last.folder.key(KNOWN))
        for artifact in found:
            for place in self.stores.places:
                known = Known()
                with suppress(OpsError, ValueError, LookupError, zstandard.ZstdError):
                    with place.read(artifact) as source:
                        plain = zstandard.ZstdDecompressor().stream_reader(cast(IO[bytes], source))
                        known.read(io.TextIOWrapper(plain, encoding="ascii"), may)
                    self._known = known
                    return
        self.say("What earlier backups read can't be read: every file is")

    # What there is

    def _read(self, lines: _Lines, packs: _Packs) -> tuple[int, int]:
        """How many files, and their bytes."""
        begun = time.monotonic()
        files, size, wanted = self._list(lines)
        unread = len(wanted)
        if wanted:
            more, bytes_read = self._contents(wanted, lines, packs)
            files, size = files + more, size + bytes_read
        packs.close()
        for path, why in self.told.items():
            lines.write(why_line(path, why))
        words = f"{files} files, {megabytes(size)}; {unread} read, {megabytes(packs.bytes)} new"
        self.tell("files", not self.unread, time.monotonic() - begun, words)
        for path, why in list(self.told.items())[:SHOWN]:
            self.say(f"  {path!r}: {why}")
        if len(self.told) > SHOWN:
            self.say(f"  and {len(self.told) - SHOWN} more; the index has all of them")
        return files, size

    def _list(self, lines: _Lines) -> tuple[int, int, dict[bytes, None]]:
        """Every path; those that must be read are returned, the others are in the index."""
        files, size, wanted = 0, 0, dict[bytes, None]()
        for entry, path, ctime in self._entries():
            if entry.type != "f":
                lines.write(entry.line)
                continue
            name = self.naming.seen(path, entry.size, entry.mtime, ctime)
            pieces = self._known.pieces(name)
            if pieces is None:
                wanted[path] = None
                continue
            lines.write(replace(entry, pieces=pieces).line)
            self._need(pieces)
            self._remembered.write(seen_line(name, pieces))
            files, size = files + 1, size + entry.size
        self.told.update(_finding(self.reader.must(TOLD)))
        return files, size, wanted

    def _entries(self) -> Iterator[tuple[Entry, bytes, int]]:
        """Path by path: the entry without its content, the bytes of its name, its ctime."""
        words = [*PARTS[self.series], "-name", ASIDE, "-prune", "-o"]
        for name in EXCLUDED[self.series]:
            words += ["-name", name, "-prune", "-o"]
        with self.reader.pipe(LIST, "list", *words, gives=True) as pipe:
            strings = _strings(pipe)
            for record in strings:
                target = next(strings)
                if not record:
                    break
                kind, mode, uid, gid, size, mtime, ctime, path = record.split(b" ", 7)
                if kind not in b"fdl":
                    self.told[_name(path)] = LEFT_OUT
                    continue
                entry = Entry(
                    path=_name(path),
                    type=cast(Type, kind.decode()),
                    mode=int(mode, 8),
                    uid=int(uid),
                    gid=int(gid),
                    mtime=nanoseconds(mtime.decode()),
                    size=int(size) if kind == b"f" else 0,
                    target=_name(target),
                )
                yield entry, path, nanoseconds(ctime.decode())
            else:
                raise StepFailed(
                    f"The files of {self.stack} can't be listed: {pipe.finish().words}\n"
                    "Next: `ytops status`, then this again"
                )

    # What is read

    def _contents(self, wanted: dict[bytes, None], lines: _Lines, packs: _Packs) -> tuple[int, int]:
        self.reader.must(WANT, stdin=b"".join(path + b"\0" for path in wanted))
        files, size, names = 0, 0, dict[str, str]()
        with self.reader.pipe(READ, gives=True) as pipe:
            for entry, ctime, data in _members(pipe):
                path = _bytes(entry.path)
                wanted.pop(path, None)
                pieces = tuple(packs.keep(self.naming.piece(piece), piece) for piece in data)
                lines.write(replace(entry, pieces=pieces).line)
                self._need(pieces)
                if ctime < self._started.timestamp() * 1e9 - YOUNG_NS:
                    names[entry.path] = self.naming.seen(path, entry.size, entry.mtime, ctime)
                    self._remembered.write(seen_line(names[entry.path], pieces))
                files, size = files + 1, size + entry.size
            code = pipe.finish().code
        gone = self._complained(names)
        left = {_name(path) for path in wanted} - gone - self.told.keys()
        if left or code not in (0, 1, 2):
            raise StepFailed(
                f"Reading the files of {self.stack} ended early (exit code {code}), at "
                f"{min(left, default='the end')!r}.\nNext: this again; what was stored is not sent "
                "again"
            )
        return files, size

    def _complained(self, names: dict[str, str]) -> set[str]:
        """What tar said of files; those that were removed meanwhile."""
        gone: set[str] = set()
        for path, why in complaints(self.reader.must(TOLD)):
            if path in names:
                self._remembered.write(forget_line(names[path]))
            if "No such file" in why or "removed before" in why:
                gone.add(path)
            else:
                self.told[path] = why
        return gone

    def _need(self, pieces: tuple[str, ...]) -> None:
        for piece in pieces:
            self._needed[self._known.where[bytes.fromhex(piece)]] = None

    # What says so

    def _index(self, writing: Writing, lines: _Lines) -> Artifact:
        """Packs last: by now it is known which are needed."""
        for key in self._needed:
            lines.write(self._known.packs[key].line)
        return writing.artifact(INDEX, lines.reading)

    @contextmanager
    def _memory(self) -> Iterator[Reader]:
        """What was seen, and then the packs, which are known by now."""
        for key in self._needed:
            self._remembered.write(self._known.packs[key].line)
        with self._remembered.reading() as lines:
            yield lines

    def _fill(
        self,
        catalogues: dict[str, Catalogue],
        wrong: dict[str, set[str]],
        needed: list[Artifact],
    ) -> list[Artifact]:
        """What a place lacks of the packs, from one that has it: a new drive, one that was away, a
        bucket that was."""
        there = {
            place.name: {key for s in catalogues[place.name].stored for key in s.keys}
            - wrong.get(place.where, set())
            for place in self.stores.places
        }
        earlier = {a.key: a for a in needed if any(a.key in keys for keys in there.values())}
        for place in self.stores.places:
            lacking = [a for a in earlier.values() if a.key not in there[place.name]]
            try:
                for artifact in lacking:
                    sources = [p for p in self.stores.places if artifact.key in there[p.name]]
                    written = copy(artifact, sources, place)
                    if written.s3_sha256:
                        earlier[artifact.key] = artifact.model_copy(
                            update={"s3_sha256": written.s3_sha256}
                        )
            except OpsError as error:
                self.stores.lose(place, str(error))
                continue
            if lacking:
                self.say(f"{len(lacking)} packs that {place.name} had not are copied to it")
        return [earlier.get(a.key, a) for a in needed]

    def _manifest(
        self, folder: Folder, files: int, size: int, artifacts: tuple[Artifact, ...]
    ) -> BackupManifest:
        finished = datetime.now(UTC)
        return BackupManifest(
            series=self.series,
            stack=self.stack,
            started=self._started,
            finished=finished,
            release=self.live,
            objects=files,
            contents={"bytes": size, "unread": self.unread},
            artifacts=artifacts,
            tools={"files": "1"},
            verifications=(
                Verification(
                    check="list",
                    status=Status.PASS,
                    at=finished,
                    detail=f"{files} files were read; {self.unread} could not be, or not whole",
                ),
                *(
                    Verification(
                        check="checksum", status=Status.PASS, at=finished, place=place.name
                    )
                    for place in self.stores.places
                ),
            ),
        )


def copy(artifact: Artifact, sources: list[Place], target: Place) -> Written:
    """The same bytes in another place, from the first that has them whole."""
    why = "no place has it"
    for source in sources:
        file, total = target.add(artifact.key), Sum()
        try:
            with source.read(artifact) as reading:
                while data := reading.read(BLOCK):
                    total.write(data)
                    file.write(data)
            if total.sha256 != artifact.sha256:
                raise OpsError(f"{source.where} has it changed")
            return file.finish()
        except OpsError as error:
            file.abort()
            why = str(error)
    raise OpsError(f"{artifact.key} can't be copied to {target.where}: {why}")


class _Lines:
    """Text that is kept compressed until it is written: an index of a million paths is no load."""

    def __init__(self) -> None:
        self._kept = io.BytesIO()
        self._squeezing = zstandard.ZstdCompressor().stream_writer(self._kept, closefd=False)

    def write(self, line: str) -> None:
        self._squeezing.write(line.encode("ascii"))

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        self._squeezing.flush(zstandard.FLUSH_FRAME)
        self._kept.seek(0)
        yield zstandard.ZstdDecompressor().stream_reader(self._kept)


class _Packs:
    """Pieces on their way: those that are new, together."""

    def __init__(self, writing: Writing, known: Known) -> None:
        self.bytes = 0
        self._writing, self._known = writing, known
        self._number, self._pieces, self._open = 1, list[str](), io.BytesIO()

    def keep(self, name: str, piece: bytes) -> str:
        if not self._known.has(name):
            if self._open.tell() + len(piece) > PACK_BYTES:
                self.close()
            info = tarfile.TarInfo(name)
            info.size = len(piece)
            self._open.write(info.tobuf(tarfile.USTAR_FORMAT))
            self._open.write(piece)
            self._open.write(bytes(-len(piece) % tarfile.BLOCKSIZE))
            self._pieces.append(name)
            self._known.where[bytes.fromhex(name)] = self._key
            self.bytes += len(piece)
        return name

    def close(self) -> None:
        if not self._pieces:
            return
        self._open.write(bytes(2 * tarfile.BLOCKSIZE))
        self._open.seek(0)
        name = pack_name(self._number)
        pack = Pack(self._writing.artifact(name, self._reading), tuple(self._pieces))
        self._writing.note(pieces_name(self._number), pack.line)
        self._known.packs[pack.artifact.key] = pack
        self._number, self._pieces, self._open = self._number + 1, [], io.BytesIO()

    @property
    def _key(self) -> str:
        return self._writing.folder.key(pack_name(self._number))

    @contextmanager
    def _reading(self) -> Iterator[Reader]:
        yield self._open


def _members(pipe: Reader) -> Iterator[tuple[Entry, int, Iterator[bytes]]]:
    """Each file as tar gives it: its entry, its ctime, its content piece by piece."""
    try:
        with tarfile.open(
            fileobj=cast(IO[bytes], pipe), mode="r|", bufsize=BLOCK, encoding="utf-8"
        ) as tar:
            for member in tar:
                cast(Any, tar).members.clear()  # it would keep all of them
                content = tar.extractfile(member)
                if content is None:
                    continue
                pax = member.pax_headers
                mtime = nanoseconds(pax.get("mtime", str(int(member.mtime))))
                entry = Entry(
                    path=member.name,
                    type="f",
                    mode=member.mode,
                    uid=member.uid,
                    gid=member.gid,
                    mtime=mtime,
                    size=member.size,
                )
                ctime = nanoseconds(pax.get("ctime", "0"))
                yield entry, ctime, iter(partial(content.read, PIECE_BYTES), b"")
    except tarfile.TarError as error:
        raise StepFailed(
            f"Reading the files was cut off: {error}.\nNext: this again; what was stored is not "
            "sent again"
        ) from None


def _strings(pipe: Reader) -> Iterator[bytes]:
    """What ends with a NUL."""
    rest = b""
    while data := pipe.read(BLOCK):
        *whole, rest = (rest + data).split(b"\0")
        yield from whole


def _finding(text: str) -> Iterator[tuple[str, str]]:
    """What find said of paths; of those that were removed meanwhile nothing is to be told."""
    for line in text.splitlines():
        found = re.match(r"find: '(.*)': (.*)", line)
        if found and "No such file" not in found[2]:
            yield found[1], found[2]


def _name(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")
