"""A stack of which only the database runs: a real PostgreSQL, drives that are volumes, and S3 by
moto."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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
BUCKET = "backups"
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
    """A stack of which only the database runs."""

    place: Place
    moto: Moto
    settings: Settings

    @property
    def s3(self) -> Any:
        return self.moto.client("s3")

    def objects(self) -> list[str]:
        return sorted(o["Key"] for o in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()))

    def folders(self) -> list[Folder]:
        """The newest first."""
        found = {at[0] for key in self.objects() if (at := folder_of(key))}
        return sorted(found, reverse=True)

    def body(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body

    def manifest(self, folder: Folder) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body(folder.key("manifest.json")))
        return found

    def sql(self, query: str, database: str = "ytempire") -> str:
        name, user = self.place.names.postgres, ("-U", "ytempire", "-d", database)
        return docker("exec", name, "psql", "-X", "-qAt", *user, "-c", query).strip()

    def on_drive(self, drive: str, script: str) -> str:
        """As root, and as if the volume were a disk: under a listing's nose."""
        volume = self.place.names.volume(drive)
        return docker(
            "run", "--rm", "--user", "0:0", "--network", "none", "--entrypoint", "sh",
            "--volume", f"{volume}:/drive", "--workdir", "/drive", IMAGE, "-c", script,
        )  # fmt: skip


@contextmanager
def standing(moto: Moto, checkout: Path) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        found = _site(moto, checkout)
        for verb in (backup, restore):
            patch.setattr(verb, "settings_of", lambda place: found.settings)
        patch.setattr(backup, "_live", lambda place: "1.0.0+aaaaaaaaaaaa")
        moto.client("s3").create_bucket(
            Bucket=BUCKET,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=True,
        )
        try:
            _start_database(found.place)
            yield found
        finally:
            _remove(found.place)


def _site(moto: Moto, checkout: Path) -> Site:
    """A checkout as the verbs find it, with the key of a backup that nobody else has."""
    secret, public = packing.new_key()
    stack = f"bk{os.getpid()}"
    own = {
        "postgresImage": IMAGE,
        "backupBucket": BUCKET,
        "backupRegion": REGION,
        "backupEndpoint": moto.address,
        "backupRecipients": json.dumps([public]),
    }
    (checkout / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    lines = [f"  ytempire:{key}: {value}\n" for key, value in own.items()]
    (checkout / f"Pulumi.{stack}.yaml").write_text("config:\n" + "".join(lines))
    secrets = {"backupIdentity": secret, "postgresPassword": PASSWORD}
    settings = load(stack, {**raw("sandbox"), "version": "1.0.0", **own, **secrets})
    return Site(Place(checkout, stack), moto, settings)


def _start_database(place: Place) -> None:
    docker("network", "create", "--internal", place.names.network("data"))
    docker(
        "run", "--detach", "--init", "--name", place.names.postgres, "--tmpfs", "/tmp",
        "--network", place.names.network("data"),
        "--volume", f"{place.names.volume('backups')}:/backups",
        "--env", f"POSTGRES_PASSWORD={PASSWORD}",
        "--env", "POSTGRES_USER=ytempire", "--env", "POSTGRES_DB=ytempire", IMAGE,
    )  # fmt: skip
    ready = ("exec", place.names.postgres, "pg_isready", "--host", "127.0.0.1")
    wait_until(lambda: "accepting" in docker(*ready, check=False), "PostgreSQL does not start")
    # As the component declares it: the role may into its own database, and no other.
    rules = hba(load("x", {**raw("sandbox"), "version": ""}).postgres, "0.0.0.0/0", "replicator")
    write = 'cat >"$PGDATA/pg_hba.conf" && pg_ctl reload --silent'
    docker("exec", "--interactive", place.names.postgres, "sh", "-c", write, stdin=rules)
    sql = ("psql", "-U", "ytempire", "-q", "-v", "ON_ERROR_STOP=1", "-d", "ytempire")
    docker("exec", "--interactive", place.names.postgres, *sql, stdin=TABLES)


def _remove(place: Place) -> None:
    docker("rm", "--force", "--volumes", place.names.postgres, place.names.part("backup"))
    docker("network", "rm", place.names.network("data"), check=False)
    for kept in ("drive1", "drive2", "backups", lock.VOLUME):
        docker("volume", "rm", "--force", place.names.volume(kept), check=False)
