"""A source of a restore that is no backup: a server that was recovered to a moment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from ops.backup.opening import Heard, Watch
from ops.backup.packing import Identity, Writer
from ops.backup.place import Place
from ops.backup.recovery import Recovery
from ops.backup.trial import Trial
from ops.docker import Say
from ops.errors import OpsError
from ops.restore.source import Expected
from rollout.backups import Folder
from rollout.dumps import COUNT_ROWS
from rollout.recovery import Chain
from rollout.settings import Postgres

COUNT = "exec psql -X -qAt -v ON_ERROR_STOP=1"
SIZE = 'exec psql -X -qAt -c "SELECT pg_database_size(current_database())"'
GLOBALS = "exec pg_dumpall --globals-only"
DUMP = "exec pg_dump -Fc -Z0"


@dataclass(frozen=True)
class RecoveredSource:
    """`expected`, `size`: as they were counted in it."""

    trial: Trial
    place: str
    expected: Expected

    @property
    def size(self) -> int:
        return self.expected.bytes

    def roles(self) -> str:
        return _must(self.trial, GLOBALS)

    def dump(self, target: Writer, heard: Heard) -> None:
        with self.trial.shell.pipe(DUMP, gives=True, variables=self.trial.client) as pipe:
            answer = pipe.pour(target.write, heard)
        if answer.code:
            raise OpsError(f"The recovered database can't be dumped: {answer.out.strip()}")


@contextmanager
def recovered(
    trial: Trial,
    postgres: Postgres,
    at: Place,
    reach: Chain,
    moment: datetime,
    key: Identity,
    say: Say,
    watch: Watch,
) -> Iterator[RecoveredSource]:
    """While it stands. Nothing of it reaches the live database before it is a source."""
    with trial.bare(say) as folder:
        recovery = Recovery(trial.shell, folder, trial.client, postgres, key, watch)
        last = recovery.go(at, reach, moment)
        say(f"Recovered: the last transaction is of {last}" if last else "Recovered")
        yield RecoveredSource(trial, at.name, _expected(trial, reach, moment))


def _expected(trial: Trial, reach: Chain, moment: datetime) -> Expected:
    """What comes beside the live database has to be what was counted here."""
    counted = _must(trial, COUNT, COUNT_ROWS.encode())
    base = Folder.of(reach.base.series, reach.base.started)
    rows = {name: int(count) for _, name, count in map(json.loads, counted.splitlines())}
    return Expected(
        what=f"{base}, recovered to {moment:%Y-%m-%d %H:%M:%S} UTC",
        taken=moment,
        major=int(reach.base.tools["postgresql"].partition(".")[0]),
        rows=rows,
        bytes=int(_must(trial, SIZE)),
    )


def _must(trial: Trial, script: str, stdin: bytes | None = None) -> str:
    answer = trial.run(script, stdin=stdin)
    if answer.code:
        raise OpsError(f"The recovered database does not take a question: {answer.words}")
    return answer.out
