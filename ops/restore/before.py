"""The dumps that deploys took on the host before they changed anything, as sources of a restore."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ops.backup.opening import Damaged, Heard
from ops.backup.packing import Writer
from ops.errors import OpsError
from ops.restore.server import BACKUPS, Server
from ops.restore.source import Expected
from ops.steps.backup import NAMES
from rollout.dumps import DeployDump, deploy_dumps
from rollout.restores import UNPACKED

HOST = "host"  # where they are, as `--from` calls it
LIST = f"""
cd {BACKUPS} || exit 0
for at in {NAMES}; do [ ! -f "$at" ] || stat -c '%s %n' "$at"; done
"""
CONTENTS = f'cd {BACKUPS} && exec pg_restore --list "$0"'
# Its checksum was written when it was whole: what a disk has done to it since is found here.
WHOLE = f'cd {BACKUPS} && sha256sum --check --status "$0.sha256"'
GIVE = f'exec cat {BACKUPS}/"$0"'

_MAJOR = re.compile(r"^; +Dumped from database version: (\d+)", re.MULTILINE)
_TABLE = re.compile(r"^\d+; \d+ \d+ TABLE DATA (\S+) (.+) \S+$", re.MULTILINE)


def dumps(server: Server) -> list[DeployDump]:
    """The newest first."""
    return deploy_dumps(server.must(LIST).splitlines())


def choose(found: Sequence[DeployDump], wanted: str) -> DeployDump | None:
    """By its stamp or its name."""
    return next((one for one in found if wanted in (one.stamp, one.name)), None)


@dataclass(frozen=True)
class DeploySource:
    """One of them. It has no roles of its own: it was taken of the server that it goes back to."""

    server: Server
    kept: DeployDump

    @property
    def place(self) -> str:
        return HOST

    @cached_property
    def _contents(self) -> str:
        answer = self.server.run(CONTENTS, self.kept.name)
        if answer.code:
            raise Damaged(f"{self.kept.name} can't be read: {answer.words}")
        return answer.out

    @property
    def tables(self) -> list[str]:
        return sorted(".".join(found) for found in _TABLE.findall(self._contents))

    @cached_property
    def expected(self) -> Expected:
        major = _MAJOR.search(self._contents)
        if major is None:
            raise Damaged(f"{self.kept.name} does not say which PostgreSQL it is of")
        return Expected(
            what=self.kept.name,
            taken=self.kept.taken,
            major=int(major[1]),
            tables=len(self.tables),
            bytes=max(self.server.size(self.server.database), UNPACKED * self.size),
        )

    @property
    def size(self) -> int:
        return self.kept.bytes

    def roles(self) -> str:
        return ""

    def dump(self, target: Writer, heard: Heard) -> None:
        if self.server.run(WHOLE, self.kept.name).code:
            raise Damaged(f"{self.kept.name}: its SHA-256 is not what it was")
        with self.server.giving(GIVE, self.kept.name) as pipe:
            answer = pipe.pour(target.write, heard)
        if answer.code:
            raise OpsError(f"{self.kept.name} can't be read: {answer.words}")
