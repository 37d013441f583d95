"""A job's shell and its scratch server beside this process: as the scheduler's container has them,
where a job by hand has containers on the host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ops.backup.shell import Shell, close
from ops.backup.trial import LONG_SECONDS
from ops.docker import ANSWER_SECONDS, Answer, Say
from ops.errors import OpsError
from ops.rehearsal import scratch
from rollout.postgres import hba
from rollout.settings import REPLICATION_USER, Postgres

DATA = scratch.DATA
SOCKET = scratch.SETTINGS["unix_socket_directories"]
BOOT_SECONDS = 60
POLL_SECONDS = 0.2
MEMORY_MB = 512  # what it is told that it has

# What a killed job left may still run.
CLEAR = f"""
pg_ctl --pgdata {DATA}/cluster --mode immediate --silent stop 2>/dev/null
pg_ctl --pgdata {DATA} --mode immediate --silent stop 2>/dev/null
mkdir -p {SOCKET}
exec find {DATA} -mindepth 1 -delete
"""
SIZE = 'exec psql -X -qAt -c "SELECT pg_database_size(current_database())"'


class LocalShell(Shell):
    """In the container that this process runs in. Nothing of this process' environment reaches a
    script but what every program needs."""

    KEPT = ("PATH", "LANG", "TMPDIR")

    def __init__(self, **variables: str) -> None:
        self._own = variables

    @property
    def where(self) -> str:
        return "the host"

    def run(
        self,
        script: str,
        *words: str,
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> Answer:
        process = self.spawn(
            script, *words, stdin=stdin is not None, errors=subprocess.PIPE, variables=variables
        )
        try:
            out, error = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            raise OpsError(f"a command was not over after {timeout:.0f} s") from None
        finally:
            close(process)
        return Answer(
            process.returncode, out.decode(errors="replace"), error.decode(errors="replace")
        )

    def spawn(
        self,
        script: str,
        *words: str,
        stdin: bool,
        errors: int,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        kept = {name: os.environ[name] for name in self.KEPT if name in os.environ}
        return subprocess.Popen(
            ["sh", "-c", script, *words],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**kept, **self._own, **(variables or {})},
            start_new_session=True,
        )


@dataclass
class LocalTrial:
    """Beside this process. `live`: the variables of a client of the live database."""

    settings: Postgres
    live: dict[str, str]
    name: str = "the scratch server"
    shell: Shell = field(default_factory=LocalShell)
    _server: subprocess.Popen[bytes] | None = None

    @property
    def client(self) -> dict[str, str]:
        return scratch.client(self.settings)

    @contextmanager
    def standing(self, say: Say) -> Iterator[None]:
        self.shell.must(CLEAR)
        scratch.require_room("the host", self._live_size(), shutil.disk_usage(DATA).free)
        own = {
            "PGDATA": DATA,
            "SCRATCH_USER": self.settings.user,
            "SCRATCH_PASSWORD": scratch.made_up(),
            "SCRATCH_CONF": scratch.conf(self.settings, MEMORY_MB, listen_addresses=""),
            "SCRATCH_HBA": hba(self.settings, "127.0.0.1/32", REPLICATION_USER),
        }
        self._server = self.shell.spawn(
            f"exec >/tmp/trial 2>&1\n{scratch.START_POSTGRES}",
            stdin=False, errors=subprocess.DEVNULL, variables=own,
        )  # fmt: skip
        try:
            self._await()
            yield
        finally:
            self.shell.run(CLEAR, timeout=LONG_SECONDS)
            close(self._server)

    @contextmanager
    def bare(self, say: Say) -> Iterator[str]:
        self.shell.must(CLEAR)
        scratch.require_room("the host", self._live_size(), shutil.disk_usage(DATA).free)
        try:
            yield DATA
        finally:
            self.shell.run(CLEAR, timeout=LONG_SECONDS)

    def run(self, script: str, stdin: bytes | None = None) -> Answer:
        return self.shell.run(script, stdin=stdin, variables=self.client, timeout=LONG_SECONDS)

    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def _await(self) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while self.run("exec pg_isready -q").code:
            if not self.is_running() or time.monotonic() > deadline:
                said = self.shell.run(f"tail -qn 3 /tmp/trial {scratch.LOG}").out.strip()
                raise OpsError(f"PostgreSQL does not start beside the job: {said}")
            time.sleep(POLL_SECONDS)

    def _live_size(self) -> int:
        answer = self.shell.run(SIZE, variables=self.live)
        return int(answer.out.strip() or 0) if answer.code == 0 else 0
