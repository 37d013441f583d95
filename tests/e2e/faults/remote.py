"""A host of its own for the faults that break a host: its engine, its disk, and the way to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.e2e.fault_proxy import FaultProxy
from tests.e2e.second_host import SecondHost
from tests.e2e.sshd import Sshd

# In the host's own network namespace: nobody else's.
SSH_PORT, PROXY_PORT, API_PORT = 18922, 18923, 18924
IMAGES = (
    "ytempire-sandbox/postgres:15",
    "ytempire-sandbox/redis:7",
    "ytempire-sandbox/nginx:1.22",
    "ytempire/ops:0.1.0",
    "ytempire/backend:1.0.0",
    "ytempire/backend:1.1.0",
)
DISK_MB = 3000


@dataclass
class Remote:
    """A second host behind sshd behind a proxy. Use as a context manager."""

    name: str
    folder: Path

    def __enter__(self) -> Remote:
        self.host = SecondHost(self.name, self.folder / "host", disk_mb=DISK_MB)
        self.proxy = FaultProxy(PROXY_PORT, SSH_PORT, API_PORT)
        self.sshd = Sshd(
            self.folder.with_name("ssh"),  # short: ssh makes a socket there
            SSH_PORT,
            through=PROXY_PORT,
            settings=f"SetEnv DOCKER_HOST={self.host.docker_host}\n",
        )
        self.host.__enter__()
        try:
            self.host.load_images(*IMAGES)
            with self.host.entered():
                self.sshd.__enter__()
                self.proxy.__enter__()
        except BaseException:
            self.host.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.proxy.__exit__(kind, error, trace)
        self.sshd.__exit__(kind, error, trace)
        self.host.__exit__(kind, error, trace)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """For a while, commands and loads that begin here are on that host's own network, and find
        the ssh that knows the way."""
        before = os.environ["PATH"]
        with self.host.entered():
            os.environ["PATH"] = self.sshd.path
            try:
                yield
            finally:
                os.environ["PATH"] = before
