"""The helper: one container on the host that the job's commands run in, with the drives.

It stands on the database's own image, so that its programs are of the server's version. A job holds
the lock (ops/backup/lock.py). It ends with whoever started it: what it waits for is our end of a
pipe.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

from ops.backup import lock
from ops.backup.shell import ContainerShell, close
from ops.docker import Docker, Say
from ops.errors import OpsError
from ops.steps._one_shot import HARDENED
from ops.steps._volume import give
from ops.verbs._exit import Refused
from ops.verbs._pulumi_lock import PulumiLock
from rollout.names import PART_LABEL, STACK_LABEL, Names
from rollout.scheduler import CPU_SHARES

PART = "backup"
WAL_LOCK = "backup-wal"  # the log does not wait for a dump
OWNER_LABEL = "ytempire.backup"
USER = "postgres"  # the image's own
MEMORY_MB = 512
DRIVES = "/drives"
WAL = "/wal"
START_SECONDS = 30


@dataclass(frozen=True)
class DriveArgs:
    """A folder of the host, by its path, or a volume of the stack."""

    name: str

    @property
    def is_path(self) -> bool:
        return self.name.startswith("/")

    def source(self, names: Names) -> str:
        return self.name if self.is_path else names.volume(self.name)


class Helper(ContainerShell):
    """The container, while it stands. `lost`: the drives that it has not, and why."""

    def __init__(
        self, docker: Docker, container: str, drives: dict[str, str], lost: dict[str, str]
    ) -> None:
        super().__init__(docker, container)
        self.drives = drives
        self.lost = lost


@dataclass(frozen=True)
class HostArgs:
    """How the helper stands. image: the live database's. owner: whose job it is; without one it
    only looks, beside a job if need be, and can't write. network: one that reaches the database.
    lock: jobs of one lock never run at once. wal: with the volume of the log's receiver."""

    image: str
    owner: PulumiLock | None = None
    say: Say = print
    network: str = "none"
    lock: str = PART
    wal: bool = False

    def container(self, names: Names) -> str:
        return names.part(self.lock) if self.owner else names.part(PART, "look", token_hex(3))

    @property
    def labels(self) -> dict[str, str]:
        return {OWNER_LABEL: self.owner.label} if self.owner else {}


@contextmanager
def helper(
    docker: Docker, names: Names, drives: tuple[DriveArgs, ...], host: HostArgs
) -> Iterator[Helper]:
    """Ours from here. Raises Refused while another job has it."""
    container = host.container(names)
    if host.owner:
        _make_room(docker, container, names.stack, host.say)
    found, lost = _create(docker, names, container, drives, host)
    with attached(docker, container):
        standing = Helper(docker, container, found, lost)
        if host.owner is None:
            yield standing
            return
        if standing.run('[ -w "$0" ]', lock.FOLDER).code:
            give(docker, host.image, names.volume(lock.VOLUME), USER)
        with lock.held(standing, host.lock, names, host.owner):
            for drive in drives:
                if drive.name in found:
                    _own(standing, drive, host.image, names)
            yield standing


@contextmanager
def attached(docker: Docker, container: str) -> Iterator[None]:
    """A container that was created to run `cat`, while it runs: it ends with us, however we end."""
    process = docker.spawn(["start", "--attach", "--interactive", container], True, subprocess.PIPE)
    try:
        _await(docker, container)
        yield
    finally:
        docker.remove(container)
        close(process)


def _make_room(docker: Docker, container: str, stack: str, say: Say) -> None:
    found = docker.inspect(container)
    if found is None:
        return
    owner = PulumiLock.of_label(found.label(OWNER_LABEL))
    if found.running and (owner is None or owner.owner() != "dead"):
        raise Refused(
            f"A backup or restore of {stack} is under way, by {owner or 'nobody knows whom'}.\n"
            f"Next: wait for it; when it is known to be gone, on {docker.host}: "
            f"`docker rm --force {container}`, then this again."
        )
    docker.remove(container)
    whose = f" by {owner}" if owner else ""
    say(f"An earlier backup or restore{whose} was cut off: its rest is removed")


