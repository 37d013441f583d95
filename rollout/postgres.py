"""PostgreSQL's configuration files, rendered."""

from __future__ import annotations

import re

from rollout.settings import Postgres
from rollout.wal import CLOSE_SECONDS

# Ready for streaming from the start, because wal_level needs a restart to change; slots are bounded
# so that a forgotten one can't fill the disk. `archive_timeout` closes a segment that was written
# to, whether or not anything is archived; a quiet server closes none.
_DECLARED: dict[str, str] = {
    "listen_addresses": "*",
    "wal_level": "replica",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "max_slot_wal_keep_size": "4GB",
    "wal_keep_size": "512MB",
    "archive_mode": "off",
    "archive_timeout": str(CLOSE_SECONDS),
    "password_encryption": "scram-sha-256",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_duration_statement": "1000",
    "log_lock_waits": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "lc_messages": "C",
    "dynamic_shared_memory_type": "posix",
    "max_connections": "200",
}


SHARED_MB = 256
# As PostgreSQL reads a setting that is memory; a bare number counts kilobytes.
_MEMORY = re.compile(r"\s*(\d+)\s*(kB|MB|GB|TB)?\s*")
_KILOBYTES = {"kB": 1, "MB": 1 << 10, "GB": 1 << 20, "TB": 1 << 30}


def postgresql_conf(settings: Postgres, folder: str) -> str:
    """postgresql.conf. Memory follows the container's limit: a quarter of it is shared buffers,
    half is what the planner may count on."""
    values = {
        **_DECLARED,
        "shared_buffers": f"{max(settings.memory // 4, 16)}MB",
        "effective_cache_size": f"{max(settings.memory // 2, 32)}MB",
        "data_directory": "/var/lib/postgresql/data",
        "hba_file": f"{folder}/pg_hba.conf",
        **settings.settings,
    }
    lines = (f"{key} = '{_quoted(value)}'" for key, value in sorted(values.items()))
    return "# Written by `pulumi up`; change postgresSettings in the stack file.\n" + "".join(
        f"{line}\n" for line in lines
    )


def shared_mb(settings: Postgres) -> int:
    """Megabytes of /dev/shm, where parallel workers meet. A parallel VACUUM takes all of
    `maintenance_work_mem` there at once, and fails where there is less."""
    wanted = _MEMORY.fullmatch(settings.settings.get("maintenance_work_mem", ""))
    return SHARED_MB + (int(wanted[1]) * _KILOBYTES[wanted[2] or "kB"] // 1024 if wanted else 0)


def beside(database: str) -> str:
    """Where a restore is made, before it takes the database's place (docs/decisions/0033)."""
    return f"{database}_restore"


def hba(settings: Postgres, data_subnet: str, replication_user: str) -> str:
    """pg_hba.conf: the container itself, the application, replication; nobody else. The live
    release's migrations are run on a restored database before anybody else sees it."""
    databases = f"{settings.database},{beside(settings.database)}"
    rows = (
        ("local", "all", "all", "", "trust"),
        ("host", databases, ",".join(settings.logins.users), data_subnet, "scram-sha-256"),
        ("host", "replication", replication_user, data_subnet, "scram-sha-256"),
    )
    return "# Written by `pulumi up`.\n" + "".join("\t".join(row) + "\n" for row in rows)


def _quoted(value: str) -> str:
    return value.replace("'", "''")
