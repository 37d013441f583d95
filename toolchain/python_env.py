"""Makes `.venv` from the hash-pinned requirements, and installs the project into it.

By uv, which links what its cache has; where it finds nothing (it does not read pip's settings), by
pip. Neither compiles: nine tenths of what would be compiled is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

from toolchain import places, shell, versions
from toolchain.errors import ToolchainError, UnmetError

MARKER = ".ytempire-requirements"
# uv would try for minutes; a mirror that it can't know of is pip's business.
IMPATIENT = {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "10"}
DEBIAN_PACKAGES = ("python3-venv", "python3-pip")


def ensure(checkout: Path) -> str:
    """Bring `.venv` in line with requirements.txt and pyproject.toml."""
    check_version(sys.version_info[:2])
    venv, wanted = checkout / ".venv", fingerprint(checkout)
    marker = venv / MARKER
    if marker.exists() and marker.read_text() == wanted and (venv / "bin" / "python").exists():
        return ".venv is up to date"
    log = places.cache_root() / "logs" / "python.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    if not (venv / "bin" / "python").exists():
        create(venv, log)
    install(checkout, venv, log)
    marker.write_text(wanted)
    return ".venv installed from requirements.txt"


def check_version(found: tuple[int, int]) -> None:
    """Refuse a Python that the pinned packages were not resolved for."""
    if found < versions.PYTHON:
        wanted = ".".join(map(str, versions.PYTHON))
        raise UnmetError(
            f"Python {wanted} or later is needed, and this is {found[0]}.{found[1]}.",
            remedy=f"python{wanted} -m toolchain setup",
        )


def fingerprint(checkout: Path) -> str:
    """Changes whenever the environment must be installed anew."""
    digest = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml"):
        file = checkout / name
        if not file.exists():
            raise UnmetError(f"{file} is missing.", remedy="git checkout -- " + name)
        digest.update(file.read_bytes())
    return digest.hexdigest()


def create(venv: Path, log: Path) -> None:
    """Make the environment, after installing Debian's missing half of venv if we may."""
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        install_venv_module(log)
    shell.run([sys.executable, "-m", "venv", venv], label="creating .venv", log=log)


def install_venv_module(log: Path) -> None:
    """Debian ships Python without venv; root can add it, others are told how."""
    command = ["apt-get", "install", "-y", "--no-install-recommends", *DEBIAN_PACKAGES]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnmetError("This Python has no venv module.", remedy="sudo " + " ".join(command))
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    shell.run(["apt-get", "update"], label="apt-get update", log=log, env=quiet)
    shell.run(command, label="installing python3-venv", log=log, env=quiet)


def install(checkout: Path, venv: Path, log: Path) -> None:
    """Install what is pinned, and only that, then the project itself."""
    python, remedy = venv / "bin" / "python", "read the log, then python3 -m toolchain setup"
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-compile"]
    uv = [str(venv / "bin" / "uv"), "pip", "install", "--python", str(python)]
    pinned = ("--require-hashes", "-r", "requirements.txt")
    only_uv = log.with_name("uv.txt")
    only_uv.write_text(pin_of("uv", (checkout / "requirements.txt").read_text()))

    def run(label: str, *command: str | Path) -> None:
        shell.run(command, label=label, log=log, cwd=checkout, env=IMPATIENT, remedy=remedy)

    run("installing uv", *pip, "--require-hashes", "-r", only_uv)
    try:
        run("installing Python packages", *uv, *pinned)
    except ToolchainError:
        run("installing Python packages by pip", *pip, *pinned)
    # `compat` is a plain path; the default is a program that each start of Python would run.
    project = ("--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat")
    run("installing the project", *uv, *project, "-e", ".")


def pin_of(name: str, requirements: str) -> str:
    """The lines of one package: its version and its hashes."""
    found = re.search(rf"^{re.escape(name)}==(?:.*\\\n)*.*$", requirements, re.MULTILINE)
    if found is None:
        raise UnmetError(f"requirements.txt does not pin {name}.", remedy="make lock")
    return found[0] + "\n"
