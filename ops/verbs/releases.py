"""`ytops releases`: what has served, when and by whom; what can serve again, and what may not."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ops.engine import Engine
from ops.errors import OpsError
from ops.observe import Observation, observe
from ops.verbs._paper import moment, paint, say, when
from ops.verbs._place import Place
from ops.verbs._report import backup_before, event_words
from ops.verbs._target import Candidate, at_once
from rollout.dumps import stamp_of
from rollout.state import Event

SHOWN = 20
RUNS = 5


@dataclass(frozen=True)
class Row:
    """A release: where it is now, and the last time it began to serve. backup: what its last deploy
    took before it."""

    identity: str
    now: str
    served: str = ""
    who: str = ""
    seconds: float = 0.0
    backup: str = ""


def releases(place: Place, *, as_json: bool = False) -> None:
    found = observe(place.docker, place.names)
    runs = _runs(place)
    if as_json:
        say(json.dumps(_report(found, runs), indent=2))
        return
    for line in screen(found, runs, datetime.now(UTC)):
        say(line)


def rows(found: Observation) -> list[Row]:
    """Every release that the host knows of, the one that served last first."""
    begun = {e.target: e for e in found.history if e.kind in ("deploy", "rollback") and e.target}
    state = found.view.state
    held = [slot.identity for slot in state.slots.values()]
    known = dict.fromkeys([*held, *state.withdrawn, *reversed(begun)])
    latest = sorted(known, key=lambda identity: _at(begun.get(identity)), reverse=True)
    return [_row(identity, found, begun.get(identity)) for identity in latest]


def _row(identity: str, found: Observation, event: Event | None) -> Row:
    now, backup = _now(identity, found), backup_before(found, identity)
    if event is None:
        return Row(identity, now, backup=backup)
    return Row(identity, now, event.at, event.who, event.seconds, backup)


def _now(identity: str, found: Observation) -> str:
    view = found.view
    if view.edge and view.edge.identity == identity:
        return f"live on {view.edge.colour}"
    back = at_once(view)
    if isinstance(back, Candidate) and back.identity == identity:
        return f"ready on {back.colour}: `ytops rollback`"
    withdrawal = view.state.withdrawn.get(identity)
    if withdrawal:
        return f"withdrawn: {withdrawal.why}"
    for colour, slot in view.state.slots.items():
        if slot.identity == identity:
            return f"on {colour}, {slot.status}" + ("" if slot.was_live else ", never served")
    return f"`ytops up {identity.rpartition('+')[0]}` deploys it again"


def screen(found: Observation, runs: list[dict[str, Any]] | None, now: datetime) -> list[str]:
    lines = [_words(row, now) for row in rows(found)[:SHOWN]]
    lines = lines or ["No release has served here yet. Next: `ytops up VERSION`"]
    events = [event_words(event, now) for event in reversed(found.history[-SHOWN:])]
    lines += [paint("history, newest first", "dim"), *events] if events else []
    if runs:
        lines += [paint("last runs", "dim"), *(_run_words(run, now) for run in runs)]
    return lines


def _words(row: Row, now: datetime) -> str:
    served = f"since {when(row.served, now)}" if row.served else "never served"
    backup = f"; backup before it: {stamp_of(row.backup)}" if row.backup else ""
    return f"{row.identity:<28} {served:<42} {row.now}{backup}"


def _run_words(run: dict[str, Any], now: datetime) -> str:
    message = f": {str(run['message']).splitlines()[0][:60]}" if run.get("message") else ""
    at = moment(str(run.get("startTime", "")))
    return (
        f"{run.get('kind')} {run.get('result')}, {when(at.isoformat(), now) if at else ''}{message}"
    )


def _runs(place: Place) -> list[dict[str, Any]] | None:
    """What Pulumi remembers of its runs, failed ones too; None where Pulumi can't be asked."""
    engine = Engine(place.root, place.stack)
    try:
        engine.check()
        return engine.history(RUNS)
    except OpsError:
        return None


def _report(found: Observation, runs: list[dict[str, Any]] | None) -> dict[str, Any]:
    back = at_once(found.view)
    return {
        "releases": [asdict(row) for row in rows(found)],
        "rollback": back.name if isinstance(back, Candidate) else None,
        "withdrawn": {k: w.model_dump() for k, w in found.view.state.withdrawn.items()},
        "history": [event.model_dump() for event in found.history],
        "runs": [_run_report(run) for run in runs] if runs is not None else None,
    }


def _run_report(run: dict[str, Any]) -> dict[str, Any]:
    """Without the configuration, which `pulumi stack history` would repeat for each run."""
    return {key: run.get(key) for key in ("kind", "startTime", "endTime", "result", "message")}


def _at(event: Event | None) -> str:
    return event.at if event else ""
