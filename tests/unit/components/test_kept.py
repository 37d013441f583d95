"""What a run does about releases that stay: their images, their secrets, and who stopped them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
import pytest

from ops.amiss import Amiss, Stopped, Unlimited
from ops.docker import Container
from ops.errors import OpsError
from rollout import dumps
from tests.unit.components.program import (
    COMMAND,
    CONTAINER,
    Declaration,
    Declared,
    deployed,
    run,
    wanted,
)
from tests.unit.rollout.host_model import Host

BLUE_APP = "ytempire-sandbox-blue"


def outage(*_: object) -> None:
    raise OpsError("the image is neither here nor in its registry (refused).\nNext: push it.")


class Running:
    """A Docker on which the switch runs."""

    def __init__(self, host: str) -> None:
        self.host = host

    def inspect(self, name: str) -> Container:
        return Container(name, "running", image="registry/ops@sha256:kept")


# A registry that does not answer


def without_registry(version: str, monkeypatch: pytest.MonkeyPatch) -> Declaration:
    monkeypatch.setattr("components.system.Docker", Running)
    host = deployed("sandbox", "1.0.0", "1.1.0")
    return run("sandbox", host, version=version, look_up=outage)  # type: ignore[arg-type]


def test_a_rollback_needs_no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = without_registry("1.0.0", monkeypatch)
    assert declared.step("switch").inputs["triggers"] == ["3"]
    assert declared.warnings[0] == (
        "the image is neither here nor in its registry (refused).\n"
        "Going by the record: ytempire/backend:1.0.0 is sha256:ytempire/backend:1.0.0."
    )


def test_the_switch_keeps_its_image_without_a_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = without_registry("1.1.0", monkeypatch)
    assert declared.container("switch").inputs["image"] == "registry/ops@sha256:kept"


def test_a_version_that_was_never_here_needs_its_image(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(pulumi.RunError, match="neither here nor in its registry"):
        without_registry("9.9.9", monkeypatch)


# Secrets


@pytest.mark.parametrize("key", ["postgresPassword", "redisPassword"])
@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_a_datastores_password_is_not_changed_under_a_kept_release(key: str, version: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        run("sandbox", deployed("sandbox", "1.0.0"), **{"version": version, key: "another"})  # type: ignore[arg-type]
    identity = wanted("sandbox", version="1.0.0").identity
    assert str(caught.value) == (
        f"{key}: expected the value that {identity} was started with, because that release is "
        "still kept and would be cut off from its data, got another. Put the old value back, "
        f"`pulumi config set --secret {key}`; for a new password: `ytops secrets rotate`."
    )


def test_without_a_kept_release_a_password_may_change() -> None:
    assert run("sandbox", Host(), version="1.0.0", redisPassword="another").step("switch")


SECOND = {"redisLogin": "b", "redisPasswordB": "second"}


def redis_users(host: Host, **changes: str) -> list[str]:
    declared = run("sandbox", host, version="1.0.0", **changes)  # type: ignore[arg-type]
    environment = declared.step("redis-config").inputs["environment"]
    return [line.split()[1] for line in json.loads(environment["FILES"])["users.acl"].splitlines()]


def test_both_logins_are_open_while_a_kept_release_was_started_with_the_first() -> None:
    users = redis_users(deployed("sandbox", "1.0.0"), **SECOND)
    assert users == ["default", "app", "app_b", "ops"]


def test_the_first_login_is_closed_when_no_kept_release_was_started_with_it() -> None:
    assert redis_users(Host(), **SECOND) == ["default", "app_b", "ops"]


def test_the_switch_takes_the_login_in_use() -> None:
    declared = run("sandbox", deployed("sandbox", "1.0.0"), version="1.0.0", **SECOND)  # type: ignore[arg-type]
    assert declared.container("switch").envs["REDIS_URL"] == "redis://app_b:second@redis:6379/0"


def test_another_fingerprint_key_is_no_other_password() -> None:
    host = deployed("sandbox", "1.0.0")
    assert run("sandbox", host, version="1.1.0", fingerprintKey="another").step("switch")


def test_a_secret_that_only_a_kept_release_needs_may_go() -> None:
    host = deployed("sandbox", "1.0.0")
    declared = run("sandbox", host, version="1.1.0", backendSecrets="{}")
    identity = wanted("sandbox", version="1.0.0").identity
    assert declared.container("blue-app").envs["API_KEY"] == ""
    assert declared.warnings == [
        f"backendSecrets.API_KEY: {identity} was started with it and is still kept. Its containers "
        "go on as they are; were one lost, it could not be made anew."
    ]


def test_a_container_that_lacks_a_secret_is_not_made_anew() -> None:
    from components.container import ContainerArgs, _hooks

    args = ContainerArgs(
        container=BLUE_APP, part="app", image="x", user="1:1", networks=(), memory=16, pids=1,
        lacks="1.0.0 was started with a key that is gone",
    )  # fmt: skip
    (clear_name,) = list(_hooks(args, _site()).before_create or ())
    with pytest.raises(OpsError, match=f"{BLUE_APP} is gone and can't be made anew: 1.0.0 was"):
        clear_name(None)  # type: ignore[arg-type]


def _site() -> Any:
    from types import SimpleNamespace

    deployment = SimpleNamespace(docker_host="unix:///nowhere")
    return SimpleNamespace(settings=SimpleNamespace(deployment=deployment), names=None)


def test_the_switchs_broker_url_takes_any_password() -> None:
    declared = run("sandbox", Host(), version="1.0.0", redisPassword="a/b@c")
    url = declared.container("switch").envs["REDIS_URL"]
    assert url == "redis://app:a%2Fb%40c@redis:6379/0"


def test_no_health_check_spells_a_secret_out() -> None:
    checks = [
        json.dumps(c.inputs["healthcheck"])
        for c in run("sandbox", Host(), version="1.0.0").of(CONTAINER)
    ]
    assert not any("_URL" in check for check in checks)


def test_whoever_shows_the_applications_logs_knows_its_secrets() -> None:
    declared = run("sandbox", Host(), version="1.0.0")
    for name in ("blue-migrate", "blue-healthy", "blue-workers", "blue-verify", "switch", "awake"):
        redact = json.loads(declared.step(name).inputs["environment"]["REDACT"])
        assert "placeholder-api-key" in redact, name


def test_every_step_can_tell_the_webhook() -> None:
    for step in run("sandbox", Host(), version="1.0.0").of(COMMAND):
        environment = step.inputs["environment"]
        assert environment["WEBHOOK"] == "https://chat.example/placeholder-webhook"
        assert environment["STACK"] == "sandbox"


# Containers that somebody stopped


def awake(*names: str, version: str = "1.0.0") -> Declared:
    wrong = Amiss(tuple(Stopped(name, "2026-01-02T03:04:05Z") for name in names))
    host = deployed("sandbox", "1.0.0")
    return run("sandbox", host, version=version, wrong=wrong).step("awake")


def test_a_stopped_container_of_a_kept_slot_is_started() -> None:
    declared = awake(BLUE_APP)
    assert declared.inputs["triggers"] == [f"{BLUE_APP}@2026-01-02T03:04:05Z"]
    assert declared.ignore == ()
    parameters = json.loads(declared.inputs["environment"]["STEP"])
    assert (parameters["containers"], parameters["waits"]) == ([BLUE_APP], True)


def test_a_run_that_moves_traffic_does_not_wait_for_what_it_leaves() -> None:
    declared = awake(BLUE_APP, version="1.1.0")
    assert json.loads(declared.inputs["environment"]["STEP"])["waits"] is False


@pytest.mark.parametrize("name", ["ytempire-sandbox-green", "ytempire-sandbox-migrate-blue"])
def test_what_is_in_no_kept_slot_is_left_alone(name: str) -> None:
    assert json.loads(awake(name).inputs["environment"]["STEP"])["containers"] == []


def test_when_nothing_stands_still_the_step_stays_as_it_was() -> None:
    assert set(awake().ignore) == {"create", "environment", "logging", "triggers"}


def test_whatever_missed_its_process_limit_gets_it() -> None:
    wrong = Amiss(unlimited=(Unlimited("ytempire-sandbox-redis", "0123456789abcdef", 64),))
    host = deployed("sandbox", "1.0.0")
    declared = run("sandbox", host, version="1.0.0", wrong=wrong).step("awake")
    assert declared.inputs["triggers"] == ["ytempire-sandbox-redis#0123456789ab"]
    parameters = json.loads(declared.inputs["environment"]["STEP"])
    assert parameters["limits"] == {"ytempire-sandbox-redis": 64}


# The edge, and old dumps


def test_traffic_moves_to_an_edge_that_is_healthy() -> None:
    declared = run("sandbox", Host(), version="1.0.0")
    assert "edge-healthy" in declared.after(declared.step("switch"))
    parameters = json.loads(declared.step("edge-healthy").inputs["environment"]["STEP"])
    assert (parameters["container"], parameters["stops"]) == ("ytempire-sandbox-nginx", False)


@pytest.mark.parametrize(("hours", "stale"), [(0, False), (168, True)])
def test_a_dump_of_last_week_makes_the_engine_run_the_backup_again(hours: int, stale: bool) -> None:
    release = wanted("sandbox", version="1.0.0")
    note = dumps.name(datetime.now(UTC) - timedelta(hours=hours), release.identity)
    host = Host()
    markers = {f"blue-backup#{release.identity}#1": note}
    host.state = host.state.model_copy(update={"markers": markers})
    backup = run("sandbox", host, version="1.0.0").step("blue-backup")
    parameters = json.loads(backup.inputs["environment"]["STEP"])
    assert parameters["stale"] == (note if stale else "")
