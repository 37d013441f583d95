"""The alert rules beside the product: they ask for what the scheduler tells, by the limits that
`ytops` itself goes by."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ops.scheduler.metrics import Backups, Drills, Drives
from ops.scheduler.report import Last, Report
from rollout import schedule, wal
from rollout.alerts import PAGE, Alert, alerts, page, seconds
from rollout.drills import MARKER, OVERDUE, Remembered
from rollout.schedule import Newest
from rollout.scheduler import SILENT
from rollout.state import STATE_FILE, HostState
from tests.unit.scheduler.test_loop import CONFIG
from tests.unit.stack_files import ROOT
from tests.unit.test_runbooks import mistake

AT = datetime(2027, 1, 1, 10, tzinfo=UTC)
ALERTS = {alert.name: alert for alert in alerts()}
each = pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all that the scheduler tells."""
    folder: Path = tmp_path_factory.mktemp("host")
    held = Remembered(at=AT, well=True, good=AT).model_dump_json()
    (folder / STATE_FILE).write_text(HostState(markers={MARKER: held}).model_dump_json())
    (folder / "drives" / "0").mkdir(parents=True)
    report = Report(
        at=AT,
        kinds={"dump": Newest((AT,), AT, AT, 5000)},
        late={"base": 7200.0},
        last={"verify": Last(AT, True, 12.5)},
        places={"drive1": ""},
    )
    registry = CollectorRegistry()
    for one in (Backups(report), Drills(folder), Drives(lambda: CONFIG, folder)):
        registry.register(one)
    lines = generate_latest(registry).decode().splitlines()
    return {re.split(r"[{ ]", line)[0] for line in lines if not line.startswith("#")}


def test_the_file_is_what_the_product_s_limits_make_of_it() -> None:
    assert (ROOT / PAGE).read_text() == page(), "next: python -m rollout.alerts"


@each
def test_each_asks_for_what_the_scheduler_tells(alert: Alert, told: set[str]) -> None:
    asked = set(re.findall(r"\bytempire_\w+", alert.expr))
    assert asked
    assert asked <= told


@each
def test_each_names_a_next_command_that_exists(alert: Alert) -> None:
    commands = re.findall(r"`ytops ([^`]+)`", alert.next)
    assert commands
    assert not [wrong for command in commands if (wrong := mistake(command))]


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("BackupSchedulerDead", SILENT),
        ("BackupMissing", schedule.LATE),
        ("BackupUnproved", schedule.UNPROVED),
        ("BackupTooOld", schedule.BASE_LATE),
        ("BackupLogNotShipped", wal.LATE),
        ("DrillOverdue", OVERDUE),
    ],
)
def test_its_limit_is_the_one_that_a_status_goes_by(name: str, limit: timedelta) -> None:
    assert re.search(rf">=? {seconds(limit)}\b", ALERTS[name].expr)


def test_a_dump_of_the_hour_before_is_not_too_old_and_one_that_missed_its_turn_is() -> None:
    assert 'kind="dump"} > 18000' in ALERTS["BackupTooOld"].expr
    assert 'kind="media"} > 90000' in ALERTS["BackupTooOld"].expr
