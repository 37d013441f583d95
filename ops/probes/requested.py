"""The change request that the release names, and the state of all others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ops.changes import FOLDER, Changes
from ops.git import Git
from rollout.changes import is_undocumented
from rollout.evidence import Requested
from rollout.records import ReleaseRecord, change_path, release_path


def requested(root: Path, release: ReleaseRecord) -> Requested:
    """Of a deploy. Raises RecordError where a record can't be read, be it another one: it may be an
    emergency that nobody documented."""
    return named(root, release.change, release_path(release.version))


def named(root: Path, name: str | None, *papers: Path) -> Requested:
    """The change of this name, which goes with these papers. Raises RecordError."""
    changes, git = Changes(root), Git(root)
    found = changes.all()
    own = [*papers, *([change_path(name)] if name else [])]
    return Requested(
        by=f"{FOLDER}/",
        at=datetime.now(UTC),
        change=changes.get(name) if name else None,
        tampered=changes.tampered(),
        uncommitted=tuple(str(path) for path in own if not git.has(path)),
        emergencies=tuple(
            change.id for change in found if change.id != name and is_undocumented(change)
        ),
    )
