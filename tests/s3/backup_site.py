"""A stack of which only the database runs, and its backups: made by hand, or by a scheduler's
container."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.backup import lock, packing
from ops.errors import OpsError
from ops.steps import drives
from ops.steps._one_shot import HARDENED
from ops.verbs import backup as verb
from ops.verbs._exit import code_of
from ops.verbs._place import Place
from rollout.backups import Folder, folder_of
from rollout.bucket_policies import Identity
from rollout.postgres import hba
from rollout.scheduler import CONFIG, DATA, FILE, FILES, LIVE, LOCK, SchedulerConfig
from rollout.scheduler import drive as drive_path
from rollout.settings import Settings, load
from rollout.steps import Drives
from tests.e2e.world import ROOT, docker, wait_until
from tests.s3.store import CREDENTIALS, REGION, Moto
from tests.unit.stack_files import raw

IMAGE = "ytempire-sandbox/postgres:15"
EDGE = ("edge", "live", "control")
SCHEDULER_IMAGE = "ytempire/scheduler:0.1.0"
BY_HAND, SCHEDULED = "by hand", "scheduled"
LIVE_RELEASE = "1.0.0+aaaaaaaaaaaa"
DATA_TMPFS = f"{DATA}:size=1536m,mode=0700,uid=999,gid=999"
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
    """A stack of which only the database runs. `way`: who makes its backups."""

    place: Place
    moto: Moto
    settings: Settings
    way: str

    def does(self, task: str, **changes: Any) -> tuple[int, str]:
        """Exit code and what was said, by these settings but for `changes` of their groups."""
        groups = {
            group: getattr(self.settings, group).model_copy(update=values)
            for group, values in changes.items()
        }
        settings = self.settings.model_copy(update=groups)
        return (
            self._inside(task, settings) if self.way == SCHEDULED else self._by_hand(task, settings)
        )

    def _by_hand(self, task: str, settings: Settings) -> tuple[int, str]:
        verbs = {"dump": verb.run, "verify": verb.verify, "prune": verb.prune}
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said):
            patch.setattr(verb, "settings_of", lambda place: settings)
            try:
                return verbs[task](self.place), said.getvalue()
            except OpsError as error:
                return code_of(error), f"{said.getvalue()}{error}"

    def _inside(self, task: str, settings: Settings) -> tuple[int, str]:
        name = self.place.names.scheduler
        self.tell(settings)
        done = subprocess.run(
            ["docker", "exec", name, "python3", "-m", "ops.scheduler", task],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        )  # fmt: skip
        return done.returncode, done.stdout

    def tell(self, settings: Settings) -> None:
        """The scheduler's configuration."""
        write = ("sh", "-c", f"cat >{CONFIG}/new && mv {CONFIG}/new {CONFIG}/{FILE}")
        # Nothing receives the database's log here.
        config = SchedulerConfig.of(settings).model_copy(update={"wal": False})
        docker("exec", "--interactive", self.place.names.scheduler, *write, stdin=config.text)

    @property
    def bucket(self) -> str:
        return self.settings.backups.bucket

    @property
    def s3(self) -> Any:
        return self.moto.client("s3")

    def objects(self) -> list[str]:
        return sorted(
            o["Key"] for o in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        )

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

    def on_drive(self, drive: str, script: str) -> str:
        """As root, and as if the volume were a disk: under a listing's nose."""
        volume = self.place.names.volume(drive)
        return docker(
            "run", "--rm", "--user", "0:0", "--network", "none", "--entrypoint", "sh",
            "--volume", f"{volume}:/drive", "--workdir", "/drive", IMAGE, "-c", script,
        )  # fmt: skip


def _site(moto: Moto, checkout: Path, way: str) -> Site:
    """A checkout as the verbs find it, with the key of a backup that nobody else has."""
    secret, public = packing.new_key()
    stack = f"bk{os.getpid()}{way[:1]}"
    own = {
        "postgresImage": IMAGE,
        "backupBucket": f"backups-{stack}",
        "backupRegion": REGION,
        "backupEndpoint": moto.address,
        "backupRecipients": json.dumps([public]),
        "backupKeys": json.dumps(
            {identity: {"id": "testing", "secret": "testing"} for identity in Identity}
        ),
    }
    (checkout / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    lines = [f"  ytempire:{key}: {value}\n" for key, value in own.items()]
    (checkout / f"Pulumi.{stack}.yaml").write_text("config:\n" + "".join(lines))
    secrets = {"backupIdentity": secret, "postgresPassword": PASSWORD}
    settings = load(stack, {**raw("sandbox"), "version": "1.0.0", **own, **secrets})
    return Site(Place(checkout, stack), moto, settings, way)


@contextmanager
def standing(moto: Moto, checkout: Path, way: str) -> Iterator[Site]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        found = _site(moto, checkout, way)
        patch.setattr(verb, "settings_of", lambda place: found.settings)
        patch.setattr(verb, "_live", lambda place: LIVE_RELEASE)
        moto.client("s3").create_bucket(
            Bucket=found.bucket,
            CreateBucketConfiguration={"LocationConstraint": REGION},
            ObjectLockEnabledForBucket=True,
        )
        try:
            _start_database(found.place)
            yield found
        finally:
            _remove(found.place)


def start_scheduler(site: Site, network: str, command: Sequence[str]) -> None:
    """network: on which it reaches the bucket."""
    run_scheduler(site.place, site.settings, command)
    docker("network", "connect", network, site.place.names.scheduler)
    live = f"echo {LIVE_RELEASE} >{LIVE}/release"
    docker("exec", site.place.names.scheduler, "sh", "-c", live)


def run_scheduler(place: Place, settings: Settings, command: Sequence[str], *volumes: str) -> None:
    """Its container, with its mounts and further `volumes`."""
    names, kept = place.names, settings.backups.drives
    drives.run(Drives(image=IMAGE, user="999:999", stack=names.stack, drives=kept), print)
    mounts = [
        *volumes,
        f"{names.volume(lock.VOLUME)}:{LOCK}",
        *(f"{names.volume(d)}:{drive_path(n)}" for n, d in enumerate(kept)),
    ]
    folders = ["/run", CONFIG, *(f"{FILES}/{part}" for part in ("media", *EDGE))]
    docker(
        "run", "--detach", "--init", "--name", names.scheduler, *HARDENED, "--user", "999:999",
        "--network", names.network("data"), "--tmpfs", DATA_TMPFS,
        *(word for path in folders for word in ("--tmpfs", f"{path}:mode=1777,uid=999,gid=999")),
        *(word for mount in mounts for word in ("--volume", mount)),
        "--entrypoint", command[0], SCHEDULER_IMAGE, *command[1:],
    )  # fmt: skip


def _start_database(place: Place) -> None:
    docker("network", "create", "--internal", place.names.network("data"))
    docker(
        "run", "--detach", "--name", place.names.postgres, "--tmpfs", "/tmp",
        "--network", place.names.network("data"), "--env", f"POSTGRES_PASSWORD={PASSWORD}",
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
    names = place.names
    docker("rm", "--force", "--volumes", names.postgres, names.part("backup"), names.scheduler)
    docker("network", "rm", place.names.network("data"), check=False)
    for kept in ("drive1", "drive2", lock.VOLUME):
        docker("volume", "rm", "--force", place.names.volume(kept), check=False)
