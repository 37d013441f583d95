"""The real program under mocks: what each plan declares, in both stacks."""

from __future__ import annotations

from functools import cache
from typing import Protocol

import pulumi
import pytest

from ops.errors import HostUnreachable, OpsError
from ops.observe import Observation
from rollout.names import PART_LABEL
from rollout.plan import plan
from tests.unit.components.program import (
    COMMAND,
    CONTAINER,
    NETWORK,
    VOLUME,
    Declaration,
    Declared,
    deployed,
    run,
    strings,
    wanted,
)
from tests.unit.rollout.host_model import Host, Stop
from tests.unit.stack_files import PLACEHOLDERS

STACKS = ("sandbox", "production")
LASTING = ("nginx", "postgres", "redis", "wal")
EDGE_AND_DATA = (*LASTING, "switch")
STEPS = ("claim", "backup", "image", "migrate", "app", "healthy", "workers", "verify")
# Read by others by their own means; everything else must come out of a secret.
SECRET_VALUES = [v for v in PLACEHOLDERS.values() if not v.startswith("{")] + [
    "placeholder-api-key"
]

both = pytest.mark.parametrize("stack", STACKS)


class Runs(Protocol):
    """One of the plans below: what it declares in a stack, kept; `__wrapped__` asks again."""

    __name__: str

    def __call__(self, stack: str) -> Declaration: ...

    def __wrapped__(self, stack: str) -> Declaration: ...


@cache
def nothing(stack: str) -> Declaration:
    return run(stack, Host(), version="")


@cache
def first(stack: str) -> Declaration:
    return run(stack, Host(), version="1.0.0")


@cache
def second(stack: str) -> Declaration:
    return run(stack, deployed(stack, "1.0.0"), version="1.1.0")


@cache
def keep(stack: str) -> Declaration:
    return run(stack, deployed(stack, "1.0.0", "1.1.0"), version="1.1.0")


@cache
def rollback(stack: str) -> Declaration:
    return run(stack, deployed(stack, "1.0.0", "1.1.0"), version="1.0.0")


@cache
def draining(stack: str) -> Declaration:
    host = deployed(stack, "1.0.0", "1.1.0")
    host.busy.add(wanted(stack, version="1.0.0").identity)
    return run(stack, host, version="1.2.0")


PLANS = [nothing, first, second, keep, rollback, draining]
every_plan = pytest.mark.parametrize("declared", PLANS, ids=lambda f: str(f.__name__))


def in_slot(declaration: Declaration, colour: str) -> list[Declared]:
    """A slot's own resources: its steps and its app."""
    return [r for r in declaration.resources if r.custom and r.name.startswith(f"{colour}-")]


# Plans


def test_without_a_release_the_host_gets_edge_datastores_and_scheduler_only() -> None:
    names = {c.name for c in nothing("sandbox").of(CONTAINER)}
    assert names == {*EDGE_AND_DATA, "scheduler"}


def test_where_nobody_wants_a_timetable_there_is_no_scheduler() -> None:
    declared = run("sandbox", Host(), version="", backupSchedule="false")
    left = {r.name for r in declared.resources if "scheduler" in r.name and r.custom}
    assert left == {"vol-scheduler-config", "vol-scheduler-trial"}


def test_the_scheduler_may_be_replaced_in_production_and_its_volumes_may_not() -> None:
    of = {r.name: r.protect for r in first("production").resources if "scheduler" in r.name}
    assert [name for name, protect in of.items() if protect] == [
        "vol-scheduler-config",
        "vol-scheduler-trial",
    ]


def test_the_first_deploy_declares_one_slot_and_a_switch() -> None:
    declared = first("sandbox")
    assert [n for n in declared.names() if n in ("blue", "green")] == ["blue"]
    assert declared.step("switch").inputs["triggers"] == ["1"]


def test_a_second_deploy_fills_the_other_slot_and_keeps_the_first() -> None:
    declared = second("sandbox")
    assert {r.ignore for r in in_slot(declared, "blue")} == {("*",)}
    assert {r.ignore for r in in_slot(declared, "green")} == {()}


def test_a_run_without_a_deploy_freezes_both_slots() -> None:
    declared = keep("sandbox")
    slots = in_slot(declared, "blue") + in_slot(declared, "green")
    assert {r.ignore for r in slots} == {("*",)}


