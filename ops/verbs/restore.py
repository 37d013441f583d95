"""`ytops restore`: which points there are, back to one of them, back again, and no way back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from ops.agent import who
from ops.backup import keys
from ops.backup.host import HostArgs, helper
from ops.backup.place import Place as BackupPlace
from ops.backup.stores import Stores, stores
from ops.backup.trial import ScratchTrial
from ops.errors import HostUnreachable, OpsError
from ops.observe import observe
from ops.rehearsal.scratch import Scratch
from ops.restore import before, swap, tables
from ops.restore import story as stories
from ops.restore.beside import Beside
from ops.restore.recovered import recovered
from ops.restore.server import Server
from ops.restore.source import BackupSource, Source
from ops.restore.story import Restore
from ops.steps._signals import Stopped, listening
from ops.steps._voice import Voice
from ops.steps.backup import megabytes
from ops.verbs._confirm import confirm
from ops.verbs._database import live_image, ourselves
from ops.verbs._database import settings as settings_of
from ops.verbs._exit import DONE, FAILED, Failed, Interrupted, Misused
from ops.verbs._hold import deploys_held, refuse_if_busy, remember
from ops.verbs._paper import BAD, paint, plural, say, span, when
from ops.verbs._place import Place
from ops.verbs._points import kept_words, report, screen
from ops.verbs._restored import Work, afterwards, cut_off
from ops.verbs._store import configured, image, is_offsite
from rollout.backups import Folder
from rollout.dumps import DeployDump
from rollout.recovery import Chain, OutOfReach, bases_of, towards
from rollout.restores import Point, choose, database_bytes, lacking, points, remembered, schema
from rollout.retention import utc
from rollout.shapes import Pointer, Release

LIST = "Next: `ytops restore` lists what there is"


@dataclass(frozen=True)
class Options:
    from_place: str = ""
    table: str = ""
    undo: bool = False
    dismiss: bool = False
    yes: bool = False
    as_json: bool = False
    at: str = ""


def dispatch(place: Place, point: str, options: Options) -> int:
    """One thing at a time. Raises Misused."""
    if options.undo or options.dismiss:
        others = point or options.table or options.at
        if others or (options.undo and options.dismiss):
            raise Misused("--undo and --dismiss stand alone: `ytops restore --undo`.")
        verb = undo if options.undo else dismiss
        return verb(place, yes=options.yes)
    if options.at:
        if point or options.table:
            raise Misused(
                "--at TIME takes the place of a restore point, and brings back all of it."
            )
        return to_a_time(place, options.at, from_place=options.from_place, yes=options.yes)
    if not point:
        if options.table or options.from_place:
            raise Misused(f"Of which restore point? {LIST}.")
        return listed(place, as_json=options.as_json)
    if options.table:
        return single(place, point, options.table, from_place=options.from_place)
    return restore(place, point, from_place=options.from_place, yes=options.yes)


def refuse_words(point: str, words: list[str]) -> NoReturn:
    told = f"{point} and {words[0]}" if words else "--to or --identity"
    raise Misused(
        f"Of the database: expected one point, got {told}. Next: `ytops restore POINT`, or "
        "`ytops restore files`, `application`, `config` or `secrets`."
    )


# What there is


def listed(place: Place, *, as_json: bool = False) -> int:
    host = HostArgs(image(place), None, say)
    offsite = is_offsite(place)
    with stores(place.docker, place.names, configured(place), host, offsite=offsite) as found:
        there, lost = points(found.catalogues()), found.lost
    kept, dumps = _on_the_host(place)
    if as_json:
        say(json.dumps({**report(there, kept, dumps), "lost": lost}, indent=2))
        return FAILED if lost else DONE
    for text in screen(there, kept, datetime.now(UTC), dumps):
        say(text)
    for name, why in lost.items():
        say(f"{paint(BAD, 'red')} {name}: {why}")
    return FAILED if lost else DONE


def _on_the_host(place: Place) -> tuple[list[swap.Kept], list[DeployDump]]:
    """None where the server does not answer: the points are told all the same."""
    server = _server(place, place.configuration.get("postgresDatabase"))
    try:
        return swap.kept(server), before.dumps(server)
    except HostUnreachable:
        raise
    except OpsError:
        return [], []


# Back to a point


def restore(place: Place, wanted: str, *, from_place: str = "", yes: bool = False) -> int:
    refuse_if_busy(place)
    with _job(place) as (work, found):
        dump = _deploy_dump(work, wanted, from_place)
        if dump:
            story, words = _from(work, [dump]), _dump_summary(work, dump)
        else:
            point = _chosen(found, wanted, from_place)
            story = _story(work, found, point, from_place)
            words = _summary(work, point, story)
        story.check()
        for text in words:
            say(text)
        confirm(place, yes)
        return _take_place(work, story)


def to_a_time(place: Place, wanted: str, *, from_place: str = "", yes: bool = False) -> int:
    """To a moment between two backups: recovered in a server of its own, then like any other."""
    moment = _moment(wanted)
    refuse_if_busy(place)
    with _job(place) as (work, found):
        at, reach = _towards(found, moment, from_place)
        base = reach.base
        say(
            f"{Folder.of(base.series, base.started)} from {at.name}, and {len(reach.segments)} "
            f"segments of WAL, until {reach.reached:%Y-%m-%d %H:%M:%S} UTC at most"
        )
        say(_lost_words(work, moment))
        confirm(place, yes)
        scratch = Scratch(place.docker, place.names, work.settings, work.server.image, ourselves())
        key, postgres = keys.identity(work.settings.backups), work.settings.postgres
        trial, transfer = ScratchTrial(scratch), work.transfer
        with recovered(trial, postgres, at, reach, moment, key, transfer.say, transfer) as source:
            transfer.close()
            story = _from(work, [source])
            story.check()
            return _take_place(work, story)


def _take_place(work: Work, story: Restore) -> int:
    with deploys_held(work.place, f"{story.expected.what} takes the database's place"):
        try:
            _clear(story)
            return afterwards(work, story.go())
        except Stopped:
            if story.swapped is None:
                raise
            raise Interrupted(cut_off(story.swapped)) from None


def _moment(wanted: str) -> datetime:
    try:
        return utc(datetime.fromisoformat(wanted))
    except ValueError:
        raise Misused(
            f"--at: expected a time with its zone, such as 2027-01-01T10:00:00Z, got {wanted}."
        ) from None


def _towards(found: Stores, moment: datetime, from_place: str) -> tuple[BackupPlace, Chain]:
    """The first place that leads there; of several that don't, the last is the bucket."""
    known = _from_place(found, from_place)
    why = "no place of the backups answers"
    catalogues = found.catalogues()
    for one in known:
        stored = catalogues[one.name].backups if one.name in catalogues else ()
        bases = bases_of(stored)
        since = max((b.started for b in bases if b.finished <= moment), default=None)
        try:
            return one, towards(moment, bases, one.wal(since), datetime.now(UTC))
        except (OutOfReach, OpsError) as error:
            why = f"{one.name}: {error}"
    raise Failed(
        f"{why}.\nNothing was touched. Next: `ytops backup status` says which times can be "
        "reached; `ytops backup run wal --now` ships what was written just now"
    )


