"""`ytops backup`: make one, list, prove and prune them; whether all is as it should be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops.backup import keys, packing
from ops.backup import prune as pruning
from ops.backup.base import BaseBackup
from ops.backup.bundle import Bundle, is_kept, keep
from ops.backup.configuration import Sources
from ops.backup.dump import Source, client
from ops.backup.files import Files
from ops.backup.host import PART, WAL, WAL_LOCK, HostArgs
from ops.backup.run import Backup
from ops.backup.stores import Stores, stores
from ops.backup.trial import ScratchTrial
from ops.backup.verify import Verify
from ops.backup.volumes import volumes
from ops.backup.wal import Shipping, require_received
from ops.engine import Engine
from ops.errors import HostUnreachable, OpsError
from ops.observe import observe
from ops.rehearsal.scratch import Scratch
from ops.steps._signals import Stopped, listening
from ops.steps._voice import Voice
from ops.steps.backup import megabytes
from ops.verbs._backup_kind import BackupKind
from ops.verbs._database import live_image, ourselves
from ops.verbs._database import settings as settings_of
from ops.verbs._drilled import Drilled
from ops.verbs._exit import DONE, FAILED, Interrupted
from ops.verbs._log_report import LogReport
from ops.verbs._paper import BAD, MAYBE, OK, paint, plural, say, when
from ops.verbs._place import Place
from ops.verbs._store import configured, image, is_offsite
from ops.verbs.rehearse import line
from rollout.backups import Catalogue, Folder, Stored, best_copy, overdue, together
from rollout.files import PARTS, Naming
from rollout.judge import is_verified
from rollout.retention import DUMPS, Kind, Listing, Series, full_series
from rollout.schedule import LATE, UNPROVED
from rollout.settings import Settings
from rollout.wal import piece_of


def run_kind(place: Place, kind: BackupKind, *, full: bool = False, now: bool = False) -> int:
    match kind:
        case BackupKind.DATABASE:
            return run(place, full=full)
        case BackupKind.BASE:
            return run_base(place)
        case BackupKind.WAL:
            return run_wal(place, now=now)
        case BackupKind.FILES:
            return run_files(place, Series.MEDIA, Series.APPLICATION)
        case BackupKind.MEDIA:
            return run_files(place, Series.MEDIA)
        case BackupKind.APPLICATION:
            return run_files(place, Series.APPLICATION)
        case BackupKind.CONFIG:
            return run_bundle(place, Series.CONFIG)
        case BackupKind.SECRETS:
            return run_bundle(place, Series.SECRETS)


def run(place: Place, *, full: bool = False) -> int:
    settings = settings_of(place)
    recipients = keys.recipients(settings.backups)
    live, now = _live(place), datetime.now(UTC)
    with _job(place, settings, "to back up", network=place.names.network("data")) as found:
        say(f"The database of {place.stack} on {place.docker.host}")
        made = Backup(
            stores=found,
            source=Source(
                found.shell, place.names, settings.postgres, settings.backend.migrations_table
            ),
            recipients=recipients,
            stack=place.stack,
            image=live_image(place, "to back up"),
            live=live,
            tell=_tell,
            series=full_series(now, _known(found)) if full else None,
        ).go()
        say(f"{made.series} of {when(made.started.isoformat())}: {megabytes(made.bytes)}")
        return _ended(found, "Next: see to it, then `ytops backup run`")


def run_base(place: Place) -> int:
    settings = settings_of(place)
    recipients = keys.recipients(settings.backups)
    _require_receiver(place)
    network = place.names.network("data")
    with _job(place, settings, "to back up", network=network, wal=True) as found:
        say(f"The server's files, {place.names.postgres} on {place.docker.host}")
        made = BaseBackup(
            stores=found,
            names=place.names,
            settings=settings.postgres,
            recipients=recipients,
            stack=place.stack,
            image=live_image(place, "to back up"),
            live=_live(place),
            wal=WAL,
            tell=_tell,
        ).go()
        say(f"{made.series} of {when(made.started.isoformat())}: {megabytes(made.bytes)}")
        return _ended(found, "Next: see to it, then `ytops backup run base`")


def run_wal(place: Place, *, now: bool = False) -> int:
    """Beside a job that takes long: the log has a lock of its own."""
    settings = settings_of(place)
    recipients = keys.recipients(settings.backups)
    _require_receiver(place)
    network = place.names.network("data")
    with _job(
        place, settings, "whose WAL is shipped", network=network, lock=WAL_LOCK, wal=True
    ) as found:
        shipping = Shipping(found, WAL, recipients, _tell)
        database = client(place.names, settings.postgres)
        if now:
            shipping.close_segment(database)
        if not shipping.go():
            say("No WAL has been finished since the last run")
        require_received(found.shell, database)
        return _ended(found, "Next: see to it, then `ytops backup run wal`")


def _require_receiver(place: Place) -> None:
    if place.docker.inspect(place.names.wal) is None:
        raise OpsError(
            f"There is nothing that receives the database's log: no {place.names.wal} on "
            f"{place.docker.host}.\nNext: `pulumi up`"
        )


def run_files(place: Place, *series: Series) -> int:
    """One backup after the other, of what the volumes hold."""
    settings = settings_of(place)
    recipients, naming = (
        keys.recipients(settings.backups),
        Naming.of(settings.deployment.fingerprint_key),
    )
    unread = False
    with _job(place, settings, "to back up", image=image(place)) as found:
        for one in series:
            say(f"The {one.kind} of {place.stack} on {place.docker.host}")
            parts = PARTS[one]
            with volumes(place.docker, place.names, image(place), parts) as reader:
                job = Files(
                    found, reader, one, naming, recipients, place.stack, _live(place), _tell, say
                )
                made = job.go()
            say(f"{made.series} of {when(made.started.isoformat())}: {made.objects} files")
            unread = unread or job.unread > 0
        ended = _ended(found, "Next: see to it, then `ytops backup run files`")
        if unread:
            say("Next: see to what could not be read, then `ytops backup run files`")
            return FAILED
        return ended


def run_bundle(place: Place, series: Series) -> int:
    """Asked for by name, it is made whether or not anything has changed."""
    settings = settings_of(place)
    recipients = keys.recipients(settings.backups)
    with _job(place, settings, "to back up", image=image(place)) as found:
        say(f"The {series.kind} of {place.stack}")
        bundle = _bundles(place, settings)[series]()
        made = keep(found, bundle, recipients, place.stack, _live(place), _tell)
        say(f"{made.series} of {when(made.started.isoformat())}")
        return _ended(found, f"Next: see to it, then `ytops backup run {series.kind}`")


def after_deploy(place: Place) -> list[str]:
    """What to tell. The deploy is done: nothing of this fails it."""
    told: list[str] = []
    try:
        settings = settings_of(place)
        recipients = keys.recipients(settings.backups)
        with _job(place, settings, "to back up", image=image(place)) as found:
            for series, gathered in _bundles(place, settings).items():
                bundle = gathered()
                if not is_kept(found, bundle):
                    made = keep(found, bundle, recipients, place.stack, _live(place), _quiet)
                    told.append(f"{series.kind} is backed up: {Folder.of(series, made.started)}")
            told += [f"It is not in {name}: {why}" for name, why in found.lost.items()]
    except OpsError as error:
        told.append(f"What was deployed is not backed up: {error}")
    except Exception as error:  # a mistake of ours, whose words may hold anything
        told.append(f"What was deployed is not backed up: unexpected {type(error).__name__}")
    return told


def _bundles(place: Place, settings: Settings) -> dict[Series, Callable[[], Bundle]]:
    sources = Sources(
        place.root,
        place.stack,
        Engine(place.root, place.stack),
        place.docker,
        settings.deployment.fingerprint_key,
    )
    return {Series.CONFIG: sources.configuration, Series.SECRETS: sources.secrets}


def _quiet(name: str, ok: bool, seconds: float, words: str) -> None: ...


def verify(place: Place) -> int:
    settings = settings_of(place)
    identity = keys.identity(settings.backups)
    with _job(place, settings, "whose backups are verified") as found:
        scratch = Scratch(
            place.docker, place.names, settings, live_image(place, "to compare with"), ourselves()
        )
        story = Verify(found, ScratchTrial(scratch), identity, settings.postgres, _tell, say)
        story.go()
        for failure in story.failures:
            say(f"{paint(BAD, 'red')} {failure}")
        ended = _ended(found, "Next: see to it, then `ytops backup verify`")
        if story.failures:
            say(
                "Next: `ytops backup run`, so that there is a good one; look after the drive or key"
            )
            return FAILED
        return ended


def prune(place: Place, *, dry_run: bool = False) -> int:
    with _opened(place, writes=not dry_run) as found:
        decided = pruning.plan(found, configured(place).prune_percent)
        for name, why in decided.refused.items():
            say(f"{paint(BAD, 'red')} {name}: {why}")
        would = "would be " if dry_run else ""
        say(f"{plural(len(decided.tags), 'object')} of the bucket {would}told to expire")
        for key, tag in sorted(decided.tags.items()):
            if piece_of(key) is None:  # of the log there are a thousand a day
                say(f"  {tag}  {key}")
        for name, folders in decided.removals.items():
            say(f"{plural(len(folders), 'backup')} {would}removed from {name}")
            for folder in folders:
                say(f"  {folder}")
        for name, keys in decided.log.items():
            say(f"{plural(len(keys), 'file')} of the log {would}removed from {name}")
        if not dry_run:
            pruning.carry_out(found, decided)
        return FAILED if decided.refused else _ended(found, "Next: `ytops backup status`")


def listed(place: Place, *, as_json: bool = False) -> int:
    with _opened(place) as found:
        catalogues = found.catalogues()
        backups = together(catalogues)
        if as_json:
            say(json.dumps([_entry(f, at) for f, at in backups.items()], indent=2))
            return FAILED if found.lost else DONE
        for folder, at in backups.items():
            say(_row(folder, at))
        if not backups:
            say("There is no backup. Next: `ytops backup run`")
        for problem in (p for one in catalogues.values() for p in one.problems):
            say(f"{paint(BAD, 'red')} {problem}")
        return _ended(found, "Next: `ytops backup status`")


def status(place: Place, *, as_json: bool = False) -> int:
    """Exit code 0: a dump when one was due, a restore that worked, every place at hand, the
    database's log away from the host, and in production a good drill in time."""
    now = datetime.now(UTC)
    with _opened(place) as found:
        catalogues = found.catalogues()
        report = Report.of(catalogues, now, found)
        log = LogReport.of(place, found, catalogues, now)
    drilled = _drilled(place, now)
    parts = (report, log, drilled)
    is_well = all(part.is_well for part in parts if part)
    if as_json:
        own = {
            "well": is_well,
            "log": log.values() if log else None,
            "drill": drilled.values() if drilled else None,
        }
        say(json.dumps({**report.values(), **own}, indent=2))
        return DONE if is_well else FAILED
    for text in report.screen():
        say(text)
    for ok, words in log.lines() if log else ():
        say(_mark(ok, words))
    if drilled and (drilled.held or drilled.needed):
        say(_mark(drilled.is_well, drilled.words))
    return DONE if is_well else FAILED


