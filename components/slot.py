"""A release slot: one release's app, its workers and its beat, and the steps that make it ready."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_command as command
import pulumi_docker as docker

from components.container import Attachment, Check, ContainerArgs, Volume, container
from components.host import Networks
from components.site import Site
from components.step import step
from rollout import steps
from rollout.names import COLOUR_LABEL, PART_LABEL, RELEASE_LABEL, STACK_LABEL, address
from rollout.plan import DeclaredSlot, Plan
from rollout.release import container_environment, missing_secrets
from rollout.shapes import Release
from rollout.steps import Parameters

WORKER_CHECK_SECONDS = 60
# A worker holds a connection to its broker (port 6379 is 18EB, 01 is established). Celery's own
# `inspect ping` starts a Python of its own each time and shows the broker's password to every
# process of the host; whether workers answer is the agent's to ask, each second.
BROKER_CONNECTED = ("CMD-SHELL", "grep -q ':18EB 01 ' /proc/net/tcp")
MIGRATION_TIMEOUT_SECONDS = 1800
# Of a busy processor, where what answers users has 1024: a job may wait, and a worker that boots.
JOB_SHARES = 256


@dataclass(frozen=True)
class SlotArgs:
    """What a slot stands on. `media` is the name of the shared media volume, `live` of the volume
    that says which release is live; `serves`: that release, as far as anybody knows; `stale_dump`:
    what an earlier run of this claim dumped, too long ago."""

    declared: DeclaredSlot
    plan: Plan
    networks: Networks
    media: pulumi.Input[str]
    live: pulumi.Input[str]
    serves: str = ""
    stale_dump: str = ""


class ReleaseSlot(pulumi.ComponentResource):
    """The steps of manual 7.1, in order, for the slot beside the live one: claim, backup and image,
    migrate, healthy, verify. Workers boot and the app is made meanwhile, from the image on.

    Outputs: `release` (VERSION+FINGERPRINT), `verified` (the step that all is ready after).
    """

    verified: command.local.Command

    def __init__(
        self,
        name: str,
        args: SlotArgs,
        site: Site,
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:rollout:ReleaseSlot", name, None, opts)
        self._site, self._args = site, args
        self._slot, self._release = args.declared, args.declared.release
        self._secrets = release_environment(self._release, site)
        self._lacks = lacking(self._release, site)
        claimed = self._claim(after)
        present = self._image(claimed)
        # They take seconds to boot and wait, paused; the dump and the migrations take seconds, too.
        # They come first, because whatever Docker starts beside them makes them wait.
        crew = self._workers(present)
        beat = self._beat([present, *crew])
        app = self._app([present, *crew])
        # Policies judge a container when it is declared: one that they refuse ends the run before
        # anything is migrated for it.
        migrated = self._step(
            "migrate",
            self._migration(),
            [self._backup(claimed), present, *crew],
            self._secrets,
        )
        answered = self._step("workers", self._answering(), [migrated, *crew, *beat])
        healthy = self._step("healthy", self._health(), [migrated, app])
        self.verified = self._step("verify", self._verification(), [healthy, answered])
        self.register_outputs({"release": self._release.identity, "verified": self.verified.urn})

    def _claim(self, after: list[pulumi.Resource]) -> command.local.Command:
        return self._step(
            "claim",
            steps.Claim(
                switch=self._site.names.switch,
                colour=self._slot.colour,
                release=self._release,
                claim=self._slot.claim,
                live=self._args.plan.source,
            ),
            after,
        )

    def _image(self, claimed: pulumi.Resource) -> command.local.Command:
        release = self._release
        return self._step(
            "image",
            steps.Image(tag=release.tag, image=release.image, digest=release.digest),
            [claimed],
        )

    def _health(self) -> steps.Healthy:
        return steps.Healthy(
            container=self._site.names.app(self._slot.colour),
            timeout=self._site.settings.backend.boot_timeout,
        )

    def _backup(self, claimed: pulumi.Resource) -> command.local.Command:
        names, slot = self._site.names, self._slot
        database = self._site.settings.postgres
        login = database.logins.current
        return self._step(
            "backup",
            steps.Backup(
                switch=names.switch,
                image=database.image,
                postgres=names.postgres,
                network=names.network("data"),
                hosts={names.postgres: datastores(self._site)["postgres"]},
                volume=names.volume("backups"),
                database=database.database,
                user=login.user,
                colour=slot.colour,
                key=slot.key,
                live=self._args.serves,
                stale=self._args.stale_dump,
            ),
            [claimed],
            {"PGPASSWORD": login.password},
        )

    def _migration(self) -> steps.Migrate:
        names, slot, release = self._site.names, self._slot, self._release
        settings = self._site.settings
        return steps.Migrate(
            switch=names.switch,
            container=names.part("migrate", slot.colour),
            image=release.image,
            networks=(names.network("data"), names.network("app")),
            hosts=datastores(self._site),
            command=release.migrate_command,
            variables=tuple(sorted(self._secrets)),
            user=release.user,
            media_volume=names.volume("media"),
            media_path=release.media_path,
            memory=release.app_limits.memory,
            timeout=MIGRATION_TIMEOUT_SECONDS,
            labels={
                STACK_LABEL: settings.stack,
                PART_LABEL: "migrate",
                COLOUR_LABEL: slot.colour,
                RELEASE_LABEL: release.identity,
            },
            postgres=names.postgres,
            database=settings.postgres.database,
            database_user=settings.postgres.user,
            migrations_table=settings.backend.migrations_table,
            colour=slot.colour,
            key=slot.key,
        )

    def _app(self, after: list[pulumi.Resource]) -> docker.Container:
        site, release, colour = self._site, self._release, self._slot.colour
        health = release.health
        url = f"http://localhost:{release.port}{health.path}"
        return container(
            f"{colour}-app",
            ContainerArgs(
                container=site.names.app(colour),
                part="app",
                image=release.image,
                user=release.user,
                networks=[
                    Attachment(
                        self._args.networks.app,
                        address(site.settings.networks.app, colour),
                        aliases=(f"app-{colour}",),
                    ),
                    Attachment(self._args.networks.data),
                ],
                memory=release.app_limits.memory,
                cpus=release.app_limits.cpus,
                pids=release.app_limits.pids,
                command=release.app_command,
                environment=as_secrets(self._secrets),
                volumes=[Volume(self._args.media, release.media_path)],
                check=Check(
                    # By the name that users ask for: Django refuses hosts that it does not know.
                    ("CMD", "curl", "-fsS", "-H", f"Host: {site.settings.edge.domain}", url),
                    interval=health.interval,
                    timeout=health.timeout,
                    retries=health.retries,
                    start_period=health.start_period,
                ),
                stop_seconds=site.settings.edge.request_timeout,
                # The claim waited until nginx's old processes had got their answers.
                idle=True,
                # It meets the new schema only: the step that waits for it starts it. What comes
                # back of a slot that is kept has no step before it.
                starts=self._slot.frozen,
                colour=colour,
                release=release.identity,
                hosts=datastores(site),
                lacks=self._lacks,
            ),
            site,
            self._docker_options(after),
        )

    def _workers(self, present: pulumi.Resource) -> list[docker.Container]:
        crew = WorkerCrew(
            f"workers-{self._release.identity}",
            CrewArgs(
                release=self._release,
                networks=self._args.networks,
                media=self._args.media,
                frozen=self._slot.frozen,
                protect=self._protected,
            ),
            self._site,
            [present],
        )
        return crew.containers

    @property
    def _protected(self) -> bool:
        """Only what serves after this run and is not filled in it (docs/decisions/0011)."""
        target = self._args.plan.target
        live = target is not None and target.colour == self._slot.colour
        return self._slot.frozen and live

    def _beat(self, after: list[pulumi.Resource]) -> list[docker.Container]:
        site, release = self._site, self._release
        if not release.beat_command:
            return []
        beat = container(
            f"beat-{release.identity}",
            ContainerArgs(
                container=site.names.beat(release.identity),
                part="beat",
                image=release.image,
                user=release.user,
                networks=[
                    Attachment(self._args.networks.app),
                    Attachment(self._args.networks.data),
                ],
                memory=release.beat_limits.memory,
                cpus=release.beat_limits.cpus,
                pids=release.beat_limits.pids,
                shares=JOB_SHARES,
                command=["python3", "/live/beat.py", *release.beat_command],
                environment={**as_secrets(self._secrets), "RELEASE": release.identity},
                volumes=[Volume(self._args.live, "/live", read_only=True)],
                # Paused or not, its launcher is there; the image's own check is the app's.
                check=Check(("CMD-SHELL", "kill -0 1"), WORKER_CHECK_SECONDS, 5, 3),
                colour=self._slot.colour,
                release=release.identity,
                hosts=datastores(site),
                lacks=self._lacks,
            ),
            site,
            self._docker_options(after),
        )
        return [beat]

    def _answering(self) -> steps.WorkersAnswer:
        names, release = self._site.names, self._release
        return steps.WorkersAnswer(
            switch=names.switch,
            containers=tuple(names.workers(release.identity, release.worker_replicas)),
            beat=names.beat(release.identity) if release.beat_command else "",
            timeout=self._site.settings.backend.boot_timeout,
        )

    def _verification(self) -> steps.Verify:
        return steps.Verify(
            switch=self._site.names.switch,
            app=self._site.names.app(self._slot.colour),
            colour=self._slot.colour,
            identity=self._release.identity,
            claim=self._slot.claim,
            timeout=self._release.health.timeout,
            boot_timeout=self._site.settings.backend.boot_timeout,
        )

    def _step(
        self,
        what: str,
        parameters: Parameters,
        after: list[pulumi.Resource],
        secrets: dict[str, str] | None = None,
    ) -> command.local.Command:
        return step(
            f"{self._slot.colour}-{what}",
            parameters,
            self._site.settings,
            self._site.options(self, after, frozen=self._slot.frozen, protect=self._protected),
            key=self._slot.key,
            secrets=secrets,
            shows_logs=True,
        )

    def _docker_options(self, after: list[pulumi.Resource]) -> pulumi.ResourceOptions:
        return self._site.docker_options(
            self, after, frozen=self._slot.frozen, protect=self._protected
        )


@dataclass(frozen=True)
class CrewArgs:
    """A release's workers, in a slot or outliving it while their jobs run."""

    release: Release
    networks: Networks
    media: pulumi.Input[str]
    frozen: bool
    protect: bool = False


