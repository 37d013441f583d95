"""Shipping the database's log: what the receiver has finished goes to every place, encrypted, and
leaves its volume when all have it.

What is still to do is what lies in the volume, and what a place has is what it lists: a run that
was killed has nothing to remember.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ops.backup.packing import Recipient, Sum, pack
from ops.backup.place import File, Place
from ops.backup.shell import Shell
from ops.backup.stores import Stores
from ops.backup.writing import Tell
from ops.errors import OpsError, StepFailed
from rollout.retention import Series
from rollout.wal import (
    CLOSE_SECONDS,
    SLOT_SQL,
    Piece,
    Slot,
    WalError,
    check_segment,
    is_segment,
    is_whole_file,
)

# SYSTEM/NAME, when it was last written to, and its size. What is empty lies in a place already.
WAITING = "cd \"$0\" && find . -mindepth 2 -maxdepth 2 -type f -printf '%P %T@ %s\\n'"
READ = 'exec cat "$0"'
# Its time stays: it is part of the name that other places shall know it by.
EMPTY = ': >"$0.empty" && touch -r "$0" "$0.empty" && exec mv "$0.empty" "$0"'
REMOVE = 'cd "$0" && exec xargs -r rm -f --'
# A record that closes the segment even of a database that nobody writes to.
CLOSE = """
exec psql -X -qAt -v ON_ERROR_STOP=1 -o /dev/null \
    -c "SELECT pg_create_restore_point('shipped')" -c "SELECT pg_switch_wal()"
