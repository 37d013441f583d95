"""Debian packages that only the end-to-end tests need: the other end of an ssh connection."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolchain import places, shell
from toolchain.errors import UnmetError

SSHD = Path("/usr/sbin/sshd")
PACKAGES = ("openssh-server", "openssh-client")


def ensure() -> str:
    """Have an sshd to start on loopback. The tests start it; nothing here does."""
    if SSHD.exists():
        return "sshd is there"
    command = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnmetError("The ssh tests need sshd.", remedy="sudo " + " ".join(command))
    log = places.cache_root() / "logs" / "packages.log"
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    shell.run(["apt-get", "update"], label="apt-get update", log=log, env=quiet)
    shell.run(command, label="installing openssh-server", log=log, env=quiet)
    return "openssh-server installed"
