"""The contract with the backend: one broken item at a time, and the page that says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rollout import contract
from rollout.contract import Confinement, Crews, Finding, Stopped
from tests.unit.rollout.host_model import release

PAGE = Path(__file__).parents[3] / contract.PAGE
NEW, OLD = "celery@new-1", "celery@old-1"
ENVIRONMENT = {
    "DATABASE_URL": "postgres://app:word@postgres:5432/app",
    "REDIS_URL": "redis://app:word@redis:6379/0",
    "CACHE_URL": "redis://app:word@redis:6379/1",
    "ENVIRONMENT": "sandbox",
    "RELEASE_VERSION": "1.0.0",
    "RELEASE_FINGERPRINT": "aaaaaaaaaaaa",
}
CONF = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "worker_prefetch_multiplier": 1,
    "broker_transport_options": {"visibility_timeout": 3600},
    "worker_soft_shutdown_timeout": 30.0,
    "worker_enable_soft_shutdown_on_idle": True,
    "task_create_missing_queues": True,
    "worker_enable_remote_control": True,
}
APP = Confinement("app", "10001:10001", True, ("ALL",), ())
STATUS = {"version": "1.0.0", "fingerprint": "aaaaaaaaaaaa"}
ANSWERS = {"/health": "200", "/api/v1/status": "200"}


def crews(old: dict[str, Any] | None = CONF, **changes: Any) -> Crews:
    confs = {NEW: {**CONF, **changes}, **({OLD: old} if old else {})}
    return Crews((NEW,), (OLD,), confs, longest=900)


def broken(findings: list[Finding]) -> dict[str, str]:
    return {finding.item.name: finding.found for finding in findings if finding.ok is not True}


def test_a_backend_that_keeps_to_it() -> None:
    found = [
        contract.programs([]),
        *contract.confined([APP], "10001:10001"),
        contract.graceful(Stopped(200, "answered 200")),
        contract.keepalive(None),
        contract.variables(ENVIRONMENT),
        contract.databases(ENVIRONMENT, [ENVIRONMENT["REDIS_URL"]]),
        *contract.endpoints(ANSWERS, STATUS, release()),
        *contract.jobs(crews()),
    ]
    assert broken(found) == {}
    assert [finding.item for finding in found] == list(contract.ITEMS)


@pytest.mark.parametrize(
    ("finding", "found"),
    [
        (contract.programs(["curl", "celery"]), "no curl, no celery"),
        (contract.keepalive(2.04), "closed after 2 s"),
        (
            contract.graceful(Stopped(0, "the request was dropped (curl: (52) Empty reply)")),
            "the request was dropped (curl: (52) Empty reply)",
        ),
        (contract.variables({**ENVIRONMENT, "CACHE_URL": ""}), "no CACHE_URL"),
        (
            contract.databases({**ENVIRONMENT, "CACHE_URL": ENVIRONMENT["REDIS_URL"]}, []),
            "broker in redis:6379/0, cache in redis:6379/0",
        ),
        (
            contract.databases(ENVIRONMENT, ["redis://app:***@redis/1"]),
            "broker in redis:6379/0 and redis:6379/1, cache in redis:6379/1",
        ),
    ],
)
def test_what_breaks_it_is_named(finding: Finding, found: str) -> None:
    assert (finding.ok, finding.found) == (False, found)


@pytest.mark.parametrize(
    ("changes", "item", "found"),
    [
        ({"user": ""}, "user", "app runs as root"),
        ({"user": "0:0"}, "user", "app runs as 0:0"),
        ({"user": "1:1"}, "user", "app runs as 1:1"),
        ({"dropped": ()}, "user", "app has capabilities"),
        ({"added": ("NET_RAW",)}, "user", "app has capabilities"),
        ({"read_only": False}, "root", "app may write to its root"),
    ],
)
def test_a_container_with_more_than_it_needs(
    changes: dict[str, Any], item: str, found: str
) -> None:
    app = Confinement(**{**vars(APP), **changes})
    assert broken(contract.confined([app], "10001:10001")) == {item: found}


def test_a_request_that_ends_too_soon_says_nothing_about_the_stop() -> None:
    finding = contract.graceful(Stopped(200, "answered 200", told=False))
    assert finding.ok is None
    assert finding.found == (
        "answered 200 before the app was told to stop: `backendSlowPath` has to take some seconds"
    )


def test_without_a_slow_path_the_stop_is_not_tried() -> None:
    finding = contract.unasked_stop()
    assert finding.ok is None
    assert "`backendSlowPath` names no path" in finding.found


@pytest.mark.parametrize(
    ("answers", "status", "found"),
    [
        ({"/health": "500"}, {}, {"answers": "/health answers 500"}),
        ({"/health": "curl: (7) refused"}, {}, {"answers": "/health answers curl: (7) refused"}),
        ({}, {"version": "9.9.9"}, {"version": "9.9.9, not 1.0.0"}),
        ({}, {"fingerprint": ""}, {"fingerprint": "none, not aaaaaaaaaaaa"}),
    ],
)
def test_an_endpoint_that_is_wrong(
    answers: dict[str, str], status: dict[str, str], found: dict[str, str]
) -> None:
    findings = contract.endpoints({**ANSWERS, **answers}, {**STATUS, **status}, release())
    assert broken(findings) == found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"task_acks_late": False}, {"task_acks_late": "false"}),
        ({"task_reject_on_worker_lost": None}, {"task_reject_on_worker_lost": "not set"}),
        ({"worker_prefetch_multiplier": 4}, {"worker_prefetch_multiplier": "4"}),
        (
            {"broker_transport_options": {"visibility_timeout": 900}},
            {"broker_transport_options.visibility_timeout": "900 s, with jobs of up to 900 s"},
        ),
        ({"worker_soft_shutdown_timeout": 0.0}, {"worker_soft_shutdown_timeout": "0"}),
        (
            {"worker_enable_soft_shutdown_on_idle": False},
            {"worker_enable_soft_shutdown_on_idle": "false"},
        ),
        ({"task_create_missing_queues": False}, {"task_create_missing_queues": "false"}),
        ({"worker_enable_remote_control": False}, {"worker_enable_remote_control": "false"}),
    ],
)
def test_a_setting_of_the_workers_that_is_wrong(
    changes: dict[str, Any], found: dict[str, str]
) -> None:
    assert broken(contract.jobs(crews({**CONF, **changes}, **changes))) == found


def test_a_broker_without_a_visibility_timeout_has_its_default() -> None:
    bare: dict[str, Any] = {"broker_transport_options": {}}
    assert broken(contract.jobs(crews({**CONF, **bare}, **bare))) == {}


def test_workers_that_do_not_agree_are_named() -> None:
    old = {**CONF, "broker_transport_options": {"visibility_timeout": 1800}}
    assert broken(contract.jobs(crews(old))) == {
        "agreement": "celery@old-1 has broker_transport_options.visibility_timeout 1800"
    }


def test_another_worker_that_does_not_answer_may_not_agree() -> None:
    assert broken(contract.jobs(crews(None))) == {"agreement": "celery@old-1 did not answer"}


def test_of_workers_that_do_not_answer_nothing_is_good() -> None:
    found = contract.jobs(Crews((NEW,), (), {}, 900))
    assert set(broken(found).values()) == {"celery@new-1 did not answer"}
    assert len(broken(found)) == len(found)


def test_values_that_differ_among_the_live_workers_are_told_apart() -> None:
    confs = {"celery@a": CONF, "celery@b": {**CONF, "worker_prefetch_multiplier": 4}}
    found = broken(contract.jobs(Crews(("celery@a", "celery@b"), (), confs, 900)))
    assert found["worker_prefetch_multiplier"] == "1 in celery@a, 4 in celery@b"


@pytest.mark.parametrize("section", dict.fromkeys(item.section for item in contract.ITEMS))
def test_the_page_has_the_same_items_under_the_same_headings(section: str) -> None:
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = re.search(r"\| item \| expected \| why \|\n\| [- |]+\n((?:\|.*\n)+)", text)
    assert rows
    assert rows[1].splitlines() == [
        f"| `{item.name}` | {item.expected} | {item.why} |"
        for item in contract.ITEMS
        if item.section == section
    ]