def _from_place(found: Stores, from_place: str) -> list[BackupPlace]:
    known = [one.name for one in found.places]
    if from_place and from_place not in known:
        raise Misused(f"--from: expected one of {', '.join(known)}, got {from_place}.")
    return [one for one in found.places if from_place in ("", one.name)]


def single(place: Place, wanted: str, names: str, *, from_place: str = "") -> int:
    """Tables, beside those that are live."""
    with _job(place) as (work, found):
        dump = _deploy_dump(work, wanted, from_place)
        if dump:
            story, known = _from(work, [dump]), dump.tables
        else:
            point = _chosen(found, wanted, from_place)
            story, known = _story(work, found, point, from_place), sorted(point.manifest.rows)
        chosen = tables.named(names, known)
        story.check()
        _clear(story)
        into, begun = schema(datetime.now(UTC)), time.monotonic()
        back = story.make(lambda: tables.load(story.beside, story.roles, chosen, into))
        of = when(story.expected.taken.isoformat())
        put = ", ".join(f"{into}.{one.name}" for one in chosen)
        work.tell("tables", True, time.monotonic() - begun, f"{put}, as of {of}")
        say("What is missing in the live tables comes back, and the rest stays as it is, by:")
        for statement in (*back, f"DROP SCHEMA {into} CASCADE;  -- when it is done"):
            say(f"  {statement}")
        client = f"psql -U {work.settings.postgres.user} -d {work.server.database}"
        say(f"Next: on {place.docker.host}, `docker exec -it {place.names.postgres} {client}`")
        return DONE


