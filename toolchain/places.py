"""Where things are kept: the checkout, and a cache outside it that checkouts share."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

# What decides how the tools come out; an edit elsewhere in this package rebuilds nothing.
BUILD_SOURCES = (
    "toolchain/go",
    "toolchain/routes/official.py",
    "toolchain/routes/prune_aws.py",
    "toolchain/routes/registries.py",
    "toolchain/routes/upstream.py",
    "toolchain/versions.py",
)


def cache_root() -> Path:
    """The user's cache directory for built tools."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ytempire" / "toolchain"


def state_root() -> Path:
    """Where a Docker engine that we start keeps its process id and its log."""
    if os.geteuid() == 0:
        return Path("/var/lib/ytempire")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "ytempire"


def system() -> tuple[str, str]:
    """This machine's kind as releases name it: ("linux", "x64")."""
    machines = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    machine = platform.machine().lower()
    return platform.system().lower(), machines.get(machine, machine)


def sources(checkout: Path) -> Iterator[Path]:
    """The files that decide the build, in a fixed order."""
    for name in BUILD_SOURCES:
        top = checkout / name
        found = sorted(top.rglob("*")) if top.is_dir() else [top]
        yield from (f for f in found if f.is_file() and built_from(f))


def built_from(file: Path) -> bool:
    """Whether a file among the sources goes into what is built."""
    return "__pycache__" not in file.parts and not file.name.endswith("_test.go")


def cache_key(checkout: Path) -> str:
    """Changes with any source of the build, and with the kind of machine."""
    digest = hashlib.sha256("-".join(system()).encode())
    for file in sources(checkout):
        digest.update(f"\0{file.relative_to(checkout)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Tools:
    """One finished set of tools: the CLI's folder and the PULUMI_HOME with its plugins."""

    root: Path

    @property
    def bin(self) -> Path:
        """The CLI and the language host."""
        return self.root / "bin"

    @property
    def home(self) -> Path:
        """PULUMI_HOME."""
        return self.root / "home"

    def plugin(self, name: str, version: str) -> Path:
        """Where the engine looks for a resource plugin."""
        folder = self.home / "plugins" / f"resource-{name}-v{version}"
        return folder / f"pulumi-resource-{name}"


def purge() -> str:
    """Remove every cache of ours: the built tools, the downloaded wheels of the images."""
    top = cache_root().parent
    shutil.rmtree(top, ignore_errors=True)
    return f"{top} removed"
