"""The edge volume: written whole, confirmed by nginx, put back when nginx refuses."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.switch.edge import Edge, EdgeFailed
from ops.switch.probes import Answer
from rollout.edge import ACTIVE_CONF, TURNED, read_active
from rollout.shapes import Pointer
from tests.unit.switch.fakes import BLUE, GREEN, NEW, OLD, FakeClock, config


class Nginx:
    """An nginx that loads what is in the folder when it is asked, unless it is told not to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running = True
        self.refuses = False
        self.answered = 0
        self._load = ""
        self._identity = ""

    def status(self, path: str) -> Answer:
        if not self.running:
            raise ConnectionRefusedError(111, "refused")
        self.answered += 1
        if path == "/reload":
            return Answer(200, {}, "[emerg] unknown directive\n[emerg] more\n")
        if path == "/draining":
            return Answer(200, {}, "0\n")
        if path == "/config":
            return Answer(200, {}, json.dumps({"config": "hash"}))
        if not self.refuses:
            link = self.folder / TURNED
            turned = link.resolve().name if link.exists() else ""
            active = read_active((self.folder / ACTIVE_CONF).read_text(), turned)
            self._load = active.load if active else ""
            self._identity = active.pointer.identity if active and active.pointer else ""
        return Answer(200, {}, json.dumps({"load": self._load, "identity": self._identity}))


@pytest.fixture
def nginx(tmp_path: Path) -> Nginx:
    return Nginx(tmp_path / "edge")


@pytest.fixture
def edge(tmp_path: Path, nginx: Nginx) -> Edge:
    made = Edge(config(tmp_path), nginx, FakeClock())
    made.point(BLUE, OLD, 3)
    return made


def files(**contents: str) -> dict[str, str]:
    named = {"nginx.conf": contents.get("conf", "new"), "run.sh": "#!/bin/sh\n"}
    return {name: base64.b64encode(text.encode()).decode() for name, text in named.items()}


def test_a_pointer_is_written_with_a_reload_token(edge: Edge, nginx: Nginx) -> None:
    load = edge.point(BLUE, OLD, 4)
    assert (nginx.folder / "reload").read_text() == load + "\n"
    active = edge.active()
    assert active
    assert (active.pointer, active.serial, active.load) == (BLUE, 4, load)


def test_a_reload_is_confirmed_by_several_connections(edge: Edge, nginx: Nginx) -> None:
    edge.confirm(edge.point(BLUE, OLD, 4))
    assert nginx.answered >= 5


RELEASES = {OLD.identity: OLD, NEW.identity: NEW}


def where(edge: Edge) -> Pointer | None:
    active = edge.active()
    assert active
    return active.pointer


def names(nginx: Nginx) -> set[str]:
    return {file.name.partition("-")[0] for file in (nginx.folder / "active").iterdir()}


def test_an_announcement_moves_nothing_and_the_turn_does(edge: Edge) -> None:
    edge.confirm(edge.announce(BLUE, GREEN, RELEASES, 4))
    assert where(edge) == BLUE
    edge.turn()
    assert where(edge) == GREEN
    edge.turn_back()
    assert where(edge) == BLUE


def test_the_first_release_is_turned_to_from_none(edge: Edge) -> None:
    edge.confirm(edge.announce(None, GREEN, RELEASES, 1))
    assert where(edge) is None
    edge.turn()
    assert where(edge) == GREEN


def test_a_turn_of_before_does_not_turn_a_later_announcement(edge: Edge) -> None:
    edge.announce(BLUE, GREEN, RELEASES, 4)
    edge.turn()
    edge.announce(GREEN, BLUE, RELEASES, 5)
    assert where(edge) == GREEN
    edge.turn_back()
    assert where(edge) == GREEN
    edge.turn()
    assert where(edge) == BLUE


def test_a_turn_that_nginx_does_not_follow_is_said(edge: Edge, nginx: Nginx) -> None:
    edge.confirm(edge.announce(BLUE, GREEN, RELEASES, 4))
    nginx.refuses = True
    with pytest.raises(EdgeFailed, match=r"to turn to 1.1.0\+b+, got 1.0.0\+a+"):
        edge.turn()


def test_nothing_that_was_not_announced_can_be_turned_to(edge: Edge) -> None:
    with pytest.raises(EdgeFailed, match="was changed while traffic was to move"):
        edge.turn()


@pytest.mark.parametrize("turned", [True, False])
def test_installing_turns_nothing(edge: Edge, turned: bool) -> None:
    edge.confirm(edge.announce(BLUE, GREEN, RELEASES, 4))
    if turned:
        edge.turn()
    edge.install(files(), False, "hash")
    assert where(edge) == (GREEN if turned else BLUE)


