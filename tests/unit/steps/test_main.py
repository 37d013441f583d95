"""What every step has in common: parameters, failures, signals, secrets."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.steps import STEPS, main
from rollout.items import refusal
from rollout.shapes import Pointer
from rollout.steps import Gate
from tests.unit.rollout.night import NOON, ONE_BROKEN, emergency, items, release, requested
from tests.unit.steps.host import NAMES, REPOSITORY, Host
from tests.unit.steps.parameters import CACHE, CLAIM

SSH = (
    "command [ssh -l deploy -p 2222 -- bare docker system dial-stdio] has exited with exit status "
    "255, make sure the URL is valid: stderr=ssh: connect to host bare port 2222: Connection "
    "refused"
)


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, str]]]]:
    heard: list[dict[str, str]] = []

    class Hear(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Hear)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/services/secret", heard
    server.shutdown()
    server.server_close()


def test_every_step_has_a_module_that_runs_it() -> None:
    for name in STEPS:
        module = __import__(f"ops.steps.{name.replace('-', '_')}", fromlist=["run"])
        assert callable(module.run)


def test_the_gate_says_what_the_run_is_about_to_do(host: Host) -> None:
    target = Pointer(colour="green", identity="1.1.0+bbbbbbbbbbbb")
    ran = host.step("gate", Gate(action="deploy", reason="first", target=target, serial=2))
    said = "deploy: first\nswitch 2 will move traffic to 1.1.0+bbbbbbbbbbbb in green\n"
    assert ran.out == said


def test_the_gate_refuses_by_itself_what_the_policies_refuse(host: Host) -> None:
    checklist = tuple(items(**ONE_BROKEN["tests"]).values())
    gate = Gate(action="deploy", reason="first", target=None, serial=2, checklist=checklist)
    ran = host.step("gate", gate)
    assert ran.code == 1
    assert ran.error == (
        f"The checklist stops this deploy, and nothing was changed:\n  {refusal(checklist[0])}\n"
    )


def test_the_gate_says_what_an_emergency_passes_by(host: Host) -> None:
    urgent = requested(emergency())
    checklist = tuple(items(now=NOON, change=urgent, release=release(announcement=False)).values())
    gate = Gate(action="deploy", reason="first", target=None, serial=2, checklist=checklist)
    said = host.step("gate", gate).out.splitlines()
    assert said[-1] == "CR-17 passes by window, once-daily, change-approved, lead-time"


def test_an_unknown_step_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mend"]) == 2
    assert capsys.readouterr().err.startswith("usage: ytops-step gate|claim|backup|")


def test_wrong_parameters_are_named_without_their_values(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEP", '{"action": "x", "reason": "", "target": null, "serial": "many"}')
    assert main(["gate"]) == 1
    assert capsys.readouterr().err == (
        "The variable STEP does not hold what Gate takes: Expected `int`, got `str` - at "
        "`$.serial`\n"
    )


def test_a_step_says_when_its_variable_is_missing(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gate"]) == 1
    said = capsys.readouterr().err
    assert said == "The variable STEP does not hold what Gate takes: Input data was truncated\n"


def test_a_mistake_of_ours_is_one_line_and_a_file(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("ops.steps.cache.run", lambda *_: 1 / 0)
    ran = host.step("cache", CACHE)
    (trace,) = tmp_path.glob("ytops-step-cache-*.log")
    assert ran.code == 1
    assert ran.error == (
        "cache: unexpected ZeroDivisionError: division by zero (a mistake in this program; the "
        f"whole trace is in {trace})\n"
    )
    assert "Traceback" in trace.read_text()


def test_a_host_that_does_not_answer_is_named_with_what_to_try(host: Host) -> None:
    words = "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?"
    host.answers("container", "inspect", error=words, code=1)
    ran = host.step("claim", CLAIM, DOCKER_HOST="unix:///x.sock")
    assert ran.error == (
        f"The Docker host unix:///x.sock does not answer: {words}\n"
        "Next: `docker --host unix:///x.sock info`\n"
    )


def test_a_host_behind_ssh_is_tried_by_ssh(host: Host) -> None:
    host.answers("container", "inspect", error=f"error during connect: {SSH}", code=1)
    ran = host.step("claim", CLAIM, DOCKER_HOST="ssh://deploy@bare:2222")
    assert ran.error == (
        "The Docker host ssh://deploy@bare:2222 does not answer: "
        "ssh: connect to host bare port 2222: Connection refused\n"
        "Next: `ssh -p 2222 deploy@bare docker info`\n"
    )


def test_whoever_fails_tells_the_webhook(
    host: Host, webhook: tuple[str, list[dict[str, str]]]
) -> None:
    url, heard = webhook
    host.answers("exec", "--env", "REDISCLI_AUTH", error="no such container", code=1)
    host.step("cache", CACHE, WEBHOOK=url, REDISCLI_AUTH="hush-hush")
    assert heard == [
        {
            "text": f"YTEMPIRE test: the deploy failed at cache: {heard[0]['message']}",
            "event": "failed",
            "stack": "test",
            "step": "cache",
            "message": f"The cache (database 1 of {NAMES.redis} on unix:///var/run/docker.sock) "
            "was not flushed: no such container",
            "who": "ann@laptop",
        }
    ]


def test_whoever_is_stopped_tells_the_webhook(
    host: Host, webhook: tuple[str, list[dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("ops.steps.cache.run", stop)
    assert host.step("cache", CACHE, WEBHOOK=webhook[0]).code == 130
    assert webhook[1][0]["text"] == (
        "YTEMPIRE test: the deploy was stopped at cache: cache was stopped by SIGINT. "
        "Next: `ytops up`, which goes on from here."
    )


@pytest.mark.parametrize(
    "said",
    [
        "dsn https://k3y@sentry.example/1",
        "in a URL: a%2Fb%20c",
        r"in JSON: \"quoted\"",
        "line-one-of-2",
    ],
)
def test_the_applications_secrets_are_known_by_their_values(host: Host, said: str) -> None:
    secrets = ["https://k3y@sentry.example/1", "a/b c", '"quoted"', "line-one-of-2\nline-two-of-2"]
    host.answers("exec", out=said)
    ran = host.step("cache", CACHE, REDACT=json.dumps(secrets))
    assert "***" in ran.error
    assert said not in ran.error


def test_secrets_are_blotted_out_of_what_programs_say(host: Host) -> None:
    host.answers("exec", out="-ERR the password hush-hush is wrong", code=0)
    ran = host.step("cache", CACHE, REDISCLI_AUTH="hush-hush")
    assert "hush-hush" not in ran.out + ran.error
    assert "the password *** is wrong" in ran.error


HEAVY = {"typer", "rich", "docker", "pulumi", "pydantic", "urllib.request", "tarfile"}
# The others run when users have the release already.
TO_THE_SWITCH = [
    *("gate", "claim", "image", "backup", "migrate"),
    *("healthy", "workers_answer", "verify", "switch"),
]


@pytest.mark.parametrize("step", TO_THE_SWITCH)
def test_starting_a_step_is_light(step: str) -> None:
    loaded = f"import sys, ops.steps.{step}; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", loaded], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(answer.stdout.split())
