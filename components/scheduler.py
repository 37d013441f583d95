"""The scheduler: makes the backups when they are due, in a container without Docker's socket."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pulumi

from components.container import Attachment, Check, ContainerArgs, Volume, container
from components.edge import NGINX_UID
from components.host import Networks, volume
from components.site import Site
from components.step import step
from ops.backup.host import DriveArgs
from ops.backup.lock import VOLUME as LOCK_VOLUME
from rollout import scheduler as inside
from rollout import steps
from rollout.names import address

# PostgreSQL's, whose programs it runs; a job by hand writes the drives as the same user.
SCHEDULER_UID = "999:999"


class Scheduler(pulumi.ComponentResource):
    """The container, its configuration and its drives. It reaches the database over the data
    network and the bucket over the app network; nobody waits for it, and no deploy moves it.
    files: the volumes whose files are backed up, by what they are called (rollout/files.py). wal:
    the volume with the database's log.

    The drives and the lock's volume are not declared: what keeps backups outlives the stack.
    """

    def __init__(
        self,
        name: str,
        networks: Networks,
        files: Mapping[str, pulumi.Input[str]],
        wal: pulumi.Input[str] | None,
        image: str,
        site: Site,
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:backup:Scheduler", name, None, opts)
        settings, names = site.settings, site.names
        drives = settings.backups.drives
        config = volume("scheduler-config", self, site)
        trial = volume("scheduler-trial", self, site)
        if not settings.scheduler.on:
            # The volumes are protected with all others, so a timetable that ends leaves them.
            self.register_outputs({})
            return
        written = step(
            "scheduler-config",
            steps.Files(
                image=image,
                volume=names.volume("scheduler-config"),
                user=SCHEDULER_UID,
                server=names.scheduler,
                kind="scheduler",
            ),
            settings,
            site.options(self, [config], protect=False),
            secrets={"FILES": json.dumps({inside.FILE: inside.SchedulerConfig.of(settings).text})},
        )
        owned = step(
            "scheduler-drives",
            steps.Drives(image=image, user=SCHEDULER_UID, stack=settings.stack, drives=drives),
            settings,
            site.options(self, protect=False),
        )
        made = container(
            "scheduler",
            ContainerArgs(
                container=names.scheduler,
                part="scheduler",
                image=image,
                user=SCHEDULER_UID,
                networks=[
                    Attachment(networks.app),
                    Attachment(networks.data, address(settings.networks.data, "scheduler")),
                ],
                memory=settings.scheduler.memory,
                cpus=settings.scheduler.cpus,
                shares=inside.CPU_SHARES,
                pids=256,
                environment={inside.ADDRESS_VARIABLE: address(settings.networks.data, "scheduler")},
                volumes=[
                    Volume(config.name, inside.CONFIG, read_only=True),
                    *(
                        Volume(kept, f"{inside.FILES}/{part}", read_only=True)
                        for part, kept in files.items()
                    ),
                    *([Volume(wal, inside.WAL)] if wal else []),
                    Volume(trial.name, inside.DATA),
                    Volume(names.volume(LOCK_VOLUME), inside.LOCK),
                    *(
                        Volume(
                            DriveArgs(drive).source(names),
                            inside.drive(number),
                            is_folder=DriveArgs(drive).is_path,
                        )
                        for number, drive in enumerate(drives)
                    ),
                ],
                tmpfs=("/tmp", "/run"),
                # The backend's, and the edge's and the switch's.
                groups=[user.partition(":")[2] for user in (settings.backend.user, NGINX_UID)],
                hosts={names.postgres: address(settings.networks.data, "postgres")},
                check=Check(
                    ("CMD-SHELL", f'test -n "$(find {inside.BEAT} -mmin -3)"'),
                    interval=10,
                    timeout=5,
                    retries=3,
                    start_period=60,
                ),
                shm_mb=256,
                # A task that is killed leaves children behind.
                init=True,
            ),
            site,
            # Nobody waits for it: it is replaced like a file.
            site.docker_options(self, [written, owned, *after], protect=False),
        )
        self.register_outputs({"container": made.name})
