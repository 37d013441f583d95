"""The scheduler's metrics, as Prometheus reads them: on the data network alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ops.errors import OpsError
from ops.scheduler.desk import configured
from ops.scheduler.report import Report
from rollout.drills import Remembered, remembered
from rollout.scheduler import ADDRESS_VARIABLE, CONTROL, PORT, SchedulerConfig, drive
from rollout.state import STATE_FILE

# Moments, not ages: an age stands still when the scheduler does.
BEAT = "ytempire_scheduler_beat_timestamp_seconds"


class Backups(Collector):
    """Asked at each scrape."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def collect(self) -> Iterable[Metric]:
        report = self._report
        yield _gauge(BEAT, "When the scheduler last went its round.", [], [((), _at(report.at))])
        yield from self._of_kinds(report)
        yield from self._of_tasks(report)
        yield _gauge(
            "ytempire_backup_place_up", "Whether a place for backups answers.", ["place"],
            [((place,), float(not why)) for place, why in report.places.items()],
        )  # fmt: skip

    def _of_kinds(self, report: Report) -> Iterator[Metric]:
        kinds = report.kinds.items()
        yield _gauge(
            "ytempire_backup_verified_timestamp_seconds",
            "When the newest backup was taken whose content was read.", ["kind"],
            [((kind,), _at(n.verified)) for kind, n in kinds if n.verified],
        )  # fmt: skip
        yield _gauge(
            "ytempire_backup_proved_timestamp_seconds",
            "When the newest backup was taken of which a restore was seen to work.", ["kind"],
            [((kind,), _at(n.proved)) for kind, n in kinds if n.proved],
        )  # fmt: skip
        yield _gauge(
            "ytempire_backup_size_bytes", "Size of the newest verified backup.", ["kind"],
            [((kind,), float(n.bytes)) for kind, n in kinds if n.verified],
        )  # fmt: skip
        yield _gauge(
            "ytempire_backup_overdue_seconds", "For how long a backup has been missing.",
            ["kind"], [((kind,), seconds) for kind, seconds in report.late.items()],
        )  # fmt: skip

    def _of_tasks(self, report: Report) -> Iterator[Metric]:
        last = report.last.items()
        yield _gauge(
            "ytempire_backup_task_success", "Whether a task's last run did all of it.", ["task"],
            [((task,), float(one.ok)) for task, one in last],
        )  # fmt: skip
        yield _gauge(
            "ytempire_backup_task_timestamp_seconds", "When a task's last run ended.", ["task"],
            [((task,), _at(one.at)) for task, one in last],
        )  # fmt: skip
        yield _gauge(
            "ytempire_backup_task_duration_seconds", "How long a task's last run took.", ["task"],
            [((task,), one.seconds) for task, one in last],
        )  # fmt: skip


class Drives(Collector):
    """Asked at each scrape. root: the drives' paths are below it."""

    def __init__(self, read: Callable[[], SchedulerConfig], root: Path = Path("/")) -> None:
        self._read, self._root = read, root

    def collect(self) -> Iterable[Metric]:
        room = dict(self._room())
        yield _gauge(
            "ytempire_backup_place_free_bytes", "What a drive has left for backups.", ["place"],
            [((place,), float(found.f_bavail * found.f_frsize)) for place, found in room.items()],
        )  # fmt: skip
        yield _gauge(
            "ytempire_backup_place_size_bytes", "All that a drive holds.", ["place"],
            [((place,), float(found.f_blocks * found.f_frsize)) for place, found in room.items()],
        )  # fmt: skip

    def _room(self) -> Iterator[tuple[str, os.statvfs_result]]:
        """What can't be asked is told by others: that a drive is away, that there is no
        configuration."""
        with suppress(OpsError):
            for number, place in enumerate(self._read().backups.drives):
                with suppress(OSError):
                    yield place, os.statvfs(self._root / drive(number).lstrip("/"))


class Drills(Collector):
    """The host's own word, read at each scrape. A moment that is not known is left out: absence is
    what an alert asks for."""

    def __init__(self, folder: Path = Path(CONTROL)) -> None:
        self._path = folder / STATE_FILE

    def collect(self) -> Iterable[Metric]:
        held = self._held()
        good = held.good if held else None
        yield _gauge(
            "ytempire_drill_last_timestamp_seconds", "Begin of the last drill.", [],
            [((), _at(held.at))] if held else [],
        )  # fmt: skip
        yield _gauge(
            "ytempire_drill_last_success", "1: the last drill was good.", [],
            [((), float(held.well))] if held else [],
        )  # fmt: skip
        yield _gauge(
            "ytempire_drill_last_success_timestamp_seconds", "Begin of the last good drill.", [],
            [((), _at(good))] if good else [],
        )  # fmt: skip

    def _held(self) -> Remembered | None:
        """Of the file only the markers: a switch of another version may have written it."""
        try:
            return remembered(json.loads(self._path.read_text(encoding="utf-8"))["markers"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def serve(report: Report) -> None:
    registry = CollectorRegistry()
    registry.register(Backups(report))
    registry.register(Drives(configured))
    registry.register(Drills())
    start_http_server(PORT, os.environ.get(ADDRESS_VARIABLE, "127.0.0.1"), registry)


def _gauge(
    name: str, about: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _at(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