def test_after_a_failed_deploy_the_last_confirmed_switch_is_declared_again() -> None:
    host = deployed("sandbox", "1.0.0")
    bad = plan(host.view(), wanted("sandbox", version="1.1.0"))
    assert not host.run(bad, Stop("watch", release_at_fault=True))
    declared = run("sandbox", host, version="1.0.0")
    for name in ("switch", "cache", "notify"):
        assert declared.step(name).inputs["triggers"] == ["1"]
    assert "triggers" in declared.step("gate").ignore
    assert declared.outputs["serial"] == 1


def test_an_edge_that_a_hand_moved_is_kept_after_a_failed_deploy() -> None:
    host = deployed("sandbox", "1.0.0", "1.1.0")
    host.move_by_hand("blue")
    assert not host.run(plan(host.view(), wanted("sandbox", version="1.2.0")), Stop("watch"))
    assert run("sandbox", host, version="1.0.0").step("switch").inputs["triggers"] == ["2"]


def test_an_identity_as_the_version_brings_back_its_recorded_release() -> None:
    host = deployed("sandbox", "1.0.0")
    old = wanted("sandbox", version="1.0.0")
    assert host.run(plan(host.view(), wanted("sandbox", version="1.0.0", backendPort="8001")))
    declared = run("sandbox", host, version=old.identity, backendPort="8001")
    assert declared.outputs["release"] == old.identity
    assert declared.step("switch").inputs["triggers"] == ["3"]


def test_a_rollback_declares_no_step_of_a_slot_anew() -> None:
    declared = rollback("production")
    slots = in_slot(declared, "blue") + in_slot(declared, "green")
    assert {r.ignore for r in slots} == {("*",)}
    assert declared.step("switch").inputs["triggers"] == ["3"]


def test_a_run_without_a_deploy_declares_the_last_switch_as_it_was() -> None:
    switch = keep("sandbox").step("switch")
    assert switch.inputs["triggers"] == ["2"]
    assert set(switch.ignore) == {"create", "environment", "logging"}


def test_workers_that_still_have_jobs_are_declared_without_their_slot() -> None:
    identity = wanted("sandbox", version="1.0.0").identity
    declared = draining("sandbox")
    worker = declared.container(f"worker-{identity}-1")
    assert (worker.parent, worker.ignore, worker.protect) == (f"workers-{identity}", ("*",), False)
    assert f"beat-{identity}" not in declared.names()


@pytest.mark.parametrize("declared", [second, keep, draining])
def test_the_same_input_declares_the_same(declared: Runs) -> None:
    again = declared.__wrapped__("sandbox")
    assert _comparable(again) == _comparable(declared("sandbox"))


def _comparable(declaration: Declaration) -> dict[str, object]:
    return {
        r.urn: (r.inputs, r.protect, r.ignore, set(r.depends_on)) for r in declaration.resources
    }


# Names, networks, ports


@every_plan
@both
def test_everything_on_the_host_is_named_after_project_and_stack(
    declared: Runs, stack: str
) -> None:
    declaration = declared(stack)
    named = [r for kind in (CONTAINER, NETWORK, VOLUME) for r in declaration.of(kind)]
    assert [r.name for r in named if not r.inputs["name"].startswith(f"ytempire-{stack}-")] == []


@every_plan
def test_no_two_containers_share_a_name_and_none_is_too_long_for_a_host(declared: Runs) -> None:
    names = [c.inputs["name"] for c in declared("production").of(CONTAINER)]
    assert len(names) == len(set(names))
    assert max(map(len, names)) <= 63


@every_plan
@both
def test_only_nginx_publishes_ports(declared: Runs, stack: str) -> None:
    containers = declared(stack).of(CONTAINER)
    assert [c.name for c in containers if c.inputs.get("ports")] == ["nginx"]


@pytest.mark.parametrize(
    ("stack", "published"),
    [
        ("sandbox", [("127.0.0.1", 8080, 8080), ("127.0.0.1", 8443, 8443)]),
        ("production", [("0.0.0.0", 80, 8080), ("0.0.0.0", 443, 8443)]),
    ],
)
def test_nginx_publishes_http_and_https(stack: str, published: list[tuple[str, int, int]]) -> None:
    ports = first(stack).container("nginx").inputs["ports"]
    assert [(p["ip"], p["external"], p["internal"]) for p in ports] == published


def test_without_tls_only_http_is_published() -> None:
    ports = run("sandbox", Host(), edgeTls="off").container("nginx").inputs["ports"]
    assert [p["external"] for p in ports] == [8080]


