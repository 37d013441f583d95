"""A host that exists on paper: a stub `docker` on PATH, with a happy switch agent behind it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ops.steps import main
from rollout.names import Names
from rollout.steps import Parameters

NAMES = Names("test")
STUB = Path(__file__).with_name("stub_docker.py")
REPOSITORY = Path(__file__).parents[3]
LIVE: dict[str, Any] = {"colour": "blue", "identity": "1.0.0+aaaaaaaaaaaa"}
TARGET: dict[str, Any] = {"colour": "green", "identity": "1.1.0+bbbbbbbbbbbb"}
HOST = "unix:///var/run/docker.sock"


@dataclass
class Ran:
    """How a step ended."""

    code: int
    out: str
    error: str


@dataclass
class Host:
    """What the stub answers with, and what it was asked."""

    home: Path
    monkeypatch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    rules: list[dict[str, Any]] = field(default_factory=list)
    verbs: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)

    def answers(self, *words: str, then: tuple[dict[str, Any], ...] = (), **reply: Any) -> None:
        """`docker WORDS…` answers `reply` (first, sleep, out, error, code), later calls `then`."""
        self.rules.append({"words": list(words), "answers": [reply, *then]})
        (self.home / "rules").write_text(repr(self.rules))

    def agent(self, verb: str, *replies: dict[str, Any]) -> None:
        self.verbs.append((verb, list(replies)))
        (self.home / "agent").write_text(repr(self.verbs))

    def container(self, name: str, *states: dict[str, Any]) -> None:
        """`docker container inspect NAME`: one state after the other."""
        first, *then = [{"out": inspected(name, **state)} for state in states or ({},)]
        self.answers("container", "inspect", name, then=tuple(then), **first)

    def no_container(self, name: str) -> None:
        self.answers("container", "inspect", name, error=f"No such container: {name}", code=1)

    def calls(self, *words: str) -> list[dict[str, Any]]:
        return [c for c in self._read("calls") if c["argv"][: len(words)] == list(words)]

    def asked(self, verb: str = "") -> list[dict[str, Any]]:
        return [a for a in self._read("asked") if verb in ("", a["verb"]) and a["verb"] != "renew"]

    def renewals(self) -> int:
        return sum(a["verb"] == "renew" for a in self._read("asked"))

    def step(self, name: str, parameters: Parameters, **secrets: str) -> Ran:
        self.monkeypatch.setenv("STEP", parameters.json())
        self.monkeypatch.setenv("STACK", "test")
        for variable, value in secrets.items():
            self.monkeypatch.setenv(variable, value)
        code = main([name])
        shown = self.capture.readouterr()
        return Ran(code, shown.out, shown.err)

    def begin(self, name: str, parameters: Parameters, **secrets: str) -> subprocess.Popen[str]:
        """The step as a process of its own, to send signals to."""
        program = f"import sys; from ops.steps import main; sys.exit(main([{name!r}]))"
        environment = {"STEP": parameters.json(), "PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, **environment, **secrets},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def _read(self, name: str) -> list[dict[str, Any]]:
        path = self.home / f"{name}.log"
        return (
            [ast.literal_eval(line) for line in path.read_text().splitlines()]
            if path.exists()
            else []
        )


def inspected(
    name: str,
    status: str = "running",
    health: str = "healthy",
    output: str = "",
    restarts: int = 0,
    code: int = 0,
    labels: dict[str, str] | None = None,
    oom: bool = False,
    check: tuple[str, ...] = (),
    check_seconds: float = 5,
) -> str:
    state: dict[str, Any] = {"Status": status, "ExitCode": code, "OOMKilled": oom, "Error": ""}
    if health:
        state["Health"] = {"Status": health, "Log": [{"Output": output}] if output else []}
    found = {"Name": f"/{name}", "State": state, "RestartCount": restarts}
    config: dict[str, Any] = {"Labels": labels or {}}
    if check:
        config["Healthcheck"] = {"Test": check, "Timeout": int(check_seconds * 1e9)}
    return json.dumps([{**found, "Config": config}])


def state_of(live: dict[str, str] | None = LIVE, serial: int = 1, **more: Any) -> dict[str, Any]:
    """What the agent answers to `state`."""
    remembered = {"live": live, "serial": serial, "confirmed": serial, "pending": None, **more}
    return {"result": {"state": remembered, "edge": live, "workers": {}}}
