"""What a recovery drill is: its configuration, its goals, its verdict, and what is told of all that
were held. `python -m rollout.drills` writes docs/drills.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rollout.records import DRILLS, Drill, DrillStage, Status
from rollout.settings import PRODUCTION, secret_keys

STACK = "drill"
PAGE = Path("docs/drills.md")

# Manual 7.3, Recovery Time Objectives: the stricter of the two manuals' (docs/decisions/0020).
RTO = timedelta(minutes=30)
RPO = timedelta(hours=4)

# Manual 7.4, Weekly Tasks: one each Friday. A day is for seeing to one that failed.
EVERY = timedelta(days=7)
OVERDUE = EVERY + timedelta(days=1)

# What the drilled stack's host remembers its drills by.
MARKER = "drill"

# Manual 7.3 counts users and videos; whatever app they belong to.
_KEY_TABLE = re.compile(r"(^|[._])(users?|videos?|channels?)$")

# A drill beside production takes no more than its own file grants it, and no more than the stack
# itself would.
_AT_MOST = re.compile(r"(Memory|Cpus|Pids|Replicas)$")


def configuration(drilled: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The drill's: as the stack that is drilled has it, but for what Pulumi.drill.yaml says, and
    without any of its secrets."""
    taken = {
        key: value
        for key, value in drilled.items()
        if key not in secret_keys() and not (isinstance(value, dict) and "secure" in value)
    }
    return {**taken, **{key: _least(key, value, taken.get(key)) for key, value in own.items()}}


def _least(key: str, own: Any, theirs: Any) -> Any:
    if theirs is None or not _AT_MOST.search(key):
        return own
    return min(own, theirs, key=float)


def version_of(identity: str) -> str:
    """What a backup's release was called: its fingerprint was made with other secrets."""
    return identity.partition("+")[0]


def key_rows(rows: Mapping[str, int]) -> dict[str, int]:
    """Of users, videos, channels; of all tables where none is called so."""
    found = {table: count for table, count in rows.items() if _KEY_TABLE.search(table)}
    return found or dict(rows)


def judged(drill: Drill) -> Drill:
    """With its verdict: every phase went well, within both goals."""
    failed = next((s for s in drill.stages if s.status is Status.FAIL), None)
    if failed:
        words = f"{failed.phase}: {failed.detail}"
        return drill.model_copy(update={"verdict": Status.FAIL, "detail": words})
    rto = sum(stage.seconds for stage in drill.stages)
    missed = [
        f"{name} {span(value)}, goal {span(goal)}"
        for name, value, goal in (
            ("RTO", rto, drill.rto_goal_seconds),
            ("RPO", drill.rpo_seconds, drill.rpo_goal_seconds),
        )
        if value is not None and value > goal
    ]
    return drill.model_copy(
        update={
            "rto_seconds": round(rto, 2),
            "verdict": Status.FAIL if missed else Status.PASS,
            "detail": "missed: " + "; ".join(missed) if missed else "",
        }
    )


def span(seconds: float) -> str:
    """`41 s`, `12 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


# What the host remembers


class Remembered(BaseModel):
    """The last drill of a stack: when it began, and whether it was good; and when the last good
    one began. It is the host's to say, because the records lie in whichever checkout the drill was
    held from."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    well: bool
    good: datetime | None = None


def remembered(markers: Mapping[str, str]) -> Remembered | None:
    """None: no drill is known of."""
    try:
        return Remembered.model_validate_json(markers[MARKER])
    except (KeyError, ValidationError):
        return None


def remember(before: Remembered | None, drill: Drill) -> Remembered:
    well = drill.verdict is Status.PASS
    good = drill.started if well else before.good if before else None
    return Remembered(at=drill.started, well=well, good=good)


def is_overdue(held: Remembered | None, now: datetime) -> bool:
    return held is None or held.good is None or now - held.good > OVERDUE


# The page

