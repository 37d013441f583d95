"""Gets the CLI and plugins by the first route that works, once.

A finished set of tools is a folder in the cache named after the sources that made it. It appears by
rename, so it is whole or absent; what an interrupted build had finished is taken up by the next.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from toolchain import places
from toolchain.errors import RouteError, UnmetError
from toolchain.places import Tools
from toolchain.routes import official, registries

Route = Callable[[Path, Path], None]

# In order of preference. A route fills the folder it is given, or raises RouteError.
ROUTES: dict[str, Route] = {"official": official.fill, "registries": registries.fill}


def installed(checkout: Path) -> tuple[str, Tools] | None:
    """The finished tools for these sources and the route they came by, if there are any."""
    for name in ROUTES:
        root = location(checkout, name)
        if root.is_dir():
            return name, Tools(root)
    return None


def location(checkout: Path, route: str) -> Path:
    """Where the tools of a route are, once they are finished."""
    return places.cache_root() / f"{places.cache_key(checkout)}-{route}"


def ensure(checkout: Path, only: str = "auto") -> str:
    """Install by the first route that works, unless it was done before."""
    with lock():
        done = installed(checkout)
        if done and only in ("auto", done[0]):
            return f"already here, by the {done[0]} route"
        if only != "auto":
            fill(checkout, only)
            return f"by the {only} route, as asked"
        return first_that_works(checkout)


def first_that_works(checkout: Path) -> str:
    """Try the routes in order; a refusal is remembered, so that a rerun doesn't wait for it."""
    refusals = Refusals(checkout)
    for name in ROUTES:
        if name in refusals.known:
            print(f"    {name} route skipped: {refusals.known[name]}", flush=True)
            continue
        try:
            fill(checkout, name)
        except RouteError as error:
            print(f"    {name} route not taken: {error.message}", flush=True)
            refusals.add(name, error.message)
        else:
            return f"by the {name} route{refusals.why()}"
    refusals.forget()
    raise UnmetError(
        f"No route to the Pulumi CLI works here:\n{refusals.listing()}",
        remedy="make one of them work, then python3 -m toolchain setup",
    )


def fill(checkout: Path, route: str) -> None:
    """Let a route fill a folder, then put it in place in one move."""
    final = location(checkout, route)
    if final.is_dir():
        return
    partial = final.with_name(final.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    try:
        ROUTES[route](checkout, partial)
    except RouteError:
        shutil.rmtree(partial)  # what a refused route left is of no use to the next one
        raise
    partial.rename(final)


class Refusals:
    """Why routes were not taken, kept beside the tools until these are finished by another."""

    def __init__(self, checkout: Path) -> None:
        self.file = places.cache_root() / f"{places.cache_key(checkout)}.refused.json"
        self.known: dict[str, str] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def add(self, route: str, reason: str) -> None:
        """Remember a refusal with its hour."""
        self.known[route] = f"{reason} ({datetime.now(UTC):%Y-%m-%d %H:%M} UTC)"
        self.file.write_text(json.dumps(self.known, indent=1))

    def forget(self) -> None:
        """Let the next run try everything again."""
        self.file.unlink(missing_ok=True)

    def why(self) -> str:
        """Why the preferred route was not taken, for the step's line."""
        return f", because {next(iter(self.known.values()))}" if self.known else ""

    def listing(self) -> str:
        """All of them, one a line."""
        return "\n".join(f"    {route}: {reason}" for route, reason in self.known.items())


@contextmanager
def lock() -> Iterator[None]:
    """Keep two set-ups from building at once; the second waits and then finds the work done."""
    root = places.cache_root()
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            print(f"    waiting for another set-up (process {file.read().strip()})", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
