"""Who owns a volume: a fresh one is root's, and what writes to it is not root."""

from __future__ import annotations

from ops.docker import Docker

NOT_OURS = 73  # a script's exit code when it can't write to its volume (EX_CANTCREAT)
TARGET = "/target"


def give(docker: Docker, image: str, volume: str, user: str) -> None:
    """Make `user` the volume's owner, in a container that runs as root with that right alone."""
    docker.call(
        "run", "--rm", "--network", "none", "--read-only", "--user", "0:0",
        "--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges:true",
        "--pids-limit", "16", "--memory", "64m", "--volume", f"{volume}:{TARGET}",
        "--entrypoint", "chown", image, user, TARGET,
    )  # fmt: skip
