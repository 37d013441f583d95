"""Finds a Docker engine, or installs and starts Debian's.

Where systemd runs, it starts and owns the engine. Elsewhere (a container, a chroot, a CI machine)
we start `dockerd` by hand, note that we did, and `stop` ends that one and no other.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from toolchain import places, shell
from toolchain.errors import ToolchainError, UnmetError

PACKAGES = ("docker.io", "iptables")
START_SECONDS = 60.0
STOP_SECONDS = 60.0

# Containers outlive a restart of the engine, and no log fills the disk.
FLAGS = (
    "--live-restore",
    "--log-driver=json-file",
    "--log-opt=max-size=10m",
    "--log-opt=max-file=3",
)


@dataclass(frozen=True)
class Started:
    """The engine that we started; a process is told from a later one of the same number."""

    pid: int
    born: str

    def save(self) -> None:
        """Write it beside the log."""
        record().write_text(json.dumps(asdict(self)))

    def alive(self) -> bool:
        """Whether that very process still runs."""
        return birth(self.pid) == self.born


def record() -> Path:
    """Where the engine that we started is noted."""
    return places.state_root() / "dockerd.json"


def log_file() -> Path:
    """Where the engine that we started writes."""
    return places.state_root() / "dockerd.log"


def ensure() -> str:
    """Have an engine that answers."""
    if version := answers():
        return f"running engine {version}"
    refuse_foreign_host()
    refuse_other_platforms()
    if os.geteuid() != 0:
        raise UnmetError(
            "No Docker engine answers, and starting one needs root.",
            remedy="sudo python3 -m toolchain engine",
        )
    installed = "" if shutil.which("dockerd") else install()
    how = start_with_systemd() if Path("/run/systemd/system").is_dir() else start_by_hand()
    return f"{installed}{how}"


def answers() -> str | None:
    """The version of the engine that DOCKER_HOST or the usual socket leads to."""
    if shutil.which("docker") is None:
        return None
    found = shell.capture(["docker", "info", "--format", "{{.ServerVersion}}"])
    return found.strip() if found and found.strip() else None


def refuse_foreign_host() -> None:
    """A host that was chosen on purpose is not replaced by one of ours."""
    if host := os.environ.get("DOCKER_HOST"):
        raise UnmetError(
            f"DOCKER_HOST is {host}, and no Docker engine answers there.",
            remedy="start that engine, or: unset DOCKER_HOST",
        )


def refuse_other_platforms() -> None:
    """Only Debian's packages are installed from here."""
    if places.system()[0] != "linux":
        raise UnmetError(
            "No Docker engine answers.", remedy="start Docker Desktop, then set up again"
        )
    if shutil.which("dockerd") is None and shutil.which("apt-get") is None:
        raise UnmetError(
            "No Docker engine answers, and this is not Debian: it can't be installed from here.",
            remedy="install Docker by your distribution's means, then python3 -m toolchain setup",
        )


def install() -> str:
    """Install Debian's engine."""
    log = places.cache_root() / "logs" / "docker-install.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    shell.run(["apt-get", "update"], label="apt-get update", log=log, env=quiet)
    shell.run(command, label="installing docker.io", log=log, env=quiet)
    return "docker.io installed, "


def start_with_systemd() -> str:
    """Let systemd start the engine; it is then the system's, not ours to stop."""
    shell.run(
        ["systemctl", "start", "docker"], label="systemctl start docker",
        log=places.cache_root() / "logs" / "docker-install.log",
        remedy="journalctl -u docker",
    )  # fmt: skip
    version = wait_for_answer(lambda: True, "journalctl -u docker")
    return f"engine {version} started by systemd"


def start_by_hand() -> str:
    """Start dockerd in a session of its own, so that it outlives this program."""
    places.state_root().mkdir(parents=True, exist_ok=True)
    with log_file().open("ab") as log:
        child = subprocess.Popen(
            ["dockerd", *FLAGS], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    Started(child.pid, birth(child.pid) or "").save()
    version = wait_for_answer(lambda: child.poll() is None, f"less {log_file()}")
    return f"engine {version} started by hand (process {child.pid}, log {log_file()})"


def wait_for_answer(alive: Callable[[], bool], remedy: str) -> str:
    """Wait until the engine answers; its last words if it doesn't."""
    deadline = time.monotonic() + START_SECONDS
    while alive() and time.monotonic() < deadline:
        if version := answers():
            return version
        time.sleep(0.25)
    raise ToolchainError(
        f"The Docker engine did not start:\n{shell.tail(log_file())}",
        log=log_file(), remedy=remedy,
    )  # fmt: skip


def birth(pid: int) -> str | None:
    """When a process began, in the kernel's ticks; None for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # State is the first field after the name, and starttime the twentieth (proc(5)).
    return None if fields[0] == "Z" else fields[19]


def stop() -> str:
    """End the engine that we started, if it is still that one."""
    if not record().exists():
        return "no engine was started by this program; none was stopped"
    engine = Started(**json.loads(record().read_text()))
    if not engine.alive():
        record().unlink()
        return "the engine that this program started is gone already"
    os.kill(engine.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while engine.alive():
        if time.monotonic() > deadline:
            raise ToolchainError(
                f"dockerd (process {engine.pid}) did not end within {STOP_SECONDS:.0f} seconds.",
                log=log_file(), remedy=f"kill -KILL {engine.pid}",
            )  # fmt: skip
        time.sleep(0.1)
    record().unlink()
    return f"engine stopped (process {engine.pid}); its containers run on without it"
