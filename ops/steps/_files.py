"""The files that a step writes: a JSON object of name to text in the secret variable FILES."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath

from ops.errors import OpsError

MODE = 0o440


def wanted_files() -> dict[str, str]:
    """FILES, each name a path below the target and nowhere else."""
    try:
        files = json.loads(os.environ.get("FILES", ""))
    except ValueError:
        files = None
    if not isinstance(files, dict) or not all(isinstance(text, str) for text in files.values()):
        raise OpsError("The variable FILES does not hold a JSON object of name to text")
    for name in files:
        path = PurePosixPath(name)
        if not name or "\n" in name or path.is_absolute() or ".." in path.parts:
            raise OpsError(f"FILES: {name!r} is not a path below the volume")
    return files


def archive(files: Mapping[str, str]) -> bytes:
    """A tar archive of them, with nothing of this machine in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in sorted(files.items()):
            data = text.encode()
            member = tarfile.TarInfo(str(PurePosixPath(name)))
            member.size, member.mode = len(data), MODE
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
