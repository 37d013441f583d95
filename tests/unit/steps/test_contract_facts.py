"""What the contract is judged by, gathered from a host: the live release is only asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ops import contract as gathering
from ops.contract import Backend, findings
from ops.docker import Docker
from ops.errors import OpsError
from rollout.contract import Finding
from tests.unit.rollout.host_model import release
from tests.unit.steps.host import HOST, NAMES, Host, inspected

APP, INSTANCE = NAMES.app("green"), NAMES.part("contract")
RELEASE = replace(
    release("1.1.0", "bbbbbbbbbbbb"),
    worker_command=("celery", "-A", "shop.celery", "worker"),
    worker_replicas=1,
)
WORKER = NAMES.worker(RELEASE.identity, 1)
SECRET = "postgres://app:pass-word@postgres:5432/app"


@pytest.fixture
def backend(host: Host, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Its app answers 200 to everything, the slow request a moment later."""
    monkeypatch.setattr(gathering, "UNDER_WAY_SECONDS", 0.2)
    monkeypatch.setattr(gathering, "POLL_SECONDS", 0.01)
    host.answers("container", "inspect", APP, out=json.dumps([_app()]))
    host.no_container(INSTANCE)
    host.answers("exec", APP, "curl", out="{}\n200")
    slow_request(host, sleep=1, out="< HTTP/1.1 200 OK\n")
    return Backend(Docker(HOST), NAMES, "green", RELEASE, "app.example", True, "/slow", 5)


def _app() -> dict[str, object]:
    environment = [f"DATABASE_URL={SECRET}", "PATH=/opt/venv/bin", "REDIS_URL=redis://redis/0"]
    return {
        "Name": f"/{APP}",
        "State": {"Status": "running"},
        "Config": {"User": "10001:10001", "Env": environment},
        "HostConfig": {"ReadonlyRootfs": True, "CapDrop": ["ALL"], "CapAdd": None},
    }


def stop(backend: Backend) -> Finding:
    return next(f for f in findings(backend) if f.item.name == "stop")


def slow_request(host: Host, **reply: Any) -> None:
    host.answers("exec", APP, "curl", "-sSv", first="> GET /slow HTTP/1.1\n", **reply)


def only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other looks fail at once: a test of one waits for none of them."""
    for look in ("_keepalive", "_jobs", "_programs", "_confinement", "_endpoints", "_stop"):
        if look != name:
            monkeypatch.setattr(gathering, look, _fails)


def _fails(_: Backend) -> list[Finding]:
    raise OpsError("not asked")


@pytest.fixture
def _stop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    only("_stop", monkeypatch)


@pytest.mark.usefixtures("_stop_alone")
class TestTheStop:
    def test_it_is_tried_on_an_instance_of_its_own(self, host: Host, backend: Backend) -> None:
        found = stop(backend)
        assert (found.ok, found.found) == (True, "answered 200")
        assert [call["argv"][-1] for call in host.calls("stop")] == [INSTANCE]
        assert [call["argv"][-1] for call in host.calls("rm")] == [INSTANCE]

    def test_secrets_reach_it_by_name(self, host: Host, backend: Backend) -> None:
        stop(backend)
        (created,) = host.calls("create")
        assert "pass-word" not in " ".join(created["argv"])
        assert created["env"]["DATABASE_URL"] == SECRET
        assert "PATH" not in created["env"]

    def test_a_request_that_is_dropped_is_told_with_its_reason(
        self, host: Host, backend: Backend
    ) -> None:
        slow_request(host, sleep=1, code=52, error="curl: (52) Empty reply from server\n")
        found = stop(backend)
        assert found.ok is False
        assert found.found == "the request was dropped (curl: (52) Empty reply from server)"

    def test_the_answer_is_not_asked_for_its_body(self, host: Host, backend: Backend) -> None:
        """It comes by another way than curl's words, and was once read before the status."""
        stop(backend)
        (asked,) = [c["argv"] for c in host.calls("exec") if "-sSv" in c["argv"]]
        assert asked[asked.index("-o") + 1] == "/dev/null"

    def test_a_path_that_is_not_slow_proves_nothing(self, host: Host, backend: Backend) -> None:
        slow_request(host, out="< HTTP/1.1 200 OK\n")
        assert stop(backend).ok is None
        assert not host.calls("stop")

    def test_without_a_slow_path_nothing_is_started(self, host: Host, backend: Backend) -> None:
        assert stop(replace(backend, slow_path="")).ok is None
        assert not host.calls("create")

    def test_an_instance_that_is_there_already_is_left_alone(
        self, host: Host, backend: Backend
    ) -> None:
        host.container(INSTANCE)
        found = stop(backend)
        assert found.ok is False
        assert f"wait for it, or `docker rm -f {INSTANCE}`" in found.found
        assert not host.calls("rm")

    def test_an_instance_that_does_not_come_up_is_removed(
        self, host: Host, backend: Backend
    ) -> None:
        gone = {"error": "No such container", "code": 1}
        host.answers("exec", APP, "curl", "-sS", code=7, error="refused")
        host.answers(
            "container", "inspect", INSTANCE,
            then=({"out": inspected(INSTANCE, status="exited")},), **gone,
        )  # fmt: skip
        found = stop(backend)
        assert found.found == "a second instance of the app did not come up, so it was not stopped"
        assert host.calls("rm")


def test_workers_are_asked_by_celery_itself(
    host: Host, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("_jobs", monkeypatch)
    conf = {"task_acks_late": True, "broker_url": "redis://app:***@redis:6379/0"}
    host.answers("ps", out=f"{WORKER}\nold-worker\n")
    host.answers("exec", WORKER, out=json.dumps({f"celery@{WORKER}": conf}))
    found = {f.item.name: f for f in findings(backend)}
    assert found["task_acks_late"].ok
    assert found["agreement"].found == "celery@old-worker did not answer"
    assert host.calls("exec", WORKER)[0]["argv"][2:] == [
        "celery", "-A", "shop.celery", "inspect", "--json", "--timeout", "10",
        "--destination", f"celery@{WORKER},celery@old-worker", "conf", "true",
    ]  # fmt: skip


def test_when_no_worker_answers_no_setting_is_good(
    host: Host, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("_jobs", monkeypatch)
    host.answers("exec", WORKER, code=69, error="Error: No nodes replied within time constraint")
    found = {f.item.name: f for f in findings(backend)}
    assert found["task_acks_late"].found == f"celery@{WORKER} did not answer"
    assert not found["agreement"].ok


def test_what_can_not_be_asked_counts_as_failed(
    host: Host, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("_programs", monkeypatch)
    host.answers("exec", APP, "sh", code=126, error="sh: not found")
    found = {f.item.name: f for f in findings(backend)}
    assert (found["programs"].ok, found["programs"].found) == (
        False,
        f"{APP} can't be asked: sh: not found",
    )
