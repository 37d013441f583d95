"""A backup that is one file: some texts, packed together, made when they are others than the last
time. Configuration and secrets are kept so."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from ops.backup.opening import BUNDLE
from ops.backup.packing import Reader, Recipient
from ops.backup.stores import Stores
from ops.backup.writing import Tell, Writing, known
from ops.steps.backup import megabytes
from rollout.backups import Folder, text, together
from rollout.records import BackupManifest, Status, Verification
from rollout.retention import Series


@dataclass(frozen=True)
class Bundle:
    """What is to be kept. content: a keyed hash that is the same while nothing changes; it stands
    in the manifest."""

    series: Series
    members: Mapping[str, bytes]
    content: str

    def tar(self) -> bytes:
        """Readable by its owner alone, whoever unpacks it."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, data in sorted(self.members.items()):
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o600
                tar.addfile(info, io.BytesIO(data))
        return packed.getvalue()


def is_kept(stores: Stores, bundle: Bundle) -> bool:
    """Whether every place has its newest one, and it is this."""
    catalogues = stores.catalogues()
    found = (at for folder, at in together(catalogues).items() if folder.series is bundle.series)
    newest = next(found, {})
    return (
        bool(newest)
        and newest.keys() == catalogues.keys()
        and all(
            s.manifest and s.manifest.content == bundle.content and s.proved is not False
            for s in newest.values()
        )
    )


def keep(
    stores: Stores,
    bundle: Bundle,
    recipients: tuple[Recipient, ...],
    stack: str,
    live: str,
    tell: Tell,
) -> BackupManifest:
    """Whatever was kept before."""
    begun, started = time.monotonic(), datetime.now(UTC).replace(microsecond=0)
    known(stores)
    folder = Folder.of(bundle.series, started)
    for drive in stores.drives:
        drive.sweep()
    writing = Writing(stores, folder, recipients)
    packed = bundle.tar()

    @contextmanager
    def reading() -> Iterator[Reader]:
        yield io.BytesIO(packed)

    try:
        artifact = writing.artifact(BUNDLE, reading)
        words = f"{len(bundle.members)} files, {megabytes(len(packed))}"
        tell(bundle.series.kind, True, time.monotonic() - begun, words)
        finished = datetime.now(UTC)
        manifest = BackupManifest(
            series=bundle.series,
            stack=stack,
            started=started,
            finished=finished,
            release=live,
            objects=len(bundle.members),
            content=bundle.content,
            artifacts=(artifact,),
            tools={"bundle": "1"},
            verifications=(
                Verification(check="list", status=Status.PASS, at=finished, detail=words),
                *(
                    Verification(check="checksum", status=Status.PASS, at=finished, place=one.name)
                    for one in stores.places
                ),
            ),
        )
        writing.seal(text(manifest), tell)
    except BaseException:
        for place in stores.places:
            place.discard(folder)
        raise
    return manifest
