"""Where a drill takes place: a stack of its own in a folder of its own, with secrets made up for
it, and nothing left of either afterwards.

The folder is a checkout in small: the program by link, a stack file, the state. A volume on the
host is the drill's name plate: who made it has the drill, and a killed one's rest is found by it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ops import file_backend
from ops.docker import Docker, Say
from ops.errors import OpsError
from ops.stackfile import PROJECT, PROJECT_FILE, VERSION, StackFile
from ops.verbs import _ports as ports
from ops.verbs._exit import Misused, Refused
from ops.verbs._place import Place
from ops.verbs._pulumi_lock import PulumiLock, exists, read
from ops.verbs._run import Run
from rollout.drills import STACK, configuration
from rollout.names import PART_LABEL, STACK_LABEL, Names
from rollout.settings import Settings

PART = "drill"
OWNER_LABEL = "ytempire.drill"
FOLDER_LABEL = "ytempire.drill.folder"
PREFIX = "ytempire-drill-"
# What the program is made of, beside its project file.
PROGRAM = ("__main__.py", "components", "ops", "rollout", "policies", ".venv")
MADE_UP = ("fingerprintKey", "postgresPassword", "postgresReplicationPassword", "redisPassword")
ENGINE_SECONDS = 60  # an interrupted engine ends its step first
NAMES = Names(STACK)
PLATE = NAMES.volume(PART)


@dataclass
class Site:
    """A drill's stack while it stands. `kept`: it stays when the drill is over."""

    place: Place
    run: Run = field(repr=False)
    kept: bool = False
    begun: bool = False

    def begin(self, drilled: Place, settings: Settings, host: str) -> None:
        """The stack file and the stack, with secrets of its own."""
        root, folder = drilled.root, self.place.root
        shutil.copy(root / PROJECT_FILE, folder)
        for name in PROGRAM:
            (folder / name).symlink_to(root / name)
        values = configuration(drilled.file.values(), StackFile(root, STACK).values())
        _write(folder / f"Pulumi.{STACK}.yaml", {**values, VERSION: "", "dockerHost": host})
        _require_port(self.place)
        engine = self.run.engine
        engine.check()
        engine.begin()
        for key in (*MADE_UP, *(f"backendSecrets.{name}" for name in settings.backend.secrets)):
            engine.keep_secret(key, secrets.token_hex(32))
        self.begun = True

    def up(self, version: str) -> None:
        """`pulumi up`; without a version, everything but a release. Raises Failed."""
        self.place.file.set(VERSION, version)
        self.run.update()


@contextmanager
def standing(docker: Docker, owner: PulumiLock, say: Say) -> Iterator[Site]:
    """Ours from here, and gone afterwards, however it ends, unless it is kept."""
    make_room(docker, say)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    _claim(docker, owner, folder)
    site = _site(folder)
    try:
        yield site
    finally:
        if not site.kept:
            _take_away(docker, site, say)
            shutil.rmtree(folder, ignore_errors=True)


def make_room(docker: Docker, say: Say, *, certain: bool = False) -> bool:
    """Remove what an earlier drill left, and say so; whether there was anything. Raises Refused
    while its owner may be at it; `certain`: the asker knows that an owner elsewhere is gone."""
    labels = _plate(docker)
    if labels is None and not any(_left(docker).values()):
        return False
    owner = PulumiLock.of_label((labels or {}).get(OWNER_LABEL, ""))
    state = owner.owner() if owner else "dead"
    if owner and (state == "alive" or (state == "elsewhere" and not certain)):
        raise Refused(_under_way(owner, docker.host))
    folder = Path((labels or {}).get(FOLDER_LABEL, ""))
    # The host's word alone deletes nothing here but a drill's folder, where drills have theirs.
    known = folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith(PREFIX)
    if known:
        _end_engine(folder, say)
    remove(docker)
    if known:
        shutil.rmtree(folder, ignore_errors=True)
    say(f"An earlier drill{f' by {owner}' if owner else ''} was left standing: it is removed")
    return True


def remove(docker: Docker) -> None:
    """Everything that has the drill's label, and what a step that was under way still made of it;
    the plate last."""
    while any((left := _left(docker)).values()):
        for command, names in left.items():
            if names:
                docker.call(*command, *names)
    docker.call("volume", "rm", "--force", PLATE)


