"""What the scheduler's container is told, and where it finds what: as the component mounts it and
the program in it reads it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from rollout.files import Naming
from rollout.settings import Backups, Postgres, Scheduling, Settings

PORT = 9187  # of its metrics
ADDRESS_VARIABLE = "METRICS_ADDRESS"  # where they are served: on the data network
CONFIG = "/etc/ytempire"
FILE = "scheduler.json"
FILES = "/files"  # the volumes whose files are backed up, each by its name
LIVE = "/files/live"  # says which release serves
CONTROL = "/files/control"  # what the host remembers
LOCK = "/lock"
WAL = "/wal"  # what was received of the database's log
DATA = "/var/lib/postgresql/data"  # of the server that restores are tried in
BEAT = "/run/beat"
# Of a busy processor a quarter of what each other container gets: users come before backups.
CPU_SHARES = 256
REPORT = "/run/report.json"
# It goes its round every few seconds; a look at the places may take a minute.
SILENT = timedelta(minutes=3)


def drive(number: int) -> str:
    """Where it has the drives, in the order in which they are configured."""
    return f"/drives/{number}"


class SchedulerConfig(BaseModel):
    """`scheduler.json`: one file for its user alone, with the secrets that its jobs want and no
    others. offsite: whether to be without the bucket is a failure. wal: whether the
    database's log is received. naming: the key that contents
    are named by, in hexadecimal."""

    model_config = ConfigDict(frozen=True)

    stack: str
    offsite: bool
    wal: bool
    migrations_table: str
    naming: str
    webhook: str
    postgres: Postgres
    backups: Backups
    scheduler: Scheduling

    @classmethod
    def of(cls, settings: Settings) -> SchedulerConfig:
        return cls(
            stack=settings.stack,
            offsite=settings.is_production,
            wal=settings.receives_log,
            migrations_table=settings.backend.migrations_table,
            naming=Naming.of(settings.deployment.fingerprint_key).key.hex(),
            webhook=settings.operations.notify_webhook,
            postgres=settings.postgres,
            backups=settings.backups,
            scheduler=settings.scheduler,
        )

    @property
    def text(self) -> str:
        return self.model_dump_json(by_alias=True, indent=2)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may not be in what is said."""
        backups = self.backups
        return (
            self.postgres.logins.current.password,
            self.postgres.replication_password,
            backups.identity,
            self.scheduler.heartbeat_url,
            self.webhook,
            self.naming,
            *(key.secret for key in backups.keys.values()),
        )
