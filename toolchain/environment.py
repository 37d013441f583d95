"""Writes `.env.STACK`: what a shell, or make, needs to use what the set-up made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from toolchain import tools
from toolchain.errors import UnmetError

# The sandbox's secrets are public by design: they protect nothing but a laptop's toy data.
SANDBOX_PASSPHRASE = "sandbox"

# The programs of a run live for seconds: collecting their garbage less often takes a tenth of its
# CPU time away (measured), for some 50 MB more.
GARBAGE = "400"

# Empty is unset. Containers and CI often set it, and then each start of Python compiles again all
# that it imports: two thirds of the CPU time of a program, a step or the policies (measured).
BYTECODE = ""

# What our language host has ready when the engine asks for the program (toolchain/go, warm.go):
# half of a program's start is these imports, and the engine asks only when the policies are up.
WARM_IMPORTS = "pulumi_docker,pulumi_command,pydantic,yaml"


def write(checkout: Path, stack: str) -> str:
    """Write the file; `. ./.env.sandbox` then makes `pulumi up` work."""
    values = variables(checkout, stack)
    without_logs(Path(values["PULUMI_HOME"]))
    file = checkout / f".env.{stack}"
    lines = [f"export {name}={value}" for name, value in values.items()]
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.write_text("\n".join(lines) + "\n")
    unfinished.rename(file)
    return f"{file.name} written; use it with  . ./{file.name}"


def without_logs(home: Path) -> None:
    """Keep the CLI from writing all that it does to `logs`, encrypted, up to 500 MB: a sixth of the
    CPU time of a run with nothing to do. It has no setting for that, and goes without the log
    where it can't make the folder. Who wants it removes the file (docs/speed.md)."""
    logs = home / "logs"
    if logs.is_dir():
        shutil.rmtree(logs, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    logs.touch()


def variables(checkout: Path, stack: str) -> dict[str, str]:
    """The environment of a stack, with absolute paths; `${PATH}` stands for the caller's."""
    if any(c.isspace() or c in "'\"$#\\" for c in str(checkout)):
        raise UnmetError(
            f"The path {checkout} has a character that make and the shell read differently.",
            remedy="clone into a path of letters, digits, dots and dashes",
        )
    done = tools.installed(checkout)
    if done is None:
        raise UnmetError("The Pulumi CLI is not set up.", remedy="python3 -m toolchain setup")
    route, found = done
    venv = checkout / ".venv"
    values = {
        "PATH": f"{venv}/bin:{found.bin}:${{PATH}}",
        "VIRTUAL_ENV": str(venv),
        "PULUMI_HOME": str(found.home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_OPTION_POLICY_PACK": f"{checkout}/policies",
        "GOGC": GARBAGE,
        "PYTHONDONTWRITEBYTECODE": BYTECODE,
        # We use none, and looking for them reads the metadata of every installed package.
        "PYDANTIC_DISABLE_PLUGINS": "__all__",
    }
    if route == "registries":
        # Each run would otherwise spend seconds on downloads that can't succeed.
        values["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
        values["YTEMPIRE_WARM_IMPORTS"] = WARM_IMPORTS
    return values | (sandbox(checkout) if stack == "sandbox" else {})


def sandbox(checkout: Path) -> dict[str, str]:
    """The sandbox keeps its state in the checkout, under a passphrase that everybody knows."""
    state = checkout / ".sandbox" / "state"
    state.mkdir(parents=True, exist_ok=True)
    # As ops/file_backend.py says it and why: the toolchain imports nothing of what it installs for.
    values = {"PULUMI_BACKEND_URL": f"file://{state}?metadata=skip"}
    # Ours counts as unset: a shell that has read this file may be the one to write it again.
    if os.environ.get("PULUMI_CONFIG_PASSPHRASE", SANDBOX_PASSPHRASE) == SANDBOX_PASSPHRASE:
        values["PULUMI_CONFIG_PASSPHRASE"] = SANDBOX_PASSPHRASE
    return values
