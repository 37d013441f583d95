"""A drill, in order: find the backup, bring up the stack without a release, restore, count, bring
up the release on what was restored, ask it, give its worker a job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.packing import Identity as Key
from ops.drill.data import Database, Source, compared, source
from ops.drill.site import Site
from ops.drill.trying import Recovered
from ops.engine import NotReady
from ops.errors import HostUnreachable, OpsError
from ops.steps.backup import megabytes
from ops.verbs._exit import INTERRUPTED, Misused, Refused, code_of
from ops.verbs._paper import when
from ops.verbs._place import Place
from rollout.drills import RPO, RTO, judged, key_rows, version_of
from rollout.records import Drill, DrillPhase, DrillStage, Status
from rollout.settings import Settings

Tell = Callable[[str, bool, float, str], None]
# A drill that can't be carried out says nothing of the recovery.
NOT_HELD = (HostUnreachable, Misused, NotReady, Refused)

DETAIL = 300  # characters of a phase's words that are recorded; all of them are told


class Broken(Exception):
    """A phase failed: what comes after it is not tried."""


@dataclass
class Said:
    """What a phase found, for its record."""

    words: str = ""


@dataclass
class Story:
    """One drill of `drilled`, whose settings these are. `drive`: where the backup is read from, and
    not from the bucket. `tell` hears of each phase."""

    drilled: Place
    settings: Settings
    key: Key
    drive: str
    host: str
    by: str
    tell: Tell
    _started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _stages: list[DrillStage] = field(default_factory=list)
    _found: Source | None = None
    _rows: dict[str, int] = field(default_factory=dict)

    def go(self, site: Site) -> Drill:
        """The record, as far as it came."""
        with ExitStack() as opened, suppress(Broken):
            self._go(site, opened)
        return judged(self._record())

    def _go(self, site: Site, opened: ExitStack) -> None:
        with self._phase("find") as said:
            found = opened.enter_context(source(self.drilled, self.settings, self.drive))
            self._found = found
            said.words = self._backup_words(found)
        with self._phase("stack") as said:
            site.begin(self.drilled, self.settings, self.host)
            site.up("")
            said.words = "datastores and edge, without a release"
        database = Database(site.place.docker, site.place.names, self.settings)
        with self._phase("restore") as said:
            database.restore(found, self.key, self.by)
            said.words = "roles and database, counted and checked"
        with self._phase("counts") as said:
            rows = database.rows()
            self._rows = key_rows(rows)
            said.words = compared(found.stored, rows)
        with self._phase("release") as said:
            site.up(self._version)
            recovered = Recovered.of(site.place)
            said.words = f"{recovered.release.identity} serves"
        with self._phase("endpoints") as said:
            said.words = recovered.endpoints()
        self._job(recovered)

    def _job(self, recovered: Recovered) -> None:
        command = self.settings.backend.rehearsal_command
        if command:
            with self._phase("job") as said:
                said.words = recovered.job(command)
            return
        words = "not tried: backendRehearsalCommand, which would queue one, is empty"
        self._stages.append(DrillStage(phase="job", seconds=0, status=Status.UNKNOWN, detail=words))
        self.tell("job", True, 0, words)

    @contextmanager
    def _phase(self, name: DrillPhase) -> Iterator[Said]:
        begun, said = time.monotonic(), Said()
        try:
            yield said
        except NOT_HELD:
            raise
        except OpsError as error:
            if code_of(error) == INTERRUPTED:
                raise
            self._note(name, begun, Status.FAIL, str(error))
            raise Broken from None
        self._note(name, begun, Status.PASS, said.words)

    def _note(self, name: DrillPhase, begun: float, status: Status, words: str) -> None:
        took = round(time.monotonic() - begun, 2)
        short = " ".join(words.split())[:DETAIL]
        self._stages.append(DrillStage(phase=name, seconds=took, status=status, detail=short))
        self.tell(name, status is Status.PASS, took, words)

    @property
    def _version(self) -> str:
        """What served when it was dumped; before anything did, what the stack file names."""
        manifest = self._found.stored.manifest if self._found else None
        told = version_of(manifest.release) if manifest else ""
        return told or self.settings.deployment.bare_version

    def _backup_words(self, found: Source) -> str:
        manifest = found.stored.manifest
        assert manifest
        of = when(manifest.started.isoformat(), self._started)
        size, release = megabytes(manifest.bytes), manifest.release or "no release"
        return f"{found.stored.folder} from {found.kept.where}: {size}, of {of}, {release}"

    def _record(self) -> Drill:
        manifest = self._found.stored.manifest if self._found else None
        return Drill(
            started=self._started,
            stack=self.drilled.stack,
            environment=self.settings.deployment.environment,
            host=self.host,
            by=self.by,
            backup=str(self._found.stored.folder) if self._found else "",
            place=self._found.kept.name if self._found else "",
            taken=manifest.started if manifest else None,
            bytes=manifest.bytes if manifest else 0,
            release=manifest.release if manifest else "",
            rows=self._rows,
            stages=tuple(self._stages),
            rpo_seconds=round((self._started - manifest.started).total_seconds(), 2)
            if manifest
            else None,
            rto_goal_seconds=RTO.total_seconds(),
            rpo_goal_seconds=RPO.total_seconds(),
        )
