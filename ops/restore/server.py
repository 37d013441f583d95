"""The live server, as its superuser: by the local socket, in its own container. The application's
role may only into its own database (rollout/postgres.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ops.backup.host import USER
from ops.backup.shell import LONG_SECONDS, ContainerShell, Pipe
from ops.docker import ANSWER_SECONDS, Answer, Docker
from ops.errors import OpsError
from ops.steps._volume import give
from rollout.names import Names
from rollout.postgres import beside
from rollout.restores import literal

# The database that is always there, whatever becomes of the others.
MAINTENANCE = "template1"
BACKUPS = "/backups"
# What is not one of the dumps that deploys keep there lies apart.
FOLDER = f"{BACKUPS}/.restore"
DUMP = f"{FOLDER}/database.dump"
CLIENT = 'export PGUSER="${POSTGRES_USER:-postgres}" PGAPPNAME=ytempire-restore; '
PSQL = f'{CLIENT}exec psql -X -qAt -v ON_ERROR_STOP=1 -d "$0"'

# Whoever asked is at the other end of our stdin: the work ends when they are gone. Nobody is left
# behind: the server's container would have to bury them.
TETHERED = """
exec 3<&0
{work} & work=$!
{{ read -r _ <&3; kill "$work"; }} 2>/dev/null & leash=$!
wait "$work"; code=$?
{{ kill "$leash"; wait "$leash"; }} 2>/dev/null
exit "$code"
"""


@dataclass(frozen=True)
class Server:
    """`database`: the live one's name. `image`: what the server runs."""

    docker: Docker
    names: Names
    database: str
    image: str

    @property
    def container(self) -> str:
        return self.names.postgres

    @property
    def beside(self) -> str:
        return beside(self.database)

    def sql(
        self, *statements: str, database: str = MAINTENANCE, timeout: float = ANSWER_SECONDS
    ) -> str:
        """One after the other, each by itself. Raises OpsError."""
        commands = " ".join(f'-c "${{{number}}}"' for number in range(1, len(statements) + 1))
        return self.must(f"{PSQL} {commands}", database, *statements, timeout=timeout).strip()

    def script(self, sql: str, database: str = MAINTENANCE, timeout: float = LONG_SECONDS) -> str:
        """Many statements, or what must not be seen in a list of processes. Raises OpsError."""
        return self.must(PSQL, database, stdin=sql.encode(), timeout=timeout)

    def must(
        self,
        script: str,
        *words: str,
        stdin: bytes | None = None,
        timeout: float = LONG_SECONDS,
    ) -> str:
        answer = self.run(script, *words, stdin=stdin, timeout=timeout)
        if answer.code:
            raise OpsError(f"{self.container} on {self.docker.host}: {answer.words}")
        return answer.out

    def run(
        self,
        script: str,
        *words: str,
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float = LONG_SECONDS,
    ) -> Answer:
        """A script in the container; `words` are $0, $1 …"""
        return self._shell.run(script, *words, stdin=stdin, variables=variables, timeout=timeout)

    def tethered(self, work: str, *words: str, tick: Callable[[], None]) -> Answer:
        """A long command, which ends with us."""
        script = CLIENT + TETHERED.format(work=work)
        with self.pipe(script, *words) as pipe:
            return pipe.follow(tick)

    @contextmanager
    def pipe(self, script: str, *words: str) -> Iterator[Pipe]:
        """A script that takes a file."""
        with self._shell.pipe(script, *words, gives=False) as pipe:
            yield pipe

    @contextmanager
    def giving(self, script: str, *words: str) -> Iterator[Pipe]:
        """A script that gives one."""
        with self._shell.pipe(script, *words, gives=True) as pipe:
            yield pipe

    @property
    def _shell(self) -> ContainerShell:
        return ContainerShell(self.docker, self.container)

    # What it is

    def require_answer(self) -> None:
        answer = self.run(f"{PSQL} -c 'SELECT 1'", MAINTENANCE, timeout=ANSWER_SECONDS)
        if answer.code:
            raise OpsError(
                f"PostgreSQL ({self.container} on {self.docker.host}) does not answer: "
                f"{answer.words}\nNothing was touched. Next: `docker logs {self.container}`"
            )

    @property
    def major(self) -> int:
        return int(self.sql("SHOW server_version_num")) // 10_000

    def databases(self) -> list[str]:
        return self.sql("SELECT datname FROM pg_database ORDER BY datname").splitlines()

    def size(self, database: str) -> int:
        """0 where there is none."""
        query = f"SELECT pg_database_size(oid) FROM pg_database WHERE datname = {literal(database)}"
        return int(self.sql(query) or 0)

    def free(self) -> tuple[int, int, bool]:
        """Bytes left where a dump is put, and where the databases are; whether that is one disk."""
        script = f'for at in {BACKUPS} "$PGDATA"; do stat -c %d "$at"; df -Pk "$at"; done'
        lines = self.must(script, timeout=ANSWER_SECONDS).splitlines()
        (one, _, dumps, other, _, data) = lines
        return _kilobytes(dumps), _kilobytes(data), one == other

    def own_folder(self) -> None:
        """A fresh volume is root's; the first deploy gives it away."""
        if self.run(f"[ -w {BACKUPS} ]").code:
            give(self.docker, self.image, self.names.volume("backups"), USER)


def _kilobytes(line: str) -> int:
    return 1024 * int(line.split()[3])
