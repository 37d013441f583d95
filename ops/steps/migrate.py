"""Migrate: the database's schema is brought to the release, once, while the live one serves."""

from __future__ import annotations

import time

from ops.docker import Docker, Say, elapsed
from ops.steps import _one_shot
from ops.steps._marker import Marker
from ops.steps._one_shot import OneShot
from rollout.steps import Migrate

# Python ends in order on SIGINT, even as a container's first process; PostgreSQL rolls back.
STOP_SIGNAL = "SIGINT"


def run(parameters: Migrate, say: Say) -> None:
    docker = Docker()
    marker = Marker(docker, parameters.switch, parameters.colour, "migrate", parameters.key, say)
    done = marker.note()
    if done is not None:
        say(f"already migrated for {parameters.key} ({done})")
        return
    begun = time.monotonic()
    outcome = _one_shot.run(docker, _container(parameters), say, parameters.timeout)
    if outcome.code != 0:
        where = f"{parameters.container} on {docker.host}"
        after = _after(parameters.key)
        raise _one_shot.explain(outcome, "The migration", where, after, parameters.timeout)
    took = elapsed(begun)
    marker.set(took)
    say(f"migrated in {took}")


def _container(parameters: Migrate) -> OneShot:
    return OneShot(
        name=parameters.container,
        image=parameters.image,
        command=parameters.command,
        step="migrate",
        key=parameters.key,
        networks=parameters.networks,
        variables=parameters.variables,
        volumes={parameters.media_volume: parameters.media_path},
        labels=parameters.labels,
        user=parameters.user,
        memory=parameters.memory,
        stop_signal=STOP_SIGNAL,
    )


def _after(key: str) -> str:
    version = key.split("+", 1)[0]
    return (
        "The live release goes on serving; what was applied stays applied (expand/contract).\n"
        f"Next: fix it and run again: `ytops up {version}`"
    )