@both
def test_only_the_datastores_network_has_no_way_out(stack: str) -> None:
    networks = {n.name: n.inputs["internal"] for n in first(stack).of(NETWORK)}
    assert networks == {"net-edge": False, "net-app": False, "net-data": True}


@both
def test_a_network_says_what_docker_would_choose_for_it(stack: str) -> None:
    """It tells only after a restart of its daemon; a refresh would take that for a change."""
    for network in first(stack).of(NETWORK):
        (config,) = network.inputs["ipamConfigs"]
        assert config["gateway"] == config["subnet"].replace(".0/24", ".1")


def test_an_isolated_stack_leaves_a_way_out_to_nginx_alone() -> None:
    declared = run("sandbox", Host(), networkIsolated="true")
    networks = {n.name: n.inputs["internal"] for n in declared.of(NETWORK)}
    assert networks == {"net-edge": False, "net-app": True, "net-data": True}


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("nginx", {"net-edge", "net-app"}),
        ("switch", {"net-app", "net-data"}),
        ("postgres", {"net-data"}),
        ("redis", {"net-data"}),
        ("scheduler", {"net-app", "net-data"}),
        ("blue-app", {"net-app", "net-data"}),
        ("green-app", {"net-app", "net-data"}),
    ],
)
def test_a_container_is_on_the_networks_that_it_needs(name: str, networks: set[str]) -> None:
    places = second("production").container(name).inputs["networksAdvanced"]
    assert {p["name"].removeprefix("ytempire-production-") for p in places} == networks


def test_production_s_database_has_room_for_its_own_vacuum() -> None:
    assert second("production").container("postgres").inputs["shmSize"] == 1024 + 256


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("nginx", "172.30.1.64"),
        ("switch", "172.30.1.65"),
        ("blue-app", "172.30.1.66"),
        ("green-app", "172.30.1.67"),
        ("scheduler", "172.30.2.70"),
    ],
)
def test_whoever_is_spoken_to_by_address_has_a_fixed_one(name: str, address: str) -> None:
    places = second("production").container(name).inputs["networksAdvanced"]
    assert [p["ipv4Address"] for p in places if "ipv4Address" in p] == [address]


# Containers


@every_plan
@both
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("readOnly", True),
        ("capabilities", {"drops": ["ALL"]}),
        ("securityOpts", ["no-new-privileges:true"]),
        ("restart", "unless-stopped"),
        ("logDriver", "json-file"),
        ("logOpts", {"max-size": "20m", "max-file": "5"}),
    ],
)
def test_every_container_is_hardened(
    declared: Runs, stack: str, key: str, expected: object
) -> None:
    containers = declared(stack).of(CONTAINER)
    assert [c.name for c in containers if c.inputs.get(key) != expected] == []


@both
def test_every_container_is_limited_runs_as_somebody_and_uses_no_swap(stack: str) -> None:
    for container in second(stack).of(CONTAINER):
        assert container.inputs["memory"] == container.inputs["memorySwap"] > 0
        assert not container.inputs["user"].startswith("0")
        assert not container.inputs.get("privileged")
        grace = container.inputs.get("destroyGraceSeconds")
        idle = container.name.endswith("-app")  # its slot was given away: nobody asks it any more
        assert grace == (None if idle else container.inputs["stopTimeout"])


@both
def test_of_a_busy_processor_backups_and_jobs_get_less_than_users(stack: str) -> None:
    less = ("scheduler", "worker-", "beat-")
    for container in second(stack).of(CONTAINER):
        wanted = 256 if container.name.startswith(less) else None
        assert container.inputs.get("cpuShares") == wanted, container.name


@both
def test_no_container_mounts_the_host_but_the_scheduler_its_drives(stack: str) -> None:
    mounts = [(c.name, m) for c in second(stack).of(CONTAINER) for m in c.inputs.get("mounts", [])]
    folders = [(name, m["source"]) for name, m in mounts if m["type"] != "volume"]
    drives = {"production": ["/mnt/backup1", "/mnt/backup2"], "sandbox": []}
    assert folders == [("scheduler", drive) for drive in drives[stack]]


def test_a_deploy_touches_nothing_of_the_scheduler() -> None:
    def of(declared: Declaration) -> list[object]:
        return [r.inputs for r in declared.resources if "scheduler" in r.name and r.custom]

    assert of(first("production")) == of(second("production"))
    assert not {"scheduler", "scheduler-config"} & second("production").after(
        second("production").step("switch")
    )


