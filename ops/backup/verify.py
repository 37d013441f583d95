"""Proving backups: every copy is what its manifest says, and the newest of each series is restored
into a server of its own, counted and checked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.opening import Damaged, artifact_of, read, read_bundle, read_files
from ops.backup.packing import Identity
from ops.backup.place import Place
from ops.backup.recovery import Recovery
from ops.backup.stores import Stores
from ops.backup.trial import LONG_SECONDS, Trial
from ops.backup.writing import Tell
from ops.docker import Say
from ops.errors import OpsError
from rollout.backups import (
    DATABASE,
    GLOBALS,
    Catalogue,
    Folder,
    Look,
    Stored,
    differing_rows,
    proved_keys,
    text,
    to_recover,
    to_restore,
)
from rollout.dumps import COUNT_ROWS
from rollout.records import Check, Status, Verification
from rollout.recovery import Chain, chain
from rollout.retention import DUMPS, FILES
from rollout.settings import Postgres

# All but the role that is there already: the scratch server's own first one.
RESTORE_GLOBALS = r"""
sed -e "/^CREATE ROLE $PGUSER;$/d" -e "/^CREATE ROLE \"$PGUSER\";$/d" |
    psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -d postgres
"""
# With the database itself, its owner, its settings: as it would be done in earnest.
RESTORE = """
[ "$PGDATABASE" = postgres ] || set -- --create
exec pg_restore --exit-on-error "$@" -d postgres
"""
COUNT = "exec psql -X -qAt -v ON_ERROR_STOP=1"
AMCHECK = 'exec pg_amcheck --install-missing --heapallindexed -d "$PGDATABASE"'


@dataclass
class Verify:
    """One round. What it finds is told, and kept beside each manifest where it is news."""

    stores: Stores
    trial: Trial
    identity: Identity
    postgres: Postgres
    tell: Tell
    say: Say
    failures: list[str] = field(default_factory=list)
    _news: dict[Folder, list[Verification]] = field(default_factory=dict)

    def go(self) -> None:
        catalogues = self.stores.catalogues()
        if not any(found.backups for found in catalogues.values()):
            self.failures.append("there is no backup to verify")
        for place in self.stores.places:
            self._sums(place, catalogues[place.name])
        best = self._best(catalogues)
        try:
            for stored in to_restore(catalogues[best.name]) if best else ():
                if best and not self._found_bad(stored.folder, best.name):
                    self._prove(best, stored, catalogues[best.name])
            for stored in to_recover(catalogues[best.name]) if best else ():
                if best and not self._found_bad(stored.folder, best.name):
                    self._recover(best, stored)
        finally:
            self._keep(catalogues)

    def _best(self, catalogues: dict[str, Catalogue]) -> Place | None:
        """What a restore is tried from: the bucket, for it remains when the host is gone."""
        if self.stores.bucket:
            return self.stores.bucket
        return max(
            self.stores.drives,
            key=lambda drive: [s.folder for s in catalogues[drive.name].backups[:1]],
            default=None,
        )

    # Each copy

    def _sums(self, place: Place, found: Catalogue) -> None:
        begun = time.monotonic()
        try:
            damaged = damaged_in(place, found.backups)
        except OpsError as error:
            self.stores.lose(place, str(error))
            return
        now = datetime.now(UTC)
        for problem in found.problems:
            self.failures.append(f"{place.name}: {problem}")
        for stored in found.stored:
            if stored.manifest and stored.missing:
                damaged[stored.folder] = f"{stored.missing[0]}: it is not there"
        for stored in found.stored:
            if stored.manifest is None:
                continue
            why = damaged.get(stored.folder, "")
            status = Status.FAIL if why else Status.PASS
            if bool(why) != _was_bad(stored, place.name):
                self._add(stored, "checksum", status, now, place.name, why)
            if why and f"{place.name}: {why}" not in self.failures:  # several may need one file
                self.failures.append(f"{place.name}: {why}")
        self._log_sums(place)
        count = len(found.stored)
        words = f"{count - len(damaged)} of {count} copies are whole, {place.where}"
        self.tell(place.name, not damaged, time.monotonic() - begun, words)

    def _log_sums(self, place: Place) -> None:
        """A file of the log has no manifest that could remember it."""
        try:
            wrong = place.wrong(piece.artifact for piece in place.wal())
        except OpsError as error:
            self.stores.lose(place, str(error))
        else:
            self.failures += [f"{place.name}: {why}" for why in wrong.values()]

    def _found_bad(self, folder: Folder, place: str) -> bool:
        return any(v.place == place and v.status is Status.FAIL for v in self._news.get(folder, ()))

    # A restore

    def _prove(self, place: Place, stored: Stored, found: Catalogue) -> None:
        if stored.folder.series in DUMPS:
            self._restore(place, stored)
        else:
            self._open(place, stored, found)

    def _open(self, place: Place, stored: Stored, found: Catalogue) -> None:
        """Of files and of what is kept in one: all of it is opened that no proof has opened yet,
        and each piece is held against its name."""
        begun, now = time.monotonic(), datetime.now(UTC)
        try:
            with self._stage(place, stored, "restore", now):
                if stored.folder.series in FILES:
                    index = read_files(place, stored, proved_keys(found), self.identity)
                    counted, words = len(index.files), "its new files open, piece by piece"
                else:
                    counted, words = len(read_bundle(place, stored, self.identity)), "it opens"
            with self._stage(place, stored, "counts", now):
                told = stored.manifest.objects if stored.manifest else None
                if counted != told:
                    raise Damaged(f"expected {told} files, got {counted}")
        except Damaged as error:
            self.failures.append(f"{stored.folder}: {error}")
            words = str(error)
        took, ok = time.monotonic() - begun, not self._found_bad(stored.folder, place.name)
        self.tell(stored.folder.series.kind, ok, took, f"{stored.folder}, {place.name}: {words}")

    def _restore(self, place: Place, stored: Stored) -> None:
        now = datetime.now(UTC)
        told = self._told(place, stored, "rows and pages are as they were")
        with told, self.trial.standing(self.say):
            with self._stage(place, stored, "restore", now):
                self._load(place, stored, GLOBALS, RESTORE_GLOBALS)
                self._load(place, stored, DATABASE, RESTORE)
            with self._stage(place, stored, "counts", now):
                self._count(stored)
            with self._stage(place, stored, "amcheck", now):
                self._check_pages()

    def _recover(self, place: Place, stored: Stored) -> None:
        """To the end of the log: its rows are nobody's to know beforehand, so they are read."""
        assert stored.manifest
        now = datetime.now(UTC)
        reach = chain(stored.manifest, place.wal(stored.manifest.started))
        reached = f"{reach.reached:%Y-%m-%d %H:%M:%S} UTC, {len(reach.segments)} segments of WAL"
        with self._told(place, stored, f"recovered until {reached}; its pages are whole"):
            with self.trial.bare(self.say) as folder:
                with self._stage(place, stored, "restore", now):
                    self._recovered(place, reach, folder)
                with self._stage(place, stored, "counts", now):
                    self._rows()
                with self._stage(place, stored, "amcheck", now):
                    self._check_pages()
            if reach.missing:
                raise Damaged(f"WAL segment {reach.missing} is missing: {reached} is the end")

    def _recovered(self, place: Place, reach: Chain, folder: str) -> None:
        trial = self.trial
        recovery = Recovery(trial.shell, folder, trial.client, self.postgres, self.identity)
        try:
            recovery.go(place, reach)
        except OpsError as error:
            self._require_server()
            raise Damaged(str(error)) from None

    @contextmanager
    def _told(self, place: Place, stored: Stored, words: str) -> Iterator[None]:
        begun = time.monotonic()
        where = f"{stored.folder} from {place.name}"
        try:
            yield
        except Damaged as error:
            self.failures.append(f"{stored.folder}: {error}")
            self.tell("restore", False, time.monotonic() - begun, f"{where}: {error}")
        else:
            self.tell("restore", True, time.monotonic() - begun, f"{where}: {words}")

    @contextmanager
    def _stage(self, place: Place, stored: Stored, check: Check, at: datetime) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        except Damaged as error:
            self._add(stored, check, Status.FAIL, at, place.name, str(error))
            raise
        took = time.monotonic() - begun
        self._add(stored, check, Status.PASS, at, place.name, "", took)

    def _load(self, place: Place, stored: Stored, name: str, script: str) -> None:
        """A file out of the place and into the server; every byte is read and hashed on its way."""
        shell, client = self.trial.shell, self.trial.client
        with shell.pipe(script, gives=False, variables=client) as target:
            try:
                read(place, artifact_of(stored, name), target, self.identity)
            except OpsError as error:
                self._require_server()
                raise Damaged(str(error).splitlines()[0]) from None
            answer = target.finish(LONG_SECONDS)
        if answer.code:
            self._require_server()
            raise Damaged(f"{name} can't be restored: {answer.out.strip()}")

    def _require_server(self) -> None:
        """A host or a server that went away says nothing of the backup."""
        if not self.trial.is_running():
            raise OpsError(f"{self.trial.name} ended during the restore: nothing is proved")

    def _count(self, stored: Stored) -> None:
        assert stored.manifest
        wrong = differing_rows(stored.manifest.rows, self._rows())
        if wrong:
            raise Damaged(wrong)

    def _rows(self) -> dict[str, int]:
        answer = self.trial.run(COUNT, stdin=COUNT_ROWS.encode())
        if answer.code:
            raise Damaged(f"the restored rows can't be counted: {answer.words}")
        return {name: int(count) for _, name, count in map(json.loads, answer.out.splitlines())}

    def _check_pages(self) -> None:
        answer = self.trial.run(AMCHECK)
        if answer.code:
            raise Damaged(f"pg_amcheck: {answer.out.strip() or answer.words}")

    # What was found

    def _add(
        self,
        stored: Stored,
        check: Check,
        status: Status,
        at: datetime,
        place: str,
        detail: str,
        seconds: float = 0,
    ) -> None:
        self._news.setdefault(stored.folder, []).append(
            Verification(
                check=check,
                status=status,
                at=at,
                place=place,
                seconds=round(seconds, 2),
                detail=detail,
            )
        )

    def _keep(self, catalogues: dict[str, Catalogue]) -> None:
        """Beside each copy's manifest: whoever reads one place knows of all."""
        now = datetime.now(UTC)
        for folder, found in self._news.items():
            look = text(Look(at=now, verifications=tuple(found)))
            for place in self.stores.places:
                there = {s.folder for s in catalogues[place.name].stored if s.manifest}
                if folder not in there:
                    continue
                try:
                    place.note(folder.look(now), look)
                except OpsError as error:
                    self.stores.lose(place, str(error))


def damaged_in(place: Place, backups: Iterable[Stored]) -> dict[Folder, str]:
    """Those whose files are not what their manifests say, and how. What several need, is
    read once."""
    named = {s.folder: s.manifest.artifacts for s in backups if s.manifest}
    wrong = place.wrong({a.key: a for artifacts in named.values() for a in artifacts}.values())
    return {
        folder: why
        for folder, artifacts in named.items()
        if (why := next((wrong[a.key] for a in artifacts if a.key in wrong), ""))
    }


def _was_bad(stored: Stored, place: str) -> bool:
    """Whether the last word on this copy's bytes was that they are wrong."""
    assert stored.manifest
    said = [v for v in stored.manifest.verifications if (v.check, v.place) == ("checksum", place)]
    return bool(said) and max(said, key=lambda v: v.at).status is Status.FAIL
