"""`ytops status`: one screen that says what serves, what stands ready, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from ops.verbs import _report as report
from ops.verbs._exit import DONE, FAILED
from ops.verbs._health import live, problems, services
from ops.verbs._look import Look, look
from ops.verbs._paper import BAD, MAYBE, OK, paint, say, when
from ops.verbs._place import Place
from ops.verbs._target import Candidate, at_once
from rollout.dumps import stamp_of
from rollout.names import COLOURS
from rollout.records import Restored

WIDTH = 10


def status(place: Place, *, as_json: bool = False) -> int:
    """Exit code 0 when it serves and is healthy."""
    seen = look(place)
    say(json.dumps(report.report(seen), indent=2) if as_json else "\n".join(screen(seen)))
    return FAILED if problems(seen) else DONE


def screen(seen: Look) -> Iterator[str]:
    yield from _head(seen)
    yield from _slots(seen)
    yield from _services(seen)
    yield from _workers(seen)
    yield from _backups(seen)
    yield from _agenda(seen)


def _row(label: str, text: str) -> str:
    return f"{paint(f'{label:<{WIDTH}}', 'dim')}{text}"


def _head(seen: Look) -> Iterator[str]:
    wrong = problems(seen)
    verdict = (
        paint(f"{BAD} {', '.join(wrong)}", "red")
        if wrong
        else paint(f"{OK} serving and healthy", "green")
    )
    yield f"{paint(seen.stack, 'bold')} on {seen.host}: {verdict}"
    pointer = live(seen)
    if seen.observation is None:
        yield _row("live", f"{MAYBE} {seen.unknown['observation']}")
    elif pointer is None:
        yield _row("live", "no release serves (503). Next: `ytops up VERSION`")
    else:
        since = report.since(seen.observation, pointer)
        yield _row(
            "live",
            paint(f"{pointer.identity} on {pointer.colour}", "bold")
            + (f", since {when(since, seen.at)}" if since else ""),
        )
    yield _row("address", f"{seen.address} {_edge_words(seen)}")


def _edge_words(seen: Look) -> str:
    if seen.answer is None:
        return f"{MAYBE} {seen.unknown.get('answer', 'was not asked')}"
    release = seen.answer.release or "no release"
    return f"answers {seen.answer.status} as {release} in {seen.answer.milliseconds} ms"


def _slots(seen: Look) -> Iterator[str]:
    if seen.observation is None:
        return
    state, pointer = seen.observation.view.state, live(seen)
    for colour in COLOURS:
        slot = state.slots.get(colour)
        if slot is None:
            yield _row(colour, "empty")
            continue
        container = (seen.containers or {}).get(seen.names.app(colour))
        app = container.words if container else "gone" if seen.containers is not None else MAYBE
        words = [f"{slot.identity} (claim {slot.claim})", slot.status, f"app {app}"]
        words += ["← traffic"] if pointer and pointer.colour == colour else []
        yield _row(colour, ", ".join(words[:3]) + "".join(f"  {w}" for w in words[3:]))


def _services(seen: Look) -> Iterator[str]:
    if seen.containers is None:
        yield _row("services", f"{MAYBE} {seen.unknown['containers']}")
        return
    for service in services(seen):
        mark = paint(OK, "green") if service.fine else paint(BAD, "red")
        yield _row(service.name, f"{mark} {service.words}")


def _workers(seen: Look) -> Iterator[str]:
    workers = report.workers(seen)
    if workers is None:
        yield _row("workers", f"{MAYBE} nobody knows them while the switch's files can't be read")
    for crew in workers or ():
        yield _row("workers", str(crew))
    if seen.beat is None:
        yield _row("beat", f"{MAYBE} {seen.unknown.get('beat', 'the switch is not there')}")
    else:
        yield _row("beat", seen.beat or "none may run")


def _backups(seen: Look) -> Iterator[str]:
    if seen.backups:
        wrong = list(seen.backups.problems(seen.at))
        mark = paint(BAD, "red") if wrong else paint(OK, "green")
        yield _row("backups", f"{mark} {'; '.join([seen.backups.words(seen.at), *wrong])}")
    elif "backups" in seen.unknown:
        yield _row("backups", f"{MAYBE} {seen.unknown['backups']}")
    drilled = report.drilled(seen)
    if drilled and (drilled.held or drilled.needed):
        mark = paint(OK, "green") if drilled.is_well else paint(MAYBE, "yellow")
        yield _row("drill", f"{mark} {drilled.words}")


def _agenda(seen: Look) -> Iterator[str]:
    """What people and runs have under way, and what was last done."""
    for words in seen.owing:
        yield _row("emergency", f"{BAD} {words}")
    if "emergencies" in seen.unknown:
        yield _row("emergency", f"{MAYBE} {' '.join(seen.unknown['emergencies'].split())}")
    if seen.observation is None:
        return
    view, at = seen.observation.view, seen.at
    state = view.state
    if state.pending:
        target, p = state.pending.target, state.pending
        yield _row(
            "pending",
            f"switch {p.serial} to {target.identity} on {target.colour}, by {p.who} "
            f"since {when(p.since, at)}: not confirmed yet",
        )
    if state.hold:
        yield _row(
            "hold",
            f"locked by {state.hold.who} since {when(state.hold.since, at)}: {state.hold.why}. "
            "When that is over: `ytops unlock`",
        )
    for identity, gone in state.withdrawn.items():
        backup = report.backup_before(seen.observation, identity)
        before = f"; backup before it: {stamp_of(backup)}" if backup else ""
        yield _row("withdrawn", f"{identity} {when(gone.at, at)}: {gone.why}{before}")
    if state.last:
        yield _row("last", report.event_words(state.last, at))
    for one in report.restored(seen):
        yield _row("restored", _restored_words(one, at))
    back = at_once(view)
    if isinstance(back, Candidate):
        yield _row("next", f"back to {back.name} within seconds: `ytops rollback`")


def _restored_words(one: Restored, at: datetime) -> str:
    words = f"data of {one.data_of:%Y-%m-%d %H:%M} UTC, by {one.by} {when(one.at.isoformat(), at)}"
    kept = f"{one.kept} is kept: `ytops restore --dismiss`, or `--undo`"
    return f"{words}; {kept}" if one.kept else words
