"""The change records of a checkout: read, numbered, and compared with what git has of them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from ops.git import Git
from ops.records import RecordError, parse, read, write
from rollout.changes import deployed, rewritten
from rollout.records import Change, change_path

FOLDER = change_path("x").parent


@dataclass(frozen=True)
class Changes:
    """`changes/` of a checkout."""

    root: Path

    def get(self, name: str) -> Change:
        return read(Change, self.root, change_path(name), "`ytops change list`")

    def all(self) -> list[Change]:
        """By number. Raises RecordError with the mistakes of every file at once."""
        found, wrong = [], []
        for path in sorted((self.root / FOLDER).glob("*.yaml"), key=lambda p: _number(p.name)):
            try:
                change = read(Change, self.root, path.relative_to(self.root))
            except RecordError as error:
                wrong.append(str(error))
                continue
            if change_path(change.id).name != path.name:
                wrong.append(f"{FOLDER}/{path.name}: id: expected {path.stem}, got {change.id!r}")
            found.append(change)
        if wrong:
            raise RecordError("\n".join(wrong))
        return found

    def done(self, name: str, by: str, note: str, waived: tuple[str, ...]) -> Change:
        """Write that its deploy is done, and what it passed by."""
        at = datetime.now(UTC).replace(microsecond=0)
        change = deployed(self.get(name), by, at, note, waived)
        write(self.root, change_path(name), change, "change")
        return change

    def next_id(self) -> str:
        """One more than any that this checkout or any branch of it has had."""
        names = [path.name for path in (self.root / FOLDER).glob("*.yaml")]
        names += Git(self.root).lines("log", "--all", "--format=", "--name-only", "--", str(FOLDER))
        return f"CR-{max(map(_number, names), default=0) + 1}"

    def tampered(self) -> tuple[str, ...]:
        """What was rewritten: each version that git has against the next, the files on disk last.
        Along the main line: what a branch wrote and corrected before its merge is its own."""
        git = Git(self.root)
        wrong: list[str] = []
        for path, texts in _versions(git).items():
            known = [change for text in texts if (change := _readable(text, path))]
            file = self.root / path
            now = _readable(file.read_bytes(), path) if file.is_file() else None
            unreadable = file.is_file() and now is None  # says so itself, when it is read
            chain = known if unreadable else [*known, now]
            for before, after in pairwise(chain):
                wrong += rewritten(before, after)
        return tuple(dict.fromkeys(wrong))


def _versions(git: Git) -> dict[Path, list[bytes | None]]:
    """Of each change's file, all that git has, the oldest first."""
    lines = git.lines(
        "log", "--first-parent", "--diff-merges=first-parent", "--reverse", "--no-renames",
        "--format=commit %H", "--name-only", "--", str(FOLDER),
    )  # fmt: skip
    commit, wanted = "", []
    for line in lines:
        if line.startswith("commit "):
            commit = line.removeprefix("commit ")
        elif re.fullmatch(rf"{FOLDER}/CR-\d+\.yaml", line):
            wanted.append(f"{commit}:{line}")
    found: dict[Path, list[bytes | None]] = defaultdict(list)
    for name, text in zip(wanted, git.blobs(wanted), strict=True):
        found[Path(name.partition(":")[2])].append(text)
    return found


def _readable(text: bytes | None, path: Path) -> Change | None:
    """None where there was none, or one that today's schema can't read."""
    try:
        return parse(Change, text, path) if text is not None else None
    except RecordError:
        return None


def _number(name: str) -> int:
    found = re.search(r"CR-(\d+)\.yaml$", name)
    return int(found[1]) if found else 0