_HEAD = f"""\
# Recovery drills

Written by `ytops drill` from the records in `{DRILLS}/`
([schema](schemas/drill.schema.json)). A drill restores the newest backup away from the host into a
stack of its own, and brings the release up on it. RTO: from the drill's begin until a test job
had gone through a worker; goal {RTO.seconds // 60} min. RPO: how old the data was at the drill's
begin; goal {RPO.seconds // 3600} h (manual 7.3).

"""
_COLUMNS = "| when (UTC) | stack | verdict | RTO | RPO | restored | rows | phases |\n" + (
    "|---|---|---|---|---|---|---|---|\n"
)
_NONE = "No drill was held yet.\n"
_SANDBOX = (
    "\n¹ In the sandbox, where a stack `e2e…` is one of the tests': one machine of 2 cores that "
    "does other work as well, a small database, and a stand-in for S3. It says that the recovery "
    "works, not how long production's takes.\n"
)


def page(drills: Iterable[Drill]) -> str:
    """docs/drills.md, the newest first."""
    ordered = sorted(drills, key=lambda drill: drill.started, reverse=True)
    if not ordered:
        return _HEAD + _NONE
    rows = "".join(f"| {' | '.join(_cells(drill))} |\n" for drill in ordered)
    sandbox = any(drill.environment != PRODUCTION for drill in ordered)
    return _HEAD + _COLUMNS + rows + (_SANDBOX if sandbox else "")


def _cells(drill: Drill) -> Iterator[str]:
    mark = "" if drill.environment == PRODUCTION else " ¹"
    yield f"{drill.started:%Y-%m-%d %H:%M}"
    yield f"{drill.stack}{mark}"
    yield "good" if drill.verdict is Status.PASS else f"**failed**: {drill.detail}"
    yield _or_none(drill.rto_seconds)
    yield _or_none(drill.rpo_seconds)
    size = f", {_size(drill.bytes)}" if drill.bytes else ""
    yield f"{drill.release or 'no release'} from {drill.place}{size}" if drill.backup else "-"
    yield ", ".join(f"{table} {count:,}" for table, count in sorted(drill.rows.items())) or "-"
    yield ", ".join(f"{stage.phase} {stage.seconds:.1f} s" for stage in drill.stages)


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1_000_000 else f"{count / 1e3:,.1f} kB"


def _or_none(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


# Metrics


def metrics(drills: Iterable[Drill], stack: str) -> str:
    """A stack's last drill, and its last good one, for node_exporter's textfile collector. A gauge
    that is not known is left out: absence is what an alert asks for."""
    own = sorted((d for d in drills if d.stack == stack), key=lambda drill: drill.started)
    lines = list(_metrics(own)) if own else []
    return "".join(f"{line}\n" for line in lines)


def _metrics(own: list[Drill]) -> Iterator[str]:
    last = own[-1]
    good = [drill for drill in own if drill.verdict is Status.PASS]
    values: list[tuple[str, str, float | None]] = [
        ("last_timestamp_seconds", "Begin of the last drill.", last.started.timestamp()),
        ("last_success", "1: the last drill was good.", float(last.verdict is Status.PASS)),
        (
            "last_success_timestamp_seconds",
            "Begin of the last good drill.",
            good[-1].started.timestamp() if good else None,
        ),
        ("rto_seconds", "Time to recover in the last drill.", last.rto_seconds),
        ("rto_goal_seconds", "Its goal.", last.rto_goal_seconds),
        ("rpo_seconds", "Age of what the last drill restored.", last.rpo_seconds),
        ("rpo_goal_seconds", "Its goal.", last.rpo_goal_seconds),
    ]
    for name, text, value in values:
        if value is not None:
            yield from _described(name, text)
            yield f'ytempire_drill_{name}{{stack="{last.stack}"}} {value:.3f}'
    yield from _described("phase_seconds", "Each phase of the last drill.")
    for stage in last.stages:
        yield _phase(last.stack, stage)


def _described(name: str, text: str) -> Iterator[str]:
    yield f"# HELP ytempire_drill_{name} {text}"
    yield f"# TYPE ytempire_drill_{name} gauge"


def _phase(stack: str, stage: DrillStage) -> str:
    labels = f'stack="{stack}",phase="{stage.phase}"'
    return f"ytempire_drill_phase_seconds{{{labels}}} {stage.seconds:.3f}"


def main() -> None:
    found = (Drill.model_validate_json(path.read_text()) for path in DRILLS.glob("*.json"))
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
