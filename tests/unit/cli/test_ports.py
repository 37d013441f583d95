"""A port that is in use is found before anything is touched, and named with who has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.docker import Answer, Docker
from ops.verbs import _ports as ports
from ops.verbs._exit import Misused
from tests.unit.cli.happy import STACK_FILE, place


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def settings(port: int, **more: str) -> str:
    keys = {"edgeHttpPort": port, "edgeBindAddress": "127.0.0.1", "edgeTls": '"off"', **more}
    return STACK_FILE + "".join(f"  ytempire:{key}: {value}\n" for key, value in keys.items())


def docker(monkeypatch: pytest.MonkeyPatch, **answers: str) -> None:
    """An engine that knows this much."""
    monkeypatch.setattr(Docker, "call", lambda _, verb, *a, **k: Answer(0, answers.get(verb, "")))


def test_a_taken_port_is_named_with_its_owner_and_the_remedy(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(monkeypatch)
    with pytest.raises(Misused) as refused:
        ports.check(place(tmp_path, settings(taken)))
    first, remedy = str(refused.value).splitlines()
    assert first.startswith(f"Port {taken} of 127.0.0.1 is in use by ")
    assert first.endswith(f" (process {os.getpid()}), and the edge wants it.")
    assert remedy.startswith("Next: `pulumi config set --stack sandbox edgeHttpPort ")


def test_a_container_that_has_the_port_is_named(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(monkeypatch, ps="web\n")
    with pytest.raises(Misused, match="in use by the container web, and"):
        ports.check(place(tmp_path, settings(taken)))


def test_the_port_that_our_own_edge_has_is_ours(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(monkeypatch, port=f"8080/tcp -> 127.0.0.1:{taken}\n")
    ports.check(place(tmp_path, settings(taken)))


def test_nothing_is_tried_for_a_host_across_the_network(taken: int, tmp_path: Path) -> None:
    ports.check(place(tmp_path, settings(taken, dockerHost="ssh://deploy@host")))


def test_a_free_port_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(monkeypatch)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ports.check(place(tmp_path, settings(port)))
