"""The metrics: moments, which go on growing old when the scheduler is dead."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from ops.scheduler.desk import configured
from ops.scheduler.metrics import Backups, Drills, Drives
from ops.scheduler.report import Last, Report
from rollout.drills import MARKER, Remembered
from rollout.schedule import Newest
from rollout.state import STATE_FILE
from tests.unit.scheduler.test_loop import CONFIG

AT = datetime(2027, 1, 1, 10, tzinfo=UTC)


def text(of: Report | Path) -> str:
    registry = CollectorRegistry()
    registry.register(Drills(of) if isinstance(of, Path) else Backups(of))
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


def test_the_last_good_drill_is_read_off_what_the_host_remembers(tmp_path: Path) -> None:
    held = Remembered(at=AT, well=False, good=datetime(2026, 12, 25, 10, tzinfo=UTC))
    state = {"a key of tomorrow's": 1, "markers": {MARKER: held.model_dump_json()}}
    (tmp_path / STATE_FILE).write_text(json.dumps(state))
    said = text(tmp_path)
    assert "ytempire_drill_last_success 0.0" in said
    assert "ytempire_drill_last_success_timestamp_seconds 1.7981928e+09" in said


def test_where_no_drill_is_known_of_no_moment_is_told(tmp_path: Path) -> None:
    for content in (None, "{", '{"markers": {}}'):
        if content is not None:
            (tmp_path / STATE_FILE).write_text(content)
        assert not [line for line in text(tmp_path).splitlines() if not line.startswith("#")]


def test_a_drive_tells_its_room_and_one_that_is_away_tells_none(tmp_path: Path) -> None:
    (tmp_path / "drives" / "0").mkdir(parents=True)
    registry = CollectorRegistry()
    registry.register(Drives(lambda: CONFIG, tmp_path))
    said = generate_latest(registry).decode()
    first, second = CONFIG.backups.drives
    size = float(re.findall(rf'_place_size_bytes{{place="{first}"}} (.+)', said)[0])
    assert 0 < float(re.findall(rf'_place_free_bytes{{place="{first}"}} (.+)', said)[0]) < size
    assert second not in said


def test_without_a_configuration_no_drive_is_told_of(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(Drives(lambda: configured(tmp_path), tmp_path))
    assert "place=" not in generate_latest(registry).decode()
