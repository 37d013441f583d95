"""Containers: the parts of the CIS Docker Benchmark that can be declared, and who may publish.

What needs less than the rest is named here, with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policies.rule import Inputs, rule
from rollout.names import PART_LABEL, STACK_LABEL

CONTAINER = "docker:index/container:Container"

# nginx is the edge: nobody else is reached from outside.
PUBLISHERS = frozenset({"nginx"})

RESTARTS = ("unless-stopped", "on-failure")
LOG_DRIVERS = ("json-file", "local")

_DIGEST = re.compile(r"(^|@)sha256:[0-9a-f]{64}$")
_TAG = re.compile(r":(?P<tag>[\w][\w.-]*)$")


def _labels(container: Inputs) -> dict[str, str]:
    return {item["label"]: item["value"] for item in container.get("labels") or ()}


def _part(container: Inputs) -> str:
    return _labels(container).get(PART_LABEL, "")


def image_is_pinned(container: Inputs) -> Iterator[str]:
    image = str(container.get("image", ""))
    tag = _TAG.search(image)
    if not _DIGEST.search(image) and (tag is None or tag["tag"] == "latest"):
        yield (
            f"must name an exact image, not {image or 'none'}: give a tag other than latest, "
            "or NAME@sha256:…"
        )


def only_the_edge_publishes(container: Inputs) -> Iterator[str]:
    ports = [_published(port) for port in _ports(container)]
    if ports and _part(container) not in PUBLISHERS:
        yield (
            f"must not publish ports ({', '.join(ports)}): only nginx is reached from outside; "
            "attach it to a network instead"
        )


def ports_are_bound(container: Inputs) -> Iterator[str]:
    for port in _ports(container):
        if not port.get("ip"):
            yield f"must bind port {_published(port)} to an address: set edgeBindAddress"


def _ports(container: Inputs) -> list[Mapping[str, Any]]:
    return list(container.get("ports") or ())


def _published(port: Mapping[str, Any]) -> str:
    return f"{port.get('external') or port.get('internal') or 0:g}"


def restarts(container: Inputs) -> Iterator[str]:
    policy = container.get("restart") or "no"
    if policy not in RESTARTS:
        yield f"must come back after a failure, not restart {policy!r}: use {' or '.join(RESTARTS)}"


def memory_is_limited(container: Inputs) -> Iterator[str]:
    memory = container.get("memory") or 0
    if memory <= 0:
        yield "must have a memory limit: set memory in MB"
    elif container.get("memorySwap") != memory:
        yield f"must not swap: set memorySwap to its memory, {memory:g}"


def logs_are_rotated(container: Inputs) -> Iterator[str]:
    options = container.get("logOpts") or {}
    if container.get("logDriver") not in LOG_DRIVERS:
        yield f"must log where Docker rotates: use the driver {' or '.join(LOG_DRIVERS)}"
    elif not {"max-size", "max-file"} <= set(options):
        yield "must rotate its logs: set max-size and max-file in logOpts"


def root_is_read_only(container: Inputs) -> Iterator[str]:
    if container.get("readOnly") is not True:
        yield "must have a read-only root: set readOnly, and mount a volume or tmpfs to write to"


def capabilities_are_dropped(container: Inputs) -> Iterator[str]:
    capabilities = container.get("capabilities") or {}
    added = list(capabilities.get("adds") or ())
    if "ALL" not in (capabilities.get("drops") or ()):
        yield "must drop all capabilities: set capabilities.drops to ALL"
    if added:
        yield f"must not add capabilities ({', '.join(added)}): remove capabilities.adds"


def privileges_are_not_gained(container: Inputs) -> Iterator[str]:
    options = list(container.get("securityOpts") or ())
    if "no-new-privileges:true" not in options:
        yield "must not gain privileges: add no-new-privileges:true to securityOpts"
    unconfined = [option for option in options if str(option).endswith("unconfined")]
    if unconfined:
        yield f"must keep Docker's own profiles: remove {', '.join(unconfined)}"


def is_not_privileged(container: Inputs) -> Iterator[str]:
    if container.get("privileged"):
        yield "must not be privileged: remove privileged, and say what it needs instead"
    if container.get("devices"):
        yield "must not reach devices of the host: remove devices"


def has_namespaces_of_its_own(container: Inputs) -> Iterator[str]:
    for key in ("networkMode", "pidMode", "ipcMode", "usernsMode", "cgroupnsMode"):
        mode = str(container.get(key) or "")
        if mode == "host" or mode.startswith("container:"):
            yield f"must have a namespace of its own, not {key} {mode}: remove {key}"


def mounts_nothing_of_the_host(container: Inputs) -> Iterator[str]:
    for mount in container.get("mounts") or ():
        if mount.get("type") == "bind":
            yield _host_path(str(mount.get("source", "")))
    for volume in container.get("volumes") or ():
        if volume.get("hostPath"):
            yield _host_path(str(volume["hostPath"]))


def _host_path(path: str) -> str:
    if path.endswith("docker.sock"):
        return f"must not mount the Docker socket ({path}): whoever has it owns the host; remove it"
    return f"must not mount the host's {path}: use a named volume"


def has_a_health_check(container: Inputs) -> Iterator[str]:
    check = container.get("healthcheck") or {}
    tests = list(check.get("tests") or ())
    if tests in ([], ["NONE"]):
        yield "must have a health check: set healthcheck; what its image brings is for the app"


def runs_as_somebody(container: Inputs) -> Iterator[str]:
    user = str(container.get("user") or "root")
    if user.split(":")[0] in ("0", "root"):
        yield f"must not run as {user}: set user to UID:GID"


def is_labelled(container: Inputs) -> Iterator[str]:
    missing = [label for label in (STACK_LABEL, PART_LABEL) if not _labels(container).get(label)]
    if missing:
        yield f"must say whose it is: add the label {' and '.join(missing)}"


POLICIES = [
    rule(CONTAINER, name, description, check)
    for name, description, check in (
        (
            "container-image-is-pinned",
            "An image is named by digest, image id or exact tag, so that a restart runs what was "
            "deployed (CIS 4, 5.27).",
            image_is_pinned,
        ),
        (
            "only-nginx-publishes-ports",
            "Only the edge is reached from outside the host; all else is behind it (CIS 5.8).",
            only_the_edge_publishes,
        ),
        (
            "container-ports-are-bound",
            "A published port names the host address that it listens on (CIS 5.13).",
            ports_are_bound,
        ),
        (
            "container-restarts",
            "A container comes back after a failure or a reboot of the host (CIS 5.14).",
            restarts,
        ),
        (
            "container-memory-is-limited",
            "A container has a memory limit and no swap, so that it can't starve the others "
            "(CIS 5.10).",
            memory_is_limited,
        ),
        (
            "container-logs-are-rotated",
            "Docker bounds each container's log, so that it can't fill the disk (CIS 2.12).",
            logs_are_rotated,
        ),
        (
            "container-root-is-read-only",
            "A container's root file system is read-only (CIS 5.12).",
            root_is_read_only,
        ),
        (
            "container-drops-all-capabilities",
            "A container drops all Linux capabilities and adds none (CIS 5.3).",
            capabilities_are_dropped,
        ),
        (
            "container-gains-no-privileges",
            "Set-uid programs gain nothing, and Docker's own profiles apply (CIS 5.1, 5.2, 5.25).",
            privileges_are_not_gained,
        ),
        (
            "container-is-not-privileged",
            "No container is privileged or reaches the host's devices (CIS 5.4, 5.17).",
            is_not_privileged,
        ),
        (
            "container-has-its-own-namespaces",
            "A container shares no namespace with the host or another one (CIS 5.9, 5.15, 5.16, "
            "5.30).",
            has_namespaces_of_its_own,
        ),
        (
            "container-mounts-nothing-of-the-host",
            "A container mounts named volumes only: no folder of the host, and never the Docker "
            "socket (CIS 5.5, 5.31).",
            mounts_nothing_of_the_host,
        ),
        (
            "container-has-a-health-check",
            "Every part says whether it is well, by a check of its own (CIS 5.26).",
            has_a_health_check,
        ),
        (
            "container-runs-as-somebody",
            "No container runs as root (CIS 4.1).",
            runs_as_somebody,
        ),
        (
            "container-is-labelled",
            "A container says which stack and part it is: clean-up and rules go by it.",
            is_labelled,
        ),
    )
]
