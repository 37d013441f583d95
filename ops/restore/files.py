"""Files on their way back: pieces out of their packs, each held against its name, as a tar stream
for whoever unpacks it. A copy that is damaged or away is done without, where another is whole."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import IO, Any, cast

from ops.backup.opening import Watch, read_index, read_pack, unwatched
from ops.backup.packing import Identity, Writer
from ops.backup.place import Place
from ops.backup.shell import Shell
from ops.backup.volumes import ROOT
from ops.docker import Say
from ops.errors import OpsError
from rollout.backups import Stored
from rollout.files import ASIDE, Entry, Index, Pack

# Of a stream that Python wrote: it says in which way odd names are in it, which tar knows anyway.
UNPACK = "--extract --preserve-permissions --delay-directory-restore --warning=no-unknown-keyword"
_TYPES = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE}


@dataclass(frozen=True)
class Copy:
    """The backup in one place."""

    place: Place
    stored: Stored


@dataclass
class Source:
    """A backup of files in all places that have it, the one to read first before the others."""

    copies: Sequence[Copy]
    identity: Identity
    say: Say
    watch: Watch = unwatched
    _told: set[str] = field(default_factory=set)

    def index(self) -> Index:
        for copy in self.copies:
            try:
                return read_index(copy.place, copy.stored, self.identity)
            except OpsError as error:
                self._tell(copy, error)
        raise OpsError("No place has the backup's index whole. Next: an earlier backup")

    def write(self, index: Index, entries: Sequence[Entry], target: Writer) -> int:
        """All of these as tar, content last; its bytes. Raises OpsError where content is lost."""
        size, passed = sum(entry.size for entry in entries), 0

        def written(more: int) -> None:
            nonlocal passed
            passed += more
            self.watch("files", passed, size)

        with tarfile.open(
            fileobj=cast(IO[bytes], _Out(target)),
            mode="w|",
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
        ) as tar:
            for entry in sorted(entries, key=lambda e: (e.type != "d", e.path)):
                if not entry.pieces:
                    tar.addfile(_info(entry))
            packs = {piece: pack for pack in index.packs for piece in pack.pieces}
            small = [entry for entry in entries if len(entry.pieces) == 1]
            for entry in self._small(index, packs, small, tar):
                written(entry.size)
            for entry in entries:
                if len(entry.pieces) > 1:
                    content = _Content(self._pieces(index, packs, entry), written)
                    tar.addfile(_info(entry), cast(IO[bytes], content))
        return size

    def _small(
        self, index: Index, packs: dict[str, Pack], entries: list[Entry], tar: tarfile.TarFile
    ) -> Iterator[Entry]:
        """Pack by pack, each read once; those that are written."""
        wanted: dict[str, list[Entry]] = {}
        for entry in entries:
            wanted.setdefault(entry.pieces[0], []).append(entry)
        for pack in index.packs:
            here = {piece for piece in pack.pieces if packs[piece] is pack and piece in wanted}
            for name, piece in self._read(index, pack, here):
                for entry in wanted[name]:
                    tar.addfile(_info(entry), io.BytesIO(piece))
                    cast(Any, tar).members.clear()  # it would keep all of them
                    yield entry

    def _pieces(self, index: Index, packs: dict[str, Pack], entry: Entry) -> Iterator[bytes]:
        """In their order. Those that follow each other lie in one pack, as a rule."""
        for pack, run in groupby(entry.pieces, key=lambda piece: packs[piece]):
            names = list(run)
            found = dict(self._read(index, pack, set(names)))
            yield from (found[name] for name in names)

    def _read(self, index: Index, pack: Pack, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
        left = set(wanted)
        for copy in self.copies if left else ():
            try:
                for name, piece in read_pack(copy.place, pack, index.naming, self.identity):
                    if name in left:
                        left.remove(name)
                        yield name, piece
            except OpsError as error:
                self._tell(copy, error)
            if not left:
                return
        if left:
            raise OpsError(
                f"{pack.artifact.key} is whole in no place: {len(left)} pieces of files are lost. "
                "Next: an earlier backup, or name the PATHs that are wanted"
            )

    def _tell(self, copy: Copy, error: OpsError) -> None:
        words = str(error).splitlines()[0]
        if words not in self._told:
            self._told.add(words)
            self.say(f"{copy.place.name}: {words}; the next copy is read")


@dataclass
class _Content:
    """What the pieces of one file give, as tar reads it; `told` of the bytes of each part."""

    pieces: Iterator[bytes]
    told: Callable[[int], None]
    _open: io.BytesIO = field(default_factory=io.BytesIO)

    def read(self, size: int = -1, /) -> bytes:
        found = self._open.read(size)
        while len(found) < size and (piece := next(self.pieces, b"")):
            self._open = io.BytesIO(piece)
            found += self._open.read(size - len(found))
        self.told(len(found))
        return found


@dataclass
class _Out:
    """tarfile wants an int."""

    target: Writer

    def write(self, data: bytes) -> int:
        self.target.write(data)
        return len(data)


def _info(entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.path)
    info.type = _TYPES[entry.type]
    info.mode, info.uid, info.gid, info.size = entry.mode, entry.uid, entry.gid, entry.size
    info.linkname = entry.target
    whole, part = divmod(entry.mtime, 10**9)
    info.mtime = whole
    info.pax_headers = {"mtime": f"{whole}.{part:09}"} if part else {}
    return info


# Into the live volume

# Beside first, then into place: each file by a rename, and what it replaces is linked aside before.
# Whoever is cut off has each file old or new, and starts again.
STAGE = f"""
cd "{ROOT}/$0" && umask 077 && rm -rf {ASIDE}/new && mkdir -p {ASIDE}/new &&
    exec tar {UNPACK} --strip-components=1 --directory={ASIDE}/new --file=-
