"""Image: the release's image is on the host, and is the one that the plan was made from."""

from __future__ import annotations

import time

from ops.docker import Docker, Say, elapsed
from ops.errors import StepFailed
from rollout.steps import Image

DIGEST_SHOWN = 19  # sha256: and 12 digits


def run(parameters: Image, say: Say) -> None:
    docker = Docker()
    if _matches(docker, parameters):
        _name(docker, parameters)
        say(f"{parameters.tag} is there ({parameters.digest[:DIGEST_SHOWN]})")
        return
    begun = time.monotonic()
    lines: list[str] = []
    if "@" not in parameters.image:
        raise _missing(docker, parameters, "it is a local image, and no registry knows it")
    if not docker.pull(parameters.image, _progress(say, lines)):
        raise _missing(docker, parameters, lines[-1] if lines else "docker pull failed")
    if not _matches(docker, parameters):
        raise _missing(docker, parameters, f"what was pulled is not {parameters.digest}")
    _name(docker, parameters)
    say(f"{parameters.tag} pulled in {elapsed(begun)} ({parameters.digest[:DIGEST_SHOWN]})")


def _name(docker: Docker, wanted: Image) -> None:
    """A pull by digest sets no tag, and later runs look the tag up: with it here, they need no
    registry."""
    if docker.image(wanted.tag) is None:
        docker.call("tag", wanted.image, wanted.tag)


def _matches(docker: Docker, wanted: Image) -> bool:
    """Local images have no repository digest: there the image id is the digest."""
    found = docker.image(wanted.image)
    if found is None:
        return False
    image_id, references = found
    digests = {reference.split("@", 1)[-1] for reference in references}
    return wanted.digest in {image_id, *digests}


def _progress(say: Say, lines: list[str]) -> Say:
    """A pull's facts: what begins and what is done, not each layer's every state."""

    def hear(line: str) -> None:
        lines.append(line)
        if line.startswith(("Digest:", "Status:")) or line.endswith("Pull complete"):
            say(line)

    return hear


def _missing(docker: Docker, wanted: Image, why: str) -> StepFailed:
    return StepFailed(
        f"The image {wanted.tag} ({wanted.digest}) is not on {docker.host}: {why}.\n"
        f"Next: build it there, or `docker push {wanted.tag}` to a registry that {docker.host} "
        "can reach; then `ytops up`"
    )
