"""python3 -m toolchain: sets up everything that `pulumi up` needs on this machine.

setup         Python environment, Pulumi CLI and plugins, Docker engine, images, .env.sandbox
tools         what a machine needs that deploys to another: all of it but Docker and images
python        the Python environment alone
packages      what only the end-to-end tests need
env           write .env.STACK alone
engine        have a Docker engine alone
stop-engine   stop the Docker engine, if `setup` or `engine` started it
go            run the Go command in the completed copy of toolchain/go
down          take the sandbox down: stack, state, images, engine
purge         remove the caches
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from toolchain import down, engine, environment, packages, places, python_env, tools
from toolchain.errors import ToolchainError
from toolchain.routes import workshop
from toolchain.steps import step


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; what goes wrong is a sentence, never a traceback."""
    options = parser().parse_args(argv)
    # A build that is told to stop, by whichever signal, takes its compilers along.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        return run(options)
    except ToolchainError as error:
        print(f"toolchain: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntoolchain: interrupted; run it again to go on", file=sys.stderr)
        return 130
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"toolchain: {error.strerror or error}{where}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python3 -m toolchain", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    whole = verbs.add_parser("setup", help="everything, in order")
    deployer = verbs.add_parser("tools", help="what a machine needs that deploys to another")
    for each in (whole, deployer):
        each.add_argument("--route", choices=["auto", *tools.ROUTES], default="auto")
    for each in (whole, deployer, verbs.add_parser("env", help="write .env.STACK")):
        each.add_argument("--stack", default="sandbox")
    verbs.add_parser("python", help="have the Python environment")
    verbs.add_parser("packages", help="have what the end-to-end tests need")
    verbs.add_parser("down", help="take the sandbox down")
    verbs.add_parser("purge", help="remove the caches")
    verbs.add_parser("engine", help="have a Docker engine")
    verbs.add_parser("stop-engine", help="stop the engine that this program started")
    go = verbs.add_parser("go", help="run the Go command on our Go module")
    go.add_argument("arguments", nargs=argparse.REMAINDER)
    return top


def run(options: argparse.Namespace) -> int:
    """Carry out a verb."""
    checkout = places.CHECKOUT
    match options.verb:
        case "setup":
            setup(checkout, options.route, options.stack)
        case "tools":
            have_tools(checkout, options.route)
            step("environment", lambda: environment.write(checkout, options.stack))
        case "env":
            step("environment", lambda: environment.write(checkout, options.stack))
        case "python":
            step("Python environment", lambda: python_env.ensure(checkout))
        case "packages":
            step("test packages", packages.ensure)
        case "down":
            print("\n".join(down.down(checkout)))
        case "purge":
            step("caches", places.purge)
        case "engine":
            step("Docker engine", engine.ensure)
        case "stop-engine":
            step("Docker engine", engine.stop)
        case "go":
            return workshop.go(checkout, options.arguments)
    return 0


def setup(checkout: Path, route: str, stack: str) -> None:
    """Each step is skipped in no time when it was done before."""
    have_tools(checkout, route)
    step("Docker engine", engine.ensure)
    step("environment", lambda: environment.write(checkout, stack))
    if (checkout / "images" / "build.py").exists():
        step("images", lambda: build_images(checkout))


def have_tools(checkout: Path, route: str) -> None:
    """Python's packages, Pulumi and its plugins."""
    step("Python environment", lambda: python_env.ensure(checkout))
    step("Pulumi tools", lambda: tools.ensure(checkout, route))


def build_images(checkout: Path) -> str:
    """The images have a builder of their own, which says itself what it does."""
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "images.build"]
    status = subprocess.run(command, cwd=checkout, check=False).returncode
    if status:
        raise ToolchainError(
            f"The images were not built (status {status}).",
            remedy=".venv/bin/python -m images.build",
        )
    return "ready"


if __name__ == "__main__":
    sys.exit(main())