@pytest.mark.parametrize("loss", ["link", "its file"])
def test_a_turn_that_was_lost_is_none(edge: Edge, nginx: Nginx, loss: str) -> None:
    edge.announce(BLUE, GREEN, RELEASES, 4)
    edge.turn()
    link = nginx.folder / TURNED
    (link if loss == "link" else link.resolve()).unlink()
    assert where(edge) == BLUE
    edge.announce(BLUE, GREEN, RELEASES, 5)
    assert link.exists()


def test_what_earlier_announcements_left_is_tidied(edge: Edge, nginx: Nginx) -> None:
    for serial in range(4, 9):
        edge.announce(BLUE, GREEN, RELEASES, serial)
        edge.turn()
    assert names(nginx) == {"active.conf", "before", "turned", "after"}
    assert len(list((nginx.folder / "active").glob("after-*"))) == 2


def test_a_refused_reload_says_why(edge: Edge, nginx: Nginx) -> None:
    nginx.refuses = True
    with pytest.raises(EdgeFailed, match=r"did not reload in 5 s \(\[emerg\] unknown directive\)"):
        edge.confirm(edge.point(BLUE, OLD, 4))


def test_an_nginx_that_is_down_is_said_soon(edge: Edge, nginx: Nginx) -> None:
    nginx.running = False
    with pytest.raises(EdgeFailed, match="does not answer; see `docker logs ytempire-test-nginx`"):
        edge.confirm("load")


def test_files_are_written_with_their_modes(edge: Edge, nginx: Nginx) -> None:
    assert edge.install(files(), False, "hash") is True
    assert (nginx.folder / "nginx.conf").read_text() == "new"
    assert os.access(nginx.folder / "run.sh", os.X_OK)


def test_installing_leaves_traffic_where_it_is(edge: Edge) -> None:
    edge.install(files(), False, "hash")
    active = edge.active()
    assert active
    assert (active.pointer, active.serial) == (BLUE, 3)


def test_without_nginx_the_files_wait_for_it(edge: Edge, nginx: Nginx) -> None:
    nginx.running = False
    assert edge.install(files(), False, "hash") is False


@pytest.mark.parametrize(("refuses", "wanted"), [(True, "hash"), (False, "another")])
def test_a_refused_configuration_is_put_back(
    edge: Edge, nginx: Nginx, refuses: bool, wanted: str
) -> None:
    edge.install(files(conf="good"), False, "hash")
    nginx.refuses = refuses
    with pytest.raises(EdgeFailed, match=r"did not take the configuration: .*; the previous files"):
        edge.install(files(conf="bad"), False, wanted)
    assert (nginx.folder / "nginx.conf").read_text() == "good"


@pytest.mark.parametrize("name", ["../state.json", "active/active.conf", "tls/../x"])
def test_no_other_file_can_be_written(edge: Edge, name: str) -> None:
    with pytest.raises(OpsError, match="the edge has no file"):
        edge.install({name: ""}, False, "hash")


def test_a_self_signed_certificate_is_made_once(edge: Edge, nginx: Nginx) -> None:
    edge.install(files(), True, "hash")
    first = (nginx.folder / "tls/cert.pem").read_text()
    edge.install(files(), True, "hash")
    assert (nginx.folder / "tls/cert.pem").read_text() == first
    assert (nginx.folder / "tls/key.pem").stat().st_mode & 0o777 == 0o440


def test_what_nginx_has_not_loaded_yet_counts_as_draining(edge: Edge, nginx: Nginx) -> None:
    assert not edge.draining()
    nginx.refuses = True
    edge.point(BLUE, OLD, 4)
    assert edge.draining()


def test_an_nginx_that_is_slow_to_tell_counts_as_draining(
    edge: Edge, nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def times_out(_: str) -> Answer:
        raise TimeoutError

    monkeypatch.setattr(nginx, "status", times_out)
    assert edge.draining()


def test_a_stopped_nginx_answers_nothing_any_more(edge: Edge, nginx: Nginx) -> None:
    nginx.running = False
    assert not edge.draining()


def test_a_reload_that_a_killed_agent_did_not_ask_for_is_made_up_for(
    edge: Edge, nginx: Nginx
) -> None:
    edge.confirm(edge.point(BLUE, OLD, 4))
    token = nginx.folder / "reload"
    token.write_text("")
    edge.reload_if_missed()
    assert token.read_text() == ""
    nginx.refuses = True
    edge.point(BLUE, OLD, 5)
    token.write_text("")
    edge.reload_if_missed()
    assert token.read_text()
