"""Containers: the parts of the CIS Docker Benchmark that can be declared, and who may publish.

What needs less than the rest is named here, with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pulumi_policy import Severity

from policies.rule import Limit, Subject, rule
from rollout.names import PART_LABEL, PIDS_LABEL, STACK_LABEL

CONTAINER = "docker:index/container:Container"

# nginx is the edge: nobody else is reached from outside.
PUBLISHERS = frozenset({"nginx"})

# The scheduler keeps backups on drives of the host; but never where the system itself lives.
KEEPS_DRIVES = frozenset({"scheduler"})
SYSTEM_FOLDERS = frozenset(
    ("", "bin", "boot", "dev", "etc", "lib", "proc", "root", "run", "sbin", "sys", "usr", "var")
)

RESTARTS = ("unless-stopped", "on-failure")
LOG_DRIVERS = ("json-file", "local")

# The backend takes its secrets as variables (docs/backend-contract.md), and the switch its own
# password for the broker; all others read files.
SECRETS_BY_CONTRACT = frozenset({"app", "worker", "beat", "switch"})

_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_KEY|API_KEY|AUTH)$", re.I)
_SECRET_VALUE = re.compile(r"://[^/@\s:]*:[^/@\s]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----")
_DIGEST = re.compile(r"(^|@)sha256:[0-9a-f]{64}$")
_TAG = re.compile(r":(?P<tag>[\w][\w.-]*)$")


def _labels(container: Subject) -> dict[str, str]:
    return {item["label"]: item["value"] for item in container.get("labels") or ()}


def _part(container: Subject) -> str:
    return _labels(container).get(PART_LABEL, "")


def image_is_pinned(container: Subject) -> Iterator[str]:
    image = str(container.get("image", ""))
    tag = _TAG.search(image)
    if not _DIGEST.search(image) and (tag is None or tag["tag"] == "latest"):
        yield (
            f"must name an exact image, not {image or 'none'}: give a tag other than latest, "
            "or NAME@sha256:…"
        )


def only_the_edge_publishes(container: Subject) -> Iterator[str]:
    ports = [_published(port) for port in _ports(container)]
    if ports and _part(container) not in PUBLISHERS:
        yield (
            f"must not publish ports ({', '.join(ports)}): only nginx is reached from outside; "
            "attach it to a network instead"
        )


def ports_are_bound(container: Subject) -> Iterator[str]:
    for port in _ports(container):
        if not port.get("ip"):
            yield f"must bind port {_published(port)} to an address: set edgeBindAddress"


def _ports(container: Subject) -> list[Mapping[str, Any]]:
    return list(container.get("ports") or ())


def _published(port: Mapping[str, Any]) -> str:
    return f"{port.get('external') or port.get('internal') or 0:g}"


def is_on_networks_of_ours(container: Subject) -> Iterator[str]:
    names = [str(place.get("name", "")) for place in container.get("networksAdvanced") or ()]
    if not names and container.get("networkMode") != "none":
        yield "must name its networks: without networksAdvanced it is on Docker's default bridge"
    if "bridge" in names:
        yield "must not be on Docker's default bridge: declare a network in components/host.py"


def restarts(container: Subject) -> Iterator[str]:
    policy = container.get("restart") or "no"
    if policy not in RESTARTS:
        yield f"must come back after a failure, not restart {policy!r}: use {' or '.join(RESTARTS)}"


def memory_is_limited(container: Subject) -> Iterator[str]:
    memory = container.get("memory") or 0
    if memory <= 0:
        yield "must have a memory limit: set memory in MB"
    elif container.get("memorySwap") != memory:
        yield f"must not swap: set memorySwap to its memory, {memory:g}"


def processes_are_limited(container: Subject) -> Iterator[str]:
    """By its label: the provider can't say it to Docker, a hook does (components/container.py)."""
    pids = _labels(container).get(PIDS_LABEL, "")
    if not pids.isdigit() or int(pids) == 0:
        yield f"must have a process limit: add the label {PIDS_LABEL} with their number"


def logs_are_rotated(container: Subject) -> Iterator[str]:
    options = container.get("logOpts") or {}
    if container.get("logDriver") not in LOG_DRIVERS:
        yield f"must log where Docker rotates: use the driver {' or '.join(LOG_DRIVERS)}"
    elif not {"max-size", "max-file"} <= set(options):
        yield "must rotate its logs: set max-size and max-file in logOpts"
    elif _log_megabytes(options) > container.limit("megabytes"):
        yield (
            f"must keep at most {container.limit('megabytes'):g} MB of logs, not "
            f"{_log_megabytes(options):g}: lower max-size or max-file in logOpts"
        )


