"""One-shot containers: hardened, found again by name, and never two of one name at a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from ops.docker import LOG_LINES, Container, Docker, Say, by_name
from ops.errors import HostUnreachable, OpsError, StepFailed

STEP_LABEL = "ytempire.step"
KEY_LABEL = "ytempire.key"
STOP_SECONDS = 10  # half of what a cancelled deploy leaves its steps
PIDS = 128
MEMORY = 512

HARDENED = (
    "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
    "--security-opt", "no-new-privileges:true", "--pids-limit", str(PIDS),
)  # fmt: skip


@dataclass(frozen=True)
class OneShot:
    """A container that runs one command for one key, and goes."""

    name: str
    image: str
    command: tuple[str, ...]
    step: str
    key: str
    networks: tuple[str, ...]
    variables: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    entrypoint: str = ""
    memory: int = MEMORY
    stop_signal: str = "SIGTERM"
    options: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of those variables that this process does not have in its own environment."""

    def create(self) -> list[str]:
        """The arguments of `docker create`; further networks are connected afterwards."""
        labels = {**self.labels, STEP_LABEL: self.step, KEY_LABEL: self.key}
        memory = f"{self.memory}m"
        return [
            "create", "--name", self.name, *HARDENED,
            "--memory", memory, "--memory-swap", memory,
            "--stop-signal", self.stop_signal, "--network", self.networks[0],
            *(["--user", self.user] if self.user else []),
            *(["--entrypoint", self.entrypoint] if self.entrypoint else []),
            *(word for pair in self.hosts.items() for word in ("--add-host", ":".join(pair))),
            *(w for volume, at in self.volumes.items() for w in ("--volume", f"{volume}:{at}")),
            *(word for pair in labels.items() for word in ("--label", "=".join(pair))),
            *(word for pair in self.settings.items() for word in ("--env", "=".join(pair))),
            *by_name(self.variables), *by_name(self.values), *self.options,
            self.image, *self.command,
        ]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How it ended. `code` None: not in time, and stopped."""

    code: int | None
    tail: str
    oom_killed: bool = False


class Attempt:
    """`with Attempt(docker, shot) as attempt:` makes the container beside what the block asks
    first, `attempt.run(…)` runs it, and it is gone when the block is over."""

    def __init__(self, docker: Docker, shot: OneShot) -> None:
        self.docker, self.shot = docker, shot
        self._beside = ThreadPoolExecutor(1)
        self._is_there = False

    def __enter__(self) -> Attempt:
        self._left = self._beside.submit(self._make_unless_taken)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # On a host that can't be reached it may well go on: the next run waits for it.
        if not isinstance(error, HostUnreachable):
            self._beside.submit(self._remove)
        self._beside.shutdown()

    def run(self, say: Say, timeout: float) -> Outcome:
        """To its end, or an earlier run's that is still at it; what it says is passed on."""
        deadline = time.monotonic() + timeout
        left = self._left.result()
        if left:
            earlier = _finish_earlier(self.docker, self.shot, left, say, deadline)
            if earlier:
                return earlier
            self._make()
        outcome = _run(self.docker, self.shot.name, say, deadline)
        if outcome is None:
            name = self.shot.name
            raise OpsError(f"The container {name} was removed while it ran. Next: `ytops up`")
        removed = self._beside.submit(self._remove)
        if outcome.code != 0:
            removed.result()  # whoever tries again does not meet it
        return outcome

    def _make_unless_taken(self) -> Container | None:
        """An earlier run's, where it is in the way."""
        left = self.docker.inspect(self.shot.name)
        if left is None:
            self._make()
        return left

    def _make(self) -> None:
        self.docker.call(*self.shot.create(), variables=self.shot.values)
        self._is_there = True
        for network in self.shot.networks[1:]:
            self.docker.call("network", "connect", network, self.shot.name)

    def _remove(self) -> None:
        if self._is_there:
            self.docker.remove(self.shot.name)
            self._is_there = False


def run(docker: Docker, shot: OneShot, say: Say, timeout: float) -> Outcome:
    """Run it to its end, or an earlier run's that is still at it; what it says is passed on."""
    with Attempt(docker, shot) as attempt:
        return attempt.run(say, timeout)


def _finish_earlier(
    docker: Docker, shot: OneShot, left: Container, say: Say, deadline: float
) -> Outcome | None:
    """Deal with what a killed run left; an outcome when it was doing this very thing."""
    if left.label(STEP_LABEL) != shot.step:
        raise OpsError(
            f"A container {shot.name} is in the way on {docker.host}, and it was not made by a "
            f"deploy. Next: look at it, then `docker rm -f {shot.name}`"
        )
    if left.stopped:
        docker.remove(shot.name)
        return None
    same = left.label(KEY_LABEL) == shot.key
    whose = "this release" if same else left.label(KEY_LABEL)
    say(f"an earlier run's {shot.step} for {whose} is still running: waiting for it")
    outcome = _follow(docker, shot.name, say, deadline)
    docker.remove(shot.name)
    unfinished = outcome is not None and outcome.code is None
    return outcome if same or unfinished else None


def _run(docker: Docker, name: str, say: Say, deadline: float) -> Outcome | None:
    """Start it, and hear it to its end."""
    return _heard(docker, ("start", "--attach", name), say, deadline)


def _follow(docker: Docker, name: str, say: Say, deadline: float) -> Outcome | None:
    """Hear one to its end that was started before."""
    return _heard(docker, ("logs", "--follow", name), say, deadline)


def _heard(docker: Docker, command: tuple[str, ...], say: Say, deadline: float) -> Outcome | None:
    """Pass its lines on until it ends; when time is up or we are told to stop, stop it.

    None: it is gone, and how it ended is not known."""
    verb, _, name = command
    tail: list[str] = []

    def hear(line: str) -> None:
        tail.append(line)
        del tail[:-LOG_LINES]
        say(line)

    starts = verb == "start"  # and ends with the container's own exit code
    try:
        left = max(deadline - time.monotonic(), 0.1)
        code = docker.stream(*command, say=hear, timeout=left, passes_on=starts)
    except HostUnreachable:
        raise
    except BaseException:
        docker.stop(name, STOP_SECONDS)
        raise
    if code is None:
        docker.stop(name, STOP_SECONDS)
        return Outcome(None, "\n".join(tail))
    if code == 0 and starts:
        return Outcome(0, "\n".join(tail))
    return _ended(docker, name, tail)


def _ended(docker: Docker, name: str, tail: list[str]) -> Outcome | None:
    found = docker.inspect(name)
    if found is None:
        return None
    if found.status == "created":
        raise OpsError(
            f"{name} did not start on {docker.host}: {' '.join(tail)}\n"
            "Next: see to the cause, then `ytops up`"
        )
    code = found.exit_code if found.stopped else docker.wait(name, timeout=30)
    lines = "\n".join(tail)
    if code:
        # A last line without its end (Django's `Applying …`) may come after the stream is over.
        lines = docker.logs(name, LOG_LINES) or lines
    return Outcome(code, lines, found.oom_killed)


def explain(outcome: Outcome, what: str, where: str, after: str, timeout: float) -> StepFailed:
    """The failure in words: what, where, the last lines, and what holds now."""
    if outcome.code is None:
        how = f"was not over after {timeout:.0f} s and was stopped"
    elif outcome.oom_killed:
        how = "was killed: out of memory"
    else:
        how = f"failed with exit code {outcome.code}"
    lines = f"\nIts last lines:\n{indented(outcome.tail)}" if outcome.tail else ""
    return StepFailed(f"{what} {how} ({where}).{lines}\n{after}")


def indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
