"""What can go wrong, each as one sentence and the next thing to type.

ToolchainError
├── RouteError   this way can't be taken here; the next one is tried
└── UnmetError   something is missing that only the user can supply
"""

from __future__ import annotations

from pathlib import Path


class ToolchainError(Exception):
    """A sentence for the user; the log, when there is one, has the rest."""

    def __init__(self, message: str, *, remedy: str = "", log: Path | None = None) -> None:
        super().__init__(message)
        self.message, self.remedy, self.log = message, remedy, log

    def __str__(self) -> str:
        lines = [self.message]
        if self.log:
            lines.append(f"  log: {self.log}")
        if self.remedy:
            lines.append(f"  next: {self.remedy}")
        return "\n".join(lines)


class RouteError(ToolchainError):
    """This route can't be taken from here."""


class UnmetError(ToolchainError):
    """A condition that this program can't bring about."""
