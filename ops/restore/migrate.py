"""The live release's migrations, on a database that is about to take the live one's place.

A deploy would not run them again: it did so for this release, and remembers that. So a restore of
what is older than a migration runs them itself, in a container as the deploy's.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ops.docker import Docker, Say
from ops.steps import _one_shot
from ops.steps._one_shot import OneShot
from ops.steps.migrate import STOP_SIGNAL
from rollout.names import PART_LABEL, RELEASE_LABEL, STACK_LABEL, Names, address
from rollout.release import container_environment
from rollout.settings import Settings
from rollout.shapes import Release

URL = "DATABASE_URL"
TIMEOUT_SECONDS = 1800


@dataclass(frozen=True)
class Migration:
    """Of the release that serves."""

    docker: Docker
    names: Names
    settings: Settings
    release: Release

    def run(self, database: str, say: Say) -> None:
        """Those that the database lacks; none is as good as all. Raises StepFailed."""
        outcome = _one_shot.run(self.docker, self._container(database), say, TIMEOUT_SECONDS)
        if outcome.code != 0:
            raise _one_shot.explain(
                outcome,
                f"The migrations of {self.release.identity}, on the restored database,",
                f"{database} on {self.docker.host}",
                "The live database was not touched. Next: `ytops restore` another point; or deploy "
                "the release that the backup was made of first (`ytops restore` lists it)",
                TIMEOUT_SECONDS,
            )

    def _container(self, database: str) -> OneShot:
        release, names = self.release, self.names
        values = container_environment(release, self.settings.secrets)
        subnet = self.settings.networks.data
        return OneShot(
            name=names.part("migrate", "restore"),
            image=release.image,
            command=release.migrate_command,
            step="restore",
            key=release.identity,
            networks=(names.network("data"), names.network("app")),
            hosts={"postgres": address(subnet, "postgres"), "redis": address(subnet, "redis")},
            user=release.user,
            volumes={names.volume("media"): release.media_path},
            memory=release.app_limits.memory,
            labels={
                STACK_LABEL: names.stack,
                PART_LABEL: "migrate",
                RELEASE_LABEL: release.identity,
            },
            stop_signal=STOP_SIGNAL,
            values={**values, URL: _into(values.get(URL, ""), database)},
        )


def _into(url: str, database: str) -> str:
    """The same server and role, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
