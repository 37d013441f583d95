"""The way back: what a place holds is read, held against its checksum and its names, and opened."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Collection, Iterator

from ops.backup.packing import Identity, Sum, Tapped, Writer, unpack
from ops.backup.place import Place
from ops.errors import OpsError
from rollout.backups import Stored
from rollout.files import INDEX, Index, Naming, Pack
from rollout.records import Artifact

BUNDLE = "bundle.tar.zst.age"
# Told how many bytes have come so far.
Heard = Callable[[int], None]
# Of a job with several stages: the stage, how many bytes of it, of how many.
Watch = Callable[[str, int, int], None]


def _unheard(_bytes: int) -> None:
    pass


def unwatched(_stage: str, _done: int, _total: int) -> None:
    pass


class Damaged(OpsError):
    """What was stored is not what was backed up."""


def artifact_of(stored: Stored, name: str) -> Artifact:
    assert stored.manifest
    wanted = stored.folder.key(name)
    found = next((a for a in stored.manifest.artifacts if a.key == wanted), None)
    if found is None:
        raise Damaged(f"{stored.folder} has no {name}")
    return found


def opened(place: Place, artifact: Artifact, identity: Identity) -> io.BytesIO:
    """A small file as it was: an index, a pack, a bundle."""
    plain = io.BytesIO()
    try:
        read(place, artifact, plain, identity)
    except Damaged:
        raise
    except OpsError as error:
        raise Damaged(f"{artifact.key}: {str(error).splitlines()[0]}") from None
    plain.seek(0)
    return plain


def read(
    place: Place, artifact: Artifact, target: Writer, identity: Identity, heard: Heard = _unheard
) -> None:
    """A file of any size, all of it into `target`. Raises Damaged when its bytes are not the
    manifest's, and OpsError where it can't be opened, or the target can't take it."""
    total = _Counted(heard)
    with place.read(artifact) as source:
        unpack(Tapped(source, total), target, identity)
    if total.sha256 != artifact.sha256:
        raise Damaged(f"{artifact.key}: its SHA-256 is not the manifest's")


class _Counted(Sum):
    def __init__(self, heard: Heard) -> None:
        super().__init__()
        self._heard = heard

    def write(self, data: bytes) -> int:
        written = super().write(data)
        self._heard(self.bytes)
        return written


def read_index(place: Place, stored: Stored, identity: Identity) -> Index:
    plain = opened(place, artifact_of(stored, INDEX), identity)
    return Index.read(io.TextIOWrapper(plain, encoding="ascii"))


def read_pack(
    place: Place, pack: Pack, naming: Naming, identity: Identity
) -> Iterator[tuple[str, bytes]]:
    """Its pieces, by name. Raises Damaged at the first that is not what its name says."""
    with tarfile.open(fileobj=opened(place, pack.artifact, identity)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            piece = content.read() if content else b""
            if naming.piece(piece) != member.name:
                raise Damaged(f"{pack.artifact.key}: a piece is not what its name says")
            yield member.name, piece


def read_files(place: Place, stored: Stored, proved: Collection[str], identity: Identity) -> Index:
    """A backup of files, all of it but for the packs that were `proved`."""
    index = read_index(place, stored, identity)
    there = {piece for pack in index.packs for piece in pack.pieces}
    for entry in index.files:
        if not there.issuperset(entry.pieces):
            raise Damaged(f"the index knows no pack for all of {entry.path!r}")
    for pack in index.packs:
        if pack.artifact.key not in proved:
            found = {name for name, _ in read_pack(place, pack, index.naming, identity)}
            if not found.issuperset(pack.pieces):
                raise Damaged(f"{pack.artifact.key}: a piece is missing")
    return index


def read_bundle(place: Place, stored: Stored, identity: Identity) -> dict[str, bytes]:
    """The files of a bundle, by name."""
    with tarfile.open(fileobj=opened(place, artifact_of(stored, BUNDLE), identity)) as tar:
        found = ((member.name, tar.extractfile(member)) for member in tar)
        return {name: content.read() for name, content in found if content}
