"""How `ytops` ends: the exit codes, and which error means which."""

from __future__ import annotations

from ops.engine import NotReady
from ops.errors import HostUnreachable, OpsError, SwitchRefused
from ops.stackfile import StackFileError

DONE = 0
FAILED = 1
MISUSED = 2
REFUSED = 3
UNREACHABLE = 4
INTERRUPTED = 130

TABLE = """\
Exit codes: 0 done · 1 failed, and rolled back or nothing changed · 2 wrong usage or configuration ·
3 refused (locked, withdrawn, policy) · 4 the host does not answer · 130 interrupted"""


class Misused(OpsError):
    """The command, the environment or the configuration is wrong."""


class Refused(OpsError):
    """Not now, or not like this: a lock, a withdrawn release, a policy."""


class Interrupted(OpsError):
    """Ctrl-C, or a signal that means the same."""


class Failed(OpsError):
    """A run did not do what was asked. `code` says in which way."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: OpsError) -> int:
    """The exit code that an error ends with."""
    if isinstance(error, Failed):
        return error.code
    if isinstance(error, HostUnreachable):
        return UNREACHABLE
    if isinstance(error, Refused | SwitchRefused):
        return REFUSED
    if isinstance(error, Misused | StackFileError | NotReady):
        return MISUSED
    return INTERRUPTED if isinstance(error, Interrupted) else FAILED
