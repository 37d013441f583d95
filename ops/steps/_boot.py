"""Bringing containers up and waiting until they are healthy, or saying why they aren't.

Healthy is what Docker calls so, or what its own check says when it is made here: Docker's first
look comes after a whole interval, 30 s by the manual.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ops.docker import LOG_LINES, Container, Docker, Say, elapsed
from ops.errors import OpsError, StepFailed
from ops.steps._one_shot import indented

POLL_SECONDS = 0.1
STARTING = "starting"
CRASH_LOOP = 2  # restarts by Docker's policy that we take for a loop
STOP_SECONDS = 10

MayStop = Callable[[Docker, Container], bool]


def await_healthy(docker: Docker, name: str, timeout: float, say: Say, may_stop: MayStop) -> None:
    """Start the container when it stands still; return when it is healthy.

    On failure its last lines are shown, and it is stopped and kept, where `may_stop` says so.
    """
    begun = time.monotonic()
    found = started(docker, name, say)
    before = _earlier(found)
    well: bool | None = False
    while not found.is_up:
        # One that hangs goes on hanging inside the container: from there it is Docker's to ask.
        if well is not None and found.running and found.health == STARTING:
            well = docker.is_well(found)
            if well:
                break
        wrong = trouble(found, before)
        if not wrong and time.monotonic() - begun > timeout:
            wrong = f"is not healthy after {timeout:.0f} s ({_condition(found)})"
        if wrong:
            raise _failure(docker, found, wrong, may_stop)
        time.sleep(POLL_SECONDS)
        found = _known(docker, name)
    unchecked = "" if found.health else " (it has no health check)"
    say(f"{name}: ready after {elapsed(begun)}{unchecked}")


def ensure_running(docker: Docker, name: str, say: Say) -> Container:
    """Start the container when it stands still; no waiting."""
    found = started(docker, name, say)
    wrong = "" if found.running else trouble(found, _earlier(found))
    if wrong:
        raise _failure(docker, found, wrong, never)
    return found


def never(_docker: Docker, _container: Container) -> bool:
    return False


def last_lines(docker: Docker, container: str) -> str:
    """A paragraph of a message: the last lines of the container that is the cause."""
    lines = docker.logs(container, LOG_LINES)
    return f"\nThe last lines of {container}:\n{indented(lines)}" if lines else ""


def facts(refusal: OpsError) -> str:
    """The switch's words, without the hint that the step's own message ends with."""
    return str(refusal).split("; see `docker", 1)[0]


def started(docker: Docker, name: str, say: Say) -> Container:
    """The container, started when it stands still; how it is then is for others to judge."""
    found = _known(docker, name)
    if found.stopped:
        if found.status != "created":
            say(f"{name} was stopped: starting it")
        docker.start(name)
        found = _known(docker, name)
    return found


def _known(docker: Docker, name: str) -> Container:
    found = docker.inspect(name)
    if found is None:
        raise OpsError(
            f"There is no container {name} on {docker.host}. Next: `pulumi up --refresh`, which "
            "declares it again"
        )
    return found


def _earlier(found: Container) -> int:
    """Restarts of before we looked. Of one that is between two of them, all count."""
    return 0 if found.status == "restarting" else found.restarts


def trouble(found: Container, before: int) -> str:
    """What is clearly wrong by now, or an empty string. `before`: restarts that don't count."""
    if found.stopped:
        how = "out of memory" if found.oom_killed else f"exit code {found.exit_code}"
        return f"has ended ({how}){': ' + found.error if found.error else ''}"
    if found.restarts - before >= CRASH_LOOP:
        return f"crashes again and again ({found.restarts} restarts)"
    if found.running and found.health == "unhealthy":
        return "is unhealthy"
    return ""


def _condition(found: Container) -> str:
    return f"{found.status}, {found.health}" if found.health else found.status


def _failure(docker: Docker, found: Container, wrong: str, may_stop: MayStop) -> StepFailed:
    check = found.health_output
    said = f"\nIts last health check said:\n{indented(check)}" if check else ""
    lines = last_lines(docker, found.name)  # before stopping adds its own
    kept = ""
    if may_stop(docker, found):
        docker.stop(found.name, STOP_SECONDS)
        kept = "It is stopped, and kept for a look. "
    return StepFailed(
        f"{found.name} {wrong} on {docker.host}.{said}{lines}\n"
        f"{kept}Next: `docker logs {found.name}`; then fix it and `ytops up`"
    )
