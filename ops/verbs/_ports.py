"""Before a run: the ports that the edge wants are free, or it is said who has them."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

from ops.docker import Docker
from ops.verbs._exit import Misused
from ops.verbs._place import Place

LOCAL = "unix://"
PORT_KEYS = ("edgeHttpPort", "edgeHttpsPort")
LISTENING = "0A"
SEARCH = 1000  # how far a free port is looked for


def check(place: Place) -> None:
    """Raise Misused for a port that something else listens on. Of a host across the network
    nothing can be tried from here: its Docker engine says so when nginx is created."""
    docker, configuration = place.docker, place.configuration
    if not docker.host.startswith(LOCAL):
        return
    held = docker.call("port", place.names.edge, check=False).out.split()
    address = configuration.get("edgeBindAddress")
    keys = ("edgeHttpPort",) if configuration.get("edgeTls") == "off" else PORT_KEYS
    for key in keys:
        port = int(configuration.get(key))
        if not any(each.endswith(f":{port}") for each in held) and in_use(address, port):
            raise Misused(refusal(address, port, key, owner(docker, port), place.stack))


def refusal(address: str, port: int, key: str, who: str, stack: str) -> str:
    free = next((p for p in range(port + 1, port + SEARCH) if not in_use(address, p)), None)
    return (
        f"Port {port} of {address} is in use{f' by {who}' if who else ''}, and the edge wants it.\n"
        f"Next: `pulumi config set --stack {stack} {key} {free or 'PORT'}`, or end what listens "
        "there; then this again."
    )


def in_use(address: str, port: int) -> bool:
    """Whether listening there fails because somebody does. That we may not (below 1024) says
    nothing: the engine may."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def owner(docker: Docker, port: int) -> str:
    """Who listens: a container, else a process; empty when that can't be seen."""
    publishing = docker.call("ps", "--filter", f"publish={port}", "--format", "{{.Names}}").out
    if publishing.strip():
        return f"the container {publishing.split()[0]}"
    sockets = _sockets(port)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(os.readlink(file) in sockets for file in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
    return ""


def _sockets(port: int) -> set[str]:
    """What listens on a port, as the links in /proc/PID/fd name it (proc(5))."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{fields[9]}]")
    return found
