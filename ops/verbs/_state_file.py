"""Pulumi's state in files: what a run that was killed left unreadable is made good."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ops import file_backend


def restore(backend: str, project: str, stack: str, say: Callable[[str], None]) -> bool:
    """Put the newest readable copy in the place of a state that can't be read, which is kept.
    False where the backend is not in files, the state is readable, or no copy is."""
    top = file_backend.folder(backend)
    if top is None:
        return False
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


def drop_cut_attributes(backend: str, project: str, stack: str, say: Callable[[str], None]) -> None:
    """Remove the attribute files (content type, checksum) that a killed run left half written
    beside the state: with one of them, no Pulumi command can read it ("EOF"), and none needs any
    (decision 50)."""
    top = file_backend.folder(backend)
    if top is None:
        return
    own = (f"stacks/{project}/{stack}.json*", f"history/{project}/{stack}/*")
    places = ("meta.yaml", f"locks/organization/{project}/{stack}/*", *own)
    files = (file for place in places for file in top.glob(f"{place}.attrs"))
    for file in [file for file in files if not _is_json(file)]:
        file.unlink(missing_ok=True)
        say(
            f"{file.name}, beside the state of {stack}, was left half written by a run that was "
            "killed. Pulumi reads nothing past it, and needs nothing of it: it is removed."
        )


def _is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    except OSError:
        pass  # gone meanwhile, or not for us to read
    return True


def _when(file: Path) -> str:
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).isoformat(timespec="seconds")


def _is_whole(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes())["checkpoint"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return False
