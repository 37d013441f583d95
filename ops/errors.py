"""What can go wrong, in words for the person on call.

OpsError                 something a person can act on: what, where, and the next command
├── HostUnreachable      the Docker host does not answer
├── StepFailed           a step of a deploy failed; carries the container's last log lines
└── SwitchRefused        the switch agent said no (held, fenced, overtaken, or a check failed)
"""

from __future__ import annotations

# Of a failure of a release's own that its predecessor shares.
NOT_BLAMED = "the fault is not this release's alone, so it is not withdrawn"


class OpsError(Exception):
    """A failure to be shown as one message, never as a traceback."""


class HostUnreachable(OpsError):
    """The Docker host does not answer."""


class StepFailed(OpsError):
    """A step of a deploy failed."""


class SwitchRefused(OpsError):
    """The switch agent refused, and said why."""