"""
POLL_SECONDS = 0.5
# A receiver ends with the database, and Docker takes some seconds to start it again.
AWAY_SECONDS = 30
ASK_SECONDS = 5
ASK_SLOT = f"""
exec psql -X -qAt -v ON_ERROR_STOP=1 -c "{SLOT_SQL}"
"""


@dataclass(frozen=True)
class Waiting:
    """A file that the receiver is done with. folder: its system's, or what was that until its slot
    was lost: SYSTEM.STAMP."""

    folder: str
    name: str
    closed: datetime
    size: int

    @property
    def system(self) -> str:
        return self.folder.partition(".")[0]

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"

    @property
    def what(self) -> tuple[str, str]:
        return self.system, self.name


def waiting(shell: Shell, folder: str) -> list[Waiting]:
    """The oldest first."""
    found = []
    for line in shell.must(WAITING, folder).splitlines():
        path, at, size = line.rsplit(" ", 2)
        inside, _, name = path.partition("/")
        if is_whole_file(name):
            closed = datetime.fromtimestamp(int(float(at)), UTC)
            found.append(Waiting(inside, name, closed, int(size)))
    return sorted(found, key=lambda one: (one.closed, one.name))


def require_received(shell: Shell, variables: dict[str, str]) -> None:
    """Raise StepFailed where nobody receives the log of a database that answers: what is shipped
    then is all there is. `variables`: of a client of the database."""
    deadline = time.monotonic() + AWAY_SECONDS
    while True:
        answer = shell.run(ASK_SLOT, variables=variables)
        if answer.code:
            return  # its being away is others' to tell
        wrong = Slot.of(json.loads(answer.out or "null")).wrong
        if not wrong:
            return
        if time.monotonic() > deadline:
            raise StepFailed(wrong)
        time.sleep(ASK_SECONDS)


@dataclass
class Shipping:
    """One run. `folder`: where the shell has the receiver's volume."""

    stores: Stores
    folder: str
    recipients: tuple[Recipient, ...]
    tell: Tell
    _held: dict[str, dict[tuple[str, str], Piece]] = field(default_factory=dict)

    def go(self) -> int:
        """How many files every place has that was not lost. What could not be written where is in
        `stores.lost`."""
        todo = waiting(self.stores.shell, self.folder)
        if not todo:
            return 0
        begun = time.monotonic()
        self._look(todo)
        shipped = [one for one in todo if self.stores.places and self._ship(one)]
        if not self.stores.places:
            raise StepFailed(
                f"No place could take the WAL: {'; '.join(self.stores.lost.values())}.\n"
                "It stays on the host. Next: see to it, then `ytops backup run wal`"
            )
        if shipped and not self.stores.lost:
            names = "\n".join(one.path for one in shipped)
            self.stores.shell.must(REMOVE, self.folder, stdin=names.encode())
        words = f"{len(shipped)} files, the newest of {todo[-1].closed:%Y-%m-%d %H:%M:%S} UTC"
        self.tell("wal", not self.stores.lost, time.monotonic() - begun, words)
        return len(shipped)

    def close_segment(self, variables: dict[str, str]) -> None:
        """The one that is being written to, and wait until it is received. `variables`: of a client
        of the database."""
        before = {one.what for one in waiting(self.stores.shell, self.folder)}
        answer = self.stores.shell.run(CLOSE, variables=variables)
        if answer.code:
            raise OpsError(f"The database does not close its WAL segment: {answer.words}")
        deadline = time.monotonic() + CLOSE_SECONDS
        while {one.what for one in waiting(self.stores.shell, self.folder)} <= before:
            if time.monotonic() > deadline:
                raise StepFailed(
                    "The WAL that was closed now is not received.\nNext: `ytops backup status`"
                )
            time.sleep(POLL_SECONDS)

    def _look(self, todo: Iterable[Waiting]) -> None:
        since = min(one.closed for one in todo)
        for place in self.stores.places:
            try:
                self._held[place.name] = {piece.what: piece for piece in place.wal(since)}
            except OpsError as error:
                self.stores.lose(place, str(error))

    def _ship(self, one: Waiting) -> bool:
        """Whether it has left the host's own disk, or may."""
        lacking = [p for p in self.stores.places if one.what not in self._held[p.name]]
        if lacking:
            piece, body = self._content(one)
            for place in lacking:
                self._put(place, piece, body)
        if self.stores.lost and self.stores.places and one.size:
            # The others keep it for the place that is away: shipping it later needs no more than
            # its name here, and the volume does not fill up.
            self.stores.shell.must(EMPTY, f"{self.folder}/{one.path}")
        return bool(self.stores.places)

    def _put(self, place: Place, piece: Piece, body: bytes) -> None:
        file: File | None = None
        try:
            file = place.add(piece.key)
            file.write(body)
            written = file.finish()
            if written.sha256 not in ("", piece.sha256):
                raise OpsError(f"{piece.key}: what was written has SHA-256 {written.sha256}")
        except OpsError as error:
            if file:
                file.abort()
            self.stores.lose(place, str(error))
        else:
            self._held[place.name][piece.what] = piece

    def _content(self, one: Waiting) -> tuple[Piece, bytes]:
        """As it is to lie in each place."""
        if one.size == 0:
            return self._from_a_place(one)
        with self.stores.shell.pipe(READ, f"{self.folder}/{one.path}", gives=True) as pipe:
            data = pipe.read()
            answer = pipe.finish()
        if answer.code:
            raise OpsError(f"{one.path} can't be read: {answer.words}")
        if is_segment(one.name):
            try:
                check_segment(one.name, data, one.system)
            except WalError as error:
                raise OpsError(
                    f"The receiver's file is not what it should be: {error}.\n"
                    "Next: `ytops backup status`"
                ) from None
        packed = bytearray()
        total = Sum(packed.extend)
        pack(io.BytesIO(data), total, self.recipients)
        total.flush()
        return Piece(one.closed, one.system, one.name, total.sha256), bytes(packed)

    def _from_a_place(self, one: Waiting) -> tuple[Piece, bytes]:
        for place in self.stores.places:
            piece = self._held[place.name].get(one.what)
            if piece:
                with place.read(piece.artifact) as source:
                    body = source.read()
                if hashlib.sha256(body).hexdigest() == piece.sha256:
                    return piece, body
        raise StepFailed(
            f"No place has {one.name} any more, which left the host: its SHA-256 is not its "
            f"name's.\nWhat comes after it can't be reached from before. Next: `ytops backup run "
            f"{Series.BASE.kind}`"
        )
