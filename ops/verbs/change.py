"""`ytops change new|approve|schedule|done|list|close`: change requests (manual 5.2), numbered,
validated and only ever appended to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import TypeVar

from pydantic import ValidationError

from ops.changes import Changes
from ops.engine import Engine
from ops.observe import observe
from ops.records import write
from ops.verbs import _trace as trace
from ops.verbs._change import version_of
from ops.verbs._exit import Misused, Refused
from ops.verbs._night import moment, now, person
from ops.verbs._paper import BAD, OK, paint, say
from ops.verbs._place import Place
from rollout import changes, mistakes
from rollout.changes import ChangeRefused
from rollout.records import KINDS, Approval, Category, Change, change_path
from rollout.state import Record

R = TypeVar("R", bound=Record)

# What a deploy's change usually is, so that a request takes one line.
USUAL_KIND = {"normal": "feature-deployment", "emergency": "critical-bug-fix"}
USUAL_ROLLBACK = {
    "steps": ["ytops rollback"],
    "data": "nothing is written back: the previous release works on the new schema",
}


@dataclass(frozen=True)
class Request:
    """What a person says of a change; the rest has its usual value, and is edited in the file."""

    release: str = ""
    category: Category = "normal"
    kind: str = ""
    description: str = ""
    reason: str = ""
    priority: str = "medium"
    systems: tuple[str, ...] = ("backend",)
    users: str = "minimal"
    downtime: int = 0
    risk: str = "low"
    steps: tuple[str, ...] = ()


def category(standard: bool, emergency: bool) -> Category:
    if standard and emergency:
        raise Misused("--standard, --emergency: expected one of them, got both")
    return "standard" if standard else "emergency" if emergency else "normal"


def new(place: Place, request: Request, by: str = "") -> None:
    name = Changes(place.root).next_id()
    change = changes.requested(_made(request, name, person(place, by)))
    _write(place, change)
    whose = change.release or "no release"
    say(f"{change_path(name)}: {change.category}, {change.kind}, for {whose}")
    named = f"`change: {name}` in releases/{change.release}.yaml, " if change.release else ""
    after = (
        "commit both"
        if change.category == "standard"
        else f"commit both; then somebody else: `ytops change approve {name}`"
    )
    say(f"Next: read it through, {named}{after}")


def approve(place: Place, name: str, role: str, *, verbal: bool = False, by: str = "") -> None:
    approval = _validated(
        Approval,
        {"role": role, "by": person(place, by), "at": now(), "verbal": verbal},
    )
    change = _step(place, name, lambda found: changes.approve(found, approval))
    say(f"{name} is {change.state}: {approval.role}, {approval.by}")
    deploys = f", then `ytops checklist {change.release}`" if change.release else ""
    say(f"Next: commit {change_path(name)}{deploys}")


def schedule(place: Place, name: str, when: str, by: str = "") -> None:
    at = moment(when, "TIME").astimezone(UTC)
    who = person(place, by)
    _step(place, name, lambda found: changes.schedule(found, at, who, now()))
    say(f"{name} is scheduled for {at:%Y-%m-%d %H:%M} UTC. Next: commit {change_path(name)}")


def done(place: Place, name: str, by: str = "") -> None:
    """After a run of plain Pulumi; `ytops up` writes it itself."""
    change = Changes(place.root).get(name)
    engine = Engine(place.root, place.stack)
    if change.release is None:
        engine.check()
        for line in trace.write_maintenance(place, engine, change, by):
            say(line)
        return
    live = observe(place.docker, place.names).view.edge
    if live is None or version_of(live.identity) != change.release:
        serves = f"{live.identity} serves" if live else "no release serves"
        raise Refused(
            f"{name} is for {change.release}, and {serves}. Next: `ytops up {change.release}`"
        )
    engine.check()
    for line in trace.write(place, engine, change, live.identity, by):
        say(line)


def close(place: Place, name: str, note: str = "", document: str = "", by: str = "") -> None:
    who = person(place, by)
    change = _step(place, name, lambda found: changes.close(found, who, now(), note, document))
    say(f"{name} is {change.state}. Next: commit {change_path(name)}")


def listed(place: Place, *, as_json: bool = False) -> None:
    records = Changes(place.root)
    found, tampered = records.all(), records.tampered()
    if as_json:
        say(
            json.dumps(
                {
                    "changes": [change.model_dump(mode="json") for change in found],
                    "owing": list(changes.owing(found)),
                    "rewritten": list(tampered),
                },
                indent=2,
            )
        )
        return
    for change in reversed(found):
        say(_line(change))
    if not found:
        say("There is no change request yet. Next: `ytops change new --release VERSION`")
    for words in changes.owing(found):
        say(paint(f"{BAD} {words}", "red"))
    for words in tampered:
        say(paint(f"{BAD} {words}", "red"))


def _line(change: Change) -> str:
    signed = ", ".join(f"{a.by} ({a.role})" for a in change.approvals) or "no signature"
    mark = paint(OK, "green") if change.state == "closed" else " "
    title = change.description.splitlines()[0]
    release = change.release or "-"
    return (
        f"{mark} {change.id:<7} {change.state:<10} {change.category:<10} {release:<10} "
        f"{title[:50]:<50} {signed}"
    )


def _made(request: Request, name: str, by: str) -> Change:
    version = request.release
    described = request.description or (f"Deploy {version}." if version else "")
    if not described:
        raise Misused(
            "--description: expected what is changed and why, or a --release, got neither. "
            "Next: `ytops change new --release VERSION`"
        )
    kind = request.kind or USUAL_KIND.get(request.category, "")
    if not kind:
        kinds = ", ".join(KINDS[request.category])
        raise Misused(
            f"--kind: expected one of {kinds}, because it is a {request.category} change. "
            f"Next: `ytops change new --{request.category} --kind {KINDS[request.category][0]} …`"
        )
    if request.category == "emergency" and not request.reason:
        raise Misused(
            "--why: expected why an emergency can't wait, got none. "
            "Next: `ytops change new --emergency --why TEXT …`"
        )
    at = now()
    impact = {
        "systems": request.systems,
        "users": request.users,
        "downtime_minutes": request.downtime,
        "risk": request.risk,
    }
    return _validated(
        Change,
        {
            "id": name,
            "requestor": by,
            "date": at.date(),
            "category": request.category,
            "kind": kind,
            "priority": request.priority,
            "description": described,
            "impact": impact,
            "implementation": request.steps or (f"ytops up {version}".rstrip(),),
            "rollback": USUAL_ROLLBACK,
            "release": version or None,
            "reason": request.reason,
            "history": [{"at": at, "by": by, "state": "new"}],
        },
    )


def _validated(model: type[R], values: dict[str, object]) -> R:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise Misused(
            "\n".join(
                f"{mistakes.path(e)}: expected {mistakes.expected(e)}, got {e['input']!r}"
                if e["loc"]
                else mistakes.expected(e)
                for e in error.errors()
            )
        ) from None


def _step(place: Place, name: str, step: Callable[[Change], Change]) -> Change:
    found = Changes(place.root).get(name)
    try:
        change = step(found)
    except ChangeRefused as error:
        raise Refused(str(error)) from None
    _write(place, change)
    return change


def _write(place: Place, change: Change) -> None:
    write(place.root, change_path(change.id), change, "change")
