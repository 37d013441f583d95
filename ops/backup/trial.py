"""The server that a restore is tried in: PostgreSQL with nothing in it, out of everybody's reach,
and gone afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from ops.backup.shell import ContainerShell, Shell
from ops.docker import Answer, Say
from ops.rehearsal import scratch

LONG_SECONDS = scratch.LONG_SECONDS  # a whole restore


class Trial(Protocol):
    """`shell`: where its clients run. `client`: their variables."""

    @property
    def name(self) -> str: ...

    @property
    def shell(self) -> Shell: ...

    @property
    def client(self) -> dict[str, str]: ...

    def standing(self, say: Say) -> AbstractContextManager[None]:
        """Ready and empty from here, with room for the live database."""
        ...

    def bare(self, say: Say) -> AbstractContextManager[str]:
        """Room for a server that is yet to come: an empty folder."""
        ...

    def run(self, script: str, stdin: bytes | None = None) -> Answer: ...

    def is_running(self) -> bool: ...


@dataclass(frozen=True)
class ScratchTrial:
    """In a rehearsal's scratch place."""

    place: scratch.Scratch

    @property
    def name(self) -> str:
        return self.place.postgres

    @property
    def shell(self) -> Shell:
        return ContainerShell(self.place.docker, self.name)

    @property
    def client(self) -> dict[str, str]:
        return self.place.client()

    @contextmanager
    def standing(self, say: Say) -> Iterator[None]:
        with self.place.standing(say):
            self.place.start_postgres(self.place.dumps)
            self.place.await_postgres()
            self.place.require_room()
            yield

    @contextmanager
    def bare(self, say: Say) -> Iterator[str]:
        with self.place.standing(say):
            self.place.start_bare()
            self.place.require_room()
            yield scratch.DATA

    def run(self, script: str, stdin: bytes | None = None) -> Answer:
        return self.shell.run(script, stdin=stdin, variables=self.client, timeout=LONG_SECONDS)

    def is_running(self) -> bool:
        found = self.place.docker.inspect(self.name)
        return found is not None and found.running
