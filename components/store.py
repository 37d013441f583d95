"""The store: where a stack's backups are kept away from its host, as the stack NAME-store.

A stack of its own: a deploy needs no AWS, a change of the bucket no window, and the store outlives
what it keeps backups of. Both read the same stack file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.backup_bucket import BackupBucket, BackupBucketArgs, provider
from components.system import demand_policies, raw_configuration, stop
from ops.errors import OpsError
from ops.stackfile import find_root
from rollout.names import store_of
from rollout.settings import PRODUCTION, Backups, SettingsError, load_backups


@dataclass(frozen=True)
class StoreArgs:
    """protect: what is stored is not deleted by this program."""

    settings: Backups
    protect: bool


def begin() -> StoreArgs:
    """Read what the stack file says of backups; its secrets are not needed."""
    stack = store_of(pulumi.get_stack())
    raw, _ = raw_configuration()
    try:
        if raw.get("environment") == PRODUCTION:
            demand_policies(pulumi.get_stack(), find_root(Path.cwd()))
        return StoreArgs(load_backups(stack, raw), raw.get("protect") == "true")
    except (SettingsError, OpsError) as error:
        stop(str(error))


class Store:
    """The bucket, with who may do what with it."""

    def __init__(self, args: StoreArgs) -> None:
        self.bucket = BackupBucket(
            "backups",
            BackupBucketArgs.of(args.settings, args.protect),
            pulumi.ResourceOptions(providers=[provider(args.settings)]),
        )

    def export(self) -> None:
        """docs/outputs.md"""
        pulumi.export("bucket", self.bucket.name)
        pulumi.export("keys", self.bucket.keys)
