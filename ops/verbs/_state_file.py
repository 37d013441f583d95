"""Pulumi's state in files: an unreadable one is replaced by the last copy that Pulumi kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

SCHEME = "file://"


def restore(backend: str, project: str, stack: str, say: Callable[[str], None]) -> bool:
    """Put the newest readable copy in the place of a state that can't be read, which is kept.
    False where the backend is not in files, the state is readable, or no copy is."""
    if not backend.startswith(SCHEME):
        return False
    top = Path(backend.removeprefix(SCHEME).split("?", 1)[0]).expanduser() / ".pulumi"
    state = top / "stacks" / project / f"{stack}.json"
    copies = [state.with_name(f"{state.name}.bak"), *top.glob(f"backups/{project}/{stack}/*.json")]
    readable = [copy for copy in copies if _is_whole(copy)]
    if not state.exists() or _is_whole(state) or not readable:
        return False
    newest = max(readable, key=lambda copy: copy.stat().st_mtime)
    aside = state.with_name(f"{state.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    state.replace(aside)
    shutil.copyfile(newest, state)
    say(
        f"The state of {stack} can't be read: {newest.name}, which Pulumi kept of "
        f"{_when(newest)}, is put in its place, and the unreadable one is kept as {aside.name}."
    )
    return True


def _when(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")


def _is_whole(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes())["checkpoint"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return False
