"""Drives: where backups are kept on the host, there and writable for who makes them."""

from __future__ import annotations

from ops.backup import lock
from ops.backup.host import DriveArgs, make_volume
from ops.docker import Docker, Say
from ops.errors import StepFailed
from ops.steps._one_shot import HARDENED
from ops.steps._volume import give
from rollout.names import Names
from rollout.steps import Drives

# Prints those that its user can't write to.
SCRIPT = 'for at; do [ -w "$at" ] || echo "$at"; done'


def run(parameters: Drives, say: Say) -> None:
    docker, names = Docker(), Names(parameters.stack)
    drives = [*map(DriveArgs, parameters.drives), DriveArgs(lock.VOLUME)]
    places = {f"/drives/{number}": drive for number, drive in enumerate(drives)}
    for drive in drives:
        if not drive.is_path:
            make_volume(docker, names, drive.source(names))
    for at in _not_writable(docker, parameters, names, places):
        drive = places[at]
        if drive.is_path:
            raise StepFailed(
                f"{drive.name} on {docker.host} is not writable for user {parameters.user}, who "
                f"makes the backups.\nNext: there, when the drive is mounted, "
                f"`chown {parameters.user} {drive.name}`; then `ytops up`"
            )
        give(docker, parameters.image, drive.source(names), parameters.user)
    say(f"backups are kept in {', '.join(parameters.drives) or 'the bucket alone'}")


def _not_writable(
    docker: Docker, parameters: Drives, names: Names, places: dict[str, DriveArgs]
) -> list[str]:
    mounts = [
        f"type={'bind' if drive.is_path else 'volume'},src={drive.source(names)},dst={at}"
        for at, drive in places.items()
    ]
    answer = docker.call(
        "run", "--rm", *HARDENED, "--network", "none", "--user", parameters.user,
        "--memory", "64m", *(word for mount in mounts for word in ("--mount", mount)),
        "--entrypoint", "sh", parameters.image, "-c", SCRIPT, "sh", *places,
        check=False,
    )  # fmt: skip
    if answer.code:
        gone = [d.name for d in places.values() if d.is_path and d.name in answer.words]
        next_words = f"`mkdir -p {gone[0]}` there, and mount the drive" if gone else "`docker info`"
        raise StepFailed(
            f"The drives for backups can't be mounted on {docker.host}: {answer.words}\n"
            f"Next: {next_words}; or set `backupDrives`. Then `ytops up`"
        )
    return answer.out.split()