def test_the_scheduler_s_secrets_are_in_its_file_and_nowhere_else() -> None:
    scheduler = first("production").container("scheduler")
    assert set(scheduler.envs) == {"METRICS_ADDRESS"}
    files = first("production").step("scheduler-config").inputs["environment"]["FILES"]
    assert "placeholder-access-key" in files
    assert "placeholder-api-key" not in files


@every_plan
@both
def test_every_container_has_a_health_check_of_its_own(declared: Runs, stack: str) -> None:
    containers = declared(stack).of(CONTAINER)
    assert [c.name for c in containers if not c.inputs.get("healthcheck")] == []


def test_the_apps_health_check_is_the_manuals() -> None:
    assert second("production").container("green-app").inputs["healthcheck"] == {
        "tests": [
            "CMD",
            "curl",
            "-fsS",
            "-H",
            "Host: app.ytempire.example",
            "http://localhost:8000/health",
        ],
        "interval": "30s",
        "timeout": "10s",
        "retries": 3,
        "startPeriod": "1m0s",
    }


def test_the_app_gets_the_contracts_variables() -> None:
    envs = second("production").container("green-app").envs
    assert envs["DATABASE_URL"] == "postgres://ytempire:placeholder-postgres@postgres:5432/ytempire"
    assert envs["REDIS_URL"] == "redis://app:placeholder-redis@redis:6379/0"
    assert (envs["ENVIRONMENT"], envs["RELEASE_VERSION"]) == ("production", "1.1.0")


def test_the_kept_slot_keeps_its_own_version() -> None:
    assert second("production").container("blue-app").envs["RELEASE_VERSION"] == "1.0.0"


def test_workers_start_paused_on_a_queue_that_nobody_fills() -> None:
    release = wanted("sandbox", version="1.1.0")
    command = second("sandbox").container(f"worker-{release.identity}-1").inputs["command"]
    assert command[-2:] == ["-Q", f"ytempire.hold.1.1.0-{release.fingerprint}"]


def test_beat_starts_through_the_launcher_of_the_live_volume() -> None:
    beat = second("sandbox").container(f"beat-{wanted('sandbox', version='1.1.0').identity}")
    assert beat.inputs["command"][:2] == ["python3", "/live/beat.py"]
    assert beat.inputs["mounts"][0]["readOnly"] is True


def test_there_are_as_many_workers_as_configured() -> None:
    workers = [n for n in first("production").names() if n.startswith("worker-")]
    assert len(workers) == 4


def test_every_part_carries_the_labels_it_is_found_by() -> None:
    assert second("production").container("green-app").labels == {
        "ytempire.stack": "production",
        "ytempire.part": "app",
        "ytempire.colour": "green",
        "ytempire.release": wanted("production", version="1.1.0").identity,
        "ytempire.pids": "512",
    }


# Protection


@every_plan
def test_production_protects_edge_datastores_networks_and_volumes(declared: Runs) -> None:
    declaration = declared("production")
    lasting = [c for c in declaration.of(CONTAINER) if c.name in LASTING]
    lasting += declaration.of(NETWORK) + declaration.of(VOLUME)
    assert [r.name for r in lasting if not r.protect] == []


@pytest.mark.parametrize(
    ("declared", "colour"), [(keep, "green"), (rollback, "blue")], ids=["keep", "rollback"]
)
def test_production_protects_the_slot_that_serves(declared: Runs, colour: str) -> None:
    slot = in_slot(declared("production"), colour)
    assert len(slot) == len(STEPS)
    assert [r.name for r in slot if not r.protect] == []


def test_production_protects_the_workers_and_beat_that_serve() -> None:
    identity = wanted("production", version="1.1.0").identity
    crew = [
        c
        for c in keep("production").of(CONTAINER)
        if c.name.startswith((f"worker-{identity}", f"beat-{identity}"))
    ]
    assert len(crew) == 5
    assert all(c.protect for c in crew)


@pytest.mark.parametrize(
    ("declared", "colour"),
    [(first, "blue"), (second, "green"), (second, "blue"), (keep, "blue"), (rollback, "green")],
)
def test_a_slot_that_is_filled_now_or_given_away_next_is_not_protected(
    declared: Runs, colour: str
) -> None:
    slot = in_slot(declared("production"), colour)
    assert [r.name for r in slot if r.protect] == []


