"""What is measured on: a filled database with the product's settings, a container for other tools'
clients, the scheduler's, drives that are volumes, and S3 by moto. All of it is removed afterwards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.backups.containers import DATABASE, SCHEDULER_VOLUMES, fill, run, start_scheduler, tell
from ops.backup import packing
from rollout import scheduler as inside
from rollout.bucket_policies import Identity
from rollout.names import Names
from rollout.postgres import hba, postgresql_conf
from rollout.settings import REPLICATION_USER, Settings, load
from tests.e2e.world import docker, wait_until
from tests.s3.store import REGION, Moto, serving
from tests.unit.stack_files import declared, raw

IMAGE = "ytempire-bench/postgres:15"
HERE = Path(__file__).parent
# The product's sizes where nothing is said, and not the sandbox's small ones.
DEFAULTS = ("postgresMemory", "schedulerMemory", "schedulerCpus")
SETTINGS = {
    "autovacuum": "off",  # it would come in between, and not for all
    "archive_mode": "on",  # pgBackRest's: it sets the command for its own turns
    "archive_command": "/bin/true",
}
DATA, SOCKETS, BACKUPS = "/var/lib/postgresql/data", "/var/run/postgresql", "/backups"
OUT = "/out"  # what the other tools write
OTHERS = "others"  # their part: a name beside the product's
START = """
printf '%s' "$CONF" >/tmp/postgresql.conf && printf '%s' "$HBA" >/tmp/pg_hba.conf &&
    exec docker-entrypoint.sh postgres -c config_file=/tmp/postgresql.conf
