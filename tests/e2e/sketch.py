"""A project of a few lines, to see how the engine behaves: commands only, a second a run."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops import file_backend
from tests.e2e.world import ROOT, Outcome

HEAD = """\
import os
from types import SimpleNamespace as Some
import pulumi
from pulumi import ResourceOptions
from pulumi_command.local import Command, Logging

TURN = os.environ.get("TURN", "1")
# What a step of ours reads of the settings.
SETTINGS = Some(
    stack="sketch",
    deployment=Some(docker_host="unix:///none"),
    operations=Some(notify_webhook=""),
)

def do(name, *, turn="", fails=False, waits=0, **more):
    '''A command that notes in `done` when it begins; in the end it may fail.'''
    opts = more.pop("opts", None)
    script = f"echo {name}{turn} >> done; sleep {waits}; {'exit 3' if fails else 'true'}"
    return Command(name, create=script, logging=Logging.STDOUT, opts=opts, **more)

"""
SECONDS = 60


@dataclass
class Sketch:
    """A folder with a program. `TURN` tells the program which run this is."""

    folder: Path
    stack: str = "sketch"
    seconds: float = SECONDS

    def create(self, program: str) -> None:
        (self.folder / "state").mkdir(parents=True)
        options = {"name": "python", "options": {"virtualenv": str(ROOT / ".venv")}}
        project = {"name": "sketch", "runtime": options}
        (self.folder / "Pulumi.yaml").write_text(json.dumps(project))
        (self.folder / "__main__.py").write_text(HEAD + textwrap.dedent(program))
        self.run("stack", "select", "--create", self.stack)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PULUMI_BACKEND_URL": file_backend.address(self.folder / "state"),
            "PULUMI_CONFIG_PASSPHRASE": "sketch",
            "PULUMI_OPTION_POLICY_PACK": "",
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }
        return {**os.environ, **own}

    def run(self, *arguments: str, **variables: str) -> Outcome:
        begun = time.monotonic()
        done = subprocess.run(
            ["pulumi", *arguments],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=self.seconds,
        )
        return Outcome(done.returncode, done.stdout, time.monotonic() - begun)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments],
            cwd=self.folder,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def up(self, *arguments: str, **variables: str) -> Outcome:
        return self.run("up", "--yes", "--skip-preview", *arguments, **variables)

    def did(self) -> list[str]:
        """What commands have begun since the last time this was asked."""
        file = self.folder / "done"
        lines = file.read_text().split() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("stack", "output", "--json").text)
        return found

    def recorded(self) -> dict[str, dict[str, Any]]:
        """The engine's state, by resource name."""
        deployment = json.loads(self.run("stack", "export").text)["deployment"]
        return {r["urn"].rsplit("::", 1)[-1]: r for r in deployment.get("resources") or ()}
