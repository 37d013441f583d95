"""The git command, read-only, on one checkout."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ops.errors import OpsError

SECONDS = 20
# What a hook of another repository leaves in the environment.
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")


class GitError(OpsError):
    """git does not know, or is not there."""


@dataclass(frozen=True)
class Git:
    """One checkout."""

    root: Path

    def call(self, *arguments: str, stdin: bytes | None = None) -> bytes:
        """What it prints. Raises GitError with its own words."""
        try:
            done = subprocess.run(
                ["git", "-C", str(self.root), *arguments],
                env={k: v for k, v in os.environ.items() if k not in _ELSEWHERE},
                input=stdin,
                stdin=None if stdin is not None else subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
            )
        except FileNotFoundError:
            raise GitError("There is no `git` command here. Next: `apt install git`") from None
        except subprocess.TimeoutExpired:
            raise GitError(f"`git {arguments[0]}` did not end in {SECONDS} s") from None
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines() or ["it failed"]
            raise GitError(f"`git {arguments[0]}` in {self.root}: {words[0]}")
        return done.stdout

    def lines(self, *arguments: str) -> list[str]:
        return self.call(*arguments).decode(errors="replace").splitlines()

    def commit(self, revision: str) -> str:
        """Its full name. Raises GitError where it isn't known."""
        try:
            return self.lines("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")[0]
        except GitError:
            raise GitError(
                f"{self.root} knows no commit {revision}. "
                f"Next: `git -C {self.root} fetch --all`, then the same command again"
            ) from None

    def has(self, path: Path) -> bool:
        """Whether the last commit has the file as it lies here."""
        return not self.lines(
            "status", "--porcelain", "--untracked-files=all", "--ignored", "--", str(path)
        )

    def user(self) -> str:
        """`Name <address>` as commits made here would carry it; empty where none is set."""
        try:
            return self.lines("var", "GIT_COMMITTER_IDENT")[0].rpartition("> ")[0] + ">"
        except (GitError, IndexError):
            return ""

    def blobs(self, names: list[str]) -> list[bytes | None]:
        """The contents of `COMMIT:PATH`, in one call; None where there is none."""
        out = self.call("cat-file", "--batch", stdin="".join(f"{n}\n" for n in names).encode())
        found: list[bytes | None] = []
        while out:
            head, _, out = out.partition(b"\n")
            if head.endswith(b" missing"):
                found.append(None)
                continue
            size = int(head.rpartition(b" ")[2])
            found.append(out[:size])
            out = out[size + 1 :]
        return found
