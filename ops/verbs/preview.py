"""`ytops preview VERSION --markdown`: what a deploy would do, as a pull request shows it.

It reads, and where the host can't be reached it plans from the record of the last run and says so.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ops.engine import Ended, Engine
from ops.errors import HostUnreachable, OpsError
from ops.gather import items
from ops.observe import Observation, image_identity, observe
from ops.records import read
from ops.sqlplan import Asker, SqlPlan
from ops.stackfile import VERSION
from ops.steps._voice import Voice
from ops.verbs._change import Change, permission
from ops.verbs._comment import Policies, Preview, comment
from ops.verbs._database import settings
from ops.verbs._events import Event, parse
from ops.verbs._exit import DONE
from ops.verbs._failure import Failure
from ops.verbs._night import sources
from ops.verbs._paper import moment, say
from ops.verbs._place import Place
from ops.verbs._progress import Progress
from rollout.duration import EngineRun, deploys, expected
from rollout.items import Item
from rollout.records import Rehearsal, rehearsal_path
from rollout.release import container_environment, image_tag, wanted_release
from rollout.state import HostState

RUNS = 100
_PLAN = "plan: "


@dataclass
class Told:
    """What the engine's preview said."""

    progress: Progress = field(default_factory=Progress)
    failure: Failure = field(default_factory=Failure)
    lines: list[str] = field(default_factory=list)
    advised: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        event = parse(line)
        if event is None:
            return
        self.failure.hear(event)
        if event.policy and event.kind == "warned":
            self._advise(event)
        else:
            self.lines += self.progress.hear(event)

    def _advise(self, event: Event) -> None:
        if event.text not in self.advised:
            self.advised.append(event.text)

    @property
    def plan(self) -> str:
        found = (line.removeprefix(_PLAN) for line in self.lines if line.startswith(_PLAN))
        return next(found, "")

    @property
    def notes(self) -> list[str]:
        return [line.removeprefix("! ") for line in self.lines if line.startswith("! ")]


def markdown(place: Place, version: str) -> int:
    """The exit code is the preview's own, after all is said."""
    engine = Engine(place.root, place.stack)
    engine.check()
    seen, unseen = _seen(place)
    state = seen.view.state if seen else HostState()
    told, ended = _engine_s(engine, Change(place.file, version, permission(state, version)))
    refused = told.failure.refusals
    broken = ended.code != 0 and not (refused and not told.failure.failed)
    named = (version or place.file.get(VERSION) or "").partition("+")[0]
    say(
        comment(
            Preview(
                version=version or named,
                stack=place.stack,
                plan=told.plan,
                live=_live(seen),
                expected=expected(_seconds(engine, seen)),
                unseen=unseen,
                failure=told.failure.message(ended) if broken else "",
                changes=told.progress.planned,
                notes=told.notes,
                sql=_sql(place, named, unseen),
                rehearsal=_rehearsal(place, named),
                checklist=_items(place, named, seen),
                policies=Policies(refused, told.advised),
            )
        )
    )
    return DONE if ended.code == 0 else told.failure.code(ended)


def _seen(place: Place) -> tuple[Observation | None, str]:
    try:
        return observe(place.docker, place.names), ""
    except HostUnreachable as error:
        return None, str(error).splitlines()[0]


def _engine_s(engine: Engine, change: Change) -> tuple[Told, Ended]:
    """The stack file is as before afterwards."""
    told = Told()
    change.begin()
    try:
        return told, engine.run("preview", hear=told.hear)
    finally:
        change.settle("")


def _live(seen: Observation | None) -> str:
    if seen is None:
        return "not known"
    edge = seen.view.edge
    return f"{edge.identity} on {edge.colour}" if edge else "no release serves"


def _seconds(engine: Engine, seen: Observation | None) -> list[float]:
    """Of the deploys before, by the engine's history and the host's."""
    try:
        runs = [run for found in engine.history(RUNS) if (run := _run(found))]
    except OpsError:
        return []
    events = (event for event in seen.history if event.kind == "deploy") if seen else None
    switched = None if events is None else [at for e in events if (at := moment(e.at))]
    return deploys(runs, switched)


def _run(found: dict[str, Any]) -> EngineRun | None:
    begun, ended = moment(str(found.get("startTime"))), moment(str(found.get("endTime")))
    good = found.get("kind") == "update" and found.get("result") == "succeeded"
    if not good or begun is None or ended is None:
        return None
    changes = found.get("resourceChanges") or {}
    return EngineRun(begun, ended, any(changes.get(op) for op in ("create", "replace")))


def _sql(place: Place, version: str, unseen: str) -> SqlPlan | str:
    if not version:
        return "no version is named"
    if unseen:
        return "the host was not asked"
    voice = Voice([])
    try:
        found = settings(place, version=version)
        voice = Voice([*found.secrets.values()])
        release = wanted_release(found, image_identity(place.docker, image_tag(found)))
        environment = container_environment(release, found.secrets)
        plan = Asker(place.docker, place.names, release, environment).ask()
    except OpsError as error:
        return voice.clean(str(error).splitlines()[0]).rstrip(".")
    clean = {name: voice.clean(sql) for name, sql in plan.migrations.items()}
    return SqlPlan(clean, plan.more)


def _rehearsal(place: Place, version: str) -> Rehearsal | None:
    path = rehearsal_path(version)
    with suppress(OpsError):
        if version and (place.root / path).exists():
            return read(Rehearsal, place.root, path)
    return None


def _items(place: Place, version: str, seen: Observation | None) -> tuple[Item, ...]:
    if not version:
        return ()
    return items(sources(place), version, "preview", seen)