@every_plan
def test_the_sandbox_protects_nothing(declared: Runs) -> None:
    resources = declared("sandbox").resources
    assert [r.name for r in resources if r.protect] == []


# Order


@every_plan
@both
def test_everything_that_changes_the_host_comes_after_the_gate(declared: Runs, stack: str) -> None:
    declaration = declared(stack)
    changing = [r for r in declaration.resources if r.type in (CONTAINER, COMMAND, NETWORK, VOLUME)]
    early = [r.name for r in changing if "gate" not in declaration.after(r)]
    assert early == ["gate"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("postgres-roles", "claim"),
        ("claim", "backup"),
        ("claim", "image"),
        ("backup", "migrate"),
        ("image", "migrate"),
        ("image", "app"),
        ("migrate", "healthy"),
        ("app", "healthy"),
        ("migrate", "workers"),
        ("healthy", "verify"),
        ("workers", "verify"),
    ],
)
def test_a_slots_steps_come_in_order(earlier: str, later: str) -> None:
    declared = second("production")
    named = {r.name: r for r in declared.resources if r.custom}
    before = earlier if earlier.startswith("postgres") else f"green-{earlier}"
    assert before in declared.after(named[f"green-{later}"])


def test_nothing_is_migrated_for_a_release_whose_containers_policies_refuse() -> None:
    """They judge a container when its turn comes."""
    declared = second("production")
    workers = {name for name in declared.names() if name.startswith("worker-1.1.0")}
    assert workers <= declared.after(declared.step("green-migrate"))


def test_the_app_is_made_and_meets_the_new_schema_only() -> None:
    """It lies there beside the migrations; the step that waits for it starts it."""
    declared = {r.name: r for r in second("production").resources}
    assert declared["green-app"].inputs["start"] is False
    assert declared["nginx"].inputs["start"] is True


def test_workers_and_beat_boot_while_the_database_is_seen_to() -> None:
    declared = second("sandbox")
    identity = wanted("sandbox", version="1.1.0").identity
    crew = {f"worker-{identity}-1", f"beat-{identity}"}
    assert {*crew, "green-migrate"} <= declared.after(declared.step("green-workers"))
    for container in declared.of(CONTAINER):
        if container.name in crew:
            before = declared.after(container)
            assert "green-image" in before
            assert not {"green-backup", "green-migrate", "green-app"} & before


@pytest.mark.parametrize(
    ("step", "before"), [("switch", "green-verify"), ("cache", "switch"), ("notify", "cache")]
)
def test_traffic_moves_last_then_the_cache_goes_then_people_hear_of_it(
    step: str, before: str
) -> None:
    declared = second("production")
    assert before in declared.after(declared.step(step))


def test_the_switch_waits_for_both_slots() -> None:
    declared = second("production")
    assert {"blue-verify", "green-verify"} <= declared.after(declared.step("switch"))


# Steps


@every_plan
@both
def test_no_step_undoes_anything_when_it_is_forgotten(declared: Runs, stack: str) -> None:
    steps = declared(stack).of(COMMAND)
    assert [s.name for s in steps if "delete" in s.inputs] == []


def test_a_slots_steps_are_keyed_by_release_and_occupancy() -> None:
    identity = wanted("production", version="1.1.0").identity
    declared = second("production")
    keys = {tuple(r.inputs["triggers"]) for r in in_slot(declared, "green") if r.type == COMMAND}
    assert keys == {(f"{identity}#2",)}


@both
def test_every_step_speaks_to_the_stacks_host(stack: str) -> None:
    hosts = {s.inputs["environment"]["DOCKER_HOST"] for s in second(stack).of(COMMAND)}
    expected = {
        "sandbox": "unix:///var/run/docker.sock",
        "production": "ssh://deploy@ops.ytempire.example",
    }
    assert hosts == {expected[stack]}


# Secrets


@every_plan
@both
def test_no_secret_is_in_a_plain_input(declared: Runs, stack: str) -> None:
    for resource in declared(stack).resources:
        text = "\n".join(strings(resource.plain))
        assert [s for s in SECRET_VALUES if s in text] == [], resource.name


@every_plan
@both
def test_no_secret_is_in_an_output(declared: Runs, stack: str) -> None:
    text = "\n".join(strings(declared(stack).outputs))
    assert [s for s in SECRET_VALUES if s in text] == []


