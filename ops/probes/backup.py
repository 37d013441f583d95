"""The newest verified backup in a store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from ops.records import read
from rollout.evidence import Backup, Unknown
from rollout.judge import is_verified
from rollout.records import BackupManifest

DATABASE = ("dump", "base")


class Store(Protocol):
    """Where backups lie: `where` in words, and each one's manifest."""

    @property
    def where(self) -> str: ...

    def manifests(self) -> Iterable[BackupManifest]: ...


@dataclass(frozen=True)
class Folder:
    """Manifests in files, as they lie in the bucket: `KIND/STAMP/manifest.json`."""

    root: Path

    @property
    def where(self) -> str:
        return str(self.root)

    def manifests(self) -> Iterable[BackupManifest]:
        for path in sorted(self.root.glob("*/*/manifest.json")):
            yield read(BackupManifest, self.root, path.relative_to(self.root))


def backup(store: Store | None, stack: str) -> Backup | Unknown:
    """Of this stack's database."""
    if store is None:
        return Unknown(why="no store of backups is known here")
    found = [
        manifest
        for manifest in store.manifests()
        if manifest.kind in DATABASE and manifest.stack == stack and is_verified(manifest)
    ]
    newest = max(found, key=lambda manifest: manifest.finished, default=None)
    return Backup(by=store.where, at=datetime.now(UTC), newest=newest)
