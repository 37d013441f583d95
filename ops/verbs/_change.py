"""The stack file during a run: it asks for the new version, and afterwards it says what is live."""

from __future__ import annotations

from dataclasses import dataclass

from ops.stackfile import REINSTATE, VERSION, StackFile
from rollout.plan import pointer_token
from rollout.state import HostState


@dataclass
class Change:
    """What a run writes into the stack file, and what it takes back.

    `version` is a version or an identity; it is written before the run, so that a run that is
    killed is continued by the next `ytops up`. `reinstate` excuses withdrawals, once: it never
    stays.
    """

    file: StackFile
    version: str = ""
    reinstate: str = ""
    before: str | None = None
    changed: bool = False

    def begin(self) -> None:
        self.before = self.file.get(VERSION)
        if self.version and self.version != self.before:
            self.file.set(VERSION, self.version)
            self.changed = True
        if self.reinstate:
            self.file.set(REINSTATE, self.reinstate)

    def settle(self, live: str | None) -> str:
        """After the run. `live` is the identity that serves, None when that is not known; an empty
        string when none does. Returns what to tell."""
        if self.reinstate:
            self.file.set(REINSTATE, None)
        if not self.changed:
            return ""
        if live and self.version in (live, version_of(live)):
            return f"{self.file.name} names {self.version} now: commit it."
        if live is None:
            return (
                f"{self.file.name} still names {self.version}: whether it serves is not known. "
                "Look with `ytops status` before you commit or change it."
            )
        return self.put_back()

    def put_back(self) -> str:
        self.file.set(VERSION, self.before)
        return f"{self.file.name} names {self.before or 'no version'} again."


def permission(state: HostState, name: str) -> str:
    """What lets a release return that was withdrawn: all of this version (each is configured
    differently, and only the plan knows which is meant), or the one of this identity."""
    return ",".join(
        pointer_token(identity, withdrawal.serial)
        for identity, withdrawal in sorted(state.withdrawn.items())
        if name and name in (identity, version_of(identity))
    )


def version_of(identity: str) -> str:
    return identity.rpartition("+")[0]