class WorkerCrew(pulumi.ComponentResource):
    """The Celery workers of one release. They start paused, on a queue of their own that nobody
    fills; the switch lets the live release's workers consume, and no others."""

    containers: list[docker.Container]

    def __init__(
        self,
        name: str,
        args: CrewArgs,
        site: Site,
        after: list[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:rollout:WorkerCrew", name, None, opts)
        self._site, self._args = site, args
        self.containers = [
            self._worker(index, after) for index in range(1, args.release.worker_replicas + 1)
        ]
        self.register_outputs({"containers": [c.name for c in self.containers]})

    def _worker(self, index: int, after: list[pulumi.Resource]) -> docker.Container:
        site, release = self._site, self._args.release
        name = site.names.worker(release.identity, index)
        return container(
            f"worker-{release.identity}-{index}",
            ContainerArgs(
                container=name,
                part="worker",
                image=release.image,
                user=release.user,
                networks=[
                    Attachment(self._args.networks.app),
                    Attachment(self._args.networks.data),
                ],
                memory=release.worker_limits.memory,
                cpus=release.worker_limits.cpus,
                pids=release.worker_limits.pids,
                shares=JOB_SHARES,
                command=[*release.worker_command, "-Q", hold_queue(release.identity)],
                environment=as_secrets(release_environment(release, site)),
                volumes=[Volume(self._args.media, release.media_path)],
                check=Check(
                    BROKER_CONNECTED,
                    interval=WORKER_CHECK_SECONDS,
                    timeout=5,
                    retries=3,
                    start_period=WORKER_CHECK_SECONDS,
                ),
                stop_seconds=release.worker_stop_seconds,
                release=release.identity,
                hosts=datastores(site),
                lacks=lacking(release, site),
            ),
            site,
            site.docker_options(self, after, frozen=self._args.frozen, protect=self._args.protect),
        )


def hold_queue(identity: str) -> str:
    """The queue that a paused worker listens to: its own, and always empty."""
    return "ytempire.hold." + identity.replace("+", "-")


def release_environment(release: Release, site: Site) -> dict[str, str]:
    return container_environment(release, site.settings.secrets)


def datastores(site: Site) -> dict[str, str]:
    """The names that the backend knows them by, and where they are."""
    subnet = site.settings.networks.data
    return {"postgres": address(subnet, "postgres"), "redis": address(subnet, "redis")}


def lacking(release: Release, site: Site) -> str:
    """Why its containers can't be made anew, with the command that helps, or an empty string."""
    gone = missing_secrets(release, site.settings.secrets)
    if not gone:
        return ""
    commands = ", ".join(f"`pulumi config set --secret --path '{name}'`" for name in gone)
    return (
        f"{release.identity} was started with {', '.join(gone)}, which is configured no longer. "
        f"Next: {commands}, then `ytops up`"
    )


def as_secrets(values: dict[str, str]) -> dict[str, pulumi.Input[str]]:
    return {key: pulumi.Output.secret(value) for key, value in values.items()}