def _drilled(place: Place, now: datetime) -> Drilled | None:
    """None where the host can't say: `ytops status` tells why."""
    try:
        markers = observe(place.docker, place.names).view.state.markers
    except HostUnreachable:
        raise
    except OpsError:
        return None
    return Drilled.of(markers, now, needed=is_offsite(place))


def key(place: Place) -> int:
    """Prints it once; nothing is written anywhere."""
    secret, public = packing.new_key()
    say(f"{secret}\n{public}")
    config = f"pulumi config set --stack {place.stack}"
    say(
        "Keep the first where the host's loss does not reach it: without it no backup opens.\n"
        f"Next: `{config} --secret backupIdentity`, which asks for the first; then "
        f"`{config} --path 'backupRecipients[0]' {public}`"
    )
    return DONE


# Status


# Due by the clock, like the database's.
SCHEDULED: tuple[Kind, ...] = ("media", "application")
OTHERS: tuple[Kind, ...] = (*SCHEDULED, "config", "secrets")


@dataclass(frozen=True)
class KindReport:
    """Of one kind beside the database. late: by how much the schedule has been missed."""

    kind: Kind
    newest: Stored | None
    proved: Stored | None
    late: timedelta | None

    @classmethod
    def of(cls, kind: Kind, best: list[Stored], now: datetime) -> KindReport:
        mine = [s for s in best if s.folder.series.kind == kind]
        listing = Listing(tuple(s.backup for s in mine))
        return cls(
            kind=kind,
            newest=next((s for s in mine if s.manifest and is_verified(s.manifest)), None),
            proved=next((s for s in mine if s.proved), None),
            late=overdue(listing, now, kind) if kind in SCHEDULED else None,
        )

    @property
    def is_well(self) -> bool:
        return self.newest is not None and (self.late is None or self.late < LATE)

    def words(self, now: datetime) -> str:
        if self.newest is None:
            return f"{self.kind}: there is no verified backup. Next: `ytops backup run {self.kind}`"
        told = f"{self.kind}: newest verified backup {when(str(_at(self.newest)), now)}"
        told += f"; one has been due for {self.late}" if self.late else ""
        if self.proved is None:
            return f"{told}; none was opened yet. Next: `ytops backup verify`"
        return f"{told}; newest that was opened {when(str(_at(self.proved)), now)}"

    def values(self, now: datetime) -> dict[str, object]:
        def age(stored: Stored | None) -> float | None:
            return (now - stored.folder.taken).total_seconds() if stored else None

        return {
            "newest": _at(self.newest),
            "newest_seconds": age(self.newest),
            "opened": _at(self.proved),
            "opened_seconds": age(self.proved),
            "overdue_seconds": self.late.total_seconds() if self.late else 0,
        }


