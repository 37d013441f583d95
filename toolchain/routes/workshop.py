"""A standing copy of our Go module, completed, for tests and for changes of its dependencies."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from toolchain import places
from toolchain.routes import golang, upstream

# Written by the build, embedded by the aws plugin.
GENERATED = ("internal/awsprovider/bridge-metadata.json", "cmd/pulumi-resource-aws/schema.json")

# What `go mod tidy` rewrites, and a checkout takes back.
MANIFESTS = ("go.mod", "go.sum")


def go(checkout: Path, arguments: Sequence[str]) -> int:
    """Run the Go command in the copy, and bring changed manifests back."""
    source = checkout / "toolchain" / "go"
    work = places.cache_root() / "workshop" / places.cache_key(checkout) / "work"
    work.parent.mkdir(parents=True, exist_ok=True)
    command = golang.find()
    upstream.prepare(source, work, command)
    stand_in_for_generated(work)
    environment = {**os.environ, **golang.ENVIRONMENT}
    status = subprocess.run([command, *arguments], cwd=work, env=environment, check=False)
    for name in MANIFESTS:
        if (work / name).read_bytes() != (source / name).read_bytes():
            shutil.copyfile(work / name, source / name)
    return status.returncode


def stand_in_for_generated(work: Path) -> None:
    """Packages that embed what the build generates must compile without it."""
    for name in GENERATED:
        file = work / name
        if not file.exists():
            file.write_text("{}\n")
