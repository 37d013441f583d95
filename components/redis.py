"""Redis 7: the broker's queue and the cache, in two logical databases."""

from __future__ import annotations

import json

import pulumi

from components.container import Attachment, Check, ContainerArgs, Volume, container
from components.host import Networks, volume
from components.site import Site
from components.step import step
from rollout import steps
from rollout.logins import Login
from rollout.names import address
from rollout.redis import OPERATOR, USERS_FILE, maxmemory, redis_conf, users_acl

CONFIG_PATH = "/etc/ytempire"
REDIS_UID = "999:999"


class Redis(pulumi.ComponentResource):
    """The server and its configuration in a volume. `logins`: who may log in for the application;
    nobody else may. `ready`: what comes after a server."""

    def __init__(
        self,
        name: str,
        networks: Networks,
        logins: tuple[Login, ...],
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:datastore:Redis", name, None, opts)
        settings, names = site.settings.redis, site.names
        data = volume("redis", self, site)
        config = volume("redis-config", self, site)
        files = {
            "redis.conf": redis_conf(settings, CONFIG_PATH),
            USERS_FILE: users_acl(logins, site.settings.redis_operator_password),
        }
        written = step(
            "redis-config",
            steps.Files(
                image=settings.image,
                volume=names.volume("redis-config"),
                user=REDIS_UID,
                server=names.redis,
                kind="redis",
                maxmemory=maxmemory(settings),
                users=USERS_FILE,
            ),
            site.settings,
            site.options(self, [config]),
            secrets={
                "FILES": json.dumps(files),
                "REDISCLI_USER": OPERATOR,
                "REDISCLI_AUTH": site.settings.redis_operator_password,
                steps.LOGINS: json.dumps({login.user: login.password for login in logins}),
            },
        )
        self.ready = container(
            "redis",
            ContainerArgs(
                container=names.redis,
                part="redis",
                image=settings.image,
                user=REDIS_UID,
                networks=[
                    Attachment(
                        networks.data,
                        address(site.settings.networks.data, "redis"),
                        aliases=("redis",),
                    )
                ],
                memory=settings.memory,
                pids=128,
                command=["redis-server", f"{CONFIG_PATH}/redis.conf"],
                volumes=[
                    Volume(data.name, "/data"),
                    Volume(config.name, CONFIG_PATH, read_only=True),
                ],
                # Any answer will do, also that a password is needed.
                check=Check(("CMD", "redis-cli", "ping"), interval=5, timeout=5, retries=6),
                stop_seconds=60,
            ),
            site,
            site.lasting_options(self, [written]),
        )
        self.register_outputs({"container": self.ready.name})
