"""The SQL that a release's migrations would run, as its own image says it; nothing is run.

Asked of the new image in one-shot containers that go again, in the database's own words: Django's
`migrate --plan` and `sqlmigrate` read which migrations are applied. Their sessions are read-only.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from ops.docker import Docker
from ops.errors import OpsError
from ops.steps._one_shot import OneShot, run
from rollout.names import PART_LABEL, STACK_LABEL, Names
from rollout.shapes import Release

MIGRATE = "migrate"
SECONDS = 60
SHOWN = 10  # each is a container of its own, some seconds
READ_ONLY = {"PGOPTIONS": "-c default_transaction_read_only=on"}


@dataclass(frozen=True)
class SqlPlan:
    """The migrations to come, in their order, each with its SQL; `more` are not shown."""

    migrations: Mapping[str, str]
    more: int = 0


@dataclass(frozen=True)
class Asker:
    """The new image, beside the database that it would migrate."""

    docker: Docker
    names: Names
    release: Release
    environment: Mapping[str, str]

    def ask(self) -> SqlPlan:
        """Raises OpsError that says why it can't be told."""
        self._require()
        found = planned(self._output(MIGRATE, "--plan"))
        shown = found[:SHOWN]
        sql = {name: self._output("sqlmigrate", *name.split(".", 1)) for name in shown}
        return SqlPlan(sql, len(found) - len(shown))

    def _require(self) -> None:
        if MIGRATE not in self.release.migrate_command[1:]:
            raise OpsError("backendMigrateCommand is not Django's, so its plan can't be asked for")
        if self.docker.image(self.release.image) is None:
            raise OpsError(f"the image {self.release.tag} is not on {self.docker.host}")
        database = self.docker.inspect(self.names.postgres)
        if database is None or not database.running:
            raise OpsError(f"{self.names.postgres} does not run on {self.docker.host}")

    def _output(self, *arguments: str) -> str:
        said: list[str] = []
        outcome = run(self.docker, self._shot(arguments), said.append, SECONDS)
        if outcome.code != 0:
            how = "was not over in time" if outcome.code is None else f"exit code {outcome.code}"
            last = said[-1] if said else "without a word"
            raise OpsError(f"`{' '.join(arguments)}` of {self.release.tag}: {how}: {last}")
        return "\n".join(said)

    def _shot(self, arguments: tuple[str, ...]) -> OneShot:
        release, names = self.release, self.names
        before = release.migrate_command[: release.migrate_command.index(MIGRATE)]
        return OneShot(
            name=names.part("preview", uuid.uuid4().hex[:8]),
            image=release.image,
            command=(*before, *arguments),
            step="preview",
            key=release.identity,
            networks=(names.network("data"),),
            settings=READ_ONLY,
            values=self.environment,
            labels={STACK_LABEL: names.stack, PART_LABEL: "preview"},
            user=release.user,
            memory=release.app_limits.memory,
        )


def planned(output: str) -> list[str]:
    """`app.0002_name`, as `migrate --plan` lists them; what each does is indented below."""
    return re.findall(r"^(\w+\.\w+)$", output, re.MULTILINE)
