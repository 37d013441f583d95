"""Redis' configuration files, rendered."""

from __future__ import annotations

from rollout.settings import REDIS_USER, Redis


def redis_conf(settings: Redis, folder: str) -> str:
    """redis.conf: append-only (manual 7.1), and never evicting: the broker's queue lives here."""
    limit = settings.memory * 3 // 4  # the rest is for the rewrite of the append-only file
    lines = (
        "# Written by `pulumi up`.",
        "dir /data",
        "appendonly yes",
        "appendfsync everysec",
        f"maxmemory {limit}mb",
        "maxmemory-policy noeviction",
        f"aclfile {folder}/users.acl",
        "protected-mode no",
        "tcp-keepalive 60",
    )
    return "\n".join(lines) + "\n"


def users_acl(settings: Redis) -> str:
    """The unnamed user may only ask whether the server lives; the application's does the work."""
    return (
        "user default on nopass -@all +ping\n"
        f"user {REDIS_USER} on >{settings.password} ~* &* +@all -@dangerous "
        "+info +keys +flushdb +client|list +config|get\n"
    )