def _create(
    docker: Docker,
    names: Names,
    container: str,
    drives: tuple[DriveArgs, ...],
    host: HostArgs,
) -> tuple[dict[str, str], dict[str, str]]:
    """The container, with the drives that are there. A folder that is not is lost, and no reason to
    do without a backup: Docker would make it on the system's own disk."""
    labels = {STACK_LABEL: names.stack, PART_LABEL: PART, **host.labels}
    at = {drive.name: f"{DRIVES}/{number}" for number, drive in enumerate(drives)}
    lost: dict[str, str] = {}
    _have_volume(docker, names, names.volume(lock.VOLUME), host)
    for drive in drives:
        if not drive.is_path and not _have_volume(docker, names, drive.source(names), host):
            lost[drive.name] = f"there is no volume {drive.source(names)}: no backup was made yet"
    while True:
        mounts = [
            f"type={'bind' if drive.is_path else 'volume'},src={drive.source(names)},"
            f"dst={at[drive.name]}{'' if host.owner else ',readonly'}"
            for drive in drives
            if drive.name not in lost
        ]
        if host.owner:
            mounts.append(f"type=volume,src={names.volume(lock.VOLUME)},dst={lock.FOLDER}")
        if host.wal:
            mounts.append(f"type=volume,src={names.volume('wal')},dst={WAL}")
        answer = docker.call(
            "create", "--rm", "--interactive", "--name", container, *HARDENED,
            "--memory", f"{MEMORY_MB}m", "--memory-swap", f"{MEMORY_MB}m",
            "--cpu-shares", str(CPU_SHARES), "--log-driver", "none", "--no-healthcheck",
            "--network", host.network, "--user", USER,
            *(word for pair in labels.items() for word in ("--label", "=".join(pair))),
            *(word for mount in mounts for word in ("--mount", mount)),
            "--entrypoint", "cat", host.image,
            check=False,
        )  # fmt: skip
        if answer.code == 0:
            return {name: path for name, path in at.items() if name not in lost}, lost
        gone = [d for d in drives if d.is_path and d.name not in lost and d.name in answer.words]
        if not gone:
            raise OpsError(f"The backup job can't start on {docker.host}: {answer.words}")
        lost |= {d.name: f"there is no folder {d.name} on {docker.host}" for d in gone}


def _have_volume(docker: Docker, names: Names, volume: str, host: HostArgs) -> bool:
    """A job makes it; whoever looks changes nothing."""
    if docker.call("volume", "inspect", volume, check=False).code == 0:
        return True
    if host.owner:
        make_volume(docker, names, volume)
    return host.owner is not None


def make_volume(docker: Docker, names: Names, volume: str) -> None:
    """One that is there stays as it is."""
    labels = (f"{STACK_LABEL}={names.stack}", f"{PART_LABEL}={PART}")
    docker.call("volume", "create", *(w for one in labels for w in ("--label", one)), volume)


def _await(docker: Docker, container: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        found = docker.inspect(container)
        if found and found.running:
            return
        if found is None or time.monotonic() > deadline:
            raise OpsError(f"{container} does not start on {docker.host}")
        time.sleep(0.05)


def _own(standing: Helper, drive: DriveArgs, image: str, names: Names) -> None:
    """A fresh volume is root's; a folder of the host is its owner's to give."""
    path = standing.drives[drive.name]
    if standing.run('[ -w "$0" ]', path).code == 0:
        return
    if not drive.is_path:
        give(standing.docker, image, drive.source(names), USER)
        return
    del standing.drives[drive.name]
    standing.lost[drive.name] = (
        f"{drive.name} is not writable for the database's user; on {standing.docker.host}: "
        f"`chown 999:999 {drive.name}`, when the drive is mounted there"
    )