def _left(docker: Docker) -> dict[tuple[str, ...], list[str]]:
    mine = ("--filter", f"label={STACK_LABEL}={STACK}")
    volumes = docker.call("volume", "ls", "--quiet", *mine).out.split()
    return {
        ("rm", "--force", "--volumes"): docker.call("ps", "--all", "--quiet", *mine).out.split(),
        ("network", "rm"): docker.call("network", "ls", "--quiet", *mine).out.split(),
        ("volume", "rm", "--force"): [volume for volume in volumes if volume != PLATE],
    }


# The plate


def _plate(docker: Docker) -> dict[str, str] | None:
    answer = docker.call("volume", "inspect", PLATE, "--format", "{{json .Labels}}", check=False)
    return (json.loads(answer.out) or {}) if answer.code == 0 else None


def _claim(docker: Docker, owner: PulumiLock, folder: Path) -> None:
    """A volume that is there already stays as it is: of two that come at once, one has it."""
    labels = {
        STACK_LABEL: STACK,
        PART_LABEL: PART,
        OWNER_LABEL: owner.label,
        FOLDER_LABEL: str(folder),
    }
    words = [word for pair in labels.items() for word in ("--label", "=".join(pair))]
    docker.call("volume", "create", *words, PLATE)
    found = _plate(docker) or {}
    if found.get(FOLDER_LABEL) != str(folder):
        shutil.rmtree(folder, ignore_errors=True)
        other = PulumiLock.of_label(found.get(OWNER_LABEL, ""))
        raise Refused(_under_way(other, docker.host))


def _under_way(owner: PulumiLock | None, host: str) -> str:
    return (
        f"A drill is under way on {host}, by {owner or 'nobody knows whom'}.\nNext: wait for it; "
        "when its owner is known to be gone, `ytops drill --remove`, then this again."
    )


# The stack


def _site(folder: Path) -> Site:
    """Its state is in its folder: nobody else's is locked by a drill, or knows of it."""
    (folder / "state").mkdir()
    place = Place(folder, STACK)
    variables = {
        "PULUMI_BACKEND_URL": file_backend.address(folder / "state"),
        "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(32),
    }
    return Site(place, Run(place, "ytops drill", yes=True, extra=variables, quiet=True))


def _require_port(place: Place) -> None:
    """Of a host across the network its engine says so, when nginx is created."""
    address, port = (place.configuration.get(key) for key in ("edgeBindAddress", "edgeHttpPort"))
    if place.docker.host.startswith(ports.LOCAL) and ports.in_use(address, int(port)):
        who = ports.owner(place.docker, int(port))
        raise Misused(
            f"Port {port} of {address} is in use{f' by {who}' if who else ''}, and the drill's "
            f"edge wants it.\nNext: another edgeHttpPort in Pulumi.{STACK}.yaml, or end what "
            "listens there; then this again."
        )


def _write(path: Path, values: Mapping[str, Any]) -> None:
    config = {f"{PROJECT}:{key}": value for key, value in values.items()}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.safe_dump({"config": config}, file, sort_keys=False)


# The end


def _take_away(docker: Docker, site: Site, say: Say) -> None:
    """As anyone would, by `pulumi destroy`; what that leaves, by its label."""
    if site.begun:
        try:
            site.run.destroy()
        except OpsError as error:
            say(f"`pulumi destroy` did not end well, so the rest goes by its label: {error}")
    remove(docker)


def _end_engine(folder: Path, say: Say) -> None:
    """A killed drill's engine goes on: it would make anew what is removed."""
    for lock in read(file_backend.address(folder / "state"), PROJECT, STACK) or []:
        if lock.owner() != "alive":
            continue
        say(f"Its engine still runs (process {lock.pid}): it is told to end")
        with suppress(ProcessLookupError):
            os.kill(lock.pid, signal.SIGINT)
        deadline = time.monotonic() + ENGINE_SECONDS
        while exists(lock.pid) and lock.owner() == "alive":
            if time.monotonic() > deadline:
                raise Refused(
                    f"The engine of an earlier drill does not end: {lock}.\n"
                    f"Next: `kill {lock.pid}`, then this again."
                )
            time.sleep(0.2)
