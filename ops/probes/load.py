"""CPU, memory and disks of the host, averaged for a moment.

A container's own root lies on the disk of Docker's data, and each volume on its own; the backup
drives are mounted by path, read-only.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ops.docker import Docker
from ops.probes import _on_host
from rollout.evidence import Load, Mount
from rollout.names import Names

DOCKER_DATA = "Docker's data"


def load(
    docker: Docker, names: Names, image: str, seconds: float, paths: tuple[str, ...] = ()
) -> Load:
    """Raises OpsError when the host, or one of the paths, is not there."""
    mounts = {"/": DOCKER_DATA}
    # It asks nobody. But a network of its own, were it none, takes as long to make and to remove as
    # the rest of the container, and a deploy waits for it.
    options: list[str] = ["--network", "host"]
    for index, volume in enumerate(_volumes(docker, names)):
        mounts[f"/probe/v{index}"] = f"volume {volume.removeprefix(names.volume(''))}"
        options += ["--volume", f"{volume}:/probe/v{index}:ro,nocopy"]
    for index, path in enumerate(paths):
        # `--mount`, because `--volume` would make what is missing.
        mounts[f"/probe/p{index}"] = path
        options += ["--mount", f"type=bind,source={path},target=/probe/p{index},readonly"]
    found = _on_host.ask(
        docker, image, "load", str(seconds), *mounts, options=tuple(options), seconds=seconds
    )
    return Load(
        by=f"/proc and statvfs on {docker.host}",
        at=datetime.fromtimestamp(found["at"], UTC),
        seconds=seconds,
        cpu_percent=found["cpu"],
        memory_percent=found["memory"],
        mounts=tuple(Mount(path=mounts[at], free_percent=p) for at, p in found["free"].items()),
    )


def _volumes(docker: Docker, names: Names) -> list[str]:
    prefix = names.volume("")
    listed = docker.call("volume", "ls", "--quiet", "--filter", f"name={prefix}").out.split()
    return sorted(volume for volume in listed if volume.startswith(prefix))