def _deploy_dump(work: Work, wanted: str, from_place: str) -> before.DeploySource | None:
    """What a deploy took before it, asked for by its own stamp."""
    if from_place not in ("", before.HOST):
        return None
    found = before.choose(before.dumps(work.server), wanted)
    return before.DeploySource(work.server, found) if found else None


def _chosen(found: Stores, wanted: str, from_place: str) -> Point:
    _from_place(found, from_place)
    point = choose(points(found.catalogues()), wanted)
    if point is None:
        raise Misused(f"There is no restore point {wanted}. {LIST}.")
    copies = (*point.copies, *point.damaged)
    if from_place and from_place not in copies:
        raise Misused(f"--from: {point.folder} is in {', '.join(copies)}, not in {from_place}.")
    if not from_place and not point.copies:
        raise Failed(
            f"{point.folder}: each copy is known to be damaged ({', '.join(point.damaged)}).\n"
            f"Nothing was touched. {LIST}; `--from PLACE` tries one all the same."
        )
    return point


def _story(work: Work, found: Stores, point: Point, from_place: str) -> Restore:
    key = keys.identity(work.settings.backups)
    size = database_bytes(point.manifest, work.server.size(work.server.database))
    wanted = (from_place,) if from_place else point.copies
    by_name = {one.name: one for one in found.places}
    catalogues = found.catalogues()
    copies = [
        BackupSource(by_name[name], stored, key, size)
        for name in wanted
        for stored in catalogues[name].backups
        if stored.folder == point.folder
    ]
    return _from(work, copies)


def _from(work: Work, sources: Sequence[Source]) -> Restore:
    return Restore(
        server=work.server,
        beside=Beside.on(work.server, work.settings.postgres.memory, work.transfer),
        sources=sources,
        by=who(),
        release=work.release,
        migrate=work.migrate if work.live else None,
        migrations_table=work.settings.backend.migrations_table,
        tell=work.tell,
    )


def _clear(story: Restore) -> None:
    if story.prepare():
        say("An earlier restore was cut off: its rest is removed")


def _summary(work: Work, point: Point, story: Restore) -> Iterator[str]:
    taken = point.folder.taken
    places = ", then ".join(source.place for source in story.sources)
    proved = "restored in a trial" if point.proved else "never restored yet"
    yield f"{point.folder}: {megabytes(point.manifest.bytes)} from {places}; {proved}"
    yield _lost_words(work, taken)
    if point.manifest.release != work.release and work.release:
        yield (
            f"{point.manifest.release or 'No release'} was live then, {work.release} is now: its "
            "migrations are run on the restored database before it is live"
        )


