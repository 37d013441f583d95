"""All the places that a stack's backups are kept in, as they are configured and can be reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ops.backup.bucket import Bucket, client
from ops.backup.drive import Drive
from ops.backup.host import DriveArgs, HostArgs, helper
from ops.backup.place import Place
from ops.backup.shell import Shell
from ops.docker import Docker
from ops.errors import OpsError
from rollout.backups import Catalogue
from rollout.bucket_policies import Identity
from rollout.names import Names
from rollout.settings import Backups

NO_CREDENTIALS = "nobody's AWS credentials are at hand"


@dataclass
class Stores:
    """`lost`: what is configured and can't be used, by its name, and why; a job that leaves one out
    has not done what it was asked. `note`: why there is no bucket where nobody expects one."""

    shell: Shell
    drives: list[Drive]
    bucket: Bucket | None
    lost: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def places(self) -> list[Place]:
        return [*self.drives, *([self.bucket] if self.bucket else [])]

    def catalogues(self) -> dict[str, Catalogue]:
        """Of each place that answers; the others are lost."""
        found: dict[str, Catalogue] = {}
        for place in self.places:
            try:
                found[place.name] = place.catalogue()
            except OpsError as error:
                self.lose(place, str(error))
        return found

    def lose(self, place: Place, why: str) -> None:
        self.lost[place.name] = why
        self.drives = [drive for drive in self.drives if drive is not place]
        if place is self.bucket:
            self.bucket = None


@contextmanager
def stores(
    docker: Docker,
    names: Names,
    settings: Backups,
    host: HostArgs,
    *,
    offsite: bool,
    adds: bool = True,
) -> Iterator[Stores]:
    """The places, while a job has them. `offsite`: to be without the bucket is a failure. `adds`:
    a job of backups, and not a restore, which only reads."""
    drives = tuple(DriveArgs(name) for name in settings.drives)
    with helper(docker, names, drives, host) as standing:
        writes = host.owner is not None and adds
        found = at_hand(standing, standing.drives, names.stack, settings, writes, offsite)
        found.lost |= standing.lost
        yield found


def at_hand(
    shell: Shell,
    drives: Mapping[str, str],
    stack: str,
    settings: Backups,
    writes: bool,
    offsite: bool,
) -> Stores:
    """`drives`: where the shell has them, by name."""
    s3 = client(settings, Identity.UPLOADER if writes else Identity.RESTORE)
    found = Stores(
        shell,
        [Drive(shell, name, at, stack) for name, at in drives.items()],
        Bucket(s3, settings, stack) if s3 else None,
    )
    if s3 is None and offsite:
        found.lost["bucket"] = NO_CREDENTIALS
    elif s3 is None:
        found.note = f"{NO_CREDENTIALS}: copies on this host's drives only"
    return found
