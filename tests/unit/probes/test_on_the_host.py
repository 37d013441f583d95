"""The probes that go to the host: what they ask of Docker, and what they make of its answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ops.docker import Docker
from ops.errors import HostUnreachable, OpsError
from ops.gather import OF_THE_HOST, Sources, gather
from ops.probes import host as on_host
from ops.probes import load, network
from rollout.evidence import Announced, Connectivity, History, Load, Standby, Unknown
from rollout.names import Names
from tests.unit.checkout import NOWHERE, Checkout
from tests.unit.cli.happy import GREEN, NEW, OLD, observation, state, withdrawn
from tests.unit.cli.happy import NAMES as HAPPY
from tests.unit.rollout.night import limits
from tests.unit.steps.host import NAMES, Host

IMAGE = "ytempire/ops:0.1.0"
ANSWER = {"cpu": 22.0, "memory": 41.0, "free": {"/": 61.0, "/probe/p0": 15.0}, "at": 1_790_000_000}


def test_the_load_is_measured_in_a_hardened_container_on_the_host(host: Host) -> None:
    host.answers("volume", "ls", out="ytempire-test-vol-media\nytempire-test-vol-backups\n")
    host.answers("run", out=json.dumps(ANSWER))
    found = load.load(Docker(), NAMES, IMAGE, 3, ("/mnt/backup1",))
    (call,) = host.calls("run")
    argv = call["argv"]
    for words in (
        ["--pull", "never", "--read-only", "--user", "65534:65534", "--cap-drop", "ALL"],
        ["--security-opt", "no-new-privileges:true", "--pids-limit", "32", "--memory", "128m"],
        ["--network", "host"],
        ["--volume", "ytempire-test-vol-backups:/probe/v0:ro,nocopy"],
        ["--mount", "type=bind,source=/mnt/backup1,target=/probe/p0,readonly"],
        [IMAGE, "-", "3", "/", "/probe/v0", "/probe/v1", "/probe/p0"],
    ):
        assert " ".join(words) in " ".join(argv)
    assert "/proc/stat" in call["stdin"]
    assert (found.cpu_percent, found.memory_percent, found.seconds) == (22, 41, 3)
    assert [(m.path, m.free_percent) for m in found.mounts] == [
        ("Docker's data", 61),
        ("/mnt/backup1", 15),
    ]


def test_an_image_or_a_mount_that_is_not_there_is_said(host: Host) -> None:
    words = "No such image: ytempire/ops:0.1.0."
    more = "\n\nRun 'docker run --help' for more information\n"
    host.answers("run", error=f"docker: Error response from daemon: {words}{more}", code=125)
    with pytest.raises(OpsError) as caught:
        load.load(Docker(), NAMES, IMAGE, 3)
    assert str(caught.value) == (
        f"load could not be measured on unix:///var/run/docker.sock: {words}"
    )


def test_words_that_are_no_json_are_said(host: Host) -> None:
    host.answers("run", out="Traceback")
    with pytest.raises(OpsError, match="did not answer in JSON"):
        load.load(Docker(), NAMES, IMAGE, 3)


def test_the_network_is_the_host_s_own(host: Host) -> None:
    reached = [{"name": "registry", "url": "https://r.example/", "clock": 0.4}]
    host.answers("run", out=json.dumps(reached))
    found = network.network(Docker(), IMAGE, {"registry": "https://r.example/", "unused": ""})
    assert isinstance(found, Connectivity)
    assert [(e.name, e.clock) for e in found.endpoints] == [("registry", 0.4)]
    (call,) = host.calls("run")
    assert "--network host" in " ".join(call["argv"])
    assert call["argv"][-2:] == ["5", "registry=https://r.example/"]


def test_without_endpoints_nothing_is_assumed(host: Host) -> None:
    found = network.network(Docker(), IMAGE, {})
    assert isinstance(found, Unknown)
    assert found.why == "no endpoints are configured (`checklistEndpoints`)"
    assert host.calls("run") == []


# The release to go back to


def listed(host: Host, **states: str) -> None:
    """`docker ps`: the live release's containers; `states` by the last word of their names."""
    names = [HAPPY.app("green"), *HAPPY.workers(NEW.identity, NEW.worker_replicas)]
    lines = []
    for name in names:
        status = states.get(name.rpartition("-")[2], "Up 5 minutes (healthy)")
        state = "running" if status.startswith("Up") else "exited"
        entry = {"Names": name, "State": state, "Status": status, "Labels": ""}
        lines += [json.dumps(entry)] if status else []
    host.answers("ps", out="\n".join(lines))


def looked(host: Host, **changes: Any) -> Standby:
    if not host.calls("ps"):
        listed(host)
    return on_host.standby(Docker(), HAPPY, observation(**changes))


def test_what_serves_now_is_what_a_rollback_would_return_to(host: Host) -> None:
    found = looked(host)
    assert (found.identity, found.colour, found.wrong) == (GREEN.identity, "green", ())


