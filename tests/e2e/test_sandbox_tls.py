"""The edge as users and attackers meet it, and the containers as Docker really runs them."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from rollout.names import EDGE_STATUS_PORT
from tests.e2e.outside import Outside
from tests.e2e.world import HSTS_SECONDS, World, docker, wait_until

SECONDS = 10
FORGED = "203.0.113.7"
LOGGED = {
    *("time", "client", "method", "host", "uri", "protocol", "status", "bytes", "request_time"),
    *("upstream_time", "upstream", "release", "request_id", "user_agent"),
}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]


def test_http_is_redirected_to_https_by_the_name_that_is_ours(shared: World) -> None:
    reply = _ask(shared, "GET", "/api/v1/videos?page=2", tls=False, headers={"Host": "evil.test"})
    assert reply.status == 308
    place = f"https://localhost:{shared.https_port}/api/v1/videos?page=2"
    assert reply.headers["location"] == place


def test_every_answer_names_the_release(shared: World) -> None:
    live = shared.state()["live"]["identity"]
    with _paused(shared.name("redis")):
        replies = {
            308: _ask(shared, "GET", "/", tls=False),
            404: _ask(shared, "GET", "/nothing-here"),
            405: _ask(shared, "GET", "/api/v1/jobs"),
            503: _ask(shared, "GET", "/api/v1/status"),
        }
    assert {status: reply.status for status, reply in replies.items()} == {s: s for s in replies}
    assert {reply.headers["x-release"] for reply in replies.values()} == {live}


def test_hsts_is_sent_over_https_only(shared: World) -> None:
    header = "strict-transport-security"
    assert _ask(shared, "GET", "/health").headers[header] == f"max-age={HSTS_SECONDS}"
    assert header not in _ask(shared, "GET", "/health", tls=False).headers


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused_by_the_server(shared: World, version: ssl.TLSVersion) -> None:
    with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
        _handshake(shared, version)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_todays_tls_is_spoken(shared: World, version: ssl.TLSVersion) -> None:
    assert _handshake(shared, version).replace(".", "_") == version.name


def test_a_body_that_is_too_large_is_refused(shared: World) -> None:
    reply = _ask(shared, "POST", "/api/v1/jobs", headers={"Content-Length": str(2 << 20)})
    assert reply.status == 413


def test_a_forged_client_address_is_not_believed(shared: World) -> None:
    line = _logged(shared, {"X-Forwarded-For": FORGED})
    assert line["client"] in _gateways(shared)


def test_a_trusted_proxys_word_is_believed_and_nginx_is_not_replaced_for_it(shared: World) -> None:
    nginx = shared.containers()[shared.name("nginx")]
    proxies = [f"{address}/32" for address in _gateways(shared)]
    with shared.load() as load, shared.setting("edgeTrustedProxies", proxies):
        outcome = shared.up(None)
        line = _logged(shared, {"X-Forwarded-For": FORGED})
    assert outcome.ok, outcome.text
    assert line["client"] == FORGED
    assert not load.failures, load.summary()
    assert shared.up(None).ok
    assert shared.containers()[shared.name("nginx")] == nginx


def test_each_request_is_a_line_of_json(shared: World) -> None:
    line = _logged(shared, {"User-Agent": 'a "quoted" name'})
    assert set(line) == LOGGED
    assert (line["method"], line["status"]) == ("GET", "404")
    assert line["user_agent"] == 'a "quoted" name'
    assert line["release"] == shared.state()["live"]["identity"]


def test_only_nginx_publishes_ports_and_only_on_the_address_that_was_declared(
    shared: World,
) -> None:
    published = {
        name: sorted(f"{at['HostIp']}:{at['HostPort']}" for places in ports for at in places)
        for name, found in _inspected(shared).items()
        if (ports := [p for p in found["NetworkSettings"]["Ports"].values() if p])
    }
    ours = [f"127.0.0.1:{port}" for port in (shared.port, shared.https_port)]
    assert published == {shared.name("nginx"): ours}


def test_the_status_port_refuses_who_comes_from_outside_the_app_network(shared: World) -> None:
    address = _inspected(shared)[shared.name("nginx")]["NetworkSettings"]["Networks"]
    outside = address[shared.name("net-edge")]["IPAddress"]
    connection = http.client.HTTPConnection(outside, EDGE_STATUS_PORT, timeout=SECONDS)
    connection.request("GET", "/stub_status")
    assert connection.getresponse().status == 403
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", EDGE_STATUS_PORT), timeout=SECONDS)


def test_the_app_network_has_a_way_out_and_the_data_network_has_none(shared: World) -> None:
    with Outside(f"out{shared.number}") as outside:
        wait_until(lambda: outside.reached_from(shared.name("net-app")), "nobody gets out", 20)
        assert not outside.reached_from(shared.name("net-data"))


def test_the_datastores_are_on_the_data_network_alone(shared: World) -> None:
    found = _inspected(shared)
    for part in ("postgres", "redis"):
        networks = found[shared.name(part)]["NetworkSettings"]["Networks"]
        assert list(networks) == [shared.name("net-data")]


def test_the_app_finds_the_datastores_by_name(shared: World) -> None:
    app = shared.name(shared.state()["live"]["colour"])
    for name in ("postgres", "redis"):
        assert docker("exec", app, "getent", "hosts", name)


def test_every_container_runs_hardened(shared: World) -> None:
    found = _inspected(shared)
    assert len(found) >= 10
    assert {name: wrong for name, facts in found.items() if (wrong := _soft_spots(facts))} == {}


def _soft_spots(facts: dict[str, Any]) -> list[str]:
    """What Docker says of a container that is less than we declare."""
    host, config = facts["HostConfig"], facts["Config"]
    hard = {
        "read-only root": host["ReadonlyRootfs"],
        "no capabilities": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
        "no new privileges": "no-new-privileges:true" in (host["SecurityOpt"] or ()),
        "pids limit": 0 < (host["PidsLimit"] or 0) <= 512,
        "memory limit": host["Memory"] > 0 and host["MemorySwap"] == host["Memory"],
        "log rotation": {"max-size", "max-file"} <= set(host["LogConfig"]["Config"]),
        "user": config["User"].split(":")[0] not in ("", "0", "root"),
        "restarts": host["RestartPolicy"]["Name"] in ("unless-stopped", "on-failure"),
        "health check": config.get("Healthcheck", {}).get("Test"),
        "unprivileged": not host["Privileged"] and not host["Devices"],
        "own namespaces": "host" not in (host["NetworkMode"], host["PidMode"], host["IpcMode"]),
        "nothing of the host": all(mount["Type"] == "volume" for mount in facts["Mounts"]),
    }
    return [name for name, holds in hard.items() if not holds]


def _inspected(world: World) -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(docker("inspect", *world.containers()))
    return {facts["Name"].removeprefix("/"): facts for facts in found}


def _ask(
    world: World, method: str, path: str, *, tls: bool = True, headers: dict[str, str] | None = None
) -> Reply:
    connection = (
        http.client.HTTPSConnection(
            "127.0.0.1",
            world.https_port,
            timeout=SECONDS,
            context=ssl._create_unverified_context(),
        )
        if tls
        else http.client.HTTPConnection("127.0.0.1", world.port, timeout=SECONDS)
    )
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, {key.lower(): value for key, value in answer.getheaders()})
    finally:
        connection.close()


def _handshake(world: World, version: ssl.TLSVersion) -> str:
    """Speak this version and no other, with whatever ciphers it needs."""
    context = ssl._create_unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", world.https_port), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as spoken,
    ):
        return spoken.version() or ""


def _logged(world: World, headers: dict[str, str]) -> dict[str, Any]:
    """The access log's line of a request with these headers."""
    mark, lines = uuid.uuid4().hex, list[str]()

    def written() -> bool:
        tail = docker("logs", "--tail", "200", world.name("nginx"))
        lines[:] = [line for line in tail.splitlines() if mark in line]
        return bool(lines)

    _ask(world, "GET", f"/{mark}", headers=headers)
    wait_until(written, "the request was not logged", SECONDS)
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _gateways(world: World) -> list[str]:
    """Who a request from this machine may come from, for nginx."""
    networks = _inspected(world)[world.name("nginx")]["NetworkSettings"]["Networks"]
    return [str(network["Gateway"]) for network in networks.values()]


@contextmanager
def _paused(container: str) -> Iterator[None]:
    docker("pause", container)
    try:
        yield
    finally:
        docker("unpause", container)
