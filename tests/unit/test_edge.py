"""What nginx is told."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from rollout.edge import (
    RUN_SH,
    EdgeConfig,
    config_hash,
    read_active,
    reloaded,
    render_active,
    render_nginx,
    side,
)
from rollout.shapes import Pointer
from tests.unit.switch.fakes import BLUE, GREEN, NEW, OLD


def config(**changes: object) -> EdgeConfig:
    fields = {
        "domain": "ytempire.test",
        "app_subnet": "172.30.0.0/24",
        "switch_address": "172.30.0.65",
    }
    return EdgeConfig.model_validate({**fields, **changes})


PLACE = "172.30.0.66"
OLD_SIDE = side(BLUE, OLD, PLACE)
NEW_SIDE = side(GREEN, NEW, "172.30.0.67")
ANNOUNCED = render_active(OLD_SIDE, 7, "0123456789ab", after=NEW_SIDE, turn="after-x")


def test_an_active_include_can_be_read_back() -> None:
    active = read_active(render_active(OLD_SIDE, 7, "load"))
    assert active
    assert (active.pointer, active.serial, active.load, active.turn) == (BLUE, 7, "load", "")


def test_an_include_without_a_release_can_be_read_back() -> None:
    active = read_active(render_active(side(None, None, ""), 0))
    assert active
    assert active.pointer is None


@pytest.mark.parametrize(
    ("link", "pointer"),
    [("after-x", GREEN), ("before", BLUE), ("", BLUE), ("after-an-earlier-one", BLUE)],
)
def test_an_announcement_serves_once_the_link_names_it(link: str, pointer: Pointer) -> None:
    active = read_active(ANNOUNCED, link)
    assert active
    assert active.pointer == pointer


def test_a_link_to_nothing_turns_no_include_of_one_side() -> None:
    active = read_active(render_active(OLD_SIDE, 7, "load"), "")
    assert active
    assert not active.turned


@pytest.mark.parametrize(
    "text",
    ["", "upstream app {}", "# active: {", '# active: {"serial":1}'],
)
def test_an_include_that_is_not_ours_says_nothing(text: str) -> None:
    assert read_active(text) is None


def test_an_include_of_before_there_were_two_sides_says_nothing() -> None:
    first = {"serial": 1, "pointer": asdict(BLUE), "load": "x", "body": ""}
    assert read_active(f"# active: {json.dumps(first)}\nupstream app {{}}\n") is None


def test_an_include_that_was_edited_by_hand_says_nothing() -> None:
    text = render_active(OLD_SIDE, 7, "load")
    assert read_active(text.replace(":8000", ":8001")) is None


def test_a_reload_gives_the_same_traffic_another_load() -> None:
    active = read_active(ANNOUNCED, "after-x")
    assert active
    again = reloaded(ANNOUNCED, active, "ba9876543210")
    assert again == render_active(OLD_SIDE, 7, "ba9876543210", after=NEW_SIDE, turn="after-x")


def test_the_include_sends_traffic_to_the_slots_address() -> None:
    text = render_active(OLD_SIDE, 7)
    assert "server 172.30.0.66:8000 max_fails=0;" in text
    assert 'map $side $release { default "1.0.0+aaaaaaaaaaaa";' in text


def test_an_include_of_one_side_does_not_look_at_the_link() -> None:
    assert "$realpath_root" not in render_active(OLD_SIDE, 7)
    assert "$realpath_root" in ANNOUNCED


def test_an_include_never_names_another_release_than_it_serves() -> None:
    with pytest.raises(ValueError, match=r"must name 1.0.0\+a+, but was given 1.1.0\+b+"):
        side(BLUE, NEW, PLACE)


def test_an_identity_cannot_write_configuration() -> None:
    bad = replace(OLD, version='1"; } server {')
    with pytest.raises(ValueError, match="can't hold these characters"):
        side(Pointer(colour="blue", identity=bad.identity), bad, PLACE)


def test_the_configuration_names_its_own_hash() -> None:
    assert config_hash(config()) in render_nginx(config())
    assert config_hash(config()) != config_hash(config(max_body_mb=7))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"domain": "a b; }"}, "domain"),
        ({"trusted_proxies": ["everyone"]}, "trusted_proxies"),
        ({"switch_address": "switch"}, "switch_address"),
        ({"https_port": 0}, "https_port"),
    ],
)
def test_what_would_break_nginx_is_refused(changes: dict[str, object], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        config(**changes)


def test_with_tls_plain_requests_are_sent_to_https() -> None:
    assert "return 308 https://ytempire.test$request_uri;" in render_nginx(config())
    moved = render_nginx(config(https_port=9443))
    assert "return 308 https://ytempire.test:9443$request_uri;" in moved


def test_only_the_https_server_asks_for_https_for_ever() -> None:
    _, plain, secure, _ = render_nginx(config()).split("    server {")
    assert "Strict-Transport-Security" not in plain
    assert 'add_header Strict-Transport-Security "max-age=31536000" always;' in secure


def test_without_tls_there_is_no_certificate() -> None:
    text = render_nginx(config(tls=False))
    assert "ssl_" not in text
    assert "add_header Strict-Transport-Security" not in text


def test_every_public_server_names_its_release() -> None:
    servers = render_nginx(config()).split("    server {")[1:-1]
    assert all("add_header X-Release $shown_release always;" in server for server in servers)


def test_a_query_is_never_logged() -> None:
    formats = render_nginx(config()).split("log_format")[1:]
    assert not any(name in text for text in formats for name in ("$args", "$request ", "$query"))
    assert "$request_uri" not in formats[0] + formats[1].partition(";")[0]


def test_only_trusted_proxies_may_name_the_client() -> None:
    assert "set_real_ip_from" not in render_nginx(config())
    text = render_nginx(config(trusted_proxies=["10.0.0.0/8", "192.168.1.1"]))
    assert "set_real_ip_from 10.0.0.0/8;" in text
    assert "set_real_ip_from 192.168.1.1/32;" in text


def test_old_processes_may_drain_for_as_long_as_configured() -> None:
    assert "worker_shutdown_timeout 45s;" in render_nginx(config(drain_seconds=45))


@pytest.mark.parametrize("shell", [["dash", "-n"], ["busybox", "sh", "-n"], ["bash", "-n"]])
def test_the_script_is_plain_shell(shell: list[str], tmp_path: Path) -> None:
    if shutil.which(shell[0]) is None:
        pytest.skip(f"no {shell[0]} here")
    script = tmp_path / "run.sh"
    script.write_text(RUN_SH)
    subprocess.run([*shell, str(script)], check=True)
