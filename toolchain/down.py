"""Takes down what `make up` made, and nothing else: sandbox, state, images, engine."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

from toolchain import engine, environment, places, shell
from toolchain.errors import ToolchainError

STACK = "sandbox"
IMAGE_LABEL = "ytempire.images.key"
BACKUPS = (f"ytempire.stack={STACK}", "ytempire.part=backup")
ENVIRONMENT = ".env.sandbox"
# The environment goes last: it tells a checkout that was set up from one that never was.
MADE_IN_CHECKOUT = (".sandbox", ".venv", ENVIRONMENT)

_LOCKED = re.compile(r"created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\)")


def down(checkout: Path) -> list[str]:
    """Remove it, in the order in which it stands; each line says what went."""
    done = [destroy(checkout)]
    if (checkout / ENVIRONMENT).exists():
        done += [images(), stop_engine()]
    else:
        done.append("this checkout has no set-up: images and engine were left")
    removed = [name for name in MADE_IN_CHECKOUT if remove(checkout / name)]
    done.append(f"removed {', '.join(removed)}" if removed else "nothing to remove in the checkout")
    done.append(f"kept: {places.cache_root()} (`make purge` removes it), and Debian's packages")
    return done


def remove(path: Path) -> bool:
    """Whether there was anything."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)
    else:
        return False
    return True


def destroy(checkout: Path) -> str:
    """`pulumi destroy` of the sandbox: the state is what knows all of it."""
    if not (checkout / ".sandbox" / "state" / ".pulumi").is_dir():
        return "no sandbox stack is there"
    if engine.answers() is None:
        raise ToolchainError(
            "The sandbox's containers can't be removed: no Docker engine answers.",
            remedy="python3 -m toolchain engine, then make down",
        )
    flags = ("--yes", "--skip-preview", "--refresh")
    status, words = pulumi(checkout, "destroy", *flags)
    if status and stranded(words):
        pulumi(checkout, "cancel", "--yes")
        status, words = pulumi(checkout, "destroy", *flags)
    if status and "no stack named" not in words:
        raise ToolchainError(
            f"`pulumi destroy` failed:\n{words[-2000:].strip()}",
            remedy=". ./.env.sandbox && pulumi destroy --refresh, then make down",
        )
    drives()
    return "the sandbox stack is destroyed: containers, networks, volumes"


def drives() -> None:
    """The volumes that stand for backup drives: a stack's end leaves its backups, but not here."""
    mine = [w for label in BACKUPS for w in ("--filter", f"label={label}")]
    volumes = docker("volume", "ls", "--quiet", *mine)
    if volumes:
        docker("volume", "rm", *volumes)


def pulumi(checkout: Path, *arguments: str) -> tuple[int, str]:
    """One command on the sandbox's stack: its status and all that it said."""
    variables = environment.variables(checkout, STACK)
    variables["PATH"] = variables["PATH"].replace("${PATH}", os.environ["PATH"])
    variables.pop("PULUMI_OPTION_POLICY_PACK")
    done = subprocess.run(
        ["pulumi", *arguments, "--stack", STACK, "--non-interactive", "--color=never"],
        cwd=checkout, env={**os.environ, **variables}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def stranded(words: str) -> bool:
    """Whether a run was refused for locks alone whose processes, of this machine, are gone."""
    owners = [(found["host"], int(found["pid"])) for found in _LOCKED.finditer(words)]
    here = socket.gethostname()
    return bool(owners) and all(h == here and engine.birth(pid) is None for h, pid in owners)


def images() -> str:
    """The images that `images/` built and that no container uses, of this stack or another."""
    if engine.answers() is None:
        return "no engine answers: images were left"
    used = set(inspected("container", "{{.Image}}", docker("ps", "--all", "--quiet")))
    ours = built()
    # Those that others stand on go last. Without --force: the engine too says no to one in use.
    for _ in range(2):
        for image in ours - used:
            tags = " ".join(inspected("image", '{{join .RepoTags " "}}', [image])).split()
            docker("image", "rm", *(tags or [image]))
    kept = len(built())
    return f"{len(ours) - kept} images removed" + (f", {kept} in use kept" if kept else "")


def built() -> set[str]:
    """What `images/` built, by id."""
    label = f"label={IMAGE_LABEL}"
    return set(docker("image", "ls", "--all", "--quiet", "--no-trunc", "--filter", label))


def stop_engine() -> str:
    """The engine that we started goes, unless others have containers on it."""
    remaining = docker("ps", "--all", "--format", "{{.Names}}") if engine.answers() else []
    if not remaining:
        return engine.stop()
    return f"containers remain, so the engine was left: {', '.join(remaining)}"


def docker(*arguments: str) -> list[str]:
    """The lines of an answer."""
    return (shell.capture(["docker", *arguments]) or "").splitlines()


def inspected(kind: str, form: str, names: list[str]) -> list[str]:
    """A field of each of these; nothing of those that have gone meanwhile."""
    return docker(kind, "inspect", "--format", form, *names) if names else []
