"""What every component is given: the settings, the names, the provider, and the gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_docker as docker

from rollout.names import Names
from rollout.settings import Settings


@dataclass(frozen=True)
class Site:
    """The host as the components see it. `gate` comes before everything that changes it."""

    settings: Settings
    names: Names
    provider: docker.Provider
    gate: pulumi.Resource
    maintenance: bool = False
    """Whether this run may replace what no deploy does."""

    def options(
        self,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
        *,
        frozen: bool = False,
        ignore: Sequence[str] | None = None,
        protect: bool = True,
    ) -> pulumi.ResourceOptions:
        """Options of a resource: behind the gate, protected in production.

        `frozen` resources keep what they were created with, whatever the configuration says now;
        `ignore` names the properties of which that is true otherwise.
        """
        ignored = ["*"] if frozen else list(ignore or ())
        return pulumi.ResourceOptions(
            parent=parent,
            depends_on=[self.gate, *after],
            protect=self.settings.deployment.protect and protect,
            ignore_changes=ignored or None,
        )

    def docker_options(
        self,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
        *,
        frozen: bool = False,
        protect: bool = True,
    ) -> pulumi.ResourceOptions:
        """The same for a resource of the Docker provider."""
        options = self.options(parent, after, frozen=frozen, protect=protect)
        options.provider = self.provider
        return options

    def lasting_options(
        self, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.ResourceOptions:
        """Of a container that outlives every deploy: only a maintenance replaces it."""
        return self.docker_options(parent, after, protect=not self.maintenance)
