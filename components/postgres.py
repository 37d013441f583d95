"""PostgreSQL 15: the database, ready for streaming, so that later work does not replace it."""

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
from rollout.postgres import hba, postgresql_conf, shared_mb
from rollout.settings import REPLICATION_USER

CONFIG_PATH = "/etc/ytempire"
POSTGRES_UID = "999:999"


class Postgres(pulumi.ComponentResource):
    """The server, its configuration in a volume, and its roles (`ready`). `logins`: who may log in
    for the application; nobody else may."""

    def __init__(
        self,
        name: str,
        networks: Networks,
        logins: tuple[Login, ...],
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:datastore:Postgres", name, None, opts)
        settings, names = site.settings.postgres, site.names
        data = volume("postgres", self, site)
        config = volume("postgres-config", self, site)
        self.backups = volume("backups", self, site)
        files = {
            "postgresql.conf": postgresql_conf(settings, CONFIG_PATH),
            "pg_hba.conf": hba(settings, site.settings.networks.data, REPLICATION_USER),
            "password": settings.logins.current.password,
        }
        written = step(
            "postgres-config",
            steps.Files(
                image=settings.image,
                volume=names.volume("postgres-config"),
                user=POSTGRES_UID,
                server=names.postgres,
                kind="postgres",
            ),
            site.settings,
            site.options(self, [config]),
            secrets={"FILES": json.dumps(files)},
        )
        server = container(
            "postgres",
            ContainerArgs(
                container=names.postgres,
                part="postgres",
                image=settings.image,
                user=POSTGRES_UID,
                networks=[
                    Attachment(
                        networks.data,
                        address(site.settings.networks.data, "postgres"),
                        aliases=("postgres",),
                    )
                ],
                memory=settings.memory,
                pids=512,
                command=["postgres", "-c", f"config_file={CONFIG_PATH}/postgresql.conf"],
                environment={
                    "POSTGRES_DB": settings.database,
                    "POSTGRES_USER": settings.user,
                    "POSTGRES_PASSWORD_FILE": f"{CONFIG_PATH}/password",
                },
                volumes=[
                    Volume(data.name, "/var/lib/postgresql/data"),
                    Volume(config.name, CONFIG_PATH, read_only=True),
                    Volume(self.backups.name, "/backups"),
                ],
                tmpfs=("/tmp", "/var/run/postgresql"),
                check=Check(
                    ("CMD", "pg_isready", "-U", settings.user, "-d", settings.database),
                    interval=5,
                    timeout=5,
                    retries=6,
                    start_period=30,
                ),
                stop_seconds=120,
                stop_signal="SIGINT",
                shm_mb=shared_mb(settings),
                # As the first process it would adopt what a `docker exec` leaves, and end every
                # session when that dies by a signal.
                init=True,
            ),
            site,
            site.lasting_options(self, [written]),
        )
        self.ready = step(
            "postgres-roles",
            steps.Roles(
                postgres=names.postgres,
                database=settings.database,
                user=settings.user,
                may_log_in=tuple(login.user for login in logins),
                locked=tuple(
                    user
                    for user in settings.logins.users
                    if user not in (login.user for login in logins)
                ),
                replication_user=REPLICATION_USER,
            ),
            site.settings,
            site.options(self, [server]),
            secrets={
                steps.LOGINS: json.dumps({login.user: login.password for login in logins}),
                "REPLICATION_PASSWORD": settings.replication_password,
            },
        )
        self.register_outputs({"container": server.name})
