"""The one declaration of a container: hardened, limited, logged, labelled.

The list is the CIS Docker Benchmark's container section. Whoever needs less says so by name in
`ContainerArgs`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_docker as docker

from components.site import Site
from ops.docker import Docker
from ops.errors import OpsError
from ops.stale import remove_stale
from rollout.names import COLOUR_LABEL, PART_LABEL, PIDS_LABEL, RELEASE_LABEL, STACK_LABEL

# Five files of 20 MB: some days of logs at the sandbox's rate, and a bound on the disk (CIS 2.12).
LOG_OPTIONS = {"max-size": "20m", "max-file": "5"}
# Temporary files live in memory: nothing executable, no devices, no set-uid. The owner is given,
# because the runtime takes the mode of the image's folder and makes root its owner.
TMPFS_OPTIONS = "rw,noexec,nosuid,nodev,size=64m,mode=1777,uid={uid},gid={gid}"


@dataclass(frozen=True)
class Attachment:
    """A place on a network: by fixed address, by alias, or neither."""

    network: pulumi.Input[str]
    address: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """A named volume at a path; `is_folder`: one of the host's folders, by its own path."""

    name: pulumi.Input[str]
    path: str
    read_only: bool = False
    is_folder: bool = False


@dataclass(frozen=True)
class Check:
    """A health check; times in seconds."""

    test: tuple[str, ...]
    interval: int
    timeout: int
    retries: int
    start_period: int = 5  # zero would mean the image's own


@dataclass(frozen=True)
class ContainerArgs:
    """What differs from container to container.

    memory: MB. cpus: cores, 0 for no limit. shares: of a busy processor, where others have 1024; 0
    for as much. pids: processes. stop_seconds: from the stop signal to the kill. idle: when it
    makes way for another, nobody asks it for anything any more, so it is killed. starts: at once;
    else a step starts it. ports: (address, published, inside). capabilities: what is added to none.
    init: an init process is its first one, for a program that takes orphans for its own children.
    lacks: what it could not start without; it stays as it is, and is not made anew. hosts: names
    and addresses that it knows by itself: Docker's own name service is away while its daemon is.
    groups: whose files its user may read, too.
    """

    container: str
    part: str
    image: pulumi.Input[str]
    user: str
    networks: Sequence[Attachment]
    memory: int
    pids: int
    cpus: float = 0
    shares: int = 0
    command: Sequence[str] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    volumes: Sequence[Volume] = ()
    tmpfs: Sequence[str] = ("/tmp",)
    groups: Sequence[str] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    check: Check | None = None
    restart: str = "unless-stopped"
    stop_seconds: int = 30
    idle: bool = False
    stop_signal: str | None = None
    starts: bool = True
    ports: Sequence[tuple[str, int, int]] = ()
    shm_mb: int = 64
    init: bool = False
    colour: str = ""
    release: str = ""
    lacks: str = ""


def container(
    name: str, args: ContainerArgs, site: Site, opts: pulumi.ResourceOptions
) -> docker.Container:
    """Declare it. Before creation, a namesake of ours that a killed run left is removed; after it,
    the process limit is set, which the provider can't. A hook that fails or never runs leaves the
    container as one that was made: `awake` sets it in the next run, by the label."""
    labels = {
        STACK_LABEL: site.settings.stack,
        PART_LABEL: args.part,
        COLOUR_LABEL: args.colour,
        RELEASE_LABEL: args.release,
        PIDS_LABEL: str(args.pids),
    }
    opts.hooks = _hooks(args, site)
    opts.delete_before_replace = True  # the names are fixed
    # The provider would note a changed tmpfs, and not mount it.
    opts.replace_on_changes = ["tmpfs"]
    return docker.Container(
        name,
        name=args.container,
        hostname=args.container,
        image=args.image,
        user=args.user,
        group_adds=list(args.groups) or None,
        command=list(args.command) or None,
        envs=[pulumi.Output.concat(key, "=", value) for key, value in args.environment.items()],
        labels=[
            docker.ContainerLabelArgs(label=label, value=value)
            for label, value in labels.items()
            if value
        ],
        networks_advanced=[
            docker.ContainerNetworksAdvancedArgs(
                name=place.network,
                ipv4_address=place.address or None,
                aliases=list(place.aliases) or None,
            )
            for place in args.networks
        ],
        mounts=[
            docker.ContainerMountArgs(
                type="bind" if v.is_folder else "volume",
                source=v.name,
                target=v.path,
                read_only=v.read_only,
            )
            for v in args.volumes
        ],
        hosts=[
            docker.ContainerHostArgs(host=host, ip=address) for host, address in args.hosts.items()
        ]
        or None,
        tmpfs=dict.fromkeys(args.tmpfs, _tmpfs_options(args.user)),
        ports=[
            docker.ContainerPortArgs(ip=address, external=published, internal=inside)
            for address, published, inside in args.ports
        ]
        or None,
        healthcheck=_healthcheck(args.check),
        restart=args.restart,
        start=args.starts,
        must_run=args.starts,
        wait=False,  # a step of its own waits, and says what the container said
        memory=args.memory,
        memory_swap=args.memory,  # equal: no swap
        cpus=str(args.cpus) if args.cpus else None,
        cpu_shares=args.shares or None,
        shm_size=args.shm_mb,
        init=args.init or None,
        read_only=True,
        capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
        security_opts=["no-new-privileges:true"],
        log_driver="json-file",
        log_opts=LOG_OPTIONS,
        stop_timeout=args.stop_seconds,
        stop_signal=args.stop_signal,
        destroy_grace_seconds=None if args.idle else args.stop_seconds,
        opts=opts,
    )


def _tmpfs_options(user: str) -> str:
    uid, gid = user.split(":")
    return TMPFS_OPTIONS.format(uid=uid, gid=gid)


def _healthcheck(check: Check | None) -> docker.ContainerHealthcheckArgs | None:
    if check is None:
        return None
    return docker.ContainerHealthcheckArgs(
        tests=list(check.test),
        interval=_duration(check.interval),
        timeout=_duration(check.timeout),
        retries=check.retries,
        start_period=_duration(check.start_period),
    )


def _duration(seconds: int) -> str:
    """As the provider writes it back (`1m0s`): any other spelling is a change in each run."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"


def _hooks(args: ContainerArgs, site: Site) -> pulumi.ResourceHookBinding:
    host = site.settings.deployment.docker_host

    def clear_name(_: pulumi.ResourceHookArgs) -> None:
        if args.lacks:
            raise OpsError(f"{args.container} is gone and can't be made anew: {args.lacks}")
        remove_stale(Docker(host), args.container, site.names)

    def limit_processes(_: pulumi.ResourceHookArgs) -> None:
        answer = Docker(host).limit_processes(args.container, args.pids)
        # One that has already ended is for the step that waits for its health to tell about.
        if answer.code and "stopped container" not in answer.words:
            raise OpsError(f"{args.container} got no process limit: {answer.words}")

    return pulumi.ResourceHookBinding(before_create=[clear_name], after_create=[limit_processes])
