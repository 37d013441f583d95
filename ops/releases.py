"""The release records of a checkout."""

from __future__ import annotations

import re
from pathlib import Path

from ops.records import RecordError, read
from rollout.records import ReleaseRecord, release_path

FOLDER = release_path("x").parent


def before(root: Path, version: str) -> ReleaseRecord | None:
    """The release before this one: of those recorded, the highest version below it."""
    versions = [path.stem for path in (root / FOLDER).glob("*.yaml")]
    earlier = [other for other in versions if order(other) < order(version)]
    if not earlier:
        return None
    try:
        return read(ReleaseRecord, root, release_path(max(earlier, key=order)))
    except RecordError as error:
        raise RecordError(f"the release before {version} can't be read: {error}") from None


def order(version: str) -> tuple[tuple[int, ...], str]:
    """1.10.0 comes after 1.9.0."""
    return tuple(int(number) for number in re.findall(r"\d+", version)), version
