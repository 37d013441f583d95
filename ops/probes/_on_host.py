"""A program on the host for a moment: a hardened one-shot container that runs a file of `inside/`,
over the same path to Docker as every other step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ops.docker import Answer, Docker
from ops.errors import OpsError

INSIDE = Path(__file__).with_name("inside")
NOBODY = "65534:65534"
# `docker` itself takes a second or two over ssh, beside what the program needs.
PATIENCE = 30


def ask(
    docker: Docker,
    image: str,
    program: str,
    *arguments: str,
    options: tuple[str, ...] = (),
    seconds: float = 0,
) -> Any:
    """What it prints, as JSON. Its text travels on stdin: the image needs nothing but Python."""
    text = (INSIDE / f"{program}.py").read_bytes()
    answer = docker.call(
        "run", "--rm", "--interactive", "--pull", "never", "--read-only", "--user", NOBODY,
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--pids-limit", "32",
        "--memory", "128m", "--memory-swap", "128m", *options,
        "--entrypoint", "python3", image, "-", *arguments,
        stdin=text, timeout=seconds + PATIENCE, check=False,
    )  # fmt: skip
    if answer.code:
        raise OpsError(f"{program} could not be measured on {docker.host}: {_last_words(answer)}")
    try:
        return json.loads(answer.out)
    except ValueError:
        raise OpsError(f"{program} on {docker.host} did not answer in JSON") from None


def _last_words(answer: Answer) -> str:
    """Of docker's complaint or of a traceback, the line that says what it was."""
    lines = [line for line in answer.words.splitlines() if line and "docker run --help" not in line]
    last = lines[-1] if lines else f"exit code {answer.code}"
    return last.removeprefix("docker: ").removeprefix("Error response from daemon: ")
