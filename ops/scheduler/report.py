"""What the scheduler knows, as a file that `ytops status` reads and as its metrics say it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rollout.schedule import Known, Newest, Task, late


@dataclass(frozen=True)
class Last:
    """How a task ended last."""

    at: datetime
    ok: bool
    seconds: float
    words: str = ""


@dataclass
class Report:
    """`at`: the scheduler's last beat. late: seconds for which a backup has been missing, by kind.
    wrong: what keeps the timetable from being followed."""

    at: datetime
    running: str = ""
    wrong: str = ""
    kinds: dict[str, Newest] = field(default_factory=dict)
    late: dict[str, float] = field(default_factory=dict)
    last: dict[Task, Last] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    """Why each does not answer; empty where it does."""

    def see(self, what: Known, tasks: Iterable[Task], now: datetime) -> None:
        self.kinds = {kind: what.newest(kind) for kind in what.kinds}
        self.places = {**dict.fromkeys(what.places, ""), **what.away}
        found = ((task, late(task, now, what)) for task in tasks)
        self.late = {task: since.total_seconds() for task, since in found if since}

    def values(self) -> dict[str, Any]:
        values = asdict(self)
        for newest in values["kinds"].values():
            del newest["good"]
        return values


def write(path: Path, report: Report) -> None:
    """Whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(report.values(), default=datetime.isoformat))
    os.replace(new, path)
