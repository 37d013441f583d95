"""A stack of which only the database runs, and its backups: made by hand, or by a scheduler's
container."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ops.backup import lock
from ops.errors import OpsError
from ops.steps import drives
from ops.steps._one_shot import HARDENED
from ops.verbs import backup as verb
from ops.verbs._exit import code_of
from ops.verbs._place import Place
from rollout.bucket_policies import Identity
from rollout.scheduler import CONFIG, DATA, FILE, FILES, LIVE, LOCK, SchedulerConfig
from rollout.scheduler import drive as drive_path
from rollout.settings import Settings
from rollout.steps import Drives
from tests.e2e.world import docker
from tests.s3 import site
from tests.s3.site import IMAGE, LIVE_RELEASE
from tests.s3.store import Moto

EDGE = ("edge", "live", "control")
SCHEDULER_IMAGE = "ytempire/scheduler:0.1.0"
BY_HAND, SCHEDULED = "by hand", "scheduled"
DATA_TMPFS = f"{DATA}:size=1536m,mode=0700,uid=999,gid=999"


@dataclass
class Site(site.Site):
    """`way`: who makes its backups."""

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


@contextmanager
def standing(moto: Moto, checkout: Path, way: str) -> Iterator[Site]:
    keys = {identity: {"id": "testing", "secret": "testing"} for identity in Identity}
    stack = f"bk{way[:1]}"
    place, settings = site.made(moto, checkout, stack, backupKeys=json.dumps(keys))
    found = Site(place, moto, settings, way)
    with site.found_by(found, verb), site.database(found):
        yield found


def start_scheduler(stack: Site, network: str, command: Sequence[str]) -> None:
    """network: on which it reaches the bucket."""
    run_scheduler(stack.place, stack.settings, command)
    docker("network", "connect", network, stack.place.names.scheduler)
    live = f"echo {LIVE_RELEASE} >{LIVE}/release"
    docker("exec", stack.place.names.scheduler, "sh", "-c", live)


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
