"""Who is compared: the commands, as the users of each tool type them, and ours."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench import tool
from bench.backups.containers import DATABASE
from bench.backups.figures import Kind
from bench.backups.stand import OUT, Stand
from bench.tool import Task
from ops.docker import Docker
from ops.restore import swap
from ops.restore.server import MAINTENANCE, Server
from rollout.backups import DATABASE as DUMP
from rollout.names import Names
from rollout.scheduler import SchedulerConfig, drive

JOBS = 2
RESTORED = "restored"
COUNT = "SELECT count(*), sum(views) FROM analytics"
JOB = "exec python3 -m ops.scheduler"
# As a job of the scheduler and a restore say it.
STAGE = re.compile(r"^(\w+) in ([\d.]+) s: ", re.M)
PLAIN, SEALED = f"{OUT}/plain", f"{OUT}/sealed"
MANUAL, PARALLEL = f"{OUT}/manual.sql.gz", f"{OUT}/parallel.dump"
CLUSTER = f"{OUT}/cluster"
CIPHER = "PGBACKREST_REPO1_CIPHER_TYPE=aes-256-cbc PGBACKREST_REPO1_CIPHER_PASS=of-the-bench"
# A server that recovers has to allow as much as the one before, and nobody asks it meanwhile.
RECOVERING = (
    f"-c listen_addresses= -c unix_socket_directories={CLUSTER} -c archive_mode=off "
    "-c max_connections=200 -c hot_standby=off"
)


def _nothing(_: Stand) -> None:
    pass


@dataclass(frozen=True)
class Way:
    """One contender's backup, restore or check: a script in a container of the stand. `before` and
    `after` are not measured. `size`: a script that says how large the result is."""

    kind: Kind
    name: str
    script: str
    scheduled: bool = False
    before: Callable[[Stand], None] = _nothing
    after: Callable[[Stand], None] = _nothing
    size: str = "echo 0"
    on_host = False
    """Whether its own processes are outside all containers."""

    def task(self, stand: Stand) -> Task:
        return Task(["docker", "exec", self._at(stand), "sh", "-c", self.script], stand.folder)

    def result_bytes(self, stand: Stand) -> int:
        done = tool.run(Task(["docker", "exec", self._at(stand), "sh", "-c", self.size], tool.ROOT))
        return int(done.text)

    def stages(self, said: str) -> dict[str, float]:
        return {name: float(seconds) for name, seconds in STAGE.findall(said)}

    def _at(self, stand: Stand) -> str:
        return stand.scheduler if self.scheduled else stand.others


class Restoring(Way):
    """`ytops restore`, a program on this machine."""

    on_host = True

    def task(self, stand: Stand) -> Task:
        file = stand.folder / "restoring.json"
        file.touch(0o600)
        file.write_text(SchedulerConfig.of(stand.offline).text)
        program = [sys.executable, "-m", "bench.backups.restoring", str(file)]
        return Task(program, stand.folder, {"PYTHONPATH": str(tool.ROOT)})

    def stages(self, said: str) -> dict[str, float]:
        found: dict[str, float] = json.loads(said)
        return found


# Before and after


def _without_bucket(stand: Stand) -> None:
    stand.empty_store()
    stand.told(stand.offline)


def _with_bucket(stand: Stand) -> None:
    stand.empty_store()
    stand.told(stand.settings)


def _fresh(stand: Stand) -> None:
    stand.sql(f"DROP DATABASE IF EXISTS {RESTORED}", f"CREATE DATABASE {RESTORED}")


def _gone(stand: Stand) -> None:
    """What was restored is what was there."""
    if stand.sql(COUNT, database=RESTORED) != stand.sql(COUNT):
        raise tool.Failed("what was restored is not what was there")
    stand.sql(f"DROP DATABASE {RESTORED}")


def _back(stand: Stand) -> None:
    """The database that was filled is the live one again: the restored one was never vacuumed."""
    server = Server(Docker(), Names(stand.names.stack), DATABASE, stand.settings.postgres.image)
    (kept,) = swap.kept(server)
    if stand.sql(COUNT, database=kept.name) != stand.sql(COUNT):
        raise tool.Failed("what was restored is not what was there")
    stand.sql(
        f"DROP DATABASE {DATABASE} WITH (FORCE)",
        f"ALTER DATABASE {kept.name} RENAME TO {DATABASE}",
        f"ALTER DATABASE {DATABASE} RESET ALL",
        database=MAINTENANCE,
    )


def _cluster_gone(stand: Stand) -> None:
    ask = f"psql -X -qAt -h {CLUSTER} -U {stand.settings.postgres.user} -d {DATABASE}"
    end = f"pg_ctl --pgdata {CLUSTER} --mode immediate --silent stop; rm -rf {CLUSTER}"
    script = f"{ask} -c {shlex.quote(COUNT)}; {end}"
    found = tool.run(Task(["docker", "exec", stand.others, "sh", "-c", script], tool.ROOT)).text
    if found.strip() != stand.sql(COUNT):
        raise tool.Failed(f"what was restored is not what was there: {found}")


def _archiving(command: str) -> Callable[[Stand], None]:
    """The database's log goes where this command puts it."""

    def begin(stand: Stand) -> None:
        stand.sql(f"ALTER SYSTEM SET archive_command = '{command}'", "SELECT pg_reload_conf()")

    return begin


