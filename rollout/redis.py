"""Redis' configuration files, rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from rollout.logins import Login
from rollout.settings import Redis

OPERATOR = "ops"
USERS_FILE = "users.acl"


def maxmemory(settings: Redis) -> str:
    """The rest is for the rewrite of the append-only file."""
    return f"{settings.memory * 3 // 4}mb"


def redis_conf(settings: Redis, folder: str) -> str:
    """redis.conf: append-only (manual 7.1), and never evicting: the broker's queue lives here."""
    lines = (
        "# Written by `pulumi up`.",
        "dir /data",
        "appendonly yes",
        "appendfsync everysec",
        f"maxmemory {maxmemory(settings)}",
        "maxmemory-policy noeviction",
        f"aclfile {folder}/{USERS_FILE}",
        "protected-mode no",
        "tcp-keepalive 60",
    )
    return "\n".join(lines) + "\n"


def users_acl(logins: Iterable[Login], operator_password: str) -> str:
    """The application's logins do the work; the operator sets limits and users, and sees no data.
    Passwords are there as their hashes.

    Nobody can be the unnamed user, and it may do everything: when Redis starts it replays the
    transactions in its file in that user's name, and Redis 7 drops, with a line in its log only,
    those that it may not do (redis/redis#14541). What a worker holds is noted by transactions.
    """
    lines = (
        f"user {login.user} on #{_hash(login.password)} ~* &* +@all -@dangerous "
        "+info +keys +flushdb +client|list +config|get\n"
        for login in logins
    )
    return (
        "user default off resetpass ~* &* +@all\n"
        f"{''.join(lines)}"
        f"user {OPERATOR} on #{_hash(operator_password)} -@all +ping +config|get +config|set "
        "+acl|setuser +acl|deluser +acl|users\n"
    )


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
