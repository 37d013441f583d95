"""Where a verb works: the checkout, the stack, its host."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha1
from pathlib import Path

from ops.docker import Docker
from ops.stackfile import PROJECT, PROJECT_FILE, Configuration, StackFile, find_root
from rollout.names import Names

SANDBOX = "sandbox"


@dataclass(frozen=True)
class Place:
    """The checkout and the stack; everything else follows from them."""

    root: Path
    stack: str

    @classmethod
    def find(cls, stack: str = "", start: Path | None = None) -> Place:
        """`stack`, else $YTOPS_STACK, else the one that Pulumi has selected, else the sandbox."""
        root = find_root((start or Path.cwd()).resolve())
        environment = os.environ.get("YTOPS_STACK") or os.environ.get("PULUMI_STACK")
        chosen = stack or environment or selected(root) or SANDBOX
        return cls(root, chosen.rsplit("/", 1)[-1])

    @cached_property
    def file(self) -> StackFile:
        return StackFile(self.root, self.stack)

    @cached_property
    def configuration(self) -> Configuration:
        return Configuration(self.root, self.file)

    @cached_property
    def names(self) -> Names:
        return Names(self.stack)

    @cached_property
    def docker(self) -> Docker:
        return Docker(self.configuration.get("dockerHost"))


def selected(root: Path) -> str:
    """What `pulumi stack select` wrote for this checkout; read without the Pulumi CLI."""
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    digest = sha1(str(root / PROJECT_FILE).encode(), usedforsecurity=False).hexdigest()
    try:
        text = (home / "workspaces" / f"{PROJECT}-{digest}-workspace.json").read_text()
        workspace = json.loads(text)
        stacks = workspace.get("stacks") or {}
        return str(stacks.get(os.environ.get("PULUMI_BACKEND_URL", "")) or "")
    except (OSError, ValueError, AttributeError):
        return ""
