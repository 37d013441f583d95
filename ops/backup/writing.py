"""The files of one backup on their way: each is read once and written to all places at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

from ops.backup.packing import Reader, Recipient, Sum, pack
from ops.backup.place import File, Place
from ops.backup.stores import Stores
from ops.errors import OpsError, StepFailed
from rollout.backups import MANIFEST, Catalogue, Folder, Stored, together
from rollout.records import Artifact

Tell = Callable[[str, bool, float, str], None]


def known(stores: Stores, catalogues: dict[str, Catalogue] | None = None) -> list[Stored]:
    """All that is known to be kept anywhere, the newest first, once."""
    found = together(stores.catalogues() if catalogues is None else catalogues)
    if not stores.places:
        why = "; ".join(f"{name}: {why}" for name, why in stores.lost.items())
        raise StepFailed(
            f"There is no place to put a backup: {why or 'none is configured'}.\n"
            "Next: see to it, or set `backupDrives`; then `ytops backup run`"
        )
    return [next(iter(places.values())) for places in found.values()]


@dataclass
class _Fan:
    """One file to all places. A place that fails is left behind; the last one's failure is ours."""

    files: dict[str, File]
    lost: dict[str, str]

    def write(self, data: bytes) -> None:
        for name in list(self.files):
            try:
                self.files[name].write(data)
            except OpsError as error:
                self._leave(name, str(error))

    def finish(self, sha256: str) -> str:
        """What S3 calls it, where it is there. Each place has to have what was sent; all are asked
        at once, because each syncs its disk and reads what it has."""
        s3_sha256 = ""
        with ThreadPoolExecutor(max(1, len(self.files))) as pool:
            ends = {name: pool.submit(file.finish) for name, file in self.files.items()}
        for name, end in ends.items():
            try:
                written = end.result()
                if written.sha256 not in ("", sha256):
                    raise OpsError(f"what was written has SHA-256 {written.sha256}, not {sha256}")
            except OpsError as error:
                self._leave(name, str(error))
            else:
                s3_sha256 = written.s3_sha256 or s3_sha256
        return s3_sha256

    def _leave(self, name: str, why: str) -> None:
        self.files.pop(name).abort()
        self.lost[name] = why
        if not self.files:
            raise OpsError(f"No place could take it: {name}: {why}")

    def abort(self) -> None:
        for file in self.files.values():
            file.abort()


@dataclass
class Writing:
    """One backup's. A place that fails is lost to the job, and leaves the other copies. `lasting`:
    what was written stays when the job ends half-way, and the next goes on from it."""

    stores: Stores
    folder: Folder
    recipients: tuple[Recipient, ...]
    lasting: bool = False

    def artifact(
        self,
        name: str,
        reading: Callable[[], AbstractContextManager[Reader]],
        *,
        clear: bool = False,
    ) -> Artifact:
        """One file, read once and written everywhere. Whether the reader ended well is known
        before the file gets its name anywhere. `clear`: compressed alone; it tells nothing."""
        fan = _Fan(self._begin(name), {})
        total = Sum(fan.write)
        try:
            with reading() as source:
                pack(source, total, () if clear else self.recipients)
            total.flush()
            s3_sha256 = fan.finish(total.sha256)
        except BaseException:
            fan.abort()
            raise
        finally:
            self._forget(fan.lost)
        return Artifact(
            key=self.folder.key(name),
            bytes=total.bytes,
            sha256=total.sha256,
            s3_sha256=s3_sha256,
            encryption="" if clear else "age",
        )

    def note(self, name: str, text: str) -> None:
        """A text beside them, everywhere."""
        for place in self.stores.places:
            try:
                place.note(self.folder.key(name), text)
            except OpsError as error:
                self._forget({place.name: str(error)})

    def seal(self, manifest: str, tell: Tell) -> None:
        """The manifest, last. Raises StepFailed when no place took it."""
        for place in self.stores.places:
            self._seal(place, manifest, tell)
        if not self.stores.places:
            raise StepFailed(f"No place has the backup: {'; '.join(self.stores.lost.values())}")

    def _seal(self, place: Place, manifest: str, tell: Tell) -> None:
        begun = time.monotonic()
        try:
            if self.lasting:
                place.note(self.folder.key(MANIFEST), manifest)
            else:
                place.seal(self.folder, manifest)
        except OpsError as error:
            self._forget({place.name: str(error)})
        else:
            took = time.monotonic() - begun
            tell(place.name, True, took, f"{place.where}, {self.folder}")

    def _begin(self, name: str) -> dict[str, File]:
        files: dict[str, File] = {}
        lost: dict[str, str] = {}
        for place in self.stores.places:
            try:
                if self.lasting:
                    files[place.name] = place.add(self.folder.key(name))
                else:
                    files[place.name] = place.begin(self.folder, name)
            except OpsError as error:
                lost[place.name] = str(error)
        self._forget(lost)
        if not files:
            raise OpsError(f"No place can take a backup: {'; '.join(lost.values())}")
        return files

    def _forget(self, lost: dict[str, str]) -> None:
        for place in self.stores.places:
            if place.name in lost:
                if not self.lasting:
                    with suppress(OpsError):
                        place.discard(self.folder)
                self.stores.lose(place, lost[place.name])
