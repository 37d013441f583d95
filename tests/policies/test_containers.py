"""Each rule about containers: a good one passes, and one broken property says which."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pulumi_policy import EnforcementLevel, Policy

from policies import configuration, containers, plan, steps, storage, told
from policies.containers import CONTAINER
from tests.policies.judge import resource_rules, violations
from tests.unit.components.program import deployed, run
from tests.unit.stack_files import raw

FRAMEWORKS = ("AWS FSBP", "CIS Docker Benchmark 1.6", "operations manual")

PACK = [
    *configuration.POLICIES,
    *containers.POLICIES,
    *plan.POLICIES,
    *steps.POLICIES,
    *storage.POLICIES,
]

GOOD: dict[str, Any] = {
    "image": "ytempire/backend:1.2.0",
    "user": "10001:10001",
    "restart": "unless-stopped",
    "memory": 512,
    "memorySwap": 512,
    "readOnly": True,
    "capabilities": {"drops": ["ALL"]},
    "securityOpts": ["no-new-privileges:true"],
    "logDriver": "json-file",
    "logOpts": {"max-size": "20m", "max-file": "5"},
    "healthcheck": {"tests": ["CMD", "true"]},
    "networksAdvanced": [{"name": "ytempire-sandbox-app"}],
    "mounts": [{"type": "volume", "source": "media", "target": "/media"}],
    "labels": [
        {"label": "ytempire.stack", "value": "sandbox"},
        {"label": "ytempire.part", "value": "app"},
        {"label": "ytempire.pids", "value": "100"},
    ],
}


def part(name: str) -> list[dict[str, str]]:
    stack, _, pids = GOOD["labels"]
    return [stack, {"label": "ytempire.part", "value": name}, pids]


def port(**inputs: Any) -> dict[str, Any]:
    return {"internal": 8080, "external": 80, "ip": "0.0.0.0", **inputs}


def broken(**inputs: Any) -> list[str]:
    return violations(containers.POLICIES, CONTAINER, {**GOOD, **inputs}, "blue-app")


def test_a_good_container_passes() -> None:
    assert broken() == []


def test_nginx_may_publish_on_an_address() -> None:
    assert broken(labels=part("nginx"), ports=[port()]) == []


@pytest.mark.parametrize(
    "image",
    [
        "nginx:1.28.0-alpine",
        "images.example:5000/a/b:1",
        "nginx@sha256:" + "0" * 64,
        "sha256:" + "0" * 64,
    ],
)
def test_an_exact_image_passes(image: str) -> None:
    assert broken(image=image) == []


BROKEN: list[tuple[dict[str, Any], str]] = [
    (
        {"image": "nginx:latest"},
        "container-image-is-pinned: blue-app must name an exact image, not nginx:latest: "
        "give a tag other than latest, or NAME@sha256:…",
    ),
    (
        {"image": "images.example:5000/nginx"},
        "container-image-is-pinned: blue-app must name an exact image, not "
        "images.example:5000/nginx: give a tag other than latest, or NAME@sha256:…",
    ),
    (
        {"ports": [port(external=5432.0)]},
        "only-nginx-publishes-ports: blue-app must not publish ports (5432): only nginx is "
        "reached from outside; attach it to a network instead",
    ),
    (
        {"labels": part("nginx"), "ports": [port(ip="")]},
        "container-ports-are-bound: blue-app must bind port 80 to an address: set edgeBindAddress",
    ),
    (
        {"restart": "no"},
        "container-restarts: blue-app must come back after a failure, not restart 'no': "
        "use unless-stopped or on-failure",
    ),
    (
        {"memory": None},
        "container-memory-is-limited: blue-app must have a memory limit: set memory in MB",
    ),
    (
        {"memorySwap": -1},
        "container-memory-is-limited: blue-app must not swap: set memorySwap to its memory, 512",
    ),
    (
        {"labels": [*GOOD["labels"][:2], {"label": "ytempire.pids", "value": "0"}]},
        "container-processes-are-limited: blue-app must have a process limit: add the label "
        "ytempire.pids with their number",
    ),
    (
        {"logDriver": "none"},
        "container-logs-are-rotated: blue-app must log where Docker rotates: "
        "use the driver json-file or local",
    ),
    (
        {"logOpts": {"max-size": "1m"}},
        "container-logs-are-rotated: blue-app must rotate its logs: "
        "set max-size and max-file in logOpts",
    ),
    (
        {"readOnly": False},
        "container-root-is-read-only: blue-app must have a read-only root: set readOnly, "
        "and mount a volume or tmpfs to write to",
    ),
    (
        {"capabilities": {"drops": ["NET_RAW"]}},
        "container-drops-all-capabilities: blue-app must drop all capabilities: "
        "set capabilities.drops to ALL",
    ),
    (
        {"capabilities": {"drops": ["ALL"], "adds": ["NET_ADMIN"]}},
        "container-drops-all-capabilities: blue-app must not add capabilities (NET_ADMIN): "
        "remove capabilities.adds",
    ),
    (
        {"securityOpts": ["no-new-privileges"]},
        "container-gains-no-privileges: blue-app must not gain privileges: "
        "add no-new-privileges:true to securityOpts",
    ),
    (
        {"securityOpts": ["no-new-privileges:true", "seccomp=unconfined"]},
        "container-gains-no-privileges: blue-app must keep Docker's own profiles: "
        "remove seccomp=unconfined",
    ),
    (
        {"privileged": True},
        "container-is-not-privileged: blue-app must not be privileged: remove privileged, "
        "and say what it needs instead",
    ),
    (
        {"devices": [{"hostPath": "/dev/sda"}]},
        "container-is-not-privileged: blue-app must not reach devices of the host: remove devices",
    ),
    (
        {"networkMode": "host"},
        "container-has-its-own-namespaces: blue-app must have a namespace of its own, "
        "not networkMode host: remove networkMode",
    ),
    (
        {"pidMode": "container:nginx"},
        "container-has-its-own-namespaces: blue-app must have a namespace of its own, "
        "not pidMode container:nginx: remove pidMode",
    ),
    (
        {"mounts": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/x"}]},
        "container-mounts-nothing-of-the-host: blue-app must not mount the Docker socket "
        "(/var/run/docker.sock): whoever has it owns the host; remove it",
    ),
    (
        {"volumes": [{"hostPath": "/etc", "containerPath": "/etc"}]},
        "container-mounts-nothing-of-the-host: blue-app must not mount the host's /etc: "
        "use a named volume",
    ),
    (
        {"healthcheck": None},
        "container-has-a-health-check: blue-app must have a health check: set healthcheck; "
        "what its image brings is for the app",
    ),
    (
        {"healthcheck": {"tests": ["NONE"]}},
        "container-has-a-health-check: blue-app must have a health check: set healthcheck; "
        "what its image brings is for the app",
    ),
    (
        {"networksAdvanced": []},
        "container-is-on-named-networks: blue-app must name its networks: without "
        "networksAdvanced it is on Docker's default bridge",
    ),
    (
        {"networksAdvanced": [{"name": "bridge"}]},
        "container-is-on-named-networks: blue-app must not be on Docker's default bridge: "
        "declare a network in components/host.py",
    ),
    (
        {"logOpts": {"max-size": "1g", "max-file": "5"}},
        "container-logs-are-rotated: blue-app must keep at most 100 MB of logs, not 5000: "
        "lower max-size or max-file in logOpts",
    ),
    (
        {"labels": part("postgres"), "envs": ["POSTGRES_PASSWORD=x", "TZ=UTC"]},
        "container-environment-holds-no-secrets: blue-app must not have POSTGRES_PASSWORD in "
        "its environment: everybody who may inspect a container reads it; give it a file in a "
        "volume",
    ),
    (
        {"labels": part("nginx"), "envs": ["UPSTREAM=redis://app:hidden@redis:6379/0"]},
        "container-environment-holds-no-secrets: blue-app must not have UPSTREAM in its "
        "environment: everybody who may inspect a container reads it; give it a file in a "
        "volume",
    ),
    (
        {"user": None},
        "container-runs-as-somebody: blue-app must not run as root: set user to UID:GID",
    ),
    (
        {"user": "0:10001"},
        "container-runs-as-somebody: blue-app must not run as 0:10001: set user to UID:GID",
    ),
    (
        {"labels": part("app")[1:]},
        "container-is-labelled: blue-app must say whose it is: add the label ytempire.stack",
    ),
]


@pytest.mark.parametrize(("inputs", "expected"), BROKEN)
def test_one_broken_property_is_named_with_its_remedy(
    inputs: dict[str, Any], expected: str
) -> None:
    assert broken(**inputs) == [expected]


def test_a_site_may_keep_more_logs() -> None:
    options = {"max-size": "100m", "max-file": "5"}
    more = {"megabytes": 500}
    assert len(broken(logOpts=options)) == 1
    good = {**GOOD, "logOpts": options}
    assert violations(containers.POLICIES, CONTAINER, good, "blue-app", config=more) == []


def test_the_scheduler_alone_has_folders_of_the_host_and_none_of_the_system_s() -> None:
    def mounting(path: str, who: str) -> list[str]:
        mount = {"type": "bind", "source": path, "target": "/drives/0"}
        return broken(mounts=[mount], labels=part(who))

    assert mounting("/mnt/backup1", "scheduler") == []
    assert len(mounting("/mnt/backup1", "nginx")) == 1
    for path in ("/", "/etc", "/var/run/docker.sock", "/run/docker.sock", "/root/backups"):
        assert len(mounting(path, "scheduler")) == 1


def test_the_backend_takes_its_secrets_as_variables() -> None:
    assert broken(envs=["DATABASE_URL=postgres://a:b@postgres/c"]) == []


def test_other_resources_are_none_of_these_rules_business() -> None:
    assert violations(containers.POLICIES, "docker:index/network:Network", {}, "net") == []


@pytest.mark.parametrize("policy", PACK, ids=lambda p: p.name)
def test_every_rule_is_mandatory_and_documented(policy: Policy) -> None:
    assert policy.enforcement_level is EnforcementLevel.MANDATORY
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", policy.name)
    assert policy.description.endswith(".")
    assert policy.severity is not None
    assert policy.remediation_steps is not None
    assert policy.remediation_steps.endswith(".")
    assert policy.framework is not None
    assert policy.framework.name in FRAMEWORKS
    assert policy.framework.reference


@pytest.mark.parametrize("stack", ["sandbox", "production"])
def test_what_the_program_declares_passes(stack: str) -> None:
    declared = run(
        stack, deployed(stack, "1.0.0"), version="1.1.0", notifyWebhook="https://chat.example/hook"
    )
    told.hear({told.PROTECT: raw(stack)["protect"]})
    rules = resource_rules(PACK)
    found = [
        violations(rules, r.type, r.inputs, r.name, protect=r.protect) for r in declared.resources
    ]
    # The mocks' images are not digests.
    assert [v for each in found for v in each if not v.startswith("container-image")] == []