"""


class Stand:
    """network: on which containers reach the S3 server."""

    def __init__(self, moto: Moto, network: str, folder: Path) -> None:
        self.names = Names(f"bench{os.getpid()}")
        self.moto, self.folder, self._network = moto, folder, network
        self.identity, recipient = packing.new_key()
        self.bucket = f"backups-{self.names.stack}"
        self._raw = self._values(recipient)
        self.settings = load(self.names.stack, self._raw)

    def _values(self, recipient: str) -> dict[str, str]:
        keys = {identity: {"id": "testing", "secret": "testing"} for identity in Identity}
        return {
            **raw("sandbox"),
            **{key: str(declared()[key]["default"]) for key in DEFAULTS},
            "version": "1.0.0",
            "postgresImage": IMAGE,
            "postgresSettings": json.dumps(SETTINGS),
            "backupBucket": self.bucket,
            "backupRegion": REGION,
            "backupEndpoint": self.moto.address,
            "backupRecipients": json.dumps([recipient]),
            "backupIdentity": self.identity,
            "backupKeys": json.dumps(keys),
        }

    @property
    def offline(self) -> Settings:
        """Without the bucket: nobody's credentials are at hand."""
        return load(self.names.stack, {**self._raw, "backupKeys": ""})

    @property
    def database(self) -> str:
        return self.names.postgres

    @property
    def others(self) -> str:
        """The container that the other tools' programs run in."""
        return self.names.part(OTHERS)

    @property
    def scheduler(self) -> str:
        return self.names.scheduler

    @property
    def containers(self) -> tuple[str, ...]:
        return self.database, self.others, self.scheduler

    # Up and down

    def up(self) -> None:
        docker("build", "--quiet", "--force-rm", "--tag", IMAGE, str(HERE))
        docker("network", "create", "--internal", self.names.network("data"))
        self._start_database()
        self._start_others()
        self._start_scheduler()
        self.empty_store()

    def down(self) -> None:
        docker("rm", "--force", "--volumes", *self.containers, self.names.part("backup"))
        docker("network", "rm", self.names.network("data"), check=False)
        for volume in ("postgres", "sockets", "backups", OTHERS, *SCHEDULER_VOLUMES):
            docker("volume", "rm", "--force", self.names.volume(volume), check=False)
        docker("rmi", IMAGE, check=False)

    def _start_database(self) -> None:
        postgres = self.settings.postgres
        self._run(
            self.database,
            {"postgres": DATA, "sockets": SOCKETS, "backups": BACKUPS, OTHERS: OUT},
            "--init", "--network", self.names.network("data"), "--memory", f"{postgres.memory}m",
            "--shm-size", "256m", "--env", "CONF", "--env", "HBA", "--env", "POSTGRES_PASSWORD",
            "--env", f"POSTGRES_USER={postgres.user}", "--env", f"POSTGRES_DB={postgres.database}",
            *_pgbackrest(postgres.user), "--entrypoint", "sh", IMAGE, "-c", START,
            environment={
                "CONF": postgresql_conf(postgres, "/tmp"),
                "HBA": hba(postgres, "0.0.0.0/0", REPLICATION_USER),
                "POSTGRES_PASSWORD": postgres.logins.current.password,
            },
        )  # fmt: skip
        ready = ("exec", self.database, "pg_isready", "--host", "127.0.0.1")
        wait_until(lambda: "accepting" in docker(*ready, check=False), "PostgreSQL does not start")

    def _start_others(self) -> None:
        """With the database's files and sockets, as on the host itself."""
        self._run(
            self.others,
            {"postgres": DATA, "sockets": SOCKETS, OTHERS: OUT},
            "--init", "--network", "none", "--shm-size", "256m",
            *_pgbackrest(self.settings.postgres.user),
            "--entrypoint", "sleep", IMAGE, "infinity",
        )  # fmt: skip

    def _start_scheduler(self) -> None:
        data = self.names.network("data")
        start_scheduler(self.names, self.settings, IMAGE, (data, self._network))

    def _run(
        self,
        name: str,
        volumes: Mapping[str, str],
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        run(self.names, IMAGE, name, volumes, arguments, environment or {})

    # What is in it

    def fill(self, gigabytes: float) -> int:
        """How large it has become, in bytes."""
        fill(self.database, gigabytes)
        return int(self.sql(f"SELECT pg_database_size('{DATABASE}')"))

    def sql(self, *statements: str, database: str = DATABASE) -> str:
        words = (word for statement in statements for word in ("-c", statement))
        login = ("-U", self.settings.postgres.user, "-d", database)
        return docker("exec", self.database, "psql", "-X", "-qAt", *login, *words).strip()

    def told(self, settings: Settings) -> None:
        tell(self.names, settings)

    def empty_store(self) -> None:
        """No backup anywhere."""
        drives_ = [inside.drive(n) for n in range(len(self.settings.backups.drives))]
        clear = f"find {' '.join(drives_)} -mindepth 1 -delete"
        docker("exec", self.scheduler, "sh", "-c", clear)
        httpx.post(f"{self.moto.address}/moto-api/reset").raise_for_status()
        self.moto.client("s3").create_bucket(
            Bucket=self.bucket,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=True,
        )


@contextmanager
def standing(folder: Path) -> Iterator[Stand]:
    """With the S3 server on the gateway of a network of its own."""
    network = f"ytempire-bench-{os.getpid()}"
    docker("network", "create", network)
    try:
        gateway = docker("network", "inspect", network, "-f", "{{(index .IPAM.Config 0).Gateway}}")
        with serving(gateway.strip(), folder / "moto.log") as moto:
            stand = Stand(moto, network, folder)
            try:
                stand.up()
                yield stand
            finally:
                stand.down()
    finally:
        docker("network", "rm", network, check=False)


def _pgbackrest(user: str) -> list[str]:
    """What all of its commands go by; where it writes to is said with each."""
    values: dict[str, Any] = {
        "STANZA": "bench",
        "PG1_PATH": DATA,
        "PG1_USER": user,
        "PG1_DATABASE": DATABASE,
        "PG1_SOCKET_PATH": SOCKETS,
        "LOG_LEVEL_FILE": "off",
        "LOG_LEVEL_CONSOLE": "warn",
        "LOCK_PATH": "/tmp/pgbackrest",
        "SPOOL_PATH": "/tmp/pgbackrest-spool",
        "COMPRESS_TYPE": "zst",
        "PROCESS_MAX": os.cpu_count(),
        "START_FAST": "y",
        "REPO1_RETENTION_FULL": 1,
    }
    pairs = (f"PGBACKREST_{name}={value}" for name, value in values.items())
    return [word for pair in pairs for word in ("--env", pair)]
