"""Documentation and release notes: the files that the record names, against git."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ops.git import Git
from rollout.evidence import Document, Documents
from rollout.records import ReleaseRecord, release_path


def documents(
    git: Git, paths: tuple[str, ...], release: ReleaseRecord, before: ReleaseRecord | None
) -> Documents:
    since = _recorded(git, before.version) if before else ""
    return Documents(
        by=f"git, since {since[:12]}" if since else "git",
        at=datetime.now(UTC),
        since=before.version if before else "",
        files=tuple(_document(git, path, since, release.version) for path in paths),
    )


def _document(git: Git, path: str, since: str, version: str) -> Document:
    file = git.root / path
    if not file.is_file():
        return Document(path=path)
    text = file.read_text(encoding="utf-8", errors="replace")
    return Document(
        path=path,
        exists=True,
        changed=_changed(git, path, since),
        names_version=_names(text, version) or version in Path(path).name,
    )


def _names(text: str, version: str) -> bool:
    """The version as a word: 1.2.0 is not named by 11.2.0 or 1.2.01."""
    padded = f" {text} "
    at = padded.find(version)
    while at != -1:
        before, after = padded[at - 1], padded[at + len(version)]
        if not (before.isalnum() or before == ".") and not after.isalnum():
            return True
        at = padded.find(version, at + 1)
    return False


def _changed(git: Git, path: str, since: str) -> bool:
    """Against the commit that recorded the last release; uncommitted words don't count."""
    if not since:
        return bool(git.lines("ls-tree", "--name-only", "HEAD", "--", path))
    return bool(git.lines("diff", "--name-only", since, "HEAD", "--", path))


def _recorded(git: Git, version: str) -> str:
    """The commit that brought a release's record."""
    path = str(release_path(version))
    found = git.lines("log", "--format=%H", "--diff-filter=A", "--", path)
    return found[-1] if found else ""
