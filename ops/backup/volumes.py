"""The stack's volumes, as the job reads and writes them: a container beside the helper that has
them and nothing else, and only the right to read what is not its own, or to write it as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ops.backup.host import MEMORY_MB, Helper, attached
from ops.docker import Docker
from ops.errors import OpsError
from ops.steps._one_shot import HARDENED
from rollout.names import PART_LABEL, STACK_LABEL, Names

PART = "files"
ROOT = "/files"
READS = ("DAC_READ_SEARCH",)
WRITES = ("CHOWN", "DAC_OVERRIDE", "FOWNER")


@contextmanager
def volumes(
    docker: Docker, names: Names, image: str, parts: Sequence[str], *, writes: bool = False
) -> Iterator[Helper]:
    """Each at /files/PART. For whoever has the helper: what stands in the way was cut off."""
    for part in parts:
        volume = names.volume(part)
        if docker.call("volume", "inspect", volume, check=False).code:
            raise OpsError(
                f"There is no volume {volume} on {docker.host}: {part} can't be "
                f"{'restored into' if writes else 'backed up'}.\nNext: `ytops up`"
            )
    container = names.part("backup", PART)
    docker.remove(container)
    labels = {STACK_LABEL: names.stack, PART_LABEL: "backup"}
    mounts = [
        f"type=volume,src={names.volume(part)},dst={ROOT}/{part},volume-nocopy"
        f"{'' if writes else ',readonly'}"
        for part in parts
    ]
    docker.call(
        "create", "--rm", "--interactive", "--name", container, *HARDENED,
        "--memory", f"{MEMORY_MB}m", "--memory-swap", f"{MEMORY_MB}m",
        "--log-driver", "none", "--no-healthcheck", "--network", "none", "--user", "0:0",
        *(word for right in (WRITES if writes else READS) for word in ("--cap-add", right)),
        *(word for pair in labels.items() for word in ("--label", "=".join(pair))),
        *(word for mount in mounts for word in ("--mount", mount)),
        "--env", "LC_ALL=C", "--entrypoint", "cat", image,
    )  # fmt: skip
    with attached(docker, container):
        yield Helper(docker, container, {}, {})
