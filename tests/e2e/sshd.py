"""A real sshd on loopback: production's way to the host, with keys and files of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SSHD = "/usr/sbin/sshd"


@dataclass
class Sshd:
    """`with Sshd(folder, port) as sshd`: `sshd.host` is the Docker host, `sshd.path` goes first on
    PATH, because the programs under test call `ssh` with no options of ours."""

    folder: Path
    port: int
    through: int = 0
    """The port of a proxy in front of it; 0 for none."""
    settings: str = ""
    """More lines of sshd_config."""
    _sockets: tempfile.TemporaryDirectory[str] = field(init=False)
    """Of ssh's shared connections, which want a short path."""

    def __enter__(self) -> Sshd:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sockets = tempfile.TemporaryDirectory(prefix="ssh-", ignore_cleanup_errors=True)
        for name in ("host_key", "user_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)],
                check=True,
            )
        shutil.copy(self.folder / "user_key.pub", self.folder / "authorized_keys")
        Path("/run/sshd").mkdir(exist_ok=True)
        self._write()
        self._process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
            stderr=(self.folder / "sshd.log").open("w"),
        )
        self._await()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._sockets.cleanup()

    @property
    def host(self) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.through or self.port}"

    @property
    def path(self) -> str:
        return f"{self.folder / 'bin'}:{os.environ['PATH']}"

    def _write(self) -> None:
        folder = self.folder
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile {folder}/sshd.pid\n"
            "PasswordAuthentication no\nPermitRootLogin prohibit-password\nStrictModes no\n"
            f"UsePAM no\nMaxStartups 100\nMaxSessions 100\n{self.settings}"
        )
        public = (folder / "host_key.pub").read_text()
        (folder / "known_hosts").write_text(
            f"[127.0.0.1]:{self.port} {public}[127.0.0.1]:{self.through} {public}"
        )
        (folder / "ssh_config").write_text(
            f"IdentityFile {folder}/user_key\nIdentitiesOnly yes\n"
            f"UserKnownHostsFile {folder}/known_hosts\nStrictHostKeyChecking yes\n"
            f"ControlMaster auto\nControlPath {self._sockets.name}/%C\nControlPersist 60\n"
            "ServerAliveInterval 5\n"
        )
        wrapper = folder / "bin" / "ssh"
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {folder}/ssh_config "$@"\n')
        wrapper.chmod(0o755)

    def _await(self) -> None:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError((self.folder / "sshd.log").read_text())
