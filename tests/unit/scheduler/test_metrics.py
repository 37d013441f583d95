"""The metrics: moments, which go on growing old when the scheduler is dead."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest

from ops.scheduler.metrics import Backups
from ops.scheduler.report import Last, Report
from rollout.schedule import Newest

AT = datetime(2027, 1, 1, 10, tzinfo=UTC)


def text(report: Report) -> str:
    registry = CollectorRegistry()
    registry.register(Backups(report))
    return generate_latest(registry).decode()


def test_each_kind_task_and_place_has_its_figures() -> None:
    report = Report(
        at=AT,
        kinds={"dump": Newest((AT,), AT, None, 5000)},
        late={"base": 7200.0},
        last={"verify": Last(AT, False, 12.5, "no")},
        places={"drive1": "", "bucket": "is away"},
    )
    said = text(report)
    for line in (
        "ytempire_scheduler_beat_timestamp_seconds 1.7987976e+09",
        'ytempire_backup_verified_timestamp_seconds{kind="dump"} 1.7987976e+09',
        'ytempire_backup_size_bytes{kind="dump"} 5000.0',
        'ytempire_backup_overdue_seconds{kind="base"} 7200.0',
        'ytempire_backup_task_success{task="verify"} 0.0',
        'ytempire_backup_task_duration_seconds{task="verify"} 12.5',
        'ytempire_backup_place_up{place="drive1"} 1.0',
        'ytempire_backup_place_up{place="bucket"} 0.0',
    ):
        assert line in said.splitlines()
    assert "ytempire_backup_proved_timestamp_seconds{" not in said
