"""What receives the database's log: one container that streams it into a volume.

From there `ytops backup run wal` brings it away from the host.
"""

from __future__ import annotations

import json

import pulumi

from components.container import Attachment, Check, ContainerArgs, Volume, container
from components.host import Networks, volume
from components.postgres import CONFIG_PATH, POSTGRES_UID, Postgres
from components.site import Site
from components.step import step
from rollout import steps
from rollout.settings import REPLICATION_USER
from rollout.wal import RECEIVE, RECEIVED, SLOT, STREAMING, UNSHIPPED_MB


class Wal(pulumi.ComponentResource):
    """On the database's image: its programs are of the server's version. Output: `received`,
    the volume."""

    received: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        networks: Networks,
        postgres: Postgres,
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:datastore:Wal", name, None, opts)
        settings, names = site.settings.postgres, site.names
        received = volume("wal", self, site)
        self.received = received.name
        config = volume("wal-config", self, site)
        written = step(
            "wal-config",
            steps.Files(
                image=settings.image,
                volume=names.volume("wal-config"),
                user=POSTGRES_UID,
                server=names.wal,
                kind="wal",
            ),
            site.settings,
            site.options(self, [config]),
            secrets={"FILES": json.dumps({"password": settings.replication_password})},
        )
        receiver = container(
            "wal",
            ContainerArgs(
                container=names.wal,
                part="wal",
                image=settings.image,
                user=POSTGRES_UID,
                networks=[Attachment(networks.data)],
                memory=64,
                pids=32,
                command=["sh", "-c", RECEIVE],
                environment={
                    "PGHOST": "postgres",
                    "PGUSER": REPLICATION_USER,
                    "PASSWORD_FILE": f"{CONFIG_PATH}/password",
                    "SLOT": SLOT,
                    "LIMIT_MB": str(UNSHIPPED_MB),
                },
                volumes=[
                    Volume(received.name, RECEIVED),
                    Volume(config.name, CONFIG_PATH, read_only=True),
                ],
                check=Check(("CMD", "test", "-e", STREAMING), interval=30, timeout=5, retries=3),
                stop_signal="SIGINT",
                init=True,
            ),
            site,
            site.docker_options(self, [written, postgres.ready]),
        )
        self.register_outputs({"container": receiver.name})
