"""The age keys of a stack, checked: a key that opens nothing is found before it is used."""

from __future__ import annotations

from ops.backup import packing
from ops.verbs._exit import Misused
from rollout.settings import Backups


def recipients(settings: Backups) -> tuple[packing.Recipient, ...]:
    """Who opens it. The key that restores are tried with is one of them, or it is in vain."""
    told, own = settings.recipients, settings.identity
    if not told:
        raise Misused(
            "backupRecipients: expected at least one age recipient, got none: a backup leaves the "
            "host encrypted or not at all.\nNext: `ytops backup key`"
        )
    if own and str(packing.identity(own).to_public()) not in told:
        raise Misused(
            "backupIdentity: expected the key of one of backupRecipients, got another's: what is "
            "backed up now could not be restored.\n"
            "Next: `pulumi config set --secret backupIdentity`"
        )
    return tuple(packing.recipient(one) for one in told)


def identity(settings: Backups) -> packing.Identity:
    if not settings.identity:
        raise Misused(
            "backupIdentity: expected the age identity that opens the backups, got none: nothing "
            "can be restored.\nNext: `pulumi config set --secret backupIdentity`, the key that was "
            "kept off the host"
        )
    return packing.identity(settings.identity)
