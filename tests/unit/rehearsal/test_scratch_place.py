"""The scratch place: cut off, modest, without production's passwords, and gone afterwards."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from ops.docker import Docker
from ops.errors import OpsError
from ops.rehearsal.scratch import OWNER_LABEL, Scratch, make_room
from ops.verbs._exit import Refused
from ops.verbs._pulumi_lock import PulumiLock
from rollout.release import ImageIdentity, wanted_release
from rollout.settings import load
from tests.unit.stack_files import PLACEHOLDERS, raw
from tests.unit.steps.host import NAMES, Host

SETTINGS = load("test", {**raw("sandbox"), "version": "1.1.0"})
RELEASE = wanted_release(SETTINGS, ImageIdentity("sha256:abc", "sha256:abc"))
NOW = datetime.now(UTC).isoformat()
ALIVE = PulumiLock("ann", socket.gethostname(), os.getpid(), NOW)
DEAD = PulumiLock("ann", socket.gethostname(), 4_194_305, NOW)  # above Linux' largest number
ELSEWHERE = PulumiLock("ann", "another.example", 7, NOW)
PLACE = NAMES.part("rehearsal", "postgres")


def scratch() -> Scratch:
    return Scratch(Docker(), NAMES, SETTINGS, "postgres:15", ALIVE)


def left_by(host: Host, owner: PulumiLock) -> None:
    host.answers("ps", out="c1\n", then=({"out": "c1\n"}, {"out": ""}))
    host.answers("volume", "ls", out="v1\n", then=({"out": "v1\n"}, {"out": ""}))
    host.answers("volume", "inspect", out=json.dumps({OWNER_LABEL: json.dumps(asdict(owner))}))


def test_the_copy_has_no_network_and_reads_backups_only(host: Host) -> None:
    scratch().start_postgres(NAMES.volume("backups"))
    (create,) = host.calls("create")
    words = " ".join(create["argv"])
    assert "--network none --user 999:999" in words
    assert f"--volume {NAMES.volume('backups')}:/backups:ro" in words
    assert "--cpus 1 --cpu-shares 256 --oom-score-adj 1000" in words
    assert "--read-only --tmpfs /tmp --cap-drop ALL" in words
    assert "--memory 512m --memory-swap 512m" in words


def test_a_release_runs_on_the_copy_s_network_with_its_files_in_memory(host: Host) -> None:
    scratch().start_app(RELEASE)
    (create,) = host.calls("create")
    words = " ".join(create["argv"])
    assert f"--network container:{PLACE}" in words
    assert "--tmpfs /media:size=64m,uid=10001,gid=10001" in words
    assert "--volume" not in words


def test_passwords_are_the_copy_s_own_and_on_no_command_line(host: Host) -> None:
    place = scratch()
    place.start_postgres(NAMES.volume("backups"))
    place.start_redis()
    place.start_app(RELEASE)
    host.answers("wait", out="0\n")
    made_up = list(place.passwords.values())
    kept = [v for k, v in PLACEHOLDERS.items() if k in ("postgresPassword", "redisPassword")]
    for call in host.calls():
        text = " ".join(call["argv"])
        assert not any(word in text for word in [*made_up, *kept, "placeholder-api-key"])
        values = " ".join(value or "" for value in call["env"].values())
        assert not any(word in values for word in kept)
    (app,) = [c for c in host.calls("create") if "DATABASE_URL" in c["env"]]
    assert place.passwords["postgresPassword"] in app["env"]["DATABASE_URL"]
    assert app["env"]["API_KEY"] == "placeholder-api-key"


def test_production_s_settings_hold_but_nothing_is_archived(host: Host) -> None:
    scratch().start_postgres(NAMES.volume("backups"))
    (create,) = host.calls("create")
    lines = create["env"]["SCRATCH_CONF"].splitlines()
    assert "log_lock_waits = 'on'" in lines
    for setting in ("archive_mode = 'off'", "listen_addresses = '127.0.0.1'", "ssl = 'off'"):
        assert setting == [line for line in lines if line.startswith(setting.split()[0])][-1]


def test_all_of_it_is_removed_however_it_ends(host: Host) -> None:
    host.answers("ps", then=({"out": "c1\nc2\n"},))
    host.answers("volume", "ls", then=({"out": "v1\n"},))
    with pytest.raises(OpsError, match="no"), scratch().standing(print):
        raise OpsError("no")
    assert [c["argv"] for c in host.calls("rm")] == [["rm", "--force", "--volumes", "c1", "c2"]]
    assert [c["argv"] for c in host.calls("volume", "rm")] == [["volume", "rm", "--force", "v1"]]


def test_what_a_killed_rehearsal_left_is_removed_and_said(host: Host) -> None:
    left_by(host, DEAD)
    said: list[str] = []
    make_room(Docker(), NAMES, said.append)
    assert host.calls("rm")
    assert said[0].startswith(
        f"An earlier rehearsal or trial restore by ann@{socket.gethostname()} (process 4194305)"
    )
    assert said[0].endswith("was cut off: its rest is removed")


@pytest.mark.parametrize("owner", [ALIVE, ELSEWHERE])
def test_one_that_may_be_under_way_is_left_alone(host: Host, owner: PulumiLock) -> None:
    left_by(host, owner)
    with pytest.raises(Refused) as refused:
        make_room(Docker(), NAMES, print)
    assert not host.calls("rm")
    first, *rest = str(refused.value).split("\n")
    assert first.startswith(
        f"A rehearsal or trial restore of test is under way, by ann@{owner.host}"
    )
    assert rest == [
        "Next: wait for it; when it is known to be gone, on unix:///var/run/docker.sock: "
        "`docker rm --force --volumes c1` and `docker volume rm v1`, then this again."
    ]
