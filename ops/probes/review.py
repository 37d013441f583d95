"""Who reviewed the release: the forge where a token is configured, else the release record against
the history of the product's checkout."""

from __future__ import annotations

from datetime import UTC, datetime

from ops.git import Git
from ops.probes.forge import Forge
from rollout.evidence import Review, Unknown
from rollout.records import ReleaseRecord

_FORMAT = "--format=%an%n%ae%n%(trailers:key=Co-authored-by,valueonly)"


def review(
    source: Git, forge: Forge | None, release: ReleaseRecord, before: ReleaseRecord | None
) -> Review | Unknown:
    """`before` is the last release: what is new since then has to be reviewed."""
    if not release.commit:
        return Unknown(why=f"releases/{release.version}.yaml names no `commit`")
    last = before.commit if before and before.commit else ""
    if forge:
        return forge.review(release.commit, last)
    commit, since = source.commit(release.commit), source.commit(last) if last else ""
    return Review(
        by=f"releases/{release.version}.yaml and git log {_range(since, commit)}",
        at=datetime.now(UTC),
        authors=authors(source, since, commit),
        approvers=release.reviewed_by,
    )


def authors(source: Git, since: str, commit: str) -> tuple[str, ...]:
    """Names and addresses of who wrote what is new; of the first release, of all."""
    lines = source.lines("log", _FORMAT, f"{since}..{commit}" if since else commit, "--")
    return tuple(sorted({word for line in lines for word in _names(line)}))


def _names(line: str) -> list[str]:
    name, _, address = line.partition("<")
    return [word for word in (name.strip(), address.rstrip("> ")) if word]


def _range(since: str, commit: str) -> str:
    return f"{since[:12]}..{commit[:12]}" if since else commit[:12]
