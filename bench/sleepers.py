"""A program that declares as many containers as `BENCH_CONTAINERS` says, as ours declares each of
its own; they sleep. It begins as ours does: settings, a look at the host, a plan."""

from __future__ import annotations

import os

import pulumi

from components.container import Attachment, Check, ContainerArgs, container
from components.gate import gate
from components.host import Networks, NetworksArgs, provider
from components.site import Site
from components.system import begin

IMAGE = "ytempire-sandbox/base:bookworm"
CHECK_SECONDS = 3600  # the policies want a check; two hundred of them shall not be what is measured


def main() -> None:
    run = begin()
    before = gate(run.plan, run.observation.view.state, run.settings)
    site = Site(run.settings, run.names, provider(run.settings), before)
    subnets = run.settings.networks
    networks = Networks("networks", NetworksArgs(subnets.edge, subnets.app, subnets.data), site)
    places = [networks.edge, networks.app, networks.data]  # none has room for all
    parent = pulumi.ComponentResource("ytempire:bench:Sleepers", "sleepers")
    for number in range(int(os.environ["BENCH_CONTAINERS"])):
        container(
            f"sleeper-{number}",
            ContainerArgs(
                container=run.names.part("sleeper", str(number)),
                part="sleeper",
                image=IMAGE,
                user="10001:10001",
                networks=[Attachment(places[number % 3])],
                memory=16,
                pids=16,
                command=["sleep", "infinity"],
                check=Check(("CMD", "true"), CHECK_SECONDS, 5, 3),
                stop_seconds=1,
            ),
            site,
            site.docker_options(parent),
        )


main()
