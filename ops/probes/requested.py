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
    """Raises RecordError where a record can't be read, be it another one: it may be an emergency
    that nobody documented."""
    changes, git = Changes(root), Git(root)
    found = changes.all()
    own = [
        release_path(release.version),
        *([change_path(release.change)] if release.change else []),
    ]
    return Requested(
        by=f"{FOLDER}/",
        at=datetime.now(UTC),
        change=changes.get(release.change) if release.change else None,
        tampered=changes.tampered(),
        uncommitted=tuple(str(path) for path in own if not git.has(path)),
        emergencies=tuple(
            change.id for change in found if change.id != release.change and is_undocumented(change)
        ),
    )
