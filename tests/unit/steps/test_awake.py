"""awake, and the look that finds what it is for."""

from __future__ import annotations

import json
from typing import Any

from msgspec import structs

from ops.amiss import Amiss, Stopped, Unlimited, amiss
from ops.docker import Docker
from rollout.steps import Awake
from tests.unit.steps.host import HOST, NAMES, Host
from tests.unit.steps.parameters import HEALTHY, WORKER

APP = NAMES.app("blue")
AWAKE = Awake(app=APP, containers=(APP, WORKER), limits={}, waits=True, timeout=1)
STOPPED = {"status": "exited"}


def test_what_was_stopped_is_started_and_the_live_app_waited_for(host: Host) -> None:
    host.container(APP, STOPPED, {"health": "starting"}, {})
    host.container(WORKER, STOPPED, {})
    ran = host.step("awake", AWAKE)
    assert [call["argv"] for call in host.calls("start")] == [["start", APP], ["start", WORKER]]
    assert ran.out.startswith(f"{APP} was stopped: starting it\n{APP}: ready after 0.")


def test_a_live_app_that_does_not_come_up_fails_the_run_and_is_not_stopped(host: Host) -> None:
    host.container(APP, STOPPED, {"health": "unhealthy"})
    ran = host.step("awake", AWAKE)
    assert ran.error.startswith(f"{APP} is unhealthy on {HOST}.\n")
    assert not host.calls("stop")


def test_a_run_that_moves_traffic_goes_on_without_it(host: Host) -> None:
    host.container(APP, STOPPED, STOPPED)
    host.container(WORKER, STOPPED, {})
    ran = host.step("awake", structs.replace(AWAKE, waits=False))
    assert ran.code == 0
    assert f"note: {APP} has ended (exit code 0) on {HOST}." in ran.out


def test_a_worker_that_does_not_start_stops_nobody(host: Host) -> None:
    host.container(APP, STOPPED, {})
    host.no_container(WORKER)
    ran = host.step("awake", AWAKE)
    assert ran.code == 0
    assert f"note: There is no container {WORKER}" in ran.out


def test_when_nothing_is_amiss_nothing_is_asked(host: Host) -> None:
    ran = host.step("awake", structs.replace(AWAKE, containers=()))
    assert ran.out == "everything that is kept runs\n"
    assert not host.calls()


def test_what_has_no_limit_gets_it_and_one_that_is_gone_stops_nobody(host: Host) -> None:
    host.answers("update", "--pids-limit", "64", WORKER, error="No such container", code=1)
    limits = {APP: 512, WORKER: 64}
    ran = host.step("awake", structs.replace(AWAKE, containers=(), limits=limits))
    assert f"{APP} has its process limit\nnote: No such container" in ran.out
    assert [c["argv"] for c in host.calls("update")] == [
        ["update", "--pids-limit", "512", APP],
        ["update", "--pids-limit", "64", WORKER],
    ]


END = "2026-01-02T03:04:05.6Z"


def container(
    name: str, status: str = "running", pids: int | None = 512, declared: str = "512"
) -> dict[str, Any]:
    """As Docker describes it."""
    return {
        "Id": "0123456789abcdef",
        "Name": f"/{name}",
        "State": {"Status": status, "FinishedAt": END},
        "HostConfig": {"PidsLimit": pids},
        "Config": {"Labels": {"ytempire.pids": declared} if declared else None},
    }


def test_what_stands_still_is_found_with_the_time_of_its_end(host: Host) -> None:
    host.answers("ps", out=f"{WORKER}\n{APP}\n{NAMES.edge}\n")
    found = [container(APP, "exited"), container(NAMES.edge)]
    host.answers("container", "inspect", out=json.dumps(found), error="No such container", code=1)
    assert amiss(Docker(), NAMES) == Amiss(stopped=(Stopped(APP, END),))
    (listed,) = host.calls("ps")
    assert f"label=ytempire.stack={NAMES.stack}" in listed["argv"]


def test_what_has_no_limit_is_found_with_what_was_declared(host: Host) -> None:
    """A one-shot container of a step declares none: it is told to Docker when it is made."""
    host.answers("ps", out=f"{APP}\n{WORKER}\nrun\n")
    found = [container(APP, pids=None), container(WORKER), container("run", pids=0, declared="")]
    host.answers("container", "inspect", out=json.dumps(found))
    assert amiss(Docker(), NAMES) == Amiss(unlimited=(Unlimited(APP, "0123456789abcdef", 512),))


def test_nothing_is_asked_of_what_is_not_there(host: Host) -> None:
    assert amiss(Docker(), NAMES) == Amiss()
    assert not host.calls("container")


def test_the_edge_is_never_stopped_for_being_unhealthy(host: Host) -> None:
    host.container(NAMES.edge, {"health": "unhealthy"})
    host.answers("logs", "--tail", "25", NAMES.edge, error="[emerg] cannot load certificate\n")
    parameters = structs.replace(HEALTHY, container=NAMES.edge, stops=False)
    ran = host.step("healthy", parameters)
    assert "[emerg] cannot load certificate" in ran.error
    assert not host.calls("stop")
