"""A switch belongs to its connection: the real server and the real client, over a real socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.agent import CLIENT
from ops.switch.config import SystemClock
from ops.switch.protocol import Ask, Begin, Caller, Confirm, Watch
from ops.switch.server import Server
from tests.unit.switch.fakes import NEW, World, begin, config, world

IMAGE_ROOT = Path(__file__).parents[3]  # the image has the repository where it works


class Client:
    """The client, as `docker exec -i` runs it."""

    def __init__(self, socket: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *CLIENT[1:]],
            cwd=IMAGE_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "SWITCH_SOCKET": socket},
        )

    def send(self, verb: str, **fields: Any) -> None:
        assert self.process.stdin
        line = json.dumps({"id": 7, "verb": verb, **fields}) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def ask(self, verb: str, **fields: Any) -> dict[str, Any]:
        self.send(verb, **fields)
        while "event" in (answer := self.hear()):
            pass
        return answer

    def leave(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(5)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Line:
    """A served switch with its lease watched, as `ops.switch.__main__` does."""

    def __init__(self, folder: Path) -> None:
        self.settings = config(folder, lease_seconds=1)
        self.world: World = world(folder, clock=SystemClock())
        switch = self.world.switch
        self.server = Server(
            self.settings,
            SystemClock(),
            {
                "health": (Ask, self._state),
                "state": (Ask, self._state),
                "slow": (Ask, self._slow),
                "broken": (Ask, self._broken),
                "begin": (Begin, switch.begin),
                "watch": (Watch, switch.watch),
                "confirm": (Confirm, lambda ask, _: switch.confirm(ask)),
            },
        )
        self.over = threading.Event()
        self.clients: list[Client] = []
        for loop in (self.server.run, self._lease):
            threading.Thread(target=loop, daemon=True).start()

    def client(self) -> Client:
        self.clients.append(Client(self.settings.socket))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.kill()
        self.over.set()
        self.server.close()

    def is_back(self) -> bool:
        return self.world.state.pending is None and self.world.state.last is not None

    def _lease(self) -> None:
        while not self.over.wait(0.05):
            self.world.switch.revert_if_abandoned()

    def _state(self, ask: Ask, caller: Caller) -> dict[str, Any]:
        return {"serial": self.world.state.serial}

    def _slow(self, ask: Ask, caller: Caller) -> dict[str, Any]:
        caller.say("working")
        time.sleep(1.5)
        return {"gone": caller.gone()}

    def _broken(self, ask: Ask, caller: Caller) -> dict[str, Any]:
        raise RuntimeError("oops")


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.close()


def wait_for(condition: Callable[[], object], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def begun(client: Client) -> str:
    answer = client.ask("begin", **begin().model_dump(mode="json"))
    assert answer["ok"], answer
    return str(answer["result"]["token"])


def test_a_question_is_answered_with_its_id(line: Line) -> None:
    assert line.client().ask("state") == {"id": 7, "ok": True, "result": {"serial": 4}}


def test_what_was_asked_before_leaving_is_answered(line: Line) -> None:
    client = line.client()
    output, _ = client.process.communicate(b'{"id":1,"verb":"state"}\n', timeout=5)
    assert json.loads(output)["ok"]


@pytest.mark.parametrize(
    ("request_line", "words"),
    [
        ("oops", "expected JSON with id and verb"),
        ('{"id":1,"verb":"dance"}', "the switch agent has no verb 'dance': expected health, "),
        ('{"id":1,"verb":"watch","token":"x"}', "watch: seconds: Field required; error_rate: "),
        ('{"id":1,"verb":"state","x":1}', "state: x: Extra inputs are not permitted"),
        ('{"id":1,"verb":"broken"}', "the switch agent failed in broken (RuntimeError: oops); see"),
    ],
)
def test_a_request_that_makes_no_sense_is_told_so(
    line: Line, request_line: str, words: str
) -> None:
    output, _ = line.client().process.communicate(request_line.encode() + b"\n", timeout=5)
    assert json.loads(output)["error"].startswith(words)


def test_a_confirmed_switch_outlives_its_connection(line: Line) -> None:
    client = line.client()
    assert client.ask("confirm", token=begun(client))["ok"]
    client.leave()
    time.sleep(0.3)
    assert line.world.state.live
    assert line.world.state.live.identity == NEW.identity


def test_a_caller_who_leaves_takes_the_switch_back(line: Line) -> None:
    client = line.client()
    begun(client)
    client.leave()
    wait_for(line.is_back, 2)


def test_a_killed_caller_takes_the_switch_back(line: Line) -> None:
    client = line.client()
    begun(client)
    client.kill()
    wait_for(line.is_back, 2)


def test_a_silent_caller_loses_the_switch_after_the_lease(line: Line) -> None:
    client = line.client()
    token = begun(client)
    time.sleep(0.5)
    assert line.world.state.pending
    wait_for(line.is_back, 2)
    answer = client.ask("confirm", token=token)
    assert answer["error"].startswith("this switch was moved back: the run that switched is gone")


def test_a_renewing_caller_keeps_the_switch(line: Line) -> None:
    client = line.client()
    token = begun(client)
    for _ in range(6):
        time.sleep(0.3)
        assert client.ask("renew")["ok"]
    assert client.ask("confirm", token=token)["ok"]


def test_renewals_are_heard_during_a_watch(line: Line) -> None:
    client = line.client()
    token = begun(client)
    client.send("watch", token=token, seconds=2, error_rate=0.1)
    for _ in range(5):
        time.sleep(0.3)
        client.send("renew")
    answers = [client.hear() for _ in range(6)]
    assert all(answer["ok"] for answer in answers)
    assert "requests" in answers[-1]["result"]


def test_silence_during_a_watch_takes_the_switch_back(line: Line) -> None:
    client = line.client()
    answer = client.ask("watch", token=begun(client), seconds=30, error_rate=0.1)
    assert "is gone" in answer["error"]
    assert line.is_back()


def test_waiting_for_the_agent_is_not_silence(line: Line) -> None:
    assert line.client().ask("slow")["result"] == {"gone": False}


def test_the_socket_is_only_for_the_agents_user(line: Line) -> None:
    assert Path(line.settings.socket).stat().st_mode & 0o777 == 0o600


def test_health_is_the_clients_exit_status(line: Line) -> None:
    client = subprocess.run(
        [sys.executable, *CLIENT[1:], "health"],
        cwd=IMAGE_ROOT,
        env={**os.environ, "SWITCH_SOCKET": line.settings.socket},
        capture_output=True,
        check=False,
    )
    assert client.returncode == 0


def test_a_client_without_an_agent_says_so(tmp_path: Path) -> None:
    client = subprocess.run(
        [sys.executable, *CLIENT[1:]],
        cwd=IMAGE_ROOT,
        env={**os.environ, "SWITCH_SOCKET": str(tmp_path / "none.sock")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert client.returncode == 1
    assert "the switch agent does not answer on" in client.stderr
