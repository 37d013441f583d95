"""What everything is called on a host, and where it can be reached there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Colour = Literal["blue", "green"]
COLOURS: tuple[Colour, Colour] = ("blue", "green")

STACK_LABEL = "ytempire.stack"
PART_LABEL = "ytempire.part"
COLOUR_LABEL = "ytempire.colour"
RELEASE_LABEL = "ytempire.release"
# How many processes a container may have: the provider can't say it to Docker.
PIDS_LABEL = "ytempire.pids"

# Redis' logical databases.
BROKER_DATABASE = 0
CACHE_DATABASE = 1

# The containers that outlive every deploy: only a maintenance replaces them.
DATASTORES = frozenset({"postgres", "redis"})
EDGE = frozenset({"nginx"})

# The variable that a step's parameters travel in, as JSON.
PARAMETERS = "STEP"

# The step that everything which changes production comes after.
GATE = "gate"

# The type of the resource that carries what policies judge of the configuration.
CONFIGURATION = "ytempire:rollout:Configuration"

# Places on a network, counted from its first address. Docker hands out addresses from the
# lower half's start, so ours begin where a small installation's dynamic ones have ended.
_PLACES: dict[str, int] = {
    "gateway": 1,
    "edge": 64,
    "switch": 65,
    "blue": 66,
    "green": 67,
    "postgres": 68,
    "redis": 69,
    "scheduler": 70,
}

# Ports inside the networks; only nginx's two public ones are published on the host.
EDGE_HTTP_PORT = 8080
EDGE_HTTPS_PORT = 8443
EDGE_STATUS_PORT = 8081  # stub_status and what nginx has loaded; app network only
ACCESS_LOG_PORT = 5514  # nginx reports each request to the switch, by syslog over UDP


# Behind a stack's name: the stack that keeps its backups.
STORE = "-store"


def store_of(stack: str) -> str:
    """The stack whose store this one is; empty when it is none."""
    return stack.removesuffix(STORE) if stack.endswith(STORE) else ""


def other(colour: Colour) -> Colour:
    """The slot that is not `colour`."""
    return "green" if colour == "blue" else "blue"


@dataclass(frozen=True)
class Names:
    """The Docker names of one stack: `ytempire-{stack}-{part}`, so that stacks share a host."""

    stack: str

    def part(self, *words: str) -> str:
        return "-".join(("ytempire", self.stack, *words))

    @property
    def edge(self) -> str:
        return self.part("nginx")

    @property
    def switch(self) -> str:
        return self.part("switch")

    @property
    def postgres(self) -> str:
        return self.part("postgres")

    @property
    def wal(self) -> str:
        """What receives the database's log."""
        return self.part("wal")

    @property
    def redis(self) -> str:
        return self.part("redis")

    @property
    def scheduler(self) -> str:
        return self.part("scheduler")

    def app(self, colour: Colour) -> str:
        return self.part(colour)

    def network(self, kind: Literal["edge", "app", "data"]) -> str:
        return self.part("net", kind)

    def volume(self, kind: str) -> str:
        return self.part("vol", kind)

    def worker(self, identity: str, index: int) -> str:
        """A worker is named by its release: it may outlive its slot while a job runs."""
        return self.part("worker", _plain(identity), str(index))

    def workers(self, identity: str, replicas: int) -> Iterator[str]:
        return (self.worker(identity, index) for index in range(1, replicas + 1))

    def beat(self, identity: str) -> str:
        return self.part("beat", _plain(identity))


def marker(colour: Colour, step: str, key: str) -> str:
    """What the host remembers a step by that it need not do twice."""
    return f"{colour}-{step}#{key}"


def node(container: str) -> str:
    """Celery's name of the worker whose container has this host name."""
    return f"celery@{container}"


def address(
    subnet: str,
    place: Literal["gateway", "edge", "switch", "blue", "green", "postgres", "redis", "scheduler"],
) -> str:
    """A fixed address: containers recreated in another order keep theirs. The datastores' and the
    scheduler's are on the data network, the others' on the app network."""
    return str(ipaddress.ip_network(subnet)[_PLACES[place]])


# Linux takes host names of 63 characters, and a worker is reached by its own:
# `ytempire-{stack}-worker-{version}-{fingerprint}-{nn}`.
_VERSION_LENGTH = 16
MAX_STACK_LENGTH = 14


def _plain(identity: str) -> str:
    """`1.2.0+ab12cd34ef56` as it may stand in a host name: the fingerprint tells them apart."""
    version, _, fingerprint = identity.rpartition("+")
    return f"{version[:_VERSION_LENGTH]}-{fingerprint}"
