"""Takes down what `make up` made, and nothing else: sandbox, state, images, engine."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from toolchain import engine, environment, places
from toolchain.errors import ToolchainError

STACK = "sandbox"
IMAGE_LABEL = "ytempire.images.key"
MADE_IN_CHECKOUT = (".sandbox", ".env.sandbox", ".venv")


def down(checkout: Path) -> list[str]:
    """Remove it, in the order in which it stands; each line says what went."""
    done = [destroy(checkout), images(), engine.stop()]
    for name in MADE_IN_CHECKOUT:
        path = checkout / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    done.append(f"removed {', '.join(MADE_IN_CHECKOUT)}")
    done.append(f"kept: {places.cache_root()} (`make purge` removes it), and Debian's packages")
    return done


def destroy(checkout: Path) -> str:
    """`pulumi destroy` of the sandbox: the state is what knows all of it."""
    if not (checkout / ".sandbox" / "state" / ".pulumi").is_dir():
        return "no sandbox stack is there"
    if engine.answers() is None:
        raise ToolchainError(
            "The sandbox's containers can't be removed: no Docker engine answers.",
            remedy="python3 -m toolchain engine, then make down",
        )
    variables = environment.variables(checkout, STACK)
    variables["PATH"] = variables["PATH"].replace("${PATH}", os.environ["PATH"])
    variables.pop("PULUMI_OPTION_POLICY_PACK")
    pulumi = ["pulumi", "--stack", STACK, "--non-interactive"]
    for command in (["cancel", "--yes"], ["destroy", "--yes", "--skip-preview", "--refresh"]):
        done = subprocess.run(
            [pulumi[0], *command, *pulumi[1:]],
            cwd=checkout, env={**os.environ, **variables}, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode and "no stack named" not in done.stdout + done.stderr:
        raise ToolchainError(
            f"`pulumi destroy` failed:\n{(done.stdout + done.stderr)[-2000:]}",
            remedy=". ./.env.sandbox && pulumi destroy --refresh, then make down",
        )
    return "the sandbox stack is destroyed: containers, networks, volumes"


def images() -> str:
    """The images that `images/` built and that no container uses."""
    if engine.answers() is None:
        return "no engine answers: images were left"
    found = subprocess.run(
        ["docker", "image", "ls", "--all", "--quiet", "--filter", f"label={IMAGE_LABEL}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    removed = 0
    # Those that others stand on go last; an image in use says no, and stays.
    for _ in range(2):
        for image in dict.fromkeys(found.stdout.split()):
            command = ["docker", "image", "rm", "--force", image]
            removed += subprocess.run(command, capture_output=True, check=False).returncode == 0
    return f"{removed} images removed"
