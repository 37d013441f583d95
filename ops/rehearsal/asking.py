"""A release's app beside the copy: does it answer as its contract says, and if not, why not."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ops.docker import LOG_LINES
from ops.rehearsal.scratch import Scratch
from ops.rehearsal.watching import log_lines, log_since
from rollout.migrations import Trouble, troubles
from rollout.shapes import Release

POLL_SECONDS = 0.3
PATIENCE_SECONDS = 30  # on a busy host the copy comes last; how fast it answers says nothing
COMMAND_SECONDS = 120
READY = "ready"


@dataclass(frozen=True)
class Answer:
    """One question: its path (or what else was asked), and what was wrong, or nothing. `lines` are
    the app's last, `trouble` what the database had to say about it."""

    what: str
    wrong: str = ""
    lines: str = ""
    trouble: Trouble | None = None


def ask(scratch: Scratch, release: Release) -> list[Answer]:
    """Start the release's app, ask each endpoint once, run the rehearsal's command; the app is
    gone afterwards. It has no worker, no beat, and no way out."""
    seen = log_lines(scratch)
    app = scratch.start_app(release)
    try:
        wrong = _await(scratch, app, release)
        if wrong:
            return [_explained(scratch, app, seen, READY, wrong)]
        answers = []
        for path in (release.status_path, *_others(release)):
            wrong = judge(release, path, *_get(scratch, app, release, path))
            answers.append(_explained(scratch, app, seen, path, wrong) if wrong else Answer(path))
            seen = log_lines(scratch) if wrong else seen
        return [*answers, *_command(scratch, app, seen)]
    finally:
        scratch.docker.remove(app)


def judge(release: Release, path: str, status: int, body: str) -> str:
    """Expected against got, or an empty string."""
    if status != 200:
        return f"expected 200, got {status or 'no answer'}"
    if path != release.status_path:
        return ""
    try:
        said = json.loads(body)
        got = f"{said['version']}+{said['fingerprint']}"
    except (ValueError, KeyError, TypeError):
        return f"expected JSON with version and fingerprint, got {body[:80]!r}"
    return "" if got == release.identity else f"expected {release.identity}, got {got}"


def _others(release: Release) -> list[str]:
    return [path for path in release.endpoints if path != release.status_path]


def _await(scratch: Scratch, app: str, release: Release) -> str:
    """Until it answers its health check; what is wrong, when it doesn't."""
    patience = scratch.settings.backend.boot_timeout
    deadline = time.monotonic() + patience
    while True:
        status, _ = _get(scratch, app, release, release.health.path)
        if status == 200:
            return ""
        found = scratch.docker.inspect(app)
        if found is None or not found.running:
            how = "out of memory" if found and found.oom_killed else "by itself"
            return f"the app ended {how}, exit code {found.exit_code if found else 'unknown'}"
        if time.monotonic() > deadline:
            return (
                f"{release.health.path} was not healthy after {patience} s ({status or 'silent'})"
            )
        time.sleep(POLL_SECONDS)


def _get(scratch: Scratch, app: str, release: Release, path: str) -> tuple[int, str]:
    """By the name and the protocol that users come with. 0: no answer."""
    answer = scratch.docker.exec(
        app, "curl", "-sS", "--max-time", str(PATIENCE_SECONDS), "-w", "\n%{http_code}",
        "-H", f"Host: {scratch.settings.edge.domain}", "-H", "X-Forwarded-Proto: https",
        f"http://localhost:{release.port}{path}",
    )  # fmt: skip
    body, _, status = answer.out.rpartition("\n")
    return (int(status) if status.isdigit() else 0), body


def _command(scratch: Scratch, app: str, seen: int) -> list[Answer]:
    command = scratch.settings.backend.rehearsal_command
    if not command:
        return []
    shown = " ".join(command)
    answer = scratch.docker.exec(app, *command, timeout=COMMAND_SECONDS)
    if answer.code == 0:
        return [Answer(shown)]
    wrong = f"expected exit code 0, got {answer.code}"
    last = "\n".join((answer.out + answer.error).splitlines()[-LOG_LINES:])
    return [Answer(shown, wrong, last, _last(troubles(log_since(scratch, seen))))]


def _explained(scratch: Scratch, app: str, seen: int, what: str, wrong: str) -> Answer:
    trouble = _last(troubles(log_since(scratch, seen)))
    return Answer(what, wrong, scratch.docker.logs(app, LOG_LINES), trouble)


def _last(found: Sequence[Trouble]) -> Trouble | None:
    return found[-1] if found else None
