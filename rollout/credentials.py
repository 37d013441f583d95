"""The stack's credentials: which there are, who uses each, how each gets another value. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from rollout.logins import Logins
from rollout.settings import Settings, secret_keys

BACKEND = "backendSecrets"
ROTATED = "secretsRotated"
REPLICATION = "postgresReplicationPassword"
FINGERPRINT = "fingerprintKey"
IDENTITY = "backupIdentity"
STORE_KEYS = "backupKeys"

# Turn: its two logins take turns. Made: another value is made up here. Given: it is issued
# elsewhere, and told to us. By hand: more than a value has to change.
# Store: made by the stack of the backups' store.
Way = Literal["turn", "made", "given", "by hand", "store"]


@dataclass(frozen=True)
class Credential:
    """`name`: its configuration key, or what the store calls it. `used`: what for, and by whom.
    `note`: what its rotation costs, or takes."""

    name: str
    way: Way
    used: str
    note: str = ""

    @property
    def is_of_release(self) -> bool:
        """Whether a release is started with it, so that another value is another release."""
        return self.way == "turn" or self.name == FINGERPRINT or self.name.startswith(BACKEND)


_KNOWN = {
    one.name: one
    for one in (
        Credential("postgresPassword", "turn", "the application logs in to PostgreSQL"),
        Credential("redisPassword", "turn", "the application and the switch log in to Redis"),
        Credential(REPLICATION, "made", "a standby copies PostgreSQL"),
        Credential(
            FINGERPRINT,
            "made",
            "keys the fingerprints, and the password of Redis' operator",
            "every release gets another fingerprint, and the next backup of files stores all anew",
        ),
        Credential(
            f"{BACKEND}.DJANGO_SECRET_KEY",
            "made",
            "the application signs sessions and links",
            "users log in again, and links in mails that were sent do not work any more",
        ),
        Credential(
            STORE_KEYS,
            "store",
            "the backup job reads and writes the bucket",
            "a job that is under way fails, and the next makes up for it",
        ),
        Credential("notifyWebhook", "given", "the chat hears of deploys", "the chat issues it"),
        Credential("alertPagerDutyKey", "given", "alerts reach PagerDuty", "PagerDuty issues it"),
        Credential(
            "backupHeartbeatUrl",
            "given",
            "the outside hears that backups go on",
            "its host issues it",
        ),
        Credential("forgeToken", "given", "reviews and bugs are read", "the forge issues it"),
        Credential(
            "edgeCertificateKey",
            "by hand",
            "nginx serves TLS",
            "it goes with its certificate: `pulumi config set --secret edgeCertificateKey` and "
            "`pulumi config set edgeCertificate`, then `ytops up`",
        ),
        Credential(
            IDENTITY,
            "made",
            "opens the backups",
            "older backups keep theirs, which stays behind it; keep a copy of the new one off the "
            "host, too (`pulumi config get backupIdentity`)",
        ),
    )
}


def credential(name: str) -> Credential | None:
    """None for what is no credential. What the backend is given besides is issued elsewhere."""
    if name in _KNOWN:
        return _KNOWN[name]
    if name.startswith(f"{BACKEND}.") and len(name) > len(BACKEND) + 1:
        return Credential(name, "given", "the application", "whoever it is for issues it")
    return None


def present(values: Mapping[str, Any]) -> list[Credential]:
    """Those that a stack file holds, in a fixed order."""
    nested = values.get(BACKEND)
    inner = nested if isinstance(nested, Mapping) and "secure" not in nested else {}
    named = [*_KNOWN, *sorted({f"{BACKEND}.{key}" for key in inner} - set(_KNOWN))]
    held = {*_held(values), STORE_KEYS, *(f"{BACKEND}.{key}" for key in inner)}
    return [found for name in named if name in held and (found := credential(name))]


def _held(values: Mapping[str, Any]) -> set[str]:
    """Top-level keys; a login's second password counts for its first."""
    second = {"postgresPasswordB": "postgresPassword", "redisPasswordB": "redisPassword"}
    return {second.get(key, key) for key in secret_keys() & values.keys() if values[key] != ""}


def unfinished(stores: Iterable[Logins]) -> list[Logins]:
    """Datastores whose rotation is under way: the login that is out of use has a password still."""
    return [store for store in stores if store.other.password]


@dataclass(frozen=True)
class AgeKey:
    """A new key of the backups: what opens them, and whom they are made for."""

    identity: str = field(repr=False)
    recipient: str


@dataclass(frozen=True)
class Beginning:
    """What goes into the stack file when a rotation begins: all of it, or nothing."""

    secrets: Mapping[str, str]
    plain: Mapping[str, str]


def beginning(
    settings: Settings,
    names: Collection[str],
    given: Mapping[str, str],
    at: datetime,
    age: tuple[AgeKey, AgeKey] | None = None,
) -> Beginning:
    """New values: for the logins that are out of use, which are in use from then on, and in place
    of the others. `age`: the old key of the backups and the new one."""
    new, plain = dict(given), {}
    for store, key in zip(settings.datastores, ("postgresLogin", "redisLogin"), strict=True):
        if store.a.key in names:
            new[store.other.key] = secrets.token_hex(24)
            plain[key] = "b" if store.turn == "a" else "a"
    for name in names:
        found = credential(name)
        if found and found.way == "made":
            new[name] = secrets.token_hex(32)
    if age:
        old, fresh = age
        new[IDENTITY] = f"{fresh.identity} {settings.backups.identity}".strip()
        told = settings.backups.recipients
        place = told.index(old.recipient) if old.recipient in told else len(told)
        plain[f"backupRecipients[{place}]"] = fresh.recipient
    return Beginning(new, plain | rotated(names, at))


def rotated(names: Iterable[str], at: datetime) -> dict[str, str]:
    """When it was, by property path."""
    moment = at.isoformat(timespec="seconds")
    return {f'{ROTATED}["{name}"]': moment for name in names}