def _dump_summary(work: Work, dump: before.DeploySource) -> Iterator[str]:
    kept = dump.kept
    yield f"{kept.name}: {megabytes(kept.bytes)} on the host, taken by the deploy of {kept.before}"
    yield _lost_words(work, kept.taken)
    if work.release:
        yield f"The migrations of {work.release} are run on it before it is live"


def _lost_words(work: Work, taken: datetime) -> str:
    age = span((datetime.now(UTC) - taken).total_seconds())
    return (
        f"What was written in the {age} since {taken:%Y-%m-%d %H:%M:%S} UTC will not be in "
        f"{work.server.database}: that database is set aside, and `ytops restore --undo` brings it "
        "back"
    )


# Back again, and no way back


def undo(place: Place, *, yes: bool = False) -> int:
    refuse_if_busy(place)
    with _locked(place) as work:
        kept = swap.kept(work.server)
        if not kept:
            raise Misused("No database is set aside: there is nothing to undo.")
        back = kept[0]
        say(kept_words(back, datetime.now(UTC)))
        say(f"What was written to {work.server.database} since is set aside in its turn")
        confirm(place, yes)
        with deploys_held(place, f"{back.name} comes back"):
            table_ = work.settings.backend.migrations_table
            beside = Beside.on(work.server, work.settings.postgres.memory, work.transfer)
            live = beside.migrations(table_, work.server.database)
            old = beside.migrations(table_, back.name)
            begun = time.monotonic()
            note = stories.undo(work.server, back, who(), work.release)
            work.tell("swap", True, time.monotonic() - begun, f"{back.name} is the live one")
            if lacking(live, old):
                begun = time.monotonic()
                work.migrate(work.server.database)
                work.tell("migrate", True, time.monotonic() - begun, work.release)
            return afterwards(work, note)


def dismiss(place: Place, *, yes: bool = False) -> int:
    with _locked(place) as work:
        kept = swap.kept(work.server)
        for one in kept:
            say(kept_words(one, datetime.now(UTC)))
        if not kept:
            say("No database is set aside.")
            return DONE
        confirm(place, yes)
        for one in kept:
            swap.drop(work.server, one.name)
            gone = one.note.model_copy(update={"kept": ""})
            remember(place, remembered(one.note.at), gone.model_dump_json())
        say(f"{plural(len(kept), 'database')} removed; {megabytes(sum(k.size for k in kept))} free")
        return DONE


# Where it happens


@contextmanager
def _job(place: Place) -> Iterator[tuple[Work, Stores]]:
    """With the places of the backups, to read."""
    with _stopping(place) as work:
        host = HostArgs(work.server.image, ourselves(), say)
        with stores(
            place.docker,
            place.names,
            work.settings.backups,
            host,
            offsite=is_offsite(place),
            adds=False,
        ) as found:
            yield work, found


@contextmanager
def _locked(place: Place) -> Iterator[Work]:
    """No backup and no other restore meanwhile."""
    with _stopping(place) as work:
        host = HostArgs(work.server.image, ourselves(), say)
        with helper(place.docker, place.names, (), host):
            yield work


@contextmanager
def _stopping(place: Place) -> Iterator[Work]:
    """Signals are heard, and secrets kept out of what is said."""
    settings = settings_of(place)
    voice = Voice(settings.secrets.values())
    live_image(place, "to restore")
    work = Work(place, settings, _server(place, settings.postgres.database), _live(place))
    work.server.require_answer()
    try:
        with listening():
            yield work
    except Stopped:
        raise Interrupted("Stopped; what was begun is removed.") from None
    except OpsError as error:
        error.args = (voice.clean(str(error)), *error.args[1:])
        raise
    finally:
        work.transfer.close()


def _server(place: Place, database: str) -> Server:
    return Server(place.docker, place.names, database, image(place))


def _live(place: Place) -> tuple[Pointer, Release] | None:
    view = observe(place.docker, place.names).view
    release = view.state.releases.get(view.edge.identity) if view.edge else None
    return (view.edge, release) if view.edge and release else None
