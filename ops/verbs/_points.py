"""Restore points and databases that were set aside, as lines and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ops.restore.swap import Kept
from ops.steps.backup import megabytes
from ops.verbs._paper import MAYBE, paint, span, when
from rollout.dumps import DeployDump
from rollout.restores import Point


def screen(
    points: list[Point], kept: list[Kept], now: datetime, dumps: Sequence[DeployDump] = ()
) -> Iterator[str]:
    """dumps: what deploys took on the host, in their places among the points."""
    rows = [(point.folder.taken, _row(point, now)) for point in points]
    rows += [(dump.taken, _dump_row(dump, now)) for dump in dumps]
    for _, text in sorted(rows, key=lambda row: row[0], reverse=True):
        yield text
    if not points:
        what = "backup yet" if dumps else "restore point"
        yield f"There is no {what}. Next: `ytops backup run`"
    for one in kept:
        yield kept_words(one, now)
    if kept:
        yield "`ytops restore --undo` brings the newest of these back, `--dismiss` lets them go"
    if points:
        yield f"Next: `ytops restore {points[0].stamp}`, or `ytops restore newest`"


def _row(point: Point, now: datetime) -> str:
    proved = {True: paint("restored", "green"), False: paint("damaged", "red"), None: "listed"}
    age = span((now - point.folder.taken).total_seconds())
    damaged = f"; damaged: {', '.join(point.damaged)}" if point.damaged else ""
    return (
        f"{point.stamp}  {age + ' ago':<12}  {megabytes(point.manifest.bytes):>10}  "
        f"{proved[point.proved]:<9} {', '.join(point.copies) or 'no good copy'}{damaged}"
    )


def _dump_row(dump: DeployDump, now: datetime) -> str:
    age = span((now - dump.taken).total_seconds())
    return (
        f"{dump.stamp}  {age + ' ago':<12}  {megabytes(dump.bytes):>10}  {'listed':<9} "
        f"host; before {dump.before}"
    )


def kept_words(one: Kept, now: datetime) -> str:
    until = when(one.note.at.isoformat(), now)
    return f"{paint(MAYBE, 'yellow')} {one.name}, {megabytes(one.size)}: live until {until}"


def report(points: list[Point], kept: list[Kept], dumps: list[DeployDump]) -> dict[str, object]:
    """For `--json`."""
    return {
        "points": [_entry(point, datetime.now(UTC)) for point in points],
        "before_deploys": [
            {"point": d.stamp, "name": d.name, "bytes": d.bytes, "before": d.before} for d in dumps
        ],
        "kept": [
            {"database": one.name, "bytes": one.size, **one.note.model_dump(mode="json")}
            for one in kept
        ],
    }


def _entry(point: Point, now: datetime) -> dict[str, object]:
    return {
        "point": point.stamp,
        "folder": str(point.folder),
        "taken": point.folder.taken.isoformat(),
        "age_seconds": round((now - point.folder.taken).total_seconds()),
        "bytes": point.manifest.bytes,
        "database_bytes": point.manifest.database_bytes,
        "release": point.manifest.release,
        "schema_revision": point.manifest.schema_revision,
        "places": list(point.copies),
        "damaged": list(point.damaged),
        "restored": point.proved,
    }
