"""The drill's name plate: one drill at a time, and what a killed one left is removed by it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from ops.docker import Answer, Docker
from ops.drill.site import FOLDER_LABEL, OWNER_LABEL, PLATE, PREFIX, make_room, standing
from ops.verbs._exit import Refused
from ops.verbs._pulumi_lock import PulumiLock

HERE = socket.gethostname()
ALIVE = PulumiLock("on-call", HERE, os.getpid(), datetime.now(UTC).isoformat())
DEAD = PulumiLock("on-call", HERE, 2**22 + 1, datetime.now(UTC).isoformat())
ELSEWHERE = PulumiLock("on-call", "another-desk", 1, datetime.now(UTC).isoformat())


class Host:
    """Volumes with their labels, and containers of the drill."""

    host = "unix:///var/run/docker.sock"

    def __init__(self, *containers: str) -> None:
        self.containers = list(containers)
        self.plate: dict[str, str] | None = None

    def call(self, *words: str, check: bool = True) -> Answer:
        if words[:2] == ("volume", "create"):
            if self.plate is None:
                labels = [b for a, b in pairwise(words) if a == "--label"]
                self.plate = dict(label.split("=", 1) for label in labels)
        elif words[:2] == ("volume", "inspect"):
            return Answer(int(self.plate is None), json.dumps(self.plate))
        elif words[:2] == ("volume", "ls"):
            return Answer(0, PLATE if self.plate else "")
        elif words[0] == "ps":
            return Answer(0, "\n".join(self.containers))
        elif words[0] == "rm":
            self.containers.clear()
        elif words[:3] == ("volume", "rm", "--force") and PLATE in words:
            self.plate = None
        return Answer(0, "")


def left_by(owner: PulumiLock, folder: Path) -> Host:
    host = Host("app")
    host.plate = {OWNER_LABEL: owner.label, FOLDER_LABEL: str(folder)}
    return host


def docker(host: Host) -> Docker:
    return cast(Docker, host)


def quiet(_: str) -> None: ...


def test_a_drill_that_ends_leaves_neither_plate_nor_folder() -> None:
    host = Host()
    with standing(docker(host), ALIVE, quiet) as site:
        folder = site.place.root
        assert folder.is_dir()
        assert host.plate
    assert not folder.exists()
    assert host.plate is None


def test_a_drill_that_is_kept_stays() -> None:
    host = Host()
    with standing(docker(host), DEAD, quiet) as site:
        site.kept = True
    assert host.plate
    assert site.place.root.is_dir()
    assert make_room(docker(host), quiet)
    assert not site.place.root.exists()


@pytest.mark.parametrize("owner", [ALIVE, ELSEWHERE])
def test_a_second_drill_is_refused_with_the_owners_name(owner: PulumiLock) -> None:
    host = left_by(owner, Path("/nowhere"))
    with (
        pytest.raises(Refused, match=f"by on-call@{owner.host}"),
        standing(docker(host), ALIVE, quiet),
    ):
        pass
    assert host.containers


def test_of_two_that_come_at_once_one_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    host = left_by(ALIVE, Path("/nowhere"))
    monkeypatch.setattr("ops.drill.site.make_room", lambda *_: None)  # it had looked before
    with pytest.raises(Refused, match="A drill is under way"), standing(docker(host), ALIVE, quiet):
        pass


def test_what_a_dead_owner_left_is_removed_and_told() -> None:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    host, told = left_by(DEAD, folder), list[str]()
    assert make_room(docker(host), told.append)
    assert (host.containers, host.plate, folder.exists()) == ([], None, False)
    assert "was left standing: it is removed" in told[0]


def test_an_owner_elsewhere_is_believed_gone_only_on_a_persons_word() -> None:
    host = left_by(ELSEWHERE, Path("/nowhere"))
    assert make_room(docker(host), quiet, certain=True)
    assert not host.containers


def test_the_hosts_word_alone_deletes_no_other_folder_here(tmp_path: Path) -> None:
    folder = tmp_path / f"{PREFIX}somebodys"
    folder.mkdir()
    make_room(docker(left_by(DEAD, folder)), quiet)
    assert folder.is_dir()


def test_nothing_left_is_nothing_told() -> None:
    told: list[Any] = []
    assert not make_room(docker(Host()), told.append)
    assert told == []
