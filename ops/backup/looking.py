"""What the checklist reads: the backups that the job keeps, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass

from ops.docker import Docker
from ops.errors import OpsError
from rollout.backups import Catalogue
from rollout.bucket_policies import Identity
from rollout.names import Names
from rollout.settings import Backups


@dataclass(frozen=True)
class Everywhere:
    """The bucket where there is one, else the drive that knows most. image: the database's.
    offsite: whether to be without the bucket is a failure."""

    docker: Docker
    names: Names
    settings: Backups
    image: str
    offsite: bool

    def catalogue(self) -> Catalogue:
        # Imported here: the better part of a second that other looks do without.
        from ops.backup.bucket import Bucket, client
        from ops.backup.host import HostArgs
        from ops.backup.stores import NO_CREDENTIALS, stores

        s3 = client(self.settings, Identity.RESTORE)
        if s3:
            return Bucket(s3, self.settings, self.names.stack).catalogue()
        if self.offsite:
            raise OpsError(f"s3://{self.settings.bucket} can't be read: {NO_CREDENTIALS}")
        host = HostArgs(self.image)
        with stores(self.docker, self.names, self.settings, host, offsite=False) as found:
            known = found.catalogues().values()
            return max(known, key=lambda one: len(one.backups), default=Catalogue("the drives"))
