"""The last words of a run, the same for each: what changed, what serves where, and what to type
next."""

from __future__ import annotations

import re

from ops.errors import OpsError
from ops.verbs._paper import OK, paint, plural
from ops.verbs._place import SANDBOX, Place
from ops.verbs._target import Candidate, at_once
from rollout.plan import View

LABEL_WIDTH = 13
COMMAND_WIDTH = 18
_RELEASE = re.compile(r"\d+(\.\d+)+")


def closing(place: Place, before: View, now: View, changes: int, took: float) -> list[str]:
    """What there is now. `before` is the host as it was seen before the run."""
    return [
        f"{paint(OK, 'green')} {plural(changes, 'change')} in {took:.1f} s",
        _row("live", _live(before, now)),
        _row("address", place.configuration.address),
    ]


def following(place: Place, now: View) -> list[str]:
    """The three commands that one wants next."""
    down = (
        _row("tear down", "make down") if place.stack == SANDBOX else _row("look", "ytops status")
    )
    version = next_version(place, now) or "VERSION"
    return [_row("next release", f"ytops up {version}"), _row("roll back", _back(now)), down]


def next_version(place: Place, now: View) -> str:
    """The release after the live one, if the host has its image already."""
    image = place.configuration.get("backendImage")
    if not image:
        return ""
    try:
        tags = place.docker.call("image", "ls", "--format", "{{.Tag}}", image).out.split()
    except OpsError:
        return ""
    live = now.edge.identity.rpartition("+")[0] if now.edge else ""
    later = [tag for tag in tags if _RELEASE.fullmatch(tag) and _order(tag) > _order(live)]
    return min(later, key=_order, default="")


def _live(before: View, now: View) -> str:
    if now.edge is None:
        return "no release yet"
    as_before = ", as before" if before.edge == now.edge else ""
    return f"{now.edge.identity} on {now.edge.colour}{as_before}"


def _back(now: View) -> str:
    found = at_once(now)
    if isinstance(found, Candidate):
        same = now.edge and now.edge.identity.rpartition("+")[0] == found.name
        to = found.identity if same else found.name
        return f"{'ytops rollback':<{COMMAND_WIDTH}} to {to}, within seconds"
    return f"{'ytops rollback':<{COMMAND_WIDTH}} not now: {found.why}"


def _order(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _row(label: str, text: str) -> str:
    return f"  {label:<{LABEL_WIDTH}}{text}"
