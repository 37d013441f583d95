"""A look in figures and words: `ytops status --json`, and what its screen is made of."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ops.observe import Observation
from ops.verbs._drilled import Drilled
from ops.verbs._health import crew, live, problems, services
from ops.verbs._look import Look
from ops.verbs._paper import moment, plural, span, when
from ops.verbs._scheduled import Scheduled
from rollout.dumps import stamp_of
from rollout.names import node
from rollout.records import Restored
from rollout.restores import REMEMBERED
from rollout.shapes import Pointer
from rollout.state import Event, HostState

# The agent asks all workers every few seconds; older than this, it has stopped asking.
STALE_SECONDS = 60


@dataclass(frozen=True)
class Crew:
    """A release's workers: what they do, and whether their slot was given to another release.
    `busy`: jobs; None while a worker does not say. `unresponsive`: those that run and don't answer,
    while the others are asked."""

    identity: str
    consuming: int
    paused: int
    silent: int
    busy: int | None
    given_away: bool
    stale_seconds: float = 0.0
    unresponsive: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = {"consuming": self.consuming, "paused": self.paused, "silent": self.silent}
        doing = [f"{count} {word}" for word, count in counts.items() if count]
        jobs = "jobs not known" if self.busy is None else plural(self.busy, "job")
        words = [f"{self.identity}: {', '.join(doing) or 'none'}, {jobs}"]
        if self.given_away:
            idle = self.busy == 0 and not self.silent
            drained = "drained, and the next run removes them" if idle else "not drained yet"
            words.append(f"their slot was given away: {drained}")
            words += [_unresponsive(self.unresponsive)] if self.unresponsive else []
        words += [f"as of {span(self.stale_seconds)} ago"] if self.stale_seconds else []
        return "; ".join(words)


def _unresponsive(containers: tuple[str, ...]) -> str:
    """Nobody can tell whether they have jobs, so no run removes them: a person may."""
    names = " ".join(containers)
    return (
        f"no answer from {names}. Should that last: `docker stop {names}`, and the next run "
        "removes them; jobs that they had are done by the live release once the visibility timeout "
        "is over"
    )


def workers(look: Look) -> list[Crew] | None:
    """By release, the live one first; None when nobody knows."""
    observation = look.observation
    if observation is None or (observation.workers is None and look.containers is None):
        return None
    heard = observation.workers.workers.values() if observation.workers else ()
    labels = {c.release for c in (look.containers or {}).values() if c.part == "worker"}
    pointer = live(look)
    order = sorted(
        labels | {worker.identity for worker in heard},
        key=lambda identity: (pointer is None or identity != pointer.identity, identity),
    )
    return [_crew(look, observation, identity) for identity in order]


def _crew(look: Look, observation: Observation, identity: str) -> Crew:
    report = observation.workers
    heard = [w for w in report.workers.values() if w.identity == identity] if report else []
    consuming = sum(1 for worker in heard if _consumes(worker.queues, observation, identity))
    held = {slot.identity for slot in observation.view.state.slots.values()}
    at = moment(report.at) if report else None
    age = (look.at - at).total_seconds() if at else 0.0
    stale = age > STALE_SECONDS
    nodes = {worker.node for worker in heard}
    running = [c.name for c in crew(look, identity) if c.running]
    return Crew(
        identity=identity,
        consuming=consuming,
        paused=len(heard) - consuming,
        silent=max(len(crew(look, identity)) - len(heard), 0),
        busy=_jobs([worker.busy for worker in heard]),
        given_away=identity not in held,
        stale_seconds=age if stale else 0.0,
        unresponsive=tuple(sorted(name for name in running if node(name) not in nodes))
        if report and not stale
        else (),
    )


def _jobs(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _consumes(queues: tuple[str, ...], observation: Observation, identity: str) -> bool:
    """Any of its release's queues: a paused worker listens to one of its own, which is empty."""
    release = observation.view.state.releases.get(identity)
    return bool(set(queues) & set(release.queues)) if release else bool(queues)


def since(observation: Observation, pointer: Pointer) -> str:
    """When the live release began to serve; empty when the history does not go back that far."""
    for event in reversed(observation.history):
        if event.kind in ("deploy", "rollback"):
            return event.at if event.target == pointer.identity else ""
    return ""


def backup_before(observation: Observation, identity: str) -> str:
    """What the release's last deploy took of the database before it; empty when it is not known."""
    found = (e.backup for e in reversed(observation.history) if e.target == identity and e.backup)
    return next(found, "")


def event_words(event: Event, now: datetime) -> str:
    """`deploy of 1.1.0+ab12 (before: 1.0.0+cd34; backup 2026…Z) by ana@host, 2026-… (3 min ago),
    12.0 s: …`."""
    before = [event.source] if event.source and event.source != event.target else []
    before += [f"backup {stamp_of(event.backup)}"] if event.backup else []
    what = {"revert": "moved back to"}.get(event.kind, f"{event.kind} of")
    took = f", {event.seconds:.1f} s" if event.seconds else ""
    note = f": {event.note}" if event.note else ""
    target = event.target or "no release"
    was = f" (before: {'; '.join(before)})" if before else ""
    return f"{what} {target}{was} by {event.who}, {when(event.at, now)}{took}{note}"


def restored(look: Look) -> list[Restored]:
    """The last restore, and those whose database before is still kept; the newest first."""
    markers = look.observation.view.state.markers if look.observation else {}
    notes = [note for key, note in sorted(markers.items()) if key.startswith(REMEMBERED)]
    found = [Restored.model_validate_json(note) for note in reversed(notes)]
    return [one for number, one in enumerate(found) if one.kept or number == 0]


def drilled(look: Look) -> Drilled | None:
    """None where the host can't be seen."""
    if look.observation is None:
        return None
    return Drilled.of(look.observation.view.state.markers, look.at, needed=look.production)


def report(look: Look) -> dict[str, Any]:
    """A stable shape: keys are added, not renamed."""
    pointer, found = live(look), problems(look)
    crews, held = workers(look), drilled(look)
    return {
        "stack": look.stack,
        "host": look.host,
        "at": look.at.isoformat(timespec="seconds"),
        "healthy": not found,
        "problems": found,
        "unknown": look.unknown,
        "address": look.address,
        "edge": asdict(look.answer) if look.answer else None,
        "live": asdict(pointer) if pointer else None,
        "since": (since(look.observation, pointer) or None)
        if look.observation and pointer
        else None,
        "services": {s.name: {"healthy": s.fine, "detail": s.words} for s in services(look)},
        "workers": [asdict(crew) for crew in crews] if crews is not None else None,
        "beat": look.beat,
        "emergencies": list(look.owing),
        "restored": [one.model_dump(mode="json") for one in restored(look)],
        "backups": _backups(look.backups),
        "drill": held.values() if held else None,
        **_remembered(look.observation.view.state if look.observation else None),
    }


def _backups(found: Scheduled | None) -> dict[str, Any] | None:
    return {**asdict(found), "at": found.at.isoformat()} if found else None


def _remembered(state: HostState | None) -> dict[str, Any]:
    """The part of the host's own record that is of use outside."""
    keys = ("serial", "confirmed", "slots", "pending", "hold", "withdrawn", "last")
    if state is None:
        return dict.fromkeys(keys)
    whole = state.model_dump(mode="json", include=set(keys))
    return {key: whole[key] for key in keys}
