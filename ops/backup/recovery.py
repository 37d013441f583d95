"""Recovery: a base backup is unpacked into a server of its own, which is fed with the log until it
has come to where it shall.

The server asks for what it needs, so that no more of the log lies on the disk than a few segments:
its restore command waits for what is on its way, and is told when nothing more comes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from ops.backup.opening import Damaged, Watch, opened, read, unwatched
from ops.backup.packing import Identity
from ops.backup.place import Place
from ops.backup.shell import LONG_SECONDS, Shell
from ops.errors import StepFailed
from ops.rehearsal.scratch import conf
from rollout.recovery import Chain
from rollout.settings import Postgres
from rollout.wal import SEGMENT_BYTES, Piece

POLL_SECONDS = 0.3
MEMORY_MB = 256
AHEAD = 16  # segments that wait for the server, 16 MB each

UNPACK = 'umask 0077; mkdir "$0/cluster" "$0/in" && exec tar -x -f - -C "$0/cluster"'
# Every file against the sums that the server made of it.
PROVE = 'exec pg_verifybackup --quiet "$0/cluster"'
START = """
umask 0077
printf '%s' "$CONF" >"$0/postgresql.conf"
printf 'local\\tall\\tall\\t\\ttrust\\n' >"$0/pg_hba.conf"
printf '%s' "$FETCH" >"$0/fetch"
: >"$0/log"
: >"$0/cluster/recovery.signal"
pg_ctl start --silent -W -D "$0/cluster" -l "$0/log" -o "-c config_file=$0/postgresql.conf"
for _ in $(seq 200); do  # until it can be asked for
    [ ! -s "$0/cluster/postmaster.pid" ] || exit 0
    sleep 0.1
done
exit 1
"""
# $1: where it comes from, $2: its name, $3: where it goes. What is older than something that has
# come, or of another timeline, does not come any more: the server has it already, or nobody has.
FETCH = """
case $2 in *.history) exec cp "$1/$2" "$3" 2>/dev/null ;; esac
wanted=${2#????????}
until [ -e "$1/$2" ]; do
    [ ! -e "$1/end" ] || exit 1
    newest=$(ls "$1" | grep -xE '[0-9A-F]{24}' | cut -c 9- | sort | tail -n 1)
    first=$(printf '%s\\n%s\\n' "$wanted" "$newest" | sort | head -n 1)
    [ -z "$newest" ] || [ "$first" != "$wanted" ] || [ -e "$1/$2" ] || exit 1
    sleep 0.05
done
exec mv "$1/$2" "$3"
"""
THERE = 9
GONE = 8
FEED = f"""
cd "$0/in" || exit 1
while :; do
    [ -e ../cluster/recovery.signal ] || exit {THERE}
    pg_ctl status -D ../cluster >/dev/null || exit {GONE}
    [ "$(ls | wc -l)" -ge {AHEAD} ] || break
    sleep 0.05
done
umask 0077
cat >".$1" && exec mv ".$1" "$1"
"""
END = ': >"$0/in/end"'
IS_READY = "exec pg_isready --quiet"
IS_RUNNING = 'exec pg_ctl status -D "$0/cluster" >/dev/null'
LOG = 'exec tail -n 20 "$0/log"'
# When there is nothing after the time in the log: the last state before it is the end.
NOT_REACHED = "recovery ended before configured recovery target was reached"
LAST = 'exec psql -X -qAt -c "SELECT pg_last_xact_replay_timestamp()"'


@dataclass
class Recovery:
    """`shell`, `folder`: where it happens, an empty folder there. `client`: variables of a client
    of the server that it becomes."""

    shell: Shell
    folder: str
    client: dict[str, str]
    settings: Postgres
    identity: Identity
    watch: Watch = unwatched

    def go(self, place: Place, reach: Chain, at: datetime | None = None) -> str:
        """Without a time: to the end of the log. The time of the last transaction in it. Raises
        OpsError; the server is the caller's to use, and goes with its place."""
        self._unpack(place, reach)
        for piece in reach.histories:
            self._feed_one(place, piece, started=False)
        self._start(at)
        whole = len(reach.segments) * SEGMENT_BYTES
        for number, piece in enumerate(reach.segments):
            self.watch("log", number * SEGMENT_BYTES, whole)
            if self._feed_one(place, piece, started=True):
                break
        self.shell.must(END, self.folder)
        if not self._await() and at is not None:
            self._start(None)
            self._await()
        return self.shell.run(LAST, variables=self.client).out.strip()

    def _unpack(self, place: Place, reach: Chain) -> None:
        (artifact,) = reach.base.artifacts

        def heard(done: int) -> None:
            self.watch("base", done, artifact.bytes)

        with self.shell.pipe(UNPACK, self.folder, gives=False) as target:
            read(place, artifact, target, self.identity, heard)
            answer = target.finish(LONG_SECONDS)
        if answer.code:
            raise Damaged(f"{artifact.key} does not unpack: {answer.out.strip()}")
        proved = self.shell.run(PROVE, self.folder, timeout=LONG_SECONDS)
        if proved.code:
            raise Damaged(f"{artifact.key} is no whole cluster: {proved.words}")

    def _start(self, at: datetime | None) -> None:
        own: dict[str, str] = {
            "data_directory": f"{self.folder}/cluster",
            "hba_file": f"{self.folder}/pg_hba.conf",
            "listen_addresses": "",
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_min_duration_statement": "-1",
            # No more of the primary's limits has to be kept while nobody may look.
            "hot_standby": "off",
            "restore_command": f'sh {self.folder}/fetch {self.folder}/in %f "%p"',
            "recovery_target_action": "promote",
            **({"recovery_target_time": at.isoformat()} if at else {}),
        }
        variables = {"CONF": conf(self.settings, MEMORY_MB, **own), "FETCH": FETCH}
        answer = self.shell.run(START, self.folder, variables=variables)
        if answer.code:
            raise StepFailed(f"The recovering PostgreSQL does not start:\n{self._log()}")

    def _feed_one(self, place: Place, piece: Piece, started: bool) -> bool:
        """Whether the server needs no more."""
        data = opened(place, piece.artifact, self.identity).getvalue()
        if not started:
            self.shell.must('exec cat >"$0"', f"{self.folder}/in/{piece.name}", stdin=data)
            return False
        answer = self.shell.run(FEED, self.folder, piece.name, stdin=data, timeout=LONG_SECONDS)
        if answer.code == GONE:
            raise StepFailed(f"The recovering PostgreSQL ended at {piece.name}:\n{self._log()}")
        if answer.code not in (0, THERE):
            raise StepFailed(f"{piece.name} can't be given to PostgreSQL: {answer.words}")
        return answer.code == THERE

    def _await(self) -> bool:
        """Until it takes questions. False: the time is after all that there is."""
        while self.shell.run(IS_READY, variables=self.client).code:
            if self.shell.run(IS_RUNNING, self.folder).code:
                log = self._log()
                if NOT_REACHED in log:
                    return False
                raise StepFailed(f"The recovering PostgreSQL ended:\n{log}")
            time.sleep(POLL_SECONDS)
        return True

    def _log(self) -> str:
        return self.shell.run(LOG, self.folder).out.strip()