def _log_megabytes(options: Mapping[str, Any]) -> float:
    size = re.fullmatch(r"(\d+)([kmg]?)", str(options["max-size"]).lower())
    if size is None:
        return float("inf")
    unit = {"": 1e-6, "k": 1e-3, "m": 1.0, "g": 1e3}[size[2]]
    return float(size[1]) * unit * float(options["max-file"])


def root_is_read_only(container: Subject) -> Iterator[str]:
    if container.get("readOnly") is not True:
        yield "must have a read-only root: set readOnly, and mount a volume or tmpfs to write to"


def capabilities_are_dropped(container: Subject) -> Iterator[str]:
    capabilities = container.get("capabilities") or {}
    added = list(capabilities.get("adds") or ())
    if "ALL" not in (capabilities.get("drops") or ()):
        yield "must drop all capabilities: set capabilities.drops to ALL"
    if added:
        yield f"must not add capabilities ({', '.join(added)}): remove capabilities.adds"


def privileges_are_not_gained(container: Subject) -> Iterator[str]:
    options = list(container.get("securityOpts") or ())
    if "no-new-privileges:true" not in options:
        yield "must not gain privileges: add no-new-privileges:true to securityOpts"
    unconfined = [option for option in options if str(option).endswith("unconfined")]
    if unconfined:
        yield f"must keep Docker's own profiles: remove {', '.join(unconfined)}"


def is_not_privileged(container: Subject) -> Iterator[str]:
    if container.get("privileged"):
        yield "must not be privileged: remove privileged, and say what it needs instead"
    if container.get("devices"):
        yield "must not reach devices of the host: remove devices"


def has_namespaces_of_its_own(container: Subject) -> Iterator[str]:
    for key in ("networkMode", "pidMode", "ipcMode", "usernsMode", "cgroupnsMode"):
        mode = str(container.get(key) or "")
        if mode == "host" or mode.startswith("container:"):
            yield f"must have a namespace of its own, not {key} {mode}: remove {key}"


def mounts_nothing_of_the_host(container: Subject) -> Iterator[str]:
    for mount in container.get("mounts") or ():
        source = str(mount.get("source", ""))
        if mount.get("type") == "bind" and not _is_drive(container, source):
            yield _host_path(source)
    for volume in container.get("volumes") or ():
        if volume.get("hostPath"):
            yield _host_path(str(volume["hostPath"]))


def _is_drive(container: Subject, path: str) -> bool:
    folder = path.removeprefix("/").partition("/")[0]
    return _part(container) in KEEPS_DRIVES and folder not in SYSTEM_FOLDERS


def _host_path(path: str) -> str:
    if path.endswith("docker.sock"):
        return f"must not mount the Docker socket ({path}): whoever has it owns the host; remove it"
    return f"must not mount the host's {path}: use a named volume"


def has_a_health_check(container: Subject) -> Iterator[str]:
    check = container.get("healthcheck") or {}
    tests = list(check.get("tests") or ())
    if tests in ([], ["NONE"]):
        yield "must have a health check: set healthcheck; what its image brings is for the app"


def runs_as_somebody(container: Subject) -> Iterator[str]:
    user = str(container.get("user") or "root")
    if user.split(":")[0] in ("0", "root"):
        yield f"must not run as {user}: set user to UID:GID"


def keeps_secrets_out_of_its_environment(container: Subject) -> Iterator[str]:
    if _part(container) in SECRETS_BY_CONTRACT:
        return
    for variable in container.get("envs") or ():
        name, _, value = str(variable).partition("=")
        if _SECRET_NAME.search(name) or _SECRET_VALUE.search(value):
            yield (
                f"must not have {name} in its environment: everybody who may inspect a container "
                "reads it; give it a file in a volume"
            )


def is_labelled(container: Subject) -> Iterator[str]:
    missing = [label for label in (STACK_LABEL, PART_LABEL) if not _labels(container).get(label)]
    if missing:
        yield f"must say whose it is: add the label {' and '.join(missing)}"


_CIS = "CIS Docker Benchmark 1.6: "
_LOG_LIMIT = {
    "megabytes": Limit(
        100, "Most MB of logs that Docker keeps of one container.", least=1, most=1000
    )
}

