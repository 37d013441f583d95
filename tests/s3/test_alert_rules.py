"""The alerts, judged by Prometheus' own tool: each fires on what it is for, all are quiet while all
is well, and silence is told."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.alerts import PAGE, alerts
from tests.e2e.world import ROOT
from toolchain.packages import promtool

MINUTES = 30 * 60
ALL = {alert.name: alert for alert in alerts()}
# Time begins at 0, so that a moment's age is the time.
WELL = {
    "ytempire_scheduler_beat_timestamp_seconds": f"0+60x{MINUTES}",
    'ytempire_backup_task_success{task="dump"}': f"1x{MINUTES}",
    'ytempire_backup_task_success{task="wal"}': f"1x{MINUTES}",
    'ytempire_backup_task_timestamp_seconds{task="wal"}': f"0+60x{MINUTES}",
    'ytempire_backup_verified_timestamp_seconds{kind="dump"}': f"0x{MINUTES}",
    'ytempire_backup_verified_timestamp_seconds{kind="base"}': f"0x{MINUTES}",
    'ytempire_backup_verified_timestamp_seconds{kind="media"}': f"0x{MINUTES}",
    'ytempire_backup_verified_timestamp_seconds{kind="application"}': f"0x{MINUTES}",
    'ytempire_backup_proved_timestamp_seconds{kind="dump"}': f"0x{MINUTES}",
    'ytempire_backup_place_up{place="drive1"}': f"1x{MINUTES}",
    'ytempire_backup_place_free_bytes{place="drive1"}': f"16x{MINUTES}",
    'ytempire_backup_place_size_bytes{place="drive1"}': f"100x{MINUTES}",
    "ytempire_drill_last_success": f"1x{MINUTES}",
    "ytempire_drill_last_success_timestamp_seconds": f"0x{MINUTES}",
}


@dataclass(frozen=True)
class Case:
    """series: what is otherwise than well, None where it is not told at all. labels: of the alert
    that fires then; value: as its words have it."""

    alert: str
    series: dict[str, str | None]
    at: str = "2h"
    labels: tuple[dict[str, str], ...] = ({},)
    value: str = ""


def silent(*names: str) -> dict[str, str | None]:
    return {key: None for key in WELL if key.partition("{")[0] in names or not names}


BEAT = "ytempire_scheduler_beat_timestamp_seconds"
VERIFIED = "ytempire_backup_verified_timestamp_seconds"
PROVED = "ytempire_backup_proved_timestamp_seconds"
TASK = "ytempire_backup_task_success"
ENDED = "ytempire_backup_task_timestamp_seconds"
DRILLED = "ytempire_drill_last_success_timestamp_seconds"
CASES = {
    "the scheduler stands still": Case("BackupSchedulerDead", {BEAT: f"0x{MINUTES}"}),
    "the scheduler is gone": Case("BackupSchedulerDead", silent(BEAT)),
    "nothing is told at all: no scheduler": Case("BackupSchedulerDead", silent()),
    "nothing is told at all: no backups, and of the log nobody knows": Case(
        "BackupAbsent",
        silent(),
        labels=tuple({"kind": kind} for kind in ("application", "dump", "media")),
    ),
    "nothing is told at all: no proof": Case(
        "BackupUnproved", silent(), labels=({"kind": "dump"},)
    ),
    "nothing is told at all: no drill": Case("DrillOverdue", silent()),
    "a task fails": Case(
        "BackupTaskFailed", {f'{TASK}{{task="dump"}}': f"0x{MINUTES}"}, labels=({"task": "dump"},)
    ),
    "the log is not taken": Case(
        "BackupLogNotShipped",
        {f'{TASK}{{task="wal"}}': f"0x{MINUTES}"},
        labels=({"task": "wal"},),
    ),
    "nobody ships the log": Case(
        "BackupLogNotShipped",
        {f'{ENDED}{{task="wal"}}': f"0x{MINUTES}"},
        labels=({"task": "wal"},),
    ),
    "a dump is missing": Case(
        "BackupMissing",
        {'ytempire_backup_overdue_seconds{kind="dump"}': f"0+60x{MINUTES}"},
        labels=({"kind": "dump"},),
        value="2h 0m 0s",
    ),
    "the newest dump is old": Case(
        "BackupTooOld",
        {},
        at="6h",
        labels=({"kind": "dump"},),
        value="6h 0m 0s",
    ),
    "the newest of each kind is old": Case(
        "BackupTooOld",
        {},
        at="27h",
        labels=tuple({"kind": kind} for kind in ("application", "base", "dump", "media")),
        value="1d 3h 0m 0s",
    ),
    "there is no base backup, though the log is shipped": Case(
        "BackupAbsent", {f'{VERIFIED}{{kind="base"}}': None}, labels=({"kind": "base"},)
    ),
    "no restore was tried for long": Case(
        "BackupUnproved", {}, at="28h", labels=({"kind": "dump"},)
    ),
    "a drive is away": Case(
        "BackupPlaceAway",
        {'ytempire_backup_place_up{place="drive1"}': f"0x{MINUTES}"},
        labels=({"place": "drive1"},),
    ),
    "a drive is full": Case(
        "BackupDriveFull",
        {'ytempire_backup_place_free_bytes{place="drive1"}': f"14x{MINUTES}"},
        labels=({"place": "drive1"},),
        value="14%",
    ),
    "a drill is overdue": Case("DrillOverdue", {DRILLED: f"-691200x{MINUTES}"}),
    "a drill failed": Case("DrillFailed", {"ytempire_drill_last_success": f"0x{MINUTES}"}),
}


def judged(tmp_path: Path, *tests: dict[str, Any]) -> str:
    """What the tool has to say against them."""
    file = tmp_path / "alerts.test.yml"
    asked = {"rule_files": [str(ROOT / PAGE)], "evaluation_interval": "1m", "tests": list(tests)}
    file.write_text(yaml.safe_dump(asked))
    done = subprocess.run([promtool(), "test", "rules", file], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def told(series: dict[str, str | None], *rules: dict[str, Any]) -> dict[str, Any]:
    every = {**WELL, **series}
    return {
        "interval": "1m",
        "input_series": [{"series": k, "values": v} for k, v in every.items() if v is not None],
        "alert_rule_test": list(rules),
    }


def fires(case: Case) -> dict[str, Any]:
    alert = ALL[case.alert]
    return {
        "eval_time": case.at,
        "alertname": alert.name,
        "exp_alerts": [
            {
                "exp_labels": {"severity": alert.severity, **labels},
                "exp_annotations": {
                    "summary": words(alert.summary, labels, case.value),
                    "next": alert.next,
                },
            }
            for labels in case.labels
        ],
    }


def words(template: str, labels: dict[str, str], value: str) -> str:
    named = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], template)
    return re.sub(r"\{\{ \$value [^}]*\}\}", value, named)


@pytest.mark.parametrize("what", CASES)
def test_each_fires_on_what_it_is_for_with_its_next_command(what: str, tmp_path: Path) -> None:
    case = CASES[what]
    assert judged(tmp_path, told(case.series, fires(case))) == ""


def test_all_are_quiet_while_all_is_well(tmp_path: Path) -> None:
    quiet = [{"eval_time": "4h", "alertname": name, "exp_alerts": []} for name in ALL]
    assert judged(tmp_path, told({}, *quiet)) == ""


def test_none_is_without_a_case_in_which_it_fires() -> None:
    assert {case.alert for case in CASES.values()} == set(ALL)
