"""A restore, in order: what can be wrong is found, the dump is read to its end, a database is made
of it beside the live one and proved there, and takes its place.

Until the last of these nothing of the live database is touched, and what was begun is removed. A
run that was killed leaves a database and a file of names that the next one knows, and removes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from ops.backup.writing import Tell
from ops.errors import OpsError
from ops.restore import swap
from ops.restore.beside import Beside, NoRoom
from ops.restore.server import Server
from ops.restore.source import Expected, Source
from ops.steps.backup import megabytes
from rollout import migrations
from rollout.records import Restored
from rollout.restores import aside, lacking

# The live release's migrations on the database of this name.
Migrate = Callable[[str], None]
R = TypeVar("R")


@dataclass
class Restore:
    """One. sources: what it can be made from, the best first; when one turns out damaged, the next
    is tried. migrate: None where no release serves. keep: whether the live database is kept aside,
    or is removed, because nothing ever was in it (an empty stack's). `tell` hears of each stage as
    it ends."""

    server: Server
    beside: Beside
    sources: Sequence[Source]
    by: str
    release: str
    migrate: Migrate | None
    migrations_table: str
    tell: Tell
    keep: bool = True
    swapped: Restored | None = None
    """What took place: set as soon as it has, whatever happens afterwards."""
    roles: str = field(default="", init=False)

    @property
    def expected(self) -> Expected:
        return self.sources[0].expected

    def check(self) -> None:
        """Raises OpsError with what stands in the way; nothing is changed."""
        self.server.require_answer()
        major = self.server.major
        if self.expected.major != major:
            raise OpsError(
                f"{self.expected.what} is of PostgreSQL {self.expected.major}, the server on "
                f"{self.server.docker.host} is {major}: a dump is restored by its own major "
                "version.\nNothing was touched. Next: set `postgresImage` to that version, on a "
                "stack with an empty database, and restore there"
            )
        self.beside.require_room(self.expected)
        self.roles = self._first(lambda source: source.roles())

    def prepare(self) -> bool:
        """What a killed run left is removed; whether there was anything."""
        left = self.beside.clear()
        self.server.own_folder()
        return left

    def go(self) -> Restored:
        """After `check`. The live database is another one at the end."""
        try:
            self._make()
            return self._swap()
        finally:
            with suppress(OpsError):  # what stays is found by the next one
                self.beside.clear()

    def make(self, work: Callable[[], R]) -> R:
        """Only the dump, for `work` to take from it; nothing takes anything's place."""
        try:
            self._stage()
            return work()
        finally:
            with suppress(OpsError):
                self.beside.clear()

    # In order

    def _make(self) -> None:
        self._stage()
        with self._told("load") as words:
            self.beside.create(self.roles)
            self.beside.load(self.expected)
            size = self.server.size(self.beside.name)
            words.append(f"{megabytes(size)} beside the live database")
        with self._told("verify") as words:
            self.beside.verify(self.expected, self.migrations_table)
            self.beside.analyze()
            words.append("rows, schema, tables and indexes are as they were")
        if self.migrate:
            self._migrate(self.migrate)

    def _stage(self) -> None:
        with self._told("read") as words:
            source = self._first(self._staged)
            words.append(f"{megabytes(source.size)} from {source.place}: whole")
            self.sources = [source]

    def _staged(self, source: Source) -> Source:
        self.beside.stage(source)
        return source

    def _migrate(self, migrate: Migrate) -> None:
        table = self.migrations_table
        live = self.beside.migrations(table, self.server.database)
        before = self.beside.migrations(table)
        with self._told("migrate") as words:
            migrate(self.beside.name)
            came = migrations.applied(before or (), self.beside.migrations(table) or ())
            still = lacking(live, self.beside.migrations(table))
            words.append(f"{self.release} applied {', '.join(came)}" if came else "nothing to do")
            if still:
                words.append(f"; {', '.join(still)} of the live database is not this release's")

    def _swap(self) -> Restored:
        now = datetime.now(UTC).replace(microsecond=0)
        with self._told("swap") as words:
            note = Restored(
                at=now,
                by=self.by,
                what="restore",
                source=self.expected.what,
                place=self.sources[0].place,
                data_of=self.expected.taken,
                release=self.release,
                kept=aside(self.server.database, now),
            )
            self._exchange(note)
            words.append("the restored database is the live one")
        return self._dropped(note) if not self.keep else note

    def _exchange(self, note: Restored) -> None:
        incoming = self.beside.name
        try:
            swap.swap(self.server, incoming, note)
        except BaseException:
            with suppress(OpsError):
                self.swapped = note if swap.is_done(self.server, incoming) else None
            raise
        self.swapped = note

    def _dropped(self, note: Restored) -> Restored:
        swap.drop(self.server, note.kept)
        self.swapped = note.model_copy(update={"kept": ""})
        return self.swapped

    def _first(self, what: Callable[[Source], R]) -> R:
        """Of the first source that can; a damaged copy leaves the others."""
        for source in self.sources[:-1]:
            try:
                return what(source)
            except NoRoom:
                raise
            except OpsError as error:
                self.tell("read", False, 0.0, f"{source.place}: {str(error).splitlines()[0]}")
        return what(self.sources[-1])

    @contextmanager
    def _told(self, stage: str) -> Iterator[list[str]]:
        begun, words = time.monotonic(), list[str]()
        try:
            yield words
        except OpsError:
            self.tell(stage, False, time.monotonic() - begun, "failed")
            raise
        self.tell(stage, True, time.monotonic() - begun, "".join(words))


def undo(server: Server, back: swap.Kept, by: str, release: str) -> Restored:
    """What was set aside becomes live again, and what is live is set aside. Called twice, all is as
    it was before the first."""
    now = datetime.now(UTC).replace(microsecond=0)
    note = Restored(
        at=now,
        by=by,
        what="undo",
        source=back.name,
        data_of=back.note.at,
        release=release,
        kept=aside(server.database, now),
    )
    swap.swap(server, back.name, note)
    return note
