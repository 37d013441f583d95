"""The stack file during a run: it asks for the new version, and afterwards it says what is live."""

from __future__ import annotations

from dataclasses import dataclass

from ops.stackfile import REINSTATE, VERSION, StackFile
from rollout.plan import pointer_token
from rollout.state import HostState, Withdrawal


@dataclass
class Change:
    """What a run writes into the stack file, and what it takes back.

    `version` is written before the run, so that a run that is killed is continued by the next
    `ytops up`. `reinstate` excuses one withdrawal, once: it never stays.
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
        """After the run. `live` is the version that serves, None when that is not known; an empty
        string when none does. Returns what to tell."""
        if self.reinstate:
            self.file.set(REINSTATE, None)
        if not self.changed:
            return ""
        if live == self.version:
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


def withdrawn(state: HostState, version: str) -> tuple[str, Withdrawal] | None:
    """The withdrawn release of that version, the latest of several: identity and why."""
    found = [
        (identity, withdrawal)
        for identity, withdrawal in state.withdrawn.items()
        if identity.rpartition("+")[0] == version
    ]
    return max(found, key=lambda entry: entry[1].serial, default=None)


def token(identity: str, withdrawal: Withdrawal) -> str:
    return pointer_token(identity, withdrawal.serial)
