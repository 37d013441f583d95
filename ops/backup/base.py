"""A base backup: the database's files as they are, which its log leads on from to any later time.

It holds the part of the log that was written meanwhile, so that by itself it is a whole cluster.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from ops.backup.dump import client
from ops.backup.packing import Recipient
from ops.backup.shell import Pipe, Shell
from ops.backup.stores import Stores
from ops.backup.writing import Tell, Writing, known
from ops.errors import OpsError, StepFailed
from ops.steps.backup import megabytes
from rollout.backups import BASE, Folder, text
from rollout.names import Names
from rollout.records import Artifact, BackupManifest, Status, Verification
from rollout.retention import Series
from rollout.settings import REPLICATION_USER, Postgres
from rollout.wal import SLOT

# What the server and the program say of it is read off their words, which are in English then.
SCRIPT = """
export LC_ALL=C
asked() { psql -X -qAt -d "dbname=replication replication=true" -c "$1"; }
system=$(asked IDENTIFY_SYSTEM) || exit 1
server=$(asked 'SHOW server_version') || exit 1
printf 'system %s\\nserver %s\\nprogram %s\\n' "$system" "$server" "$(pg_basebackup --version)" >&2
exec pg_basebackup --no-password --pgdata=- --format=tar --wal-method=fetch --checkpoint=fast \
    --verbose
"""
_WORDS = {
    "system": re.compile(r"^system (\d+)\|", re.M),
    "server": re.compile(r"^server (\S+)", re.M),
    "program": re.compile(r"^program pg_basebackup \(PostgreSQL\) (\S+)", re.M),
    "from": re.compile(r"write-ahead log start point: (\S+) on timeline", re.M),
    "timeline": re.compile(r"start point: \S+ on timeline (\d+)", re.M),
    "to": re.compile(r"write-ahead log end point: (\S+)", re.M),
}
# A slot that the database has given up: what it kept for the receiver is gone. The receiver makes
# another and goes on in a folder of its own; what waits in the old one is still shipped.
RENEW = """
lost=$(psql -X -qAt -v ON_ERROR_STOP=1 -c "SELECT slot_name, pg_drop_replication_slot(slot_name)
    FROM pg_replication_slots WHERE slot_name = '$SLOT' AND wal_status = 'lost'") || exit 1
[ -n "$lost" ] || exit 0
for folder in "$0"/*; do
    case ${folder##*/} in *[!0-9]*) ;; *) mv "$folder" "$folder.$STAMP" ;; esac
done
echo renewed
"""


@dataclass
class Facts:
    """What pg_basebackup said."""

    words: str = ""

    def said(self, what: str) -> str:
        found = _WORDS[what].search(self.words)
        if not found:
            raise StepFailed(
                f"pg_basebackup did not say its {what}: is it of another version?\n{self.words}\n"
                "No backup was made. Next: `ytops backup run base`"
            )
        return found.group(1)


@dataclass
class BaseBackup:
    """One that is being made. `live`: the release that serves. `wal`: where the shell has the
    receiver's volume."""

    stores: Stores
    names: Names
    settings: Postgres
    recipients: tuple[Recipient, ...]
    stack: str
    image: str
    live: str
    wal: str
    tell: Tell

    def go(self) -> BackupManifest:
        """The manifest. What could not be written where is in `stores.lost`. Raises OpsError where
        there is no backup."""
        known(self.stores)
        folder = Folder.of(Series.BASE, datetime.now(UTC))
        for drive in self.stores.drives:
            drive.sweep()
        try:
            return self._make(folder)
        except BaseException:
            for place in self.stores.places:
                place.discard(folder)
            raise

    def _make(self, folder: Folder) -> BackupManifest:
        begun, shell = time.monotonic(), self.stores.shell
        if renew(shell, self.wal, client(self.names, self.settings)):
            self.tell("slot", True, time.monotonic() - begun, "was lost, and is made anew")
        begun, facts = time.monotonic(), Facts()
        writing = Writing(self.stores, folder, self.recipients)
        base = writing.artifact(BASE, lambda: cluster(shell, self.names, self.settings, facts))
        words = f"{megabytes(base.bytes)}, from {facts.said('from')} to {facts.said('to')}"
        self.tell("base", True, time.monotonic() - begun, words)
        manifest = self._manifest(folder, facts, base)
        writing.seal(text(manifest), self.tell)
        return manifest

    def _manifest(self, folder: Folder, facts: Facts, base: Artifact) -> BackupManifest:
        finished = datetime.now(UTC)
        return BackupManifest(
            series=folder.series,
            stack=self.stack,
            started=folder.taken,
            finished=finished,
            release=self.live,
            artifacts=(base,),
            tools={"pg_basebackup": facts.said("program"), "postgresql": facts.said("server")},
            image=self.image,
            system=facts.said("system"),
            timeline=int(facts.said("timeline")),
            wal_from=facts.said("from"),
            wal_to=facts.said("to"),
            verifications=tuple(
                Verification(check="checksum", status=Status.PASS, at=finished, place=place.name)
                for place in self.stores.places
            ),
        )


@contextmanager
def cluster(shell: Shell, names: Names, settings: Postgres, facts: Facts) -> Iterator[Pipe]:
    """All of the server's files, as one archive. Its words are known after it."""
    variables = {
        **client(names, settings),
        "PGUSER": REPLICATION_USER,
        "PGPASSWORD": settings.replication_password,
    }
    with shell.pipe(SCRIPT, gives=True, variables=variables) as pipe:
        yield pipe
        answer = pipe.finish()
        facts.words = answer.out
        if answer.code:
            raise StepFailed(
                f"pg_basebackup failed on {shell.where} (exit code {answer.code}):\n"
                f"{answer.out.strip()}\nNo backup was made.\n"
                "Next: `ytops status`; see to the cause, then `ytops backup run base`"
            )


def renew(shell: Shell, folder: str, variables: dict[str, str]) -> bool:
    """Whether the receiver's slot was lost. The base backup that follows begins a new log."""
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    answer = shell.run(RENEW, folder, variables={**variables, "SLOT": SLOT, "STAMP": now})
    if answer.code:
        raise OpsError(
            f"The lost slot {SLOT} can't be made anew: {answer.words}\n"
            "Next: `ytops logs postgres`, then `ytops backup run base`"
        )
    return "renewed" in answer.out
