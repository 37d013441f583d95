"""A stack of which only the database runs: a real PostgreSQL, drives that are volumes, and S3 by
moto."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ops.backup import lock, packing
from ops.verbs import backup, restore
from ops.verbs._place import Place
from rollout.backups import Folder, folder_of
from rollout.postgres import hba
from rollout.settings import Settings, load
from tests.e2e.world import ROOT, docker, wait_until
from tests.s3.store import CREDENTIALS, REGION, Moto
from tests.unit.stack_files import raw

IMAGE = "ytempire-sandbox/postgres:15"
LIVE_RELEASE = "1.0.0+aaaaaaaaaaaa"
PASSWORD = "a-password-that-nobody-is-told"
TABLES = """
CREATE ROLE reader LOGIN PASSWORD 'somebody-s';
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE videos (id int PRIMARY KEY, owner int NOT NULL REFERENCES users, title text);
INSERT INTO users SELECT n, 'recognizable-' || n FROM generate_series(1, 500) n;
INSERT INTO videos SELECT n, 1 + n % 500, md5(n::text) FROM generate_series(1, 20000) n;
GRANT SELECT ON users TO reader;
CREATE TABLE django_migrations (id serial, app text, name text);
INSERT INTO django_migrations (app, name) VALUES ('app', '0001_initial'), ('app', '0002_title');
"""


@dataclass
class Site:
    """A stack, and its backups."""

    place: Place
    moto: Moto
    settings: Settings

    @property
    def bucket(self) -> str:
        return self.settings.backups.bucket

    @property
    def s3(self) -> Any:
        return self.moto.client("s3")

    def written(self) -> dict[str, str]:
        """Each key in the bucket, with what tells whether it was written anew."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {o["Key"]: o["ETag"] for page in pages for o in page.get("Contents", ())}

    def objects(self) -> list[str]:
        return sorted(self.written())

    def folders(self) -> list[Folder]:
        """The newest first."""
        found = {at[0] for key in self.objects() if (at := folder_of(key))}
        return sorted(found, reverse=True)

    def body(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def manifest(self, folder: Folder) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body(folder.key("manifest.json")))
        return found

    def sql(self, *statements: str, database: str = "ytempire") -> str:
        commands = [word for one in statements for word in ("-c", one)]
        return docker(
            "exec", self.place.names.postgres, "psql", "-X", "-qAt", "-U", "ytempire",
            "-d", database, "-v", "ON_ERROR_STOP=1", *commands,
        ).strip()  # fmt: skip

    def inside(self, volume: str, script: str) -> str:
        """As root, in a volume of the stack: a drive is one, and this is under a listing's nose."""
        return docker(
            "run", "--rm", "--user", "0:0", "--network", "none", "--entrypoint", "sh",
            "--volume", f"{self.place.names.volume(volume)}:/at", "--workdir", "/at",
            IMAGE, "-c", script,
        )  # fmt: skip


def made(moto: Moto, checkout: Path, stack: str, **own: str) -> tuple[Place, Settings]:
    """A checkout as the verbs find it, with the key of a backup that nobody else has. `stack` gets
    a suffix of this process; `own`: further settings, which may be secret."""
    stack = f"{stack}{os.getpid()}"
    secret, public = packing.new_key()
    told = {
        "postgresImage": IMAGE,
        "backupBucket": f"backups-{stack}",
        "backupRegion": REGION,
        "backupEndpoint": moto.address,
        "backupRecipients": json.dumps([public]),
    }
    (checkout / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    lines = [f"  ytempire:{key}: {value}\n" for key, value in told.items()]
    (checkout / f"Pulumi.{stack}.yaml").write_text("config:\n" + "".join(lines))
    secrets = {"backupIdentity": secret, "postgresPassword": PASSWORD}
    settings = load(stack, {**raw("sandbox"), "version": "1.0.0", **told, **secrets, **own})
    return Place(checkout, stack), settings


@contextmanager
def found_by(site: Site, *verbs: ModuleType, locks: bool = True) -> Iterator[pytest.MonkeyPatch]:
    """The verbs find the site's settings and its bucket, in which objects can be locked or not."""
    lock_or_not: Mapping[str, Any] = {"ObjectLockEnabledForBucket": True} if locks else {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        for verb in verbs:
            patch.setattr(verb, "settings_of", lambda place: site.settings)
        patch.setattr(backup, "_live", lambda place: LIVE_RELEASE)
        site.s3.create_bucket(
            Bucket=site.bucket,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            **lock_or_not,
        )
        yield patch


@contextmanager
def standing(moto: Moto, checkout: Path) -> Iterator[Site]:
    place, settings = made(moto, checkout, "bk")
    found = Site(place, moto, settings)
    with found_by(found, backup, restore), database(found):
        yield found


@contextmanager
def database(site: Site) -> Iterator[None]:
    """Its PostgreSQL with TABLES; afterwards nothing of the stack is left."""
    try:
        _start(site.place)
        yield
    finally:
        remove(site.place)


def run_postgres(place: Place, *options: str, command: tuple[str, ...] = ()) -> None:
    """The network, and the server on it when it answers."""
    names = place.names
    docker("network", "create", "--internal", names.network("data"))
    docker(
        "run", "--detach", "--init", "--name", names.postgres, "--tmpfs", "/tmp",
        "--network", names.network("data"), "--volume", f"{names.volume('backups')}:/backups",
        "--env", f"POSTGRES_PASSWORD={PASSWORD}", "--env", "POSTGRES_USER=ytempire",
        "--env", "POSTGRES_DB=ytempire", *options, IMAGE, *command,
    )  # fmt: skip
    ready = ("exec", names.postgres, "pg_isready", "--host", "127.0.0.1")
    wait_until(lambda: "accepting" in docker(*ready, check=False), "PostgreSQL does not start")


def _start(place: Place) -> None:
    run_postgres(place)
    # As the component declares it: the role may into its own database, and no other.
    rules = hba(load("x", {**raw("sandbox"), "version": ""}).postgres, "0.0.0.0/0", "replicator")
    write = 'cat >"$PGDATA/pg_hba.conf" && pg_ctl reload --silent'
    docker("exec", "--interactive", place.names.postgres, "sh", "-c", write, stdin=rules)
    sql = ("psql", "-U", "ytempire", "-q", "-v", "ON_ERROR_STOP=1", "-d", "ytempire")
    docker("exec", "--interactive", place.names.postgres, *sql, stdin=TABLES)


def remove(place: Place) -> None:
    """All that a site may have on the host."""
    names = place.names
    containers = (names.postgres, names.wal, names.scheduler, names.part("backup"))
    docker("rm", "--force", "--volumes", *containers, check=False)
    docker("network", "rm", names.network("data"), check=False)
    for kept in ("drive1", "drive2", "backups", "media", "wal", "wal-config", lock.VOLUME):
        docker("volume", "rm", "--force", names.volume(kept), check=False)