@dataclass(frozen=True)
class Report:
    """newest: whose content was read; proved: of which a restore was seen to work. others: of
    each kind beside the database."""

    now: datetime
    newest: Stored | None
    proved: Stored | None
    late: timedelta | None
    lost: dict[str, str]
    problems: tuple[str, ...]
    damaged: tuple[str, ...]
    note: str
    others: tuple[KindReport, ...]

    @classmethod
    def of(cls, catalogues: dict[str, Catalogue], now: datetime, found: Stores) -> Report:
        backups = together(catalogues)
        every = [best_copy(at) for at in backups.values()]
        best = [s for s in every if s.folder.series in DUMPS]
        return cls(
            now=now,
            newest=next((s for s in best if s.manifest and is_verified(s.manifest)), None),
            proved=next((s for s in best if s.proved), None),
            late=overdue(Listing(tuple(s.backup for s in best)), now),
            lost=dict(found.lost),
            problems=tuple(p for one in catalogues.values() for p in one.problems),
            damaged=tuple(str(s.folder) for s in every if s.proved is False),
            note=found.note,
            others=tuple(KindReport.of(kind, every, now) for kind in OTHERS),
        )

    @property
    def is_well(self) -> bool:
        proved = self.proved is not None and self._age(self.proved) < UNPROVED
        wrong = self.lost or self.problems or self.damaged
        in_time = self.late is None or self.late < LATE
        return proved and not wrong and in_time and all(one.is_well for one in self.others)

    def screen(self) -> Iterator[str]:
        yield _mark(self.late is None or self.late < LATE, self._newest_words())
        proved = self.proved is not None and self._age(self.proved) < UNPROVED
        yield _mark(proved, self._proved_words())
        for one in self.others:
            yield _mark(one.is_well, one.words(self.now))
        for folder in self.damaged:
            yield _mark(False, f"damaged: {folder}")
        for name, why in self.lost.items():
            yield _mark(False, f"{name}: {why}")
        for problem in self.problems:
            yield _mark(False, problem)
        if self.note:
            yield f"{paint(MAYBE, 'yellow')} {self.note}"

    def values(self) -> dict[str, object]:
        return {
            "newest": _at(self.newest),
            "newest_seconds": self._age(self.newest).total_seconds() if self.newest else None,
            "restored": _at(self.proved),
            "restored_seconds": self._age(self.proved).total_seconds() if self.proved else None,
            "overdue_seconds": self.late.total_seconds() if self.late else 0,
            "kinds": {one.kind: one.values(self.now) for one in self.others},
            "damaged": list(self.damaged),
            "lost": self.lost,
            "problems": list(self.problems),
        }

    def _newest_words(self) -> str:
        if self.newest is None:
            return "there is no verified backup. Next: `ytops backup run`"
        words = f"newest verified backup: {when(str(_at(self.newest)), self.now)}"
        return words + (f"; one has been due for {self.late}" if self.late else "")

    def _proved_words(self) -> str:
        if self.proved is None:
            return "no restore of any was seen to work. Next: `ytops backup verify`"
        return f"newest that was restored: {when(str(_at(self.proved)), self.now)}"

    def _age(self, stored: Stored) -> timedelta:
        return self.now - stored.folder.taken


