"""Containers of a stand: a scheduler's with this checkout's program, and what a database is filled
with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import tool
from ops.backup import lock
from ops.docker import Docker
from ops.steps import drives
from ops.steps._one_shot import HARDENED
from ops.steps._volume import give
from rollout import scheduler as inside
from rollout.names import Names
from rollout.scheduler import SchedulerConfig
from rollout.settings import Settings
from rollout.steps import Drives
from tests.e2e.world import docker

DATABASE = ROLE = "ytempire"
SCHEDULER_IMAGE = "ytempire/scheduler:0.1.0"
SCHEDULER_VOLUMES = ("drive1", "drive2", "trial", lock.VOLUME)
UID = "999:999"
ROWS = Path(__file__).with_name("rows.sql")
UNIT_MB = 109  # its units, measured
FILL_SECONDS = 3600


def run(
    names: Names,
    image: str,
    container: str,
    volumes: Mapping[str, str],
    arguments: Sequence[str],
    environment: Mapping[str, str],
) -> None:
    """One that goes on, with these volumes of the stack, its user's."""
    for volume in map(names.volume, volumes):
        if not docker("volume", "ls", "--quiet", "--filter", f"name=^{volume}$").strip():
            docker("volume", "create", volume)
            give(Docker(), image, volume, UID)
    mounts = [f"{names.volume(volume)}:{at}" for volume, at in volumes.items()]
    words = [word for mount in mounts for word in ("--volume", mount)]
    subprocess.run(
        ["docker", "run", "--detach", "--name", container, *words, *arguments],
        env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE,
    )  # fmt: skip


def start_scheduler(names: Names, settings: Settings, image: str, networks: Sequence[str]) -> None:
    """As the component declares it, but with this checkout's program, and without its timetable.
    image: any that has `chown`."""
    kept = settings.backups.drives
    drives.run(Drives(image=image, user=UID, stack=names.stack, drives=kept), lambda _: None)
    code = (f"{tool.ROOT / part}:/opt/ytempire/{part}:ro" for part in ("ops", "rollout", "bench"))
    limit = f"{settings.scheduler.memory}m"
    volumes = {
        "trial": inside.DATA,
        lock.VOLUME: inside.LOCK,
        **{drive: inside.drive(number) for number, drive in enumerate(kept)},
    }
    arguments = [
        "--init", *HARDENED, "--user", UID, "--shm-size", "256m", "--network", networks[0],
        "--memory", limit, "--memory-swap", limit, "--cpus", str(settings.scheduler.cpus),
        "--cpu-shares", str(inside.CPU_SHARES),
        *(w for at in ("/run", inside.CONFIG) for w in ("--tmpfs", f"{at}:mode=1777")),
        *(w for mount in code for w in ("--volume", mount)),
        "--entrypoint", "sleep", SCHEDULER_IMAGE, "infinity",
    ]  # fmt: skip
    run(names, image, names.scheduler, volumes, arguments, {})
    for network in networks[1:]:
        docker("network", "connect", network, names.scheduler)


def tell(names: Names, settings: Settings) -> None:
    """The scheduler's configuration. Nothing receives the database's log here."""
    config = SchedulerConfig.of(settings).model_copy(update={"wal": False})
    write = ("sh", "-c", f"cat >{inside.CONFIG}/{inside.FILE}")
    docker("exec", "--interactive", names.scheduler, *write, stdin=config.text)


def fill(container: str, gigabytes: float, schema: str = "public") -> None:
    """A database with so much of rows that look like the product's."""
    units = max(1, round(gigabytes * 1000 / UNIT_MB))
    psql = ["psql", "-X", "-q", "-U", ROLE, "-d", DATABASE, "-v", f"units={units}"]
    path = ["--env", f"PGOPTIONS=-c search_path={schema}"]
    subprocess.run(
        ["docker", "exec", "--interactive", *path, container, *psql],
        input=ROWS.read_bytes(), check=True, timeout=FILL_SECONDS, stdout=subprocess.PIPE,
    )  # fmt: skip
