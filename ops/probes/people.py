"""What people wrote down for tonight: the rehearsal, the announcements, the rota."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ops.records import Missing, read
from rollout.evidence import Announced, OnCall, Rehearsed, Unknown
from rollout.records import (
    Announcement,
    Rehearsal,
    Rota,
    announcement_path,
    rehearsal_path,
    rota_path,
)


def rehearsed(root: Path, version: str) -> Rehearsed:
    path = rehearsal_path(version)
    try:
        record = read(Rehearsal, root, path)
    except Missing:
        return Rehearsed(by=str(path), at=datetime.now(UTC), record=None)
    return Rehearsed(by=str(path), at=record.started, record=record)


def announced(root: Path, version: str) -> Announced:
    """Those of this version. Raises RecordError when one of them can't be read."""
    folder = announcement_path("x").parent
    found = [
        read(Announcement, root, path.relative_to(root))
        for path in sorted((root / folder).glob("*.yaml"))
    ]
    return Announced(
        by=f"{folder}/",
        at=datetime.now(UTC),
        announcements=tuple(a for a in found if a.release == version),
    )


def on_call(root: Path) -> OnCall | Unknown:
    try:
        rota = read(Rota, root, rota_path())
    except Missing:
        return Unknown(why=f"there is no {rota_path()}")
    return OnCall(by=str(rota_path()), at=datetime.now(UTC), rota=rota)
