"""`python -m bench.backups.restoring FILE`: the newest backup on the first drive is restored as
`ytops restore` does it, where no release serves, so there is nothing to migrate. FILE is a
scheduler's configuration. What each stage took is printed as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ops.backup import keys
from ops.backup.host import HostArgs
from ops.backup.stores import Stores, stores
from ops.docker import Docker
from ops.restore.beside import Beside
from ops.restore.server import Server
from ops.restore.source import BackupSource
from ops.restore.story import Restore
from rollout.names import Names
from rollout.scheduler import SchedulerConfig


def main(file: Path) -> None:
    config = SchedulerConfig.model_validate_json(file.read_text())
    docker, names, image = Docker(), Names(config.stack), config.postgres.image
    server = Server(docker, names, config.postgres.database, image)
    told: dict[str, float] = {}

    def tell(stage: str, ok: bool, seconds: float, words: str) -> None:
        told[stage] = seconds

    host = HostArgs(image)
    with stores(docker, names, config.backups, host, offsite=False, adds=False) as found:
        story = Restore(
            server=server,
            beside=Beside.on(server, config.postgres.memory, lambda *_: None),
            sources=[_newest(found, config)],
            by="bench",
            release="",
            migrate=None,
            migrations_table=config.migrations_table,
            tell=tell,
        )
        story.check()
        story.prepare()
        story.go()
    print(json.dumps(told))


def _newest(found: Stores, config: SchedulerConfig) -> BackupSource:
    drive = found.drives[0]
    stored = drive.catalogue().backups[0]
    assert stored.manifest
    size = stored.manifest.database_bytes or 0
    return BackupSource(drive, stored, keys.identity(config.backups), size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
