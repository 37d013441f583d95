"""Debian packages that only the end-to-end tests need: the other end of an ssh connection, and a
network outside the host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolchain import places, shell
from toolchain.errors import UnmetError

SSHD = Path("/usr/sbin/sshd")
PACKAGES = ("openssh-server", "openssh-client", "iproute2")


def ensure() -> str:
    """Have an sshd to start on loopback, and `ip`. The tests start them; nothing here does."""
    if SSHD.exists() and shutil.which("ip"):
        return "sshd and ip are there"
    command = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnmetError(
            "The end-to-end tests need sshd and ip.", remedy="sudo " + " ".join(command)
        )
    log = places.cache_root() / "logs" / "packages.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    shell.run(["apt-get", "update"], label="apt-get update", log=log, env=quiet)
    shell.run(command, label="installing openssh-server and iproute2", log=log, env=quiet)
    return "openssh-server and iproute2 installed"
