"""Production's path: the Docker host is reached over ssh, by provider, steps and `ytops` alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.load import Load
from tests.e2e.sshd import Sshd
from tests.e2e.world import World

SSH_PORT = 18922


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd"), SSH_PORT) as running:
        yield running


@pytest.fixture(scope="module")
def remote(
    sshd: Sshd, monkeypatch_module: pytest.MonkeyPatch, make_world: Callable[..., World]
) -> World:  # in this order: the stack is destroyed while ssh still finds its keys
    monkeypatch_module.setenv("PATH", sshd.path)
    return make_world(dockerHost=sshd.host)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_a_first_release_is_deployed_over_ssh(remote: World) -> None:
    outcome = remote.up("1.0.0")
    assert outcome.ok, outcome.text
    assert remote.live() == ("blue", "1.0.0")


def test_a_rehearsal_over_ssh_leaves_nothing(remote: World) -> None:
    before = remote.leftovers()
    outcome = remote.ytops("rehearse", "1.1.0")
    assert outcome.ok, outcome.text
    assert remote.leftovers() == before


def test_a_second_release_and_a_rollback_over_ssh_fail_no_request(remote: World) -> None:
    with Load(remote.port) as load:
        deployed = remote.ytops("up", "1.1.0")
        back = remote.ytops("rollback")
    assert deployed.ok, deployed.text
    assert back.ok, back.text
    assert not load.failures, load.summary()
    assert remote.live() == ("blue", "1.0.0")


def test_a_host_that_does_not_answer_is_named_with_what_to_try(remote: World) -> None:
    host = remote.get("dockerHost")
    remote.set("dockerHost", host.replace(str(SSH_PORT), "18923"))
    try:
        outcome = remote.up(None)
    finally:
        remote.set("dockerHost", host)
    assert not outcome.ok
    assert "does not answer" in outcome.text
    assert "ssh -p 18923" in outcome.text
    assert "Traceback" not in outcome.text
