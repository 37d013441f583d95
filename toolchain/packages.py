"""Debian packages that only the tests need: the other end of an ssh connection, a network outside
the host, a clock that is wrong, what a runbook opens a backup with, and who judges alert rules."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from toolchain import places, shell
from toolchain.errors import UnmetError

SSHD = Path("/usr/sbin/sshd")
PACKAGES = ("openssh-server", "openssh-client", "iproute2", "libfaketime", "age", "zstd")
COMMANDS = ("ip", "age", "zstd")


def faketime() -> Path | None:
    """The library, wherever this machine's kind has it."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def promtool() -> Path:
    """Prometheus' own. Only taken out of its package: installed, that would start a server."""
    return places.cache_root() / "prometheus" / "usr" / "bin" / "promtool"


def ensure() -> str:
    """Have an sshd to start on loopback, libfaketime, the commands and promtool. The tests start
    them, nothing here does."""
    return f"{_installed()}; {_extracted()}"


def _extracted() -> str:
    if promtool().exists():
        return "promtool is there"
    if shutil.which("apt-get") is None:
        raise UnmetError(
            "The tests of the alert rules need promtool.",
            remedy=f"put it at {promtool()}: it comes with every release of Prometheus",
        )
    log = places.cache_root() / "logs" / "packages.log"
    promtool().parent.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        shell.run(["apt-get", "update"], label="apt-get update", log=log)
    with tempfile.TemporaryDirectory(dir=places.cache_root()) as folder:
        here = Path(folder)
        label = "apt-get download prometheus"
        shell.run(["apt-get", "download", "prometheus"], label=label, log=log, cwd=here)
        (package,) = here.glob("prometheus_*.deb")
        target = ["--extract", str(package), str(here / "prometheus")]
        shell.run(["dpkg-deb", *target], label="taking promtool out of it", log=log)
        (here / "prometheus" / "usr" / "bin" / "promtool").replace(promtool())
    return "promtool taken out of prometheus"


def _installed() -> str:
    if SSHD.exists() and all(map(shutil.which, COMMANDS)) and faketime():
        return f"sshd, libfaketime, {', '.join(COMMANDS)} are there"
    command = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnmetError(
            f"The tests need sshd, libfaketime, {', '.join(COMMANDS)}.",
            remedy="sudo " + " ".join(command),
        )
    log = places.cache_root() / "logs" / "packages.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    shell.run(["apt-get", "update"], label="apt-get update", log=log, env=quiet)
    shell.run(command, label=f"installing {', '.join(PACKAGES)}", log=log, env=quiet)
    return f"{', '.join(PACKAGES)} installed"