def test_before_the_first_release_there_is_none(host: Host) -> None:
    assert looked(host, edge=None).identity == ""


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("Up 5 minutes (unhealthy)", "is unhealthy"),
        ("Up 2 seconds (health: starting)", "is starting"),
        ("Exited (1) 2 minutes ago", "is exited"),
        ("", "is gone"),
    ],
)
def test_an_app_that_is_not_healthy_is_not_warm(host: Host, status: str, words: str) -> None:
    listed(host, green=status)
    found = on_host.standby(Docker(), HAPPY, observation())
    assert found.wrong == (f"ytempire-sandbox-green {words}",)


def test_its_workers_are_looked_at_too(host: Host) -> None:
    listed(host, **{"1": ""})
    first, *_ = HAPPY.workers(NEW.identity, NEW.worker_replicas)
    found = on_host.standby(Docker(), HAPPY, observation())
    assert found.wrong == (f"{first} is gone",)


def test_a_worker_whose_check_has_not_come_yet_is_warm(host: Host) -> None:
    listed(host, **{"1": "Up 20 seconds (health: starting)"})
    assert on_host.standby(Docker(), HAPPY, observation()).wrong == ()


def test_a_release_that_was_withdrawn_or_never_checked_is_none_to_return_to(host: Host) -> None:
    slots = state().slots
    slots["green"] = slots["green"].model_copy(update={"status": "preparing"})
    found = looked(host, slots=slots, withdrawn=withdrawn(NEW))
    assert found.wrong == (
        "the host has no record that it passed its checks",
        "it was withdrawn (p95 812 ms)",
    )


def test_the_history_is_the_host_s(host: Host) -> None:
    found = on_host.history(Docker(), observation())
    assert isinstance(found, History)
    assert [event.target for event in found.events] == [OLD.identity, NEW.identity]


# All of it


def sources(checkout: Checkout) -> Sources:
    return Sources(
        root=checkout.root,
        names=Names("sandbox"),
        docker=Docker(NOWHERE),
        ops_image=IMAGE,
        backend_image="ytempire/backend",
        limits=limits(),
    )


def test_where_nobody_can_look_everything_is_unknown_with_its_reason(checkout: Checkout) -> None:
    found = gather(sources(checkout), "1.2.0")
    facts = {name: getattr(found, name) for name in type(found).model_fields}
    known = {n for n, f in facts.items() if n != "version" and not isinstance(f, Unknown)}
    assert known == {"rehearsal", "announced"}
    assert facts["tests"] == Unknown(
        why="There is no releases/1.2.0.yaml.", next="`ytops release new 1.2.0`"
    )
    assert facts["load"].why.startswith(f"The Docker host {NOWHERE} does not answer:")
    assert facts["load"].next == f"`docker --host {NOWHERE} info`"


def test_a_host_that_has_just_not_answered_is_not_asked(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("ops.docker.Docker.call")
    found = gather(replace(sources(checkout), away="it does not answer"), "1.2.0")
    why = Unknown(why="it does not answer")
    assert [name for name in OF_THE_HOST if getattr(found, name) != why] == []
    assert isinstance(found.announced, Announced)


def test_a_host_that_was_just_observed_is_not_observed_again(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("ops.gather.observe")
    found = gather(sources(checkout), "1.2.0", observation())
    assert isinstance(found.history, History)
    assert len(found.history.events) == 2


def test_a_probe_that_breaks_is_unknown_and_not_a_traceback(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Load:
        raise KeyError("MemAvailable")

    monkeypatch.setattr(load, "load", broken)
    found = gather(sources(checkout), "1.2.0")
    assert found.load == Unknown(why="unexpected KeyError: 'MemAvailable'")


def test_a_record_for_another_version_is_not_believed(checkout: Checkout) -> None:
    checkout.record("releases/1.2.0.yaml", {"version": "1.3.0"})
    found = gather(sources(checkout), "1.2.0")
    assert found.release == Unknown(
        why="releases/1.2.0.yaml: version: expected '1.2.0', got '1.3.0'"
    )


def test_a_product_s_checkout_elsewhere_is_found(checkout: Checkout) -> None:
    settings = limits().checklist.model_copy(update={"source": "../product"})
    found = replace(sources(checkout), limits=replace(limits(), checklist=settings))
    assert found.source.root == checkout.root.parent / "product"


def test_unreachable_is_what_it_is() -> None:
    with pytest.raises(HostUnreachable):
        load.load(Docker(NOWHERE), NAMES, IMAGE, 1)


def test_a_record_with_mistakes_names_each_and_its_correction_and_nothing_else(
    checkout: Checkout,
) -> None:
    checkout.write("releases/1.2.0.yaml", "version: 1.2.0\ncommit: main\ndigest: abc\n")
    found = gather(replace(sources(checkout), away="it does not answer"), "1.2.0")
    assert found.review == Unknown(
        why="2 mistakes in releases/1.2.0.yaml: digest: expected a digest, sha256: and 64 of 0-9 "
        "and a-f, got 'abc'; commit: expected a commit, 7 to 40 of 0-9 and a-f, got 'main'; "
        "docs/schemas/release.schema.json describes each key.",
        next="correct them there, then the same command again",
    )