"""
MERGE = f"""
cd "{ROOT}/$0" && LIVE=$PWD OLD="$PWD/{ASIDE}/$1" && export LIVE OLD && mkdir -p "$OLD" &&
cd {ASIDE}/new && find . ! -type d -print0 >/tmp/come &&
( cd "$LIVE" && xargs -0 -r -n 1000 sh -c '
    for path; do if [ -e "$path" ] || [ -L "$path" ]; then printf "%s\\0" "$path"; fi; done
' sh </tmp/come >/tmp/stood && xargs -0 -r cp -P --link --force --parents -t "$OLD" </tmp/stood ) &&
find . -type d \\( -exec sh -c '
    [ ! -e "$LIVE/$1" ] && mv -T -- "$1" "$LIVE/$1"
' sh {{}} \\; -prune -o -exec sh -c '
    find "$1" -mindepth 1 -maxdepth 1 ! -type d -print0 | xargs -0 -r mv -f -t "$LIVE/$1" --
' sh {{}} \\; \\) &&
left=$(find . ! -type d | wc -l) && stood=$(tr -cd "\\0" </tmp/stood | wc -c) &&
cd "$LIVE" && rm -rf {ASIDE}/new && {{ rmdir "$OLD" {ASIDE} 2>/dev/null; echo "$stood $left"; }}
"""
DISMISS = f'exec rm -rf "{ROOT}/$0/{ASIDE}"'


def merge(shell: Shell, part: str, stamp: str) -> tuple[int, int]:
    """What was staged into place: how many files were replaced, how many could not be."""
    stood, left = shell.must(MERGE, part, stamp).split()
    return int(stood), int(left)


def parents(index: Index, chosen: Iterable[Entry]) -> list[Entry]:
    """With the folders that they are in, so that these are as they were, too."""
    taken = list(chosen)
    above = {
        entry.path[:at] for entry in taken for at, letter in enumerate(entry.path) if letter == "/"
    } - {entry.path for entry in taken}
    return [entry for entry in index.entries if entry.path in above] + taken
