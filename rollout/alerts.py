"""When somebody is woken for the backups: Prometheus' rules, made of the limits that the product
itself goes by. `python -m rollout.alerts` writes monitoring/alerts.yml.

A moment grows old by itself when whoever tells it is dead, and a figure that is missing is asked
for by `absent`: nothing here stays quiet because nobody speaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from rollout import wal
from rollout.drills import EVERY, OVERDUE
from rollout.retention import Kind
from rollout.schedule import BASE_LATE, LATE, UNPROVED, interval
from rollout.scheduler import SILENT

PAGE = Path("monitoring/alerts.yml")

# Each is made by the timetable. A base backup only where the database's log is received.
KINDS: tuple[Kind, ...] = ("dump", "base", "media", "application")

# A task that failed is tried again after 5 minutes: what lasts longer is somebody's to see to.
TRIED_AGAIN = timedelta(minutes=15)
# Manual 7.2, LowDiskSpace.
LEAST_FREE = 0.15

BEAT = "ytempire_scheduler_beat_timestamp_seconds"
VERIFIED = "ytempire_backup_verified_timestamp_seconds"
PROVED = "ytempire_backup_proved_timestamp_seconds"
OVERDUE_SECONDS = "ytempire_backup_overdue_seconds"
TASK_SUCCESS = "ytempire_backup_task_success"
TASK_ENDED = "ytempire_backup_task_timestamp_seconds"
PLACE_UP = "ytempire_backup_place_up"
PLACE_FREE = "ytempire_backup_place_free_bytes"
PLACE_SIZE = "ytempire_backup_place_size_bytes"
DRILL_SUCCESS = "ytempire_drill_last_success"
DRILL_GOOD = "ytempire_drill_last_success_timestamp_seconds"

SHIPPED = f'{TASK_ENDED}{{task="wal"}}'


@dataclass(frozen=True)
class Alert:
    """held: for how long it has to be so. next: the command to type."""

    name: str
    expr: str
    held: timedelta
    severity: Literal["critical", "warning"]
    summary: str
    next: str

    def rule(self) -> dict[str, Any]:
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": f"{seconds(self.held)}s",
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "next": self.next},
        }


def alerts() -> Iterator[Alert]:
    yield from _of_the_scheduler()
    yield from _of_backups()
    yield from _of_places()
    yield from _of_drills()


def _of_the_scheduler() -> Iterator[Alert]:
    yield Alert(
        "BackupSchedulerDead",
        f"{_age(BEAT)} > {seconds(SILENT)} or absent({BEAT})",
        timedelta(minutes=5),
        "critical",
        "The scheduler does not go its round: no backup is made.",
        "`ytops logs scheduler`, then `ytops up`",
    )
    yield Alert(
        "BackupTaskFailed",
        f'{TASK_SUCCESS}{{task!="wal"}} == 0',
        TRIED_AGAIN,
        "warning",
        "The task {{ $labels.task }} failed, and failed again.",
        "`ytops logs scheduler`",
    )
    yield Alert(
        "BackupLogNotShipped",
        f'{TASK_SUCCESS}{{task="wal"}} == 0 or {_age(SHIPPED)} > {seconds(wal.LATE)}',
        wal.LATE,
        "critical",
        "The database's log is not received, or stays on the host, whose loss would cost hours.",
        "`ytops logs scheduler`, `ytops backup status`",
    )


def _of_backups() -> Iterator[Alert]:
    yield Alert(
        "BackupMissing",
        f"{OVERDUE_SECONDS} >= {seconds(LATE)}",
        timedelta(minutes=5),
        "critical",
        "A backup ({{ $labels.kind }}) has been due for {{ $value | humanizeDuration }}.",
        "`ytops logs scheduler`, then `ytops backup run`",
    )
    yield Alert(
        "BackupTooOld",
        " or ".join(f"{_age(_of(VERIFIED, k))} > {seconds(_oldest(k))}" for k in KINDS),
        timedelta(minutes=5),
        "critical",
        "The newest verified backup ({{ $labels.kind }}) is {{ $value | humanizeDuration }} old.",
        "`ytops backup status`",
    )
    yield Alert(
        "BackupAbsent",
        " or ".join(f"absent({_of(VERIFIED, kind)}){_where(kind)}" for kind in KINDS),
        LATE,
        "critical",
        "There is no verified backup ({{ $labels.kind }}).",
        "`ytops backup status`, `ytops logs scheduler`",
    )
    yield Alert(
        "BackupUnproved",
        f"{_age(_of(PROVED, 'dump'))} > {seconds(UNPROVED)} or absent({_of(PROVED, 'dump')})",
        LATE,
        "critical",
        "No restore of a recent dump was seen to work.",
        "`ytops backup verify`",
    )


def _of_places() -> Iterator[Alert]:
    yield Alert(
        "BackupPlaceAway",
        f"{PLACE_UP} == 0",
        TRIED_AGAIN,
        "critical",
        "{{ $labels.place }} does not answer: backups have a copy less.",
        "`ytops backup status`",
    )
    yield Alert(
        "BackupDriveFull",
        f"{PLACE_FREE} / {PLACE_SIZE} < {LEAST_FREE}",
        TRIED_AGAIN,
        "warning",
        "{{ $labels.place }} has {{ $value | humanizePercentage }} of its room left.",
        "`ytops backup prune --dry-run`; then a larger drive",
    )


def _of_drills() -> Iterator[Alert]:
    yield Alert(
        "DrillOverdue",
        f"time() - max by (stack) ({DRILL_GOOD}) > {seconds(OVERDUE)} or absent({DRILL_GOOD})",
        timedelta(hours=1),
        "warning",
        f"No recovery drill was good for {OVERDUE.days} days; one is wanted every {EVERY.days}.",
        "`ytops drill`",
    )
    yield Alert(
        "DrillFailed",
        f"{DRILL_SUCCESS} == 0",
        timedelta(),
        "warning",
        "The last recovery drill failed, or took longer than its goals.",
        "the newest line of docs/drills.md, then `ytops drill`",
    )


def seconds(span: timedelta) -> int:
    return int(span.total_seconds())


def _age(moment: str) -> str:
    return f"time() - {moment}"


def _of(metric: str, kind: Kind) -> str:
    return f'{metric}{{kind="{kind}"}}'


def _oldest(kind: Kind) -> timedelta:
    """A base backup is proved by the day's verification alone, which comes after it."""
    return BASE_LATE if kind == "base" else interval(kind) + LATE


def _where(kind: Kind) -> str:
    """Only where the log is shipped is there a base backup to miss."""
    return f" and on () {SHIPPED}" if kind == "base" else ""


# The file

_HEAD = """\
# Alerts of the backups, their scheduler and the recovery drills, for Prometheus.
# Written by `python -m rollout.alerts` from the limits that `ytops` itself goes by.
"""


def page() -> str:
    import yaml

    group = {"name": "ytempire-backups", "rules": [alert.rule() for alert in alerts()]}
    return _HEAD + yaml.safe_dump({"groups": [group]}, sort_keys=False, width=200)


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
