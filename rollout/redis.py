"""Redis' configuration files, rendered."""

from __future__ import annotations

import hashlib

from rollout.settings import REDIS_USER, Redis

OPERATOR = "ops"


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
        f"aclfile {folder}/users.acl",
        "protected-mode no",
        "tcp-keepalive 60",
    )
    return "\n".join(lines) + "\n"


def users_acl(settings: Redis, operator_password: str) -> str:
    """The application's user does the work; the operator sets limits, and sees no data.

    Nobody can be the unnamed user, and it may do everything: when Redis starts it replays the
    transactions in its file in that user's name, and Redis 7 drops, with a line in its log only,
    those that it may not do (redis/redis#14541). What a worker holds is noted by transactions.
    """
    operator = hashlib.sha256(operator_password.encode()).hexdigest()
    return (
        "user default off resetpass ~* &* +@all\n"
        f"user {REDIS_USER} on >{settings.password} ~* &* +@all -@dangerous "
        "+info +keys +flushdb +client|list +config|get\n"
        f"user {OPERATOR} on #{operator} -@all +ping +config|get +config|set\n"
    )
