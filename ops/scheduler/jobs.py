"""The jobs, by what the timetable calls them. A kind of backup that is not here is not made."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ops.backup import keys
from ops.backup import prune as pruning
from ops.backup.base import BaseBackup
from ops.backup.dump import Source, client
from ops.backup.files import Files
from ops.backup.host import WAL_LOCK
from ops.backup.local import LocalShell, LocalTrial
from ops.backup.run import Backup
from ops.backup.stores import Stores
from ops.backup.verify import Verify
from ops.backup.wal import Shipping, require_received
from ops.errors import OpsError
from ops.scheduler.desk import Desk
from ops.steps.backup import megabytes
from rollout.files import Naming
from rollout.retention import Series
from rollout.schedule import Task, timetable
from rollout.scheduler import WAL

Job = Callable[[Desk], None]


def dump(desk: Desk) -> None:
    config = desk.config
    recipients = keys.recipients(config.backups)
    with desk.places() as found:
        made = Backup(
            stores=found,
            source=Source(found.shell, desk.names, config.postgres, config.migrations_table),
            recipients=recipients,
            stack=config.stack,
            image=config.postgres.image,
            live=desk.live(),
            tell=_teller(desk),
        ).go()
        desk.say(
            f"dump: {made.series} of {made.started:%Y-%m-%d %H:%M} UTC, {megabytes(made.bytes)}"
        )
        _require_all(found)


def base(desk: Desk) -> None:
    config = desk.config
    recipients = keys.recipients(config.backups)
    with desk.places() as found:
        made = BaseBackup(
            stores=found,
            names=desk.names,
            settings=config.postgres,
            recipients=recipients,
            stack=config.stack,
            image=config.postgres.image,
            live=desk.live(),
            wal=WAL,
            tell=_teller(desk),
        ).go()
        desk.say(f"base: of {made.started:%Y-%m-%d %H:%M} UTC, {megabytes(made.bytes)}")
        _require_all(found)


def wal(desk: Desk) -> None:
    """What was received of the log since the last time; beside the others, by a lock of its own."""
    recipients = keys.recipients(desk.config.backups)
    with desk.places(WAL_LOCK) as found:
        Shipping(found, WAL, recipients, _teller(desk)).go()
        _require_all(found)
    require_received(LocalShell(), client(desk.names, desk.config.postgres))


def files(series: Series) -> Job:
    """Of the volumes, as far as their groups may read them; what they may not is told."""

    def job(desk: Desk) -> None:
        config = desk.config
        recipients = keys.recipients(config.backups)
        with desk.places() as found:
            made = Files(
                stores=found,
                reader=LocalShell(LC_ALL="C"),
                series=series,
                naming=Naming(bytes.fromhex(config.naming)),
                recipients=recipients,
                stack=config.stack,
                live=desk.live(),
                tell=_teller(desk),
                say=desk.say,
            )
            manifest = made.go()
            desk.say(f"{series.kind}: {manifest.objects} files, {megabytes(manifest.bytes)} new")
            if made.told:
                path, why = next(iter(made.told.items()))
                raise OpsError(f"{len(made.told)} could not be read, the first {path}: {why}")
            _require_all(found)

    return job


def verify(desk: Desk) -> None:
    config = desk.config
    identity = keys.identity(config.backups)
    with desk.places() as found:
        trial = LocalTrial(config.postgres, client(desk.names, config.postgres))
        story = Verify(found, trial, identity, config.postgres, _teller(desk), desk.say)
        story.go()
        if story.failures:
            raise OpsError("; ".join(story.failures))
        _require_all(found)


def prune(desk: Desk) -> None:
    with desk.places() as found:
        decided = pruning.plan(found, desk.config.backups.prune_percent)
        pruning.carry_out(found, decided)
        gone = sum(map(len, decided.removals.values()))
        desk.say(f"prune: {len(decided.tags)} objects told to expire, {gone} taken off the drives")
        if decided.refused:
            raise OpsError("; ".join(f"{name}: {why}" for name, why in decided.refused.items()))
        _require_all(found)


TABLE: Mapping[Task, Job] = {
    "dump": dump,
    "base": base,
    "wal": wal,
    "media": files(Series.MEDIA),
    "application": files(Series.APPLICATION),
    "verify": verify,
    "prune": prune,
}
TASKS = timetable(TABLE)


def _require_all(found: Stores) -> None:
    if found.lost:
        raise OpsError("; ".join(f"{name}: {why}" for name, why in found.lost.items()))


def _teller(desk: Desk) -> Callable[[str, bool, float, str], None]:
    def tell(name: str, ok: bool, seconds: float, words: str) -> None:
        desk.say(f"{name}{'' if ok else ' FAILED'} in {seconds:.1f} s: {words}")

    return tell
