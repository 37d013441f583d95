"""The Docker host: its provider and the stack's networks and volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_docker as docker

from components.site import Site
from rollout.names import PART_LABEL, STACK_LABEL, address
from rollout.settings import Settings

NetworkKind = Literal["edge", "app", "data"]


def provider(settings: Settings) -> docker.Provider:
    """The Docker daemon, by local socket or over ssh."""
    return docker.Provider("host", host=settings.deployment.docker_host)


@dataclass(frozen=True)
class NetworksArgs:
    """edge, app, data: their subnets. isolated: app has no way out either."""

    edge: str
    app: str
    data: str
    isolated: bool = False


class Networks(pulumi.ComponentResource):
    """edge: nginx alone. app: nginx, switch, app, workers; may reach the internet, unless the stack
    is isolated. data: datastores and who uses them; no way out."""

    edge: pulumi.Output[str]
    app: pulumi.Output[str]
    data: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        args: NetworksArgs,
        site: Site,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("ytempire:host:Networks", name, None, opts)
        # Docker publishes no port into a network without a way out: edge keeps its own.
        self.edge = self._network("edge", args.edge, site, internal=False).name
        self.app = self._network("app", args.app, site, internal=args.isolated).name
        self.data = self._network("data", args.data, site, internal=True).name
        self.register_outputs({"edge": self.edge, "app": self.app, "data": self.data})

    def _network(
        self, kind: NetworkKind, subnet: str, site: Site, *, internal: bool
    ) -> docker.Network:
        return docker.Network(
            f"net-{kind}",
            name=site.names.network(kind),
            driver="bridge",
            internal=internal,
            # Docker's own choice. It tells of it only once its daemon has been restarted: not said
            # here, a refresh after that would have every network made anew.
            ipam_configs=[
                docker.NetworkIpamConfigArgs(subnet=subnet, gateway=address(subnet, "gateway"))
            ],
            labels=[
                docker.NetworkLabelArgs(label=STACK_LABEL, value=site.settings.stack),
                docker.NetworkLabelArgs(label=PART_LABEL, value=f"net-{kind}"),
            ],
            opts=site.docker_options(self),
        )


def volume(kind: str, parent: pulumi.Resource, site: Site) -> docker.Volume:
    """A named volume of the stack."""
    return docker.Volume(
        f"vol-{kind}",
        name=site.names.volume(kind),
        labels=[
            docker.VolumeLabelArgs(label=STACK_LABEL, value=site.settings.stack),
            docker.VolumeLabelArgs(label=PART_LABEL, value=f"vol-{kind}"),
        ],
        opts=site.docker_options(parent),
    )