# Outputs


def test_the_outputs_are_the_documented_ones() -> None:
    outputs = second("production").outputs
    assert set(outputs) == {"live", "release", "slots", "address", "bucket", "serial", "record"}


def test_the_outputs_tell_what_serves_after_the_run() -> None:
    outputs = second("production").outputs
    identity = wanted("production", version="1.1.0").identity
    assert (outputs["live"], outputs["release"], outputs["serial"]) == ("green", identity, 2)
    assert outputs["address"] == "https://app.ytempire.example"


def test_the_address_names_an_unusual_port() -> None:
    assert second("sandbox").outputs["address"] == "https://localhost:8443"


# Refusals and mistakes


def test_mistakes_in_the_configuration_end_the_run_with_all_of_them() -> None:
    with pytest.raises(pulumi.RunError) as caught:
        run("sandbox", Host(), backendPort="x", edgeTls="y")
    assert str(caught.value).startswith(
        "2 mistakes in the configuration of sandbox:\n  backendPort"
    )


def test_a_refusal_ends_the_run_with_its_reason() -> None:
    host = deployed("sandbox", "1.0.0")
    host.hold(True)
    with pytest.raises(
        pulumi.RunError, match=r"^deploys are locked by lead since .* `ytops unlock`"
    ):
        run("sandbox", host, version="1.1.0")


def test_a_withdrawn_release_ends_the_run() -> None:
    host = deployed("sandbox", "1.0.0")
    release = wanted("sandbox", version="1.1.0")
    host.run(plan(host.view(), release), Stop("watch", release_at_fault=True))
    with pytest.raises(pulumi.RunError, match=f"pulumi config set reinstate '{release.version}"):
        run("sandbox", host, version="1.1.0")


def test_an_image_that_nobody_knows_ends_the_run() -> None:
    def missing(*_: object) -> None:
        raise OpsError("the image ytempire/backend:9 is neither here nor there")

    with pytest.raises(pulumi.RunError, match="neither here nor there"):
        run("sandbox", Host(), version="9", look_up=missing)  # type: ignore[arg-type]


# A host out of reach


def unreachable(*_: object) -> Observation:
    raise HostUnreachable("ssh://deploy@ops.ytempire.example does not answer")


def nobody_answers(*_: object) -> None:
    raise HostUnreachable("the image was asked for on a host that does not answer")


def offline(version: str, recorded: str | None) -> Declaration:
    return run(
        "production",
        unreachable,
        preview=True,
        recorded=recorded,
        look_up=nobody_answers,  # type: ignore[arg-type]
        version=version,
    )


def test_a_preview_without_access_plans_from_the_record_and_says_so() -> None:
    declared = offline("1.1.0", deployed("production", "1.0.0", "1.1.0").state.model_dump_json())
    assert declared.step("switch").inputs["triggers"] == ["2"]
    assert declared.warnings == [
        "ssh://deploy@ops.ytempire.example does not answer\n"
        "This preview plans from the record of the last run alone."
    ]


def test_a_preview_without_access_shows_a_deploy_of_an_image_it_cannot_look_up() -> None:
    declared = offline("1.2.0", deployed("production", "1.0.0", "1.1.0").state.model_dump_json())
    assert declared.container("blue-app").inputs["image"] == "ytempire/backend:1.2.0"


def test_a_preview_without_access_or_record_shows_a_first_deploy() -> None:
    assert offline("1.0.0", None).step("switch").inputs["triggers"] == ["1"]


def test_the_record_of_a_run_plans_like_the_host() -> None:
    record = second("production").outputs["record"]
    declared = offline("1.1.0", record)
    assert {r.ignore for r in in_slot(declared, "green")} == {("*",)}


def test_an_update_without_access_ends() -> None:
    with pytest.raises(pulumi.RunError, match="does not answer"):
        run("production", unreachable)


@both
def test_the_backend_knows_the_datastores_while_dockers_name_service_is_away(stack: str) -> None:
    declared = first(stack)
    at = {
        place: declared.container(place).inputs["networksAdvanced"][0]["ipv4Address"]
        for place in ("postgres", "redis")
    }
    for resource in declared.of(CONTAINER):
        if resource.labels[PART_LABEL] in ("app", "worker", "beat"):
            known = {entry["host"]: entry["ip"] for entry in resource.inputs["hosts"]}
            assert known == at, resource.name