def _mark(ok: bool, words: str) -> str:
    return f"{paint(OK, 'green') if ok else paint(BAD, 'red')} {words}"


def _at(stored: Stored | None) -> str | None:
    return stored.folder.taken.isoformat() if stored else None


# The list


def _row(folder: Folder, at: dict[str, Stored]) -> str:
    best = best_copy(at)
    good = "restored" if folder.series in DUMPS else "opened"
    proved = {True: paint(good, "green"), False: paint("damaged", "red"), None: "listed"}
    size = megabytes(best.manifest.bytes) if best.manifest else ""
    kind = folder.series.rpartition("/")[2]
    return (
        f"{folder.taken:%Y-%m-%d %H:%M} UTC  {kind:<11} {size:>10}  {proved[best.proved]:<9} "
        f"{', '.join(at)}"
    )


def _entry(folder: Folder, at: dict[str, Stored]) -> dict[str, object]:
    best = best_copy(at)
    manifest = best.manifest
    assert manifest
    return {
        "folder": str(folder),
        "taken": folder.taken.isoformat(),
        "bytes": manifest.bytes,
        "release": manifest.release,
        "places": list(at),
        "restored": best.proved,
        "verifications": [v.model_dump(mode="json") for v in manifest.verifications],
    }


# Where it happens