POLICIES = [
    rule(
        CONTAINER,
        "container-image-is-pinned",
        "An image is named by digest, image id or exact tag, so that a restart runs what was "
        "deployed.",
        image_is_pinned,
        severity=Severity.HIGH,
        remedy="Give a tag other than latest, or NAME@sha256:DIGEST.",
        source=_CIS + "5.28",
    ),
    rule(
        CONTAINER,
        "only-nginx-publishes-ports",
        "Only the edge is reached from outside the host; all else is behind it.",
        only_the_edge_publishes,
        severity=Severity.CRITICAL,
        remedy="Attach it to a network; only nginx publishes.",
        source=_CIS + "5.8, 5.9",
    ),
    rule(
        CONTAINER,
        "container-ports-are-bound",
        "A published port names the host address that it listens on.",
        ports_are_bound,
        severity=Severity.MEDIUM,
        remedy="Set edgeBindAddress.",
        source=_CIS + "5.14",
    ),
    rule(
        CONTAINER,
        "container-is-on-named-networks",
        "A container is on networks that are declared, never on Docker's default bridge.",
        is_on_networks_of_ours,
        severity=Severity.MEDIUM,
        remedy="Set networksAdvanced.",
        source=_CIS + "5.30",
    ),
    rule(
        CONTAINER,
        "container-restarts",
        "A container comes back after a failure or a reboot of the host.",
        restarts,
        severity=Severity.MEDIUM,
        remedy="Set restart to unless-stopped or on-failure.",
        source=_CIS + "5.15",
    ),
    rule(
        CONTAINER,
        "container-memory-is-limited",
        "A container has a memory limit and no swap, so that it can't starve the others.",
        memory_is_limited,
        severity=Severity.HIGH,
        remedy="Set memory in MB, and memorySwap to the same.",
        source=_CIS + "5.11",
    ),
    rule(
        CONTAINER,
        "container-processes-are-limited",
        "A container has a process limit, so that a fork bomb stays inside.",
        processes_are_limited,
        severity=Severity.MEDIUM,
        remedy="Declare it by components/container.py, which sets the limit and the label.",
        source=_CIS + "5.28",
    ),
    rule(
        CONTAINER,
        "container-logs-are-rotated",
        "Docker bounds each container's log, so that it can't fill the disk.",
        logs_are_rotated,
        severity=Severity.MEDIUM,
        remedy="Set logDriver, and max-size and max-file in logOpts.",
        source="operations manual: 7.2",
        limits=_LOG_LIMIT,
    ),
    rule(
        CONTAINER,
        "container-root-is-read-only",
        "A container's root file system is read-only.",
        root_is_read_only,
        severity=Severity.HIGH,
        remedy="Set readOnly, and mount a volume or tmpfs to write to.",
        source=_CIS + "5.13",
    ),
    rule(
        CONTAINER,
        "container-drops-all-capabilities",
        "A container drops all Linux capabilities and adds none.",
        capabilities_are_dropped,
        severity=Severity.HIGH,
        remedy="Set capabilities.drops to ALL, and add none.",
        source=_CIS + "5.4",
    ),
    rule(
        CONTAINER,
        "container-gains-no-privileges",
        "Set-uid programs gain nothing, and Docker's own profiles apply.",
        privileges_are_not_gained,
        severity=Severity.HIGH,
        remedy="Set no-new-privileges:true in securityOpts.",
        source=_CIS + "5.2, 5.22, 5.26",
    ),
    rule(
        CONTAINER,
        "container-is-not-privileged",
        "No container is privileged or reaches the host's devices.",
        is_not_privileged,
        severity=Severity.CRITICAL,
        remedy="Remove privileged and devices.",
        source=_CIS + "5.5, 5.18",
    ),
    rule(
        CONTAINER,
        "container-has-its-own-namespaces",
        "A container shares no namespace with the host or another one.",
        has_namespaces_of_its_own,
        severity=Severity.CRITICAL,
        remedy="Remove networkMode, pidMode, ipcMode and the like.",
        source=_CIS + "5.10, 5.16, 5.17, 5.21, 5.31",
    ),
    rule(
        CONTAINER,
        "container-mounts-nothing-of-the-host",
        "A container mounts named volumes only: no folder of the host, and never the Docker "
        "socket.",
        mounts_nothing_of_the_host,
        severity=Severity.CRITICAL,
        remedy="Use a named volume.",
        source=_CIS + "5.6, 5.32",
    ),
    rule(
        CONTAINER,
        "container-has-a-health-check",
        "Every part says whether it is well, by a check of its own.",
        has_a_health_check,
        severity=Severity.MEDIUM,
        remedy="Set healthcheck.",
        source=_CIS + "4.6, 5.27",
    ),
    rule(
        CONTAINER,
        "container-runs-as-somebody",
        "No container runs as root.",
        runs_as_somebody,
        severity=Severity.HIGH,
        remedy="Set user to UID:GID.",
        source=_CIS + "4.1",
    ),
    rule(
        CONTAINER,
        "container-environment-holds-no-secrets",
        "No container but the backend's has a secret in its environment: inspecting shows it.",
        keeps_secrets_out_of_its_environment,
        severity=Severity.HIGH,
        remedy="Write it to a file in a volume, as components/postgres.py does.",
        source=_CIS + "4.10",
    ),
    rule(
        CONTAINER,
        "container-is-labelled",
        "A container says which stack and part it is: clean-up and rules go by it.",
        is_labelled,
        severity=Severity.LOW,
        remedy="Declare it with components/container.py.",
        source="operations manual: 7.1",
    ),
]