def _repository(command: str) -> Callable[[Stand], None]:
    """It is there, and the database's log goes to it."""

    def begin(stand: Stand) -> None:
        create = ["docker", "exec", stand.others, "sh", "-c", f"{command} stanza-create"]
        tool.run(Task(create, tool.ROOT))
        _archiving(f"{command} archive-push %p")(stand)

    return begin


def _pgbackrest(name: str, repository: str, variables: str = "") -> tuple[Way, ...]:
    """Backup, check and restore."""
    # The recovering server asks for the log by itself.
    known = f"export {variables}" if variables else ":"
    command = f"{variables} pgbackrest --repo1-path={repository}"
    recover = f"""
        set -e
        {known}
        rm -rf {CLUSTER} && mkdir -m 0700 {CLUSTER}
        {command} --pg1-path={CLUSTER} --type=immediate --target-action=promote restore
        pg_ctl --pgdata {CLUSTER} --silent --wait --log /tmp/log \\
            -o "{RECOVERING}" start
        until [ "$(psql -X -qAt -h {CLUSTER} -U {DATABASE} -d {DATABASE} \\
            -c 'SELECT pg_is_in_recovery()')" = f ]; do sleep 0.1; done
    """
    size = f"du -sb {repository}/backup | cut -f 1"
    return (
        Way(
            "backup",
            name,
            f"{command} --type=full backup",
            before=_repository(command),
            after=_archiving("/bin/true"),
            size=size,
        ),
        Way("verify", name, f"{command} verify"),
        Way("restore", name, recover, after=_cluster_gone),
    )


def ways() -> list[Way]:
    """In the order of a round: of each kind, and a restore after its backup."""
    login = f"-U {DATABASE}"
    job = f"find {drive(0)} -name {DUMP} -printf '%s'"
    load = f"pg_restore {login} --exit-on-error --jobs {JOBS} -d {RESTORED} {PARALLEL}"
    unpack = f"gunzip -c {MANUAL} | psql -X -q {login} -d {RESTORED} >/dev/null"
    found = [
        Way("backup", "dump", f"exec pg_dump {login} -Fc -Z0 {DATABASE} >/dev/null"),
        Way(
            "backup",
            "manual",
            f"pg_dump {login} {DATABASE} | gzip >{MANUAL}",
            size=f"stat -c %s {MANUAL}",
        ),
        Way("backup", "local", f"{JOB} dump", True, _without_bucket, size=job),
        Way("backup", "ytops", f"{JOB} dump", True, _with_bucket, size=job),
        Way("upload", "ytops", "exec python3 -m bench.backups.upload", True),
        Way("verify", "ytops", f"{JOB} verify", True),
        *_pgbackrest("pgbackrest", PLAIN),
        *_pgbackrest("sealed", SEALED, CIPHER),
        Way("restore", "manual", unpack, before=_fresh, after=_gone),
        Way("restore", "parallel", load, before=_fresh, after=_gone),
        Restoring("restore", "ytops", "", after=_back),
    ]
    return sorted(found, key=lambda way: way.kind == "restore")