@contextmanager
def _job(
    place: Place,
    settings: Settings,
    what: str,
    network: str = "none",
    image: str = "",
    lock: str = PART,
    wal: bool = False,
) -> Iterator[Stores]:
    """The places, with the secrets of `settings` kept out of what is said. `image`: the helper's,
    where no database need run."""
    voice = Voice(settings.secrets.values())
    image = image or live_image(place, what)
    host = HostArgs(image, ourselves(), say, network, lock, wal)
    offsite = is_offsite(place)
    try:
        with (
            listening(),
            stores(place.docker, place.names, settings.backups, host, offsite=offsite) as found,
        ):
            yield found
    except Stopped:
        raise Interrupted("Stopped; what was begun is removed.") from None
    except OpsError as error:
        raise type(error)(voice.clean(str(error))) from None


@contextmanager
def _opened(place: Place, writes: bool = False) -> Iterator[Stores]:
    host = HostArgs(image(place), ourselves() if writes else None, say)
    with stores(
        place.docker, place.names, configured(place), host, offsite=is_offsite(place)
    ) as found:
        yield found


def _tell(name: str, ok: bool, seconds: float, words: str) -> None:
    say(line(name, ok, seconds, words))


def _ended(found: Stores, next_words: str) -> int:
    if found.note:
        say(f"{paint(MAYBE, 'yellow')} {found.note}")
    for name, why in found.lost.items():
        say(f"{paint(BAD, 'red')} {name}: {why}")
    if not found.lost:
        return DONE
    say(next_words)
    return FAILED


def _known(found: Stores) -> Listing:
    catalogues = found.catalogues()
    return Listing(tuple(best_copy(at).backup for at in together(catalogues).values()))


def _live(place: Place) -> str:
    edge = observe(place.docker, place.names).view.edge
    return edge.identity if edge else ""
