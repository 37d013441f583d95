"""Debian packages that only the tests need: the other end of an ssh connection, a network outside
the host, a clock that is wrong, and what a runbook opens a backup with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolchain import places, shell
from toolchain.errors import UnmetError

SSHD = Path("/usr/sbin/sshd")
PACKAGES = ("openssh-server", "openssh-client", "iproute2", "libfaketime", "age", "zstd")
COMMANDS = ("ip", "age", "zstd")


def faketime() -> Path | None:
    """The library, wherever this machine's kind has it."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def ensure() -> str:
    """Have an sshd to start on loopback, libfaketime and the commands. The tests start them,
    nothing here does."""
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
