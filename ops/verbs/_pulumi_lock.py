"""Pulumi's own lock on a stack: who has it, and whether that process still lives."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ops import file_backend
from ops.engine import Engine
from ops.stackfile import PROJECT
from ops.verbs._exit import Refused
from ops.verbs._paper import moment, when
from ops.verbs._state_file import drop_cut_attributes

Owner = Literal["alive", "dead", "elsewhere"]

_IN_ERROR = re.compile(
    r"created by (?P<who>[^\s@]+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)"
)
_BUSY = re.compile(r"[Aa]nother update is currently in progress")
# A process that began this long after the lock was written has only inherited the number.
START_SLACK_SECONDS = 2.0


@dataclass(frozen=True)
class PulumiLock:
    """One lock. A dead owner's is stranded; of a process on another machine nothing is known."""

    who: str
    host: str
    pid: int
    since: str

    @classmethod
    def of_label(cls, text: str) -> PulumiLock | None:
        """As a container's or a volume's label has it; None for what is none."""
        with suppress(ValueError, TypeError):
            return cls(**json.loads(text))
        return None

    @property
    def label(self) -> str:
        return json.dumps(vars(self))

    def __str__(self) -> str:
        return f"{self.who}@{self.host} (process {self.pid}) since {when(self.since)}"

    def owner(self) -> Owner:
        if self.host != socket.gethostname():
            return "elsewhere"
        if not exists(self.pid) or is_zombie(self.pid):
            return "dead"
        begun, since = started(self.pid), moment(self.since)
        later = begun and since and begun > since.timestamp() + START_SLACK_SECONDS
        return "dead" if later else "alive"


def read(backend: str, project: str, stack: str) -> list[PulumiLock] | None:
    """The locks of a stack in a file backend; None where the backend does not show them."""
    top = file_backend.folder(backend)
    if top is None:
        return None
    folder = top / "locks" / "organization" / project / stack
    found = [_lock(file) for file in sorted(folder.glob("*.json"))]
    return [lock for lock in found if lock]


def parse(errors: str) -> list[PulumiLock]:
    """The locks that the CLI complains about, on any backend of the same kind (file, S3, …)."""
    return [
        PulumiLock(found["who"], found["host"], int(found["pid"]), found["since"])
        for found in _IN_ERROR.finditer(errors)
    ]


def is_busy(errors: str) -> bool:
    """The complaint of a backend that does not name the owner."""
    return bool(_BUSY.search(errors))


def clear_stranded(locks: list[PulumiLock], engine: Engine, say: Callable[[str], None]) -> None:
    """Cancel the locks of dead processes, and make good what else they left; raise Refused while
    any owner may live."""
    for lock in locks:
        refuse_unless_dead(lock, engine.stack)
    drop_cut_attributes(engine.backend, PROJECT, engine.stack, say)  # or nothing can be cancelled
    if not locks:
        return
    engine.cancel()
    for lock in locks:
        say(f"Pulumi's lock was stranded by {lock}, which is gone: cleared.")


def refuse_unless_dead(lock: PulumiLock, stack: str) -> None:
    owner = lock.owner()
    if owner == "alive":
        raise Refused(
            f"Another run is under way: Pulumi's lock is held by {lock}.\n"
            f"Next: wait for it, or end it in order with `kill -INT {lock.pid}`; then this again."
        )
    if owner == "elsewhere":
        raise Refused(
            f"Another run may be under way: Pulumi's lock is held by {lock}, and from here nobody "
            f"can tell whether that process lives.\nNext: look on {lock.host}; when it is gone, "
            f"`pulumi cancel --stack {stack}`, then this again."
        )


def _lock(file: Path) -> PulumiLock | None:
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        return PulumiLock(
            str(body["username"]), str(body["hostname"]), int(body["pid"]), str(body["timestamp"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # released while we looked, or being written


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_zombie(pid: int) -> bool:
    return _stat(pid)[:1] in (["Z"], ["X"])


def started(pid: int) -> float | None:
    """When a process began, seconds since the epoch; None where /proc does not tell."""
    fields = _stat(pid)
    try:
        boot = re.search(r"^btime (\d+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    except OSError:
        return None
    if not fields or boot is None:
        return None
    return int(boot[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
