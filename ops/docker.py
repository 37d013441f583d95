"""The docker CLI, typed: how everything on a host is reached, local or by ssh, from one place.

Argument lists only, never a shell. Secrets go by name (`-e NAME`), their values in the client's
environment. Children get a session of their own: a signal for the step is the step's to act on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import urlsplit

from ops.errors import HostUnreachable, OpsError

LOG_LINES = 25
ANSWER_SECONDS = 60  # docker's own ssh connection gives up after 30
LEAVE_SECONDS = 5  # between asking a child to end and ending it
KILL = (signal.SIGKILL,)
IN_ORDER = (signal.SIGTERM, signal.SIGKILL)
STANDING = ("created", "exited", "dead")  # the states of a container that does not run

_UNREACHABLE = re.compile(
    r"cannot connect to the docker daemon|error during connect|failed to connect to the docker api"
    r"|permission denied while trying to connect",
    re.IGNORECASE,
)
_MISSING = re.compile(r"no such (object|container|image|volume|network)", re.IGNORECASE)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Answer:
    """What one call of the CLI gave."""

    code: int
    out: str
    error: str = ""

    @property
    def words(self) -> str:
        """What docker, or the command inside, had to say about a failure."""
        return (self.error.strip() or self.out.strip()).removeprefix("Error response from daemon: ")


@dataclass(frozen=True)
class Container:
    """The part of `docker inspect` that steps decide by."""

    name: str
    status: str
    exit_code: int = 0
    restarts: int = 0
    health: str = ""
    health_output: str = ""
    oom_killed: bool = False
    error: str = ""
    labels: Mapping[str, str] | None = None
    image: str = ""
    """What it was started from, as it was named then."""
    finished_at: str = ""
    check: tuple[str, ...] = ()
    """Its own health check, as `docker exec` runs it; empty where it has none."""
    check_seconds: float = 30

    @property
    def running(self) -> bool:
        return self.status == "running"

    @property
    def is_up(self) -> bool:
        """It runs, and its check, if it has one, says that it is well."""
        return self.running and self.health in ("", "healthy")

    @property
    def stopped(self) -> bool:
        return self.status in STANDING

    def label(self, name: str) -> str:
        return (self.labels or {}).get(name, "")


class NoAnswer(HostUnreachable):
    """A call that was not over in time: the host is slow, or what it asked of it hangs."""


class Docker:
    """The CLI against one host. Without `host`: DOCKER_HOST, else this machine's daemon."""

    def __init__(self, host: str = "") -> None:
        self.host = host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"

    # Calls

    def call(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float = ANSWER_SECONDS,
        check: bool = True,
    ) -> Answer:
        """One command to its end. `variables` join the client's environment, for `-e NAME`."""
        process = self.spawn(arguments, stdin is not None, subprocess.PIPE, variables)
        try:
            out, error = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            words = f"no answer to `docker {_shown(arguments)}` in {timeout:.0f} s"
            raise NoAnswer(str(self._unreachable(words))) from None
        finally:
            end(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with suppress(OSError):
                        stream.close()
        answer = Answer(process.returncode, _text(out), _text(error))
        if answer.code:
            self._examine(answer, check, arguments)
        return answer

    def stream(
        self, *arguments: str, say: Say, timeout: float | None = None, passes_on: bool = False
    ) -> int | None:
        """A long command, line by line as it speaks. None: it was not over in time. `passes_on`:
        signals go to the container that it starts, so it is ended by the one that can't be."""
        process = self.spawn(arguments, False, subprocess.STDOUT)
        lines: list[str] = []

        def read(stream: IO[bytes]) -> None:
            with stream:
                for line in stream:
                    lines.append(_text(line).rstrip())
                    say(lines[-1])

        assert process.stdout
        reader = threading.Thread(target=read, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            # Not without a limit: a signal that another thread takes would not wake us.
            process.wait(threading.TIMEOUT_MAX if timeout is None else timeout)
            reader.join(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            end(process, signals=KILL if passes_on else IN_ORDER)
        if process.returncode and not passes_on:  # else the words are the container's
            self._examine(Answer(process.returncode, "\n".join(lines[-5:])), False, arguments)
        return process.returncode

    def spawn(
        self,
        arguments: Sequence[str],
        stdin: bool,
        errors: int,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """The CLI as a child that outlives no signal but ours."""
        environment = {**os.environ, **(variables or {}), "DOCKER_HOST": self.host}
        try:
            return subprocess.Popen(
                ["docker", *arguments],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        except FileNotFoundError:
            missing = "There is no `docker` command here. Next: `apt install docker-cli`"
            raise OpsError(missing) from None

    def _examine(self, answer: Answer, check: bool, arguments: Sequence[str]) -> None:
        if _UNREACHABLE.search(answer.error or answer.out):
            raise self._unreachable(answer.words)
        if check:
            raise OpsError(f"docker {_shown(arguments)} failed on {self.host}: {answer.words}")

    def unreachable(self, words: str) -> HostUnreachable | None:
        """The error that these words of docker's stand for, when they say that it isn't there."""
        return self._unreachable(words.strip()) if _UNREACHABLE.search(words) else None

    def _unreachable(self, words: str) -> HostUnreachable:
        words = words.rsplit("stderr=", 1)[-1]  # of ssh's failure, only what ssh said
        return HostUnreachable(
            f"The Docker host {self.host} does not answer: {words}\nNext: `{self._try_by_hand()}`"
        )

    def _try_by_hand(self) -> str:
        if not self.host.startswith("ssh://"):
            return f"docker --host {self.host} info"
        url = urlsplit(self.host)
        user = f"{url.username}@" if url.username else ""
        port = f"-p {url.port} " if url.port else ""
        return f"ssh {port}{user}{url.hostname} docker info"

    # Containers

    def inspect(self, container: str) -> Container | None:
        """None when there is no such container."""
        found = self.details(container)
        return _container(found) if found else None

    def details(self, container: str) -> dict[str, Any] | None:
        """All that docker knows of it, the environment with its secrets included."""
        return self._inspect("container", container)

    def _inspect(self, kind: str, name: str) -> dict[str, Any] | None:
        answer = self.call(kind, "inspect", name, check=False)
        if answer.code == 0:
            found: dict[str, Any] = json.loads(answer.out)[0]
            return found
        if _MISSING.search(answer.error):
            return None
        raise OpsError(f"docker {kind} inspect {name} failed on {self.host}: {answer.words}")

    def inspect_all(self, *containers: str) -> dict[str, Container]:
        """Those that are there, by name, in one call: a process for each would take seconds."""
        answer = self.call("container", "inspect", *containers, check=False)
        strange = [line for line in answer.error.splitlines() if line and not _MISSING.search(line)]
        if answer.code and strange:
            raise OpsError(f"docker container inspect failed on {self.host}: {strange[0]}")
        found = [_container(one) for one in json.loads(answer.out or "[]")]
        return {one.name: one for one in found}

    def is_well(self, found: Container) -> bool | None:
        """The container's own health check, made now: Docker makes its first one only after a
        whole interval. None when it was not over in time."""
        if not found.check:
            return False
        try:
            answer = self.exec(found.name, *found.check, timeout=found.check_seconds)
        except NoAnswer:
            return None
        return answer.code == 0

    def logs(self, container: str, tail: int = LOG_LINES) -> str:
        """The last lines, both streams; empty when there are none, or no container."""
        lines: list[str] = []
        self.stream("logs", "--tail", str(tail), container, say=lines.append, timeout=20)
        return "\n".join(lines[-tail:])

    def start(self, container: str) -> None:
        self.call("start", container)

    def limit_processes(self, container: str, pids: int) -> Answer:
        """Of what runs, too."""
        return self.call("update", "--pids-limit", str(pids), container, check=False)

    def stop(self, container: str, seconds: int = 10) -> None:
        self.call("stop", "-t", str(seconds), container, timeout=seconds + ANSWER_SECONDS)

    def remove(self, container: str) -> None:
        self.call("rm", "--force", "--volumes", container, check=False)

    def kill(self, container: str, signal_name: str) -> None:
        self.call("kill", "--signal", signal_name, container)

    def wait(self, container: str, timeout: float) -> int:
        return int(self.call("wait", container, timeout=timeout).out.strip())

    def exec(
        self,
        container: str,
        *command: str,
        user: str = "",
        stdin: bytes | None = None,
        variables: Mapping[str, str] | None = None,
        timeout: float = ANSWER_SECONDS,
    ) -> Answer:
        """A command inside a container; its failure is the caller's to judge."""
        options = ["--interactive"] if stdin is not None else []
        options += ["--user", user] if user else []
        options += by_name(variables or ())
        return self.call(
            "exec", *options, container, *command,
            stdin=stdin, variables=variables, timeout=timeout, check=False,
        )  # fmt: skip

    # Images

    def image(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """An image's id and its repository digests; None when the host has no such image."""
        found = self._inspect("image", name)
        return (found["Id"], tuple(found.get("RepoDigests") or ())) if found else None

    def pull(self, name: str, say: Say) -> bool:
        return self.stream("pull", name, say=say) == 0


def by_name(variables: Mapping[str, str] | Sequence[str]) -> list[str]:
    """Options that pass variables on without their values."""
    return [word for name in variables for word in ("--env", name)]


def end(
    process: subprocess.Popen[bytes],
    seconds: float = LEAVE_SECONDS,
    signals: Sequence[signal.Signals] = IN_ORDER,
) -> None:
    """End a child and what it started (ssh), when it has not ended by itself."""
    for signal_number in signals:
        if process.poll() is not None:
            break
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def elapsed(since: float) -> str:
    """`3.2 s`, on the clock of `time.monotonic`."""
    return f"{time.monotonic() - since:.1f} s"


def _container(found: Mapping[str, Any]) -> Container:
    state = found["State"]
    check = found["Config"].get("Healthcheck") or {}
    health = state.get("Health") or {}
    log = health.get("Log") or []
    return Container(
        name=found["Name"].removeprefix("/"),
        status=state["Status"],
        exit_code=state.get("ExitCode", 0),
        restarts=found.get("RestartCount", 0),
        health={"none": ""}.get(health.get("Status", ""), health.get("Status", "")),
        health_output=(log[-1].get("Output") or "").strip() if log else "",
        oom_killed=state.get("OOMKilled", False),
        error=state.get("Error", ""),
        labels=found["Config"].get("Labels") or {},
        image=found["Config"].get("Image", ""),
        finished_at=state.get("FinishedAt", ""),
        check=_command(check.get("Test") or ()),
        check_seconds=(check.get("Timeout") or 0) / 1e9 or Container.check_seconds,
    )


def _command(test: Sequence[str]) -> tuple[str, ...]:
    """A health check as a command, from the form that Docker keeps it in."""
    kind, *words = test or ("NONE",)
    if kind == "CMD-SHELL":
        return ("/bin/sh", "-c", *words)
    return tuple(words) if kind == "CMD" else ()


def _shown(arguments: Sequence[str]) -> str:
    """Enough of a command to know it by."""
    return " ".join(arguments[:2]) if arguments[0] in ("container", "image") else arguments[0]


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
