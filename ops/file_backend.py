"""Pulumi's state in files of this machine: the backend's address, and where its files are."""

from __future__ import annotations

from pathlib import Path

SCHEME = "file://"


def address(folder: Path) -> str:
    """The backend in this folder. Without attribute files (content type, checksum), which nothing
    reads: they are not written by rename, and an empty one that a killed run leaves hides the
    state from every Pulumi command (decision 50)."""
    return f"{SCHEME}{folder}?metadata=skip"


def folder(backend: str) -> Path | None:
    """Where Pulumi keeps locks and stacks; None where the backend is no folder."""
    if not backend.startswith(SCHEME):
        return None
    return Path(backend.removeprefix(SCHEME).split("?", 1)[0]).expanduser() / ".pulumi"
