"""Completes the copy of our Go module with the two Terraform providers that must be edited."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolchain import versions
from toolchain.routes import golang, prune_aws
from toolchain.versions import Upstream

READY = ".ready"


def prepare(source: Path, work: Path, go: Path) -> None:
    """Lay out `work`: our module, and beneath it the providers with a way in."""
    if (work / READY).exists():
        return
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source, work)
    for provider in (versions.DOCKER_PROVIDER, versions.AWS_PROVIDER):
        add(provider, work, go)
    prune_aws.prune(work / "upstream" / versions.AWS_PROVIDER.folder)
    (work / READY).touch()


def add(provider: Upstream, work: Path, go: Path) -> None:
    """Copy a downloaded module, and add the package that exports its constructor."""
    downloaded = golang.module_folder(go, provider.query, work.parent, provider.sum)
    target = work / "upstream" / provider.folder
    # Go keeps downloads read-only; what is copied must be editable, and removable afterwards.
    shutil.copytree(downloaded, target, copy_function=shutil.copyfile, ignore=unneeded)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    shutil.copytree(work / "shims" / provider.folder, target / "shim")


def unneeded(folder: str, names: list[str]) -> set[str]:
    """What no build reads: tests, documentation, and what sweeps test accounts."""
    documentation = {"website", "docs", "examples", "testdata", "test-fixtures"}
    return {
        name
        for name in names
        if name in documentation
        or name.endswith("_test.go")
        or (name.startswith("sweep") and name.endswith(".go"))
    }
