"""Edge files: nginx's configuration and certificate; the switch has nginx take them, or not."""

from __future__ import annotations

import base64

from ops.agent import Session
from ops.docker import Docker, Say
from ops.errors import StepFailed, SwitchRefused
from ops.steps._boot import last_lines
from ops.steps._files import wanted_files
from rollout.steps import EdgeFiles


def run(parameters: EdgeFiles, say: Say) -> None:
    docker = Docker()
    files = {
        name: base64.b64encode(text.encode()).decode() for name, text in wanted_files().items()
    }
    try:
        with Session(docker, parameters.switch, say) as session:
            result = session.ask(
                "edge",
                files=files,
                self_signed=parameters.self_signed,
                config_hash=parameters.config_hash,
            )
    except SwitchRefused as refusal:
        raise StepFailed(
            f"The edge on {docker.host} keeps its configuration: {refusal}."
            f"{last_lines(docker, parameters.edge)}\n"
            "Traffic goes on as before. Next: correct the configuration, then `pulumi up`"
        ) from None
    reading = "nginx serves them" if result.get("running") else "nginx reads them when it starts"
    say(f"{len(files)} files: {reading}")
