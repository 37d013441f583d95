"""The trace that a deploy leaves in its change request: that it is done, and what it passed by.

What the gate carried is in the engine's state, whoever ran the engine, so a deploy by plain Pulumi
is traced by the next `ytops up`, or by `ytops change done`. An emergency is announced, too: what
was waived is not for whoever looks into the file alone (manual 5.2).
"""

from __future__ import annotations

import json

from ops.changes import Changes
from ops.engine import Engine
from ops.errors import OpsError
from ops.gather import read_release
from ops.notify import send
from ops.verbs._change import version_of
from ops.verbs._exit import Refused
from ops.verbs._night import person
from ops.verbs._paper import say
from ops.verbs._place import Place
from ops.verbs.announce import webhook
from rollout.changes import ChangeRefused, is_done
from rollout.records import Change, change_path, release_path

# In the place of what was waived, where nobody can tell: an empty list would say "nothing".
NOT_KNOWN = ("not known",)


def deployed(place: Place, engine: Engine, identity: str) -> list[str]:
    """What to tell, where the release that serves has a change that does not say so yet. The deploy
    is done: nothing of this fails it."""
    version = version_of(identity)
    if not (place.root / release_path(version)).exists():
        return []
    try:
        name = read_release(place.root, version).change
        change = Changes(place.root).get(name) if name else None
        if change is None or is_done(change, identity) or change.state == "closed":
            return []
        return write(place, engine, change, identity)
    except OpsError as error:
        return [f"The change request does not say that {version} is deployed: {error}"]


def write(place: Place, engine: Engine, change: Change, identity: str, by: str = "") -> list[str]:
    """Raises OpsError where that can't be written."""
    waived = passed(engine.recorded().gate, identity)
    if waived is None:
        waived = NOT_KNOWN if change.category == "emergency" else ()
    try:
        done = Changes(place.root).done(change.id, person(place, by), identity, waived)
    except ChangeRefused as error:
        raise Refused(str(error)) from None
    path = change_path(change.id)
    if change.category != "emergency":
        return [f"{change.id} is done: commit {path}."]
    _announce(place, done, identity, waived)
    return [
        f"{change.id}, an emergency, is done. It passed by {_listed(waived)}. "
        f"Next: commit {path}, then `ytops change close {change.id} --document TEXT`"
    ]


def passed(gate: str, identity: str) -> tuple[str, ...] | None:
    """The items that were waived for this release, as its gate carried them; None where the state
    has another's: a later deploy failed, or `--target` passed the gate by."""
    carried = json.loads(gate) if gate else {}
    if (carried.get("target") or {}).get("identity") != identity:
        return None
    return tuple(i["id"] for i in carried.get("checklist") or () if i["status"] == "waived")


def _announce(place: Place, change: Change, identity: str, waived: tuple[str, ...]) -> None:
    approver = ", ".join(approval.by for approval in change.approvals)
    text = (
        f"YTEMPIRE {place.stack}: {identity} went out under the emergency change {change.id} "
        f"({change.reason}), approved by {approver}. It passed by {_listed(waived)}. "
        "Not documented yet."
    )
    fields = {
        "event": "emergency",
        "stack": place.stack,
        "target": identity,
        "change": change.id,
        "waived": ", ".join(waived),
    }
    try:
        send(webhook(place), text, fields, say)
    except OpsError as error:
        say(f"nobody was told of {change.id}: {error}")


def _listed(items: tuple[str, ...]) -> str:
    return ", ".join(items) or "nothing"
