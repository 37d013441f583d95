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
from ops.stackfile import MAINTENANCE
from ops.verbs._change import version_of
from ops.verbs._exit import Refused
from ops.verbs._night import person
from ops.verbs._paper import say
from ops.verbs._place import Place
from ops.verbs.announce import webhook
from rollout.changes import ChangeRefused, is_done
from rollout.records import Change, change_path, release_path
from rollout.steps import MOVES_TRAFFIC

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
    done = _done(place, change, by, identity, waived)
    path = change_path(change.id)
    if change.category != "emergency":
        return [f"{change.id} is done: commit {path}."]
    _announce(place, done, f"{identity} went out", identity, waived)
    return [
        f"{change.id}, an emergency, is done. It passed by {_listed(waived)}. "
        f"Next: commit {path}, then `ytops change close {change.id} --document TEXT`"
    ]


def maintained(place: Place, engine: Engine) -> list[str]:
    """What to tell after a run whose stack file names a maintenance: that it is done, which lets
    nothing more be replaced under it. Where the gate had none, the program has said why."""
    name = place.configuration.get(MAINTENANCE)
    if not name:
        return []
    try:
        change = Changes(place.root).get(name)
        if change.state in ("done", "closed") or _word(engine, change) is None:
            return []
        return write_maintenance(place, engine, change)
    except OpsError as error:
        return [f"{name} does not say that its maintenance is done: {error}"]


def write_maintenance(place: Place, engine: Engine, change: Change, by: str = "") -> list[str]:
    """Raises Refused where the last run with a word at the gate was not this maintenance."""
    word = _word(engine, change)
    if word is None:
        raise Refused(
            f"{change.id} is for no release, and the last run was no maintenance under it. "
            f"Next: `pulumi config set {MAINTENANCE} {change.id}`, then `ytops up`; or "
            f"`ytops change close {change.id}`"
        )
    waived = ("lead-time",) if change.category == "emergency" else ()
    done = _done(place, change, by, word, waived)
    if waived:
        _announce(place, done, "datastores or edge were replaced", "maintenance", waived)
    return [
        f"The maintenance of {change.id} is done: `pulumi config rm {MAINTENANCE}`, commit "
        f"{change_path(change.id)}. The next run protects everything again: `ytops up`"
    ]


def _word(engine: Engine, change: Change) -> str | None:
    """Whose word the gate has for a maintenance under this change; None where it has another."""
    carried = json.loads(engine.recorded().gate or "{}").get("maintenance") or {}
    return str(carried["word"]) if carried.get("change") == change.id else None


def passed(gate: str, identity: str) -> tuple[str, ...] | None:
    """The items that were waived for this release, as its gate carried them; None where the state
    has another's: a later deploy failed, a maintenance followed, or `--target` passed it by."""
    carried = json.loads(gate) if gate else {}
    target = (carried.get("target") or {}).get("identity")
    if target != identity or carried["action"] not in MOVES_TRAFFIC:
        return None
    return tuple(i["id"] for i in carried.get("checklist") or () if i["status"] == "waived")


def _done(place: Place, change: Change, by: str, note: str, waived: tuple[str, ...]) -> Change:
    try:
        return Changes(place.root).done(change.id, person(place, by), note, waived)
    except ChangeRefused as error:
        raise Refused(str(error)) from None


def _announce(
    place: Place, change: Change, what: str, target: str, waived: tuple[str, ...]
) -> None:
    approver = ", ".join(approval.by for approval in change.approvals)
    text = (
        f"YTEMPIRE {place.stack}: {what} under the emergency change {change.id} "
        f"({change.reason}), approved by {approver}. It passed by {_listed(waived)}. "
        "Not documented yet."
    )
    fields = {
        "event": "emergency",
        "stack": place.stack,
        "target": target,
        "change": change.id,
        "waived": ", ".join(waived),
    }
    try:
        send(webhook(place), text, fields, say)
    except OpsError as error:
        say(f"nobody was told of {change.id}: {error}")


def _listed(items: tuple[str, ...]) -> str:
    return ", ".join(items) or "nothing"
